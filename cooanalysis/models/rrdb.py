"""RRDBNet, the generator of ESRGAN.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018
(arXiv 1809.00219). spandrel has this network too, but needs torchvision; this one has the same
layer names, so that its weights load in spandrel, BasicSR and Real-ESRGAN and theirs load here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cooanalysis.errors import ConfigError
from cooanalysis.models.blocks import check_scale


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for i in range(5):
            out = features if i == 4 else growth
            conv = nn.Conv2d(features + i * growth, out, 3, padding=1)
            # Small residuals at the start keep 69 stacked blocks stable, as in the paper.
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data *= 0.1
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            self.add_module(f"conv{i + 1}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to the same shape."""
        seen = x
        for i in range(1, 5):
            new = F.leaky_relu(self.get_submodule(f"conv{i}")(seen), 0.2)
            seen = torch.cat((seen, new), 1)
        return x + 0.2 * self.get_submodule("conv5")(seen)


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks with a residual around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to the same shape."""
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """ESRGAN generator.

    Parameters
    ----------
    scale
        4, as in the paper; 2 first halves the input by pixel unshuffling, as Real-ESRGAN does.
    features, blocks, growth
        64, 23 and 32 in the paper.

    Notes
    -----
    ``forward`` maps (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W), not clipped. At scale 2, H
    and W must be even.
    """

    def __init__(self, scale: int, features: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        if check_scale(scale) not in (2, 4):
            raise ConfigError(f"rrdb: scale must be 2 or 4; got {scale}")
        self.scale = scale
        self.unshuffle = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def features(self, lr: Tensor) -> Tensor:
        """What the network knows of each LR pixel: (B, F, H, W), before upsampling.

        At scale 2 a feature vector belongs to 2×2 LR pixels: (B, F, H/2, W/2).
        """
        x = lr if self.unshuffle == 1 else F.pixel_unshuffle(lr, self.unshuffle)
        x = self.conv_first(x)
        return x + self.conv_body(self.body(x))

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W)."""
        x = self.features(lr)
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))
