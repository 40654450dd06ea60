"""SRResNet without batch normalization (the variant of ESRGAN's authors).

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", CVPR 2017 (arXiv 1609.04802); batch normalization left out as in Wang et al., ESRGAN,
ECCVW 2018 (arXiv 1809.00219).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cooanalysis.models.blocks import check_scale, upsampler
from cooanalysis.models.edsr import ResidualBlock


class SRResNet(nn.Module):
    """SRResNet generator.

    Parameters
    ----------
    scale
        2, 3, 4 or 8.
    features, blocks
        64 and 16 in the paper.

    Notes
    -----
    ``forward`` maps (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W), not clipped. The bilinear
    upsampling of the input is added to the output.
    """

    def __init__(self, scale: int, features: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.scale = check_scale(scale)
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.upsample = upsampler(scale, features, activation=_LeakyReLU)
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def features(self, lr: Tensor) -> Tensor:
        """What the network knows of each LR pixel: (B, F, H, W), before upsampling."""
        return self.body(_leaky(self.conv_first(lr)))

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W)."""
        detail = self.conv_last(_leaky(self.conv_hr(self.upsample(self.features(lr)))))
        return detail + F.interpolate(
            lr, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )


class _LeakyReLU(nn.LeakyReLU):
    def __init__(self) -> None:
        super().__init__(0.1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)
