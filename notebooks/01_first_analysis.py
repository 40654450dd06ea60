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
# # A first analysis
#
# Many sharp images share the same low-resolution (LR) image. A model that minimizes a pixel loss outputs their
# mean, the *center*, which is smoother than any of them. On the embedded photographs, this notebook measures how
# ambiguous an LR patch is, how far the sharp patches that share it are from their center, and how much detail that
# costs.

# %%
import cooanalysis as coo

result = coo.analyze("sample", scale=4, queries=1500, map_images=2)
result

# %% [markdown]
# The card above shows the headline numbers. All of them, with 95% intervals, are in `result.summary`. The intervals
# come from resampling whole images, because patches of the same image resemble each other.

# %%
result.summary.psnr_ceiling_db

# %% [markdown]
# `result.groups` has one row per query patch: the entropy of its group of potential high-resolution (HR) patches,
# the distance of the members to their center, and how much detail the center retains.

# %%
result.groups.filter(regex="image|entropy|center|detail_energy").describe().round(3)

# %% [markdown]
# ## Entropy and distance to the center
#
# The higher the entropy of a group, the farther its members are from their center: the entropy power is a lower
# bound on the distance. Groups lie on or above the line.

# %%
result.plot.entropy_vs_center_distance()

# %% [markdown]
# ## What it costs
#
# Detail energy is the energy of the difference from bicubic interpolation, relative to that of the ground-truth
# patches. The bars show how much of it the center of a group retains, from the least to the most ambiguous tenth of
# the LR patches.

# %%
result.plot.detail_energy()

# %% [markdown]
# ## Where
#
# Entropy maps of whole images: bright where many different details are possible. The entropy is relative to the
# contrast of a patch, so a flat region with faint texture can be bright, too.

# %%
result.plot.entropy_maps()

# %% [markdown]
# ## Look at single patches
#
# Point at a dot, or click in a map: the explorer shows the LR patch, members of its group, their center, the ground
# truth, and the location of the patch in its image. Use the arrow keys to move between dots.

# %%
result.explore()
