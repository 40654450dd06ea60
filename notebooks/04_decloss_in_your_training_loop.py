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
# # DECLoss in your training loop
#
# DECLoss is a plain `torch.nn.Module` that takes batches of images in [0, 1]; using it takes two lines. In this
# notebook, a small network that was trained with L1 is trained a little longer on a few photographs, once with L1 and
# once with L1 + DECLoss. Both are then compared on images that neither has seen. Half a minute of training on a CPU is
# enough to show how it is done. The documentation of DECLoss reports how much it changes with proper training, with
# intervals.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import l1_loss

import cooanalysis as coo
from cooanalysis.data import iter_pairs, resolve
from cooanalysis.losses import DECLoss
from cooanalysis.models import load_weights, shipped

SCALE, CROP, BATCH, STEPS = 4, 24, 8, 60

# %% [markdown]
# ## Data
#
# Pairs of LR and HR photographs; three are held out for testing.

# %%
TEST = ("coffee", "chelsea", "rocket")
pairs = list(iter_pairs(resolve("sample", scale=SCALE), color="rgb"))
training = [pair for pair in pairs if pair.name not in TEST]
held_out = Path(tempfile.mkdtemp()) / "held-out"
held_out.mkdir()
for pair in pairs:
    if pair.name in TEST:
        Image.fromarray(pair.hr).save(held_out / f"{pair.name}.png")
len(training), sorted(path.stem for path in held_out.iterdir())


# %%
def batch(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops, (B, 3, h, w) in [0, 1]."""
    lr, hr = [], []
    for _ in range(BATCH):
        pair = training[rng.integers(len(training))]
        y, x = (rng.integers(side - CROP + 1) for side in pair.lr.shape[:2])
        lr.append(pair.lr[y : y + CROP, x : x + CROP])
        top, left, side = SCALE * y, SCALE * x, SCALE * CROP
        hr.append(pair.hr[top : top + side, left : left + side])
    return tuple(
        torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float() / 255.0 for part in (lr, hr)
    )


# %% [markdown]
# ## The loop
#
# Both networks start from the same weights and see the same crops.


# %%
def train(weight: float) -> torch.nn.Module:
    """Continue training the shipped L1 network, with the given weight of DECLoss."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = load_weights(shipped()["edsr-small-x4-l1"]).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    decloss = DECLoss(factor=SCALE)  # line 1
    for step in range(STEPS):
        lr, hr = batch(rng)
        sr = network(lr)
        loss = l1_loss(sr, hr)
        if weight:
            loss = loss + weight * decloss(sr, hr)  # line 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"weight {weight:g}, step {step + 1}: L1 {l1_loss(sr, hr).item():.4f}")
    return network.eval()


plain, with_decloss = train(0.0), train(0.02)

# %% [markdown]
# ## What changed
#
# Modules are models like any other. The L1 network is the baseline, and so the anchor: what DECLoss makes up is measured
# against it. A higher *gain* means that what is known is shown more strongly, a lower *collapse index* that more is made
# up; what is *explained* says whether the network knows more. A manifold ratio closer to 1 means that the outputs look
# more like clean images; PSNR is the price. With only three images, no test can be significant, and the intervals come
# from resampling single patches and are narrower than they should be; the tool says so.

# %%
comparison = coo.compare(
    held_out,
    {"hr": "hr", "l1": plain, "l1-decloss": with_decloss},
    baseline="l1",
    reference="sample",
    metrics=["psnr_y", "ssim_y"],
    queries=800,
    k=64,
    map_images=0,
)
comparison.table()[
    ["psnr_y", "explained", "gain", "invented", "collapse_index", "manifold_sparsity"]
].round(3)

# %%
rows = comparison.totals[comparison.totals["model"] == "l1-decloss"]
rows[["measure", "difference", "difference_low", "difference_high"]].round(4)

# %%
comparison.plot.crops()

# %% [markdown]
# `coo-train` does the same, driven by configuration files, with learned metrics and an optional adversarial loss, and
# it resumes after a crash; see `experiments/decloss`.
