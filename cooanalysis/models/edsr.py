"""EDSR: residual blocks without normalization.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017
(arXiv 1707.02921). Layers are named as in BasicSR, so that weights can be exchanged with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cooanalysis.models.blocks import check_scale, upsampler

#: Mean color of DIV2K (R, G, B in [0, 1]), as in the authors' code.
RGB_MEAN = (0.4488, 0.4371, 0.4040)


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, and the input added back."""

    def __init__(self, features: int, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to the same shape."""
        return x + self.conv2(F.relu(self.conv1(x))) * self.residual_scale


class EDSR(nn.Module):
    """EDSR generator.

    Parameters
    ----------
    scale
        2, 3, 4 or 8.
    features, blocks
        64 and 16 make EDSR-baseline, 256 and 32 (with ``residual_scale`` 0.1) the large EDSR.
    residual_scale
        Factor on each residual branch.
    direct
        Upsample in one step to three channels (one small convolution) instead of step by step:
        about three times cheaper for few features.
    skip
        Add the bicubic upsampling of the input to the output, so that the network only has to
        learn the detail. Not in the paper; it shortens training.

    Notes
    -----
    ``forward`` maps (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W), not clipped.
    """

    mean: Tensor

    def __init__(
        self,
        scale: int,
        features: int = 64,
        blocks: int = 16,
        residual_scale: float = 1.0,
        direct: bool = False,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.scale = check_scale(scale)
        self.skip = skip
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(features, residual_scale) for _ in range(blocks)))
        self.conv_after_body = nn.Conv2d(features, features, 3, padding=1)
        if direct:
            self.upsample: nn.Module = nn.Identity()
            self.conv_last: nn.Module = nn.Sequential(
                nn.Conv2d(features, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
            )
        else:
            self.upsample = upsampler(scale, features)
            self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def features(self, lr: Tensor) -> Tensor:
        """What the network knows of each LR pixel: (B, F, H, W), before upsampling."""
        x = self.conv_first(lr - self.mean)
        return x + self.conv_after_body(self.body(x))

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W)."""
        detail = self.conv_last(self.upsample(self.features(lr)))
        if self.skip:
            return detail + F.interpolate(lr, scale_factor=float(self.scale), mode="bicubic")
        return detail + self.mean
