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
# # Your own model
#
# A model is a checkpoint, a folder of images that it has written, or any Python function that maps a `uint8` LR image
# to a `uint8` HR image. This example compares interpolation followed by sharpening with a small network that ships with
# the package.

# %%
import numpy as np
from PIL import Image, ImageFilter

import cooanalysis as coo


def sharpened(lr: np.ndarray) -> np.ndarray:
    """Bicubic interpolation, then an unsharp mask."""
    height, width = lr.shape[:2]
    large = Image.fromarray(lr).resize((4 * width, 4 * height), Image.Resampling.BICUBIC)
    return np.asarray(large.filter(ImageFilter.UnsharpMask(radius=2, percent=150)))


def noisy(lr: np.ndarray) -> np.ndarray:
    """The same, plus white noise, which a careless measure mistakes for detail."""
    output = sharpened(lr)
    noise = np.random.default_rng(0).normal(scale=8.0, size=output.shape)
    return np.clip(np.rint(output + noise), 0, 255).astype(np.uint8)


# %%
comparison = coo.compare(
    "sample",
    {
        "hr": "hr",
        "bicubic": "bicubic",
        "sharpened": sharpened,
        "noisy": noisy,
        "l1": "edsr-small-x4-l1",
    },
    baseline="l1",
    metrics=["psnr_y", "ssim_y"],
    queries=1000,
    map_images=1,
)
comparison

# %% [markdown]
# ## The verdict
#
# The intervals support every sentence. With few images, the tests can show little, and the verdict says so.

# %%
for model in comparison.summary.models:
    print(f"{model.name}:", *model.verdict, "\n")

# %% [markdown]
# ## The numbers
#
# What is *explained* is the share of the true detail that can be predicted from the output: what the model knows.
# Sharpening leaves it as it is, and noise lowers it. The *gain* says how strongly the known detail is shown, and
# *invented* how much is made up, in units of what is unknown; noise is made up, too. The manifold ratio (sparsity) says
# how much the outputs differ from clean images, and it increases with noise. Detail energy counts all detail, right or
# wrong.

# %%
comparison.table()[
    ["psnr_y", "explained", "gain", "invented", "detail_energy", "manifold_sparsity"]
].round(3)

# %%
comparison.plot.knows_shows_makes_up()

# %% [markdown]
# ## Which frequencies are missing

# %%
comparison.plot.power_spectra()

# %% [markdown]
# ## Where
#
# Point at a patch to see the output of every model beside the group, its center and the ground truth.

# %%
comparison.explore()
