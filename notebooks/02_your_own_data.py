# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own images
#
# Any folder of images is a data set. This example creates one from images that ship with scikit-image; replace it
# with the path of your own folder.

# %%
import tempfile
from pathlib import Path

import skimage
from PIL import Image

import cooanalysis as coo

folder = Path(tempfile.mkdtemp()) / "photographs"
folder.mkdir()
for name in ("astronaut", "camera", "coffee", "coins", "grass", "gravel"):
    picture = Image.fromarray(getattr(skimage.data, name)())
    picture.crop((0, 0, 384, 300)).save(folder / f"{name}.png")
sorted(path.name for path in folder.iterdir())

# %% [markdown]
# If there are only HR images, LR images are generated as by MATLAB's `imresize`. Your own LR images are found
# automatically in the usual layouts (`HR/` beside `LR_bicubic/X4/`, `img_SRF_4_HR.png` beside `img_SRF_4_LR.png`, …);
# one that does not match the content of its HR image is refused.

# %%
options = dict(queries=600, k=64, map_images=0)
result = coo.analyze(folder, scale=4, **options)
result.summary.dataset

# %% [markdown]
# The groups are taken from the same images, but never from the query's own image. Few images contain few similar
# patches: the warnings say which numbers are unreliable.

# %%
from cooanalysis.report.notices import warnings

for warning in warnings(result.summary):
    print("-", warning)

# %% [markdown]
# ## A separate reference set
#
# The larger the set that the groups are taken from, the closer its patches are to the query. `reference` names another
# data set or folder. Images that show the same content as a query image (also cropped, mirrored or recompressed) are
# detected, reported, and never used as neighbors of that query image. The embedded sample contains the very images of
# this folder, so there are some:

# %%
other = coo.analyze(folder, reference="sample", scale=4, **options)
other.summary.leakage

# %% [markdown]
# ## Scale and context
#
# A patch that covers more LR pixels is less ambiguous. `patch_width` is its side length in LR pixels, `scale` the
# upscaling factor.

# %%
import pandas as pd

rows = []
for scale, width in ((2, 5), (4, 3), (4, 5)):
    found = coo.analyze(folder, scale=scale, patch_width=width, **options)
    detail = found.summary.detail_energy
    interval = {"detail energy": detail.value, "low": detail.ci_low, "high": detail.ci_high}
    rows.append({"scale": scale, "patch width": width, **interval})
pd.DataFrame(rows).round(3)

# %% [markdown]
# ## When something is wrong
#
# Error messages are a single line that says what to do.

# %%
empty = folder / "nothing"
empty.mkdir()
try:
    coo.analyze(empty, scale=4)
except coo.CooError as error:
    print(error)

# %% [markdown]
# ## Save the result
#
# A run directory contains the report, the summary, a table of all patches, and the figures. It is written completely
# or not at all.

# %%
saved = result.save(folder.parent / "run")
print(sorted(path.name for path in saved.iterdir()))
coo.load(saved)
