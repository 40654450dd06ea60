"""Pieces that the generators share."""

from __future__ import annotations

from torch import nn

from cooanalysis.errors import ConfigError

SCALES = (2, 3, 4, 8)


def check_scale(scale: int) -> int:
    """Return ``scale`` or raise a :class:`ConfigError`."""
    if scale not in SCALES:
        raise ConfigError(f"scale must be one of {', '.join(map(str, SCALES))}; got {scale!r}")
    return scale


def upsampler(
    scale: int, features: int, activation: type[nn.Module] | None = None
) -> nn.Sequential:
    """Convolution and pixel shuffle, step by step (×2 each, or once ×3).

    Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", CVPR 2016.
    """
    layers: list[nn.Module] = []
    for factor in (3,) if scale == 3 else (2,) * (scale.bit_length() - 1):
        layers += [
            nn.Conv2d(features, features * factor**2, 3, padding=1),
            nn.PixelShuffle(factor),
        ]
        if activation is not None:
            layers.append(activation())
    return nn.Sequential(*layers)
