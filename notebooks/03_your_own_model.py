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
# A model is a checkpoint, a folder of images that it wrote, or any Python function from a `uint8` LR image to a `uint8`
# HR image. Here it is interpolation followed by sharpening, against a small network that ships with the package.

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
    """The same, with white noise that looks like detail to a careless measure."""
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
# ## In words
#
# Every sentence is one that the intervals support.

# %%
for model in comparison.summary.models:
    print(f"{model.name}:", *model.verdict, "\n")

# %% [markdown]
# ## In numbers
#
# The collapse index is 1 for a model that answers with the center and 0 for one as far from it as the truth. Noise
# lowers it without adding a single true detail; that is why it is never read alone. The manifold ratio (sparsity) says
# how unlike clean images the answers are, and it goes up with noise.

# %%
comparison.table()[["psnr_y", "collapse_index", "detail_energy", "manifold_sparsity"]].round(3)

# %%
comparison.plot.collapse_manifold()

# %% [markdown]
# ## Which frequencies are missing

# %%
comparison.plot.power_spectra()

# %% [markdown]
# ## Where
#
# Point at a patch: every model's answer beside its group, its center and the truth.

# %%
comparison.explore()
