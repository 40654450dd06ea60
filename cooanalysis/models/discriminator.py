"""Patch discriminator: one verdict per neighborhood, not one per image.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017
(arXiv 1611.07004), with the spectral normalization of Miyato et al., ICLR 2018 (arXiv 1802.05957)
in place of batch normalization, whose statistics mix real and generated images.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Fully convolutional discriminator.

    Parameters
    ----------
    features
        Channels of the first layer; each of the following doubles them, up to eight times.
    layers
        Layers that halve the image; 3 gives the 70-pixel receptive field of the paper.

    Notes
    -----
    ``forward`` maps (B, 3, H, W) in [0, 1] to logits (B, 1, h, w); the image must be at least
    ``2**layers`` pixels wide and high.
    """

    def __init__(self, features: int = 64, layers: int = 3) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        channels = 3
        for i in range(layers + 1):
            out = features * min(2**i, 8)
            stride = 2 if i < layers else 1
            kernel = 4 if stride == 2 else 3
            conv = nn.Conv2d(channels, out, kernel, stride, padding=1)
            stack += [spectral_norm(conv), nn.LeakyReLU(0.2)]
            channels = out
        stack.append(nn.Conv2d(channels, 1, 3, padding=1))
        self.net = nn.Sequential(*stack)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to logits (B, 1, h, w)."""
        return self.net(image * 2.0 - 1.0)
