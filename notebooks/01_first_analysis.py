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
# Many sharp images share one low-resolution (LR) image. A model that minimises a pixel loss answers with their
# mean, the *center*, which is smoother than any of them. This notebook measures on the embedded photographs how
# many sharp patches stand behind an LR patch, how far they lie from their center, and how much detail that costs.

# %%
import cooanalysis as coo

result = coo.analyze("sample", scale=4, queries=1500, map_images=2)
result

# %% [markdown]
# The card above holds the headline numbers. All of them, with 95 % intervals, are in `result.summary`; the intervals
# resample whole images, because patches of one image resemble each other.

# %%
result.summary.psnr_ceiling_db

# %% [markdown]
# Every query patch is a row of `result.groups`: the entropy of its group of potential high-resolution (HR) patches,
# the distance of the members to their center, and how much detail the center keeps.

# %%
result.groups.filter(regex="image|entropy|center|detail_energy").describe().round(3)

# %% [markdown]
# ## The law
#
# The higher the entropy of a group, the farther its members lie from their center: the entropy power is a lower
# bound of the distance. Groups lie on or above the line.

# %%
result.plot.entropy_vs_center_distance()

# %% [markdown]
# ## What it costs
#
# Detail energy is the power of what differs from bicubic interpolation, over that of the true patches. The bars show
# how much of it the center of a group keeps, from the least to the most ambiguous tenth of the LR patches.

# %%
result.plot.detail_energy()

# %% [markdown]
# ## Where
#
# Entropy over whole images: bright where many different details would fit. It is relative to the contrast of a patch,
# so a flat place with faint texture can be bright, too.

# %%
result.plot.entropy_maps()

# %% [markdown]
# ## Look at single patches
#
# Point at a dot, or click into a map: the explorer shows the LR patch, members of its group, their center and the
# truth, and where the patch lies in its image. Arrow keys move between dots.

# %%
result.explore()
