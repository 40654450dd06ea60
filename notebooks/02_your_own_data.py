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
# Any folder of images is a data set. Here one is made of pictures that come with scikit-image; put the path of your
# own folder in its place.

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
# Where only HR images are given, LR images are made as MATLAB's `imresize` does. LR images of your own are found by
# themselves in the usual layouts (`HR/` beside `LR_bicubic/X4/`, `img_SRF_4_HR.png` beside `img_SRF_4_LR.png`, …); one
# that shows another picture than its HR image is refused.

# %%
options = dict(queries=600, k=64, map_images=0)
result = coo.analyze(folder, scale=4, **options)
result.summary.dataset

# %% [markdown]
# Groups come from the same images, but never from the image of the query. Few images make few similar patches: the
# warnings say what is unreliable.

# %%
for notice in result.summary.warnings:
    print("-", notice.code, dict(notice.facts))

# %% [markdown]
# ## Another reference
#
# The larger the set that groups are taken from, the nearer its patches. `reference` names another data set or folder.
# Images that show the same picture as a query image (also cropped, mirrored or recompressed) are found, reported, and
# kept from serving it. The embedded sample holds the very pictures of this folder, so there are some:

# %%
other = coo.analyze(folder, reference="sample", scale=4, **options)
other.summary.leakage

# %% [markdown]
# ## Scale and context
#
# A patch that looks at more LR pixels leaves less open. `patch_width` is its side in LR pixels, `scale` the upscaling
# factor.

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
# Errors are one line that says what to do.

# %%
empty = folder / "nothing"
empty.mkdir()
try:
    coo.analyze(empty, scale=4)
except coo.CooError as error:
    print(error)

# %% [markdown]
# ## Keep it
#
# A run directory holds the report, the summary, a table of all patches, and the figures. It is written whole or not at
# all.

# %%
saved = result.save(folder.parent / "run")
print(sorted(path.name for path in saved.iterdir()))
coo.load(saved)
