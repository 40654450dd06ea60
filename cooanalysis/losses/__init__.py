"""Losses for anybody's training loop: plain modules with ``forward(sr, hr)``.

Images are (B, C, H, W) in [0, 1]. L1, L2 and smooth L1 are torch's own.
"""

from __future__ import annotations

from cooanalysis.losses.adversarial import RaGANDiscriminatorLoss, RaGANGeneratorLoss
from cooanalysis.losses.decloss import DECLoss
from cooanalysis.losses.perceptual import PerceptualLoss, VGG19Features
from cooanalysis.losses.pixel import CharbonnierLoss
from cooanalysis.losses.registry import LOSSES, WeightedLoss, build, register_decloss

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
]
