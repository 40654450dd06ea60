"""Losses for any training loop: plain modules with ``forward(sr, hr)``.

Images are (B, C, H, W) in [0, 1]. L1, L2 and smooth L1 are torch's own. To add a loss, write a
file with its module and one line in :data:`LOSSES`, or see :func:`register_loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.losses.registry import LOSSES, register_loss
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.losses.adversarial import RaGANDiscriminatorLoss, RaGANGeneratorLoss
    from cooanalysis.losses.basicsr import register_decloss
    from cooanalysis.losses.decloss import DECLoss
    from cooanalysis.losses.perceptual import PerceptualLoss, VGG19Features
    from cooanalysis.losses.pixel import CharbonnierLoss
    from cooanalysis.losses.weighted import WeightedLoss, build

__all__ = [
    "LOSSES",
    "CharbonnierLoss",
    "DECLoss",
    "PerceptualLoss",
    "RaGANDiscriminatorLoss",
    "RaGANGeneratorLoss",
    "VGG19Features",
    "WeightedLoss",
    "build",
    "register_decloss",
    "register_loss",
]

# Imported on first use: names of losses can be listed without torch.
__getattr__ = exporter(
    __name__,
    {
        "CharbonnierLoss": "pixel",
        "DECLoss": "decloss",
        "PerceptualLoss": "perceptual",
        "RaGANDiscriminatorLoss": "adversarial",
        "RaGANGeneratorLoss": "adversarial",
        "VGG19Features": "perceptual",
        "WeightedLoss": "weighted",
        "build": "weighted",
        "register_decloss": "basicsr",
    },
)
