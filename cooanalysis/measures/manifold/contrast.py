"""Patches whose brightness, contrast and color no longer matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError

CONTRAST_FLOOR = 2.0 / 255.0
"""Standard deviation below which a patch counts as flat, so that its noise is not amplified."""

_LUMA = np.array([65.481, 128.553, 24.966], np.float32)

Floats = NDArray[np.float32]


def luma(patches: Floats) -> Floats:
    """Luma (BT.601 weights) of patches: (n, size, size, channels) to (n, size, size)."""
    if patches.ndim != 4 or patches.shape[1] != patches.shape[2]:
        raise ConfigError(f"patches must be (n, size, size, channels), got {patches.shape}")
    if patches.shape[-1] == 1:
        return patches[..., 0]
    return np.asarray(patches @ (_LUMA / _LUMA.sum()), np.float32)


def contrast_normalized(patches: Floats) -> Floats:
    """Luma of each patch minus its mean, over its standard deviation (floored at 2/255).

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1].

    Returns
    -------
    numpy.ndarray
        (n, size, size) float32.
    """
    gray = luma(patches)
    gray = gray - gray.mean(axis=(1, 2), keepdims=True)
    spread = gray.std(axis=(1, 2), keepdims=True)
    return np.asarray(gray / np.maximum(spread, CONTRAST_FLOOR), np.float32)
