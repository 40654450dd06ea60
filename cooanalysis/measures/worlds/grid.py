"""The LR grid: windows, blocks of HR pixels, and the bicubic kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError

Floats = NDArray[np.float64]


def window(width: int) -> NDArray[np.intp]:
    """Offsets of a square window around its central pixel, row by row.

    Parameters
    ----------
    width
        Side of the window; odd.

    Returns
    -------
    numpy.ndarray
        ``(width ** 2, 2)``.

    Raises
    ------
    ConfigError
        `width` is not an odd positive number.
    """
    if width < 1 or width % 2 == 0:
        raise ConfigError(f"a context must be an odd number of LR pixels, not {width}")
    return square(-(width // 2), width // 2 + 1)


def square(low: int, high: int) -> NDArray[np.intp]:
    """Offsets from `low` to `high` (not included) along both axes, row by row: ``(n ** 2, 2)``."""
    along = np.arange(low, high)
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)


def blocks(image: Floats, scale: int) -> Floats:
    """Cut an ``(H, W)`` image into its ``scale x scale`` blocks: ``(scale ** 2, h, w)``."""
    h, w = image.shape[0] // scale, image.shape[1] // scale
    parts = image.reshape(h, scale, w, scale)
    return np.ascontiguousarray(parts.transpose(1, 3, 0, 2).reshape(scale**2, h, w))


def joined(parts: Floats, scale: int) -> Floats:
    """Put ``(scale ** 2, h, w)`` blocks together again: ``(H, W)``."""
    h, w = parts.shape[1:]
    image = parts.reshape(scale, scale, h, w).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(image.reshape(h * scale, w * scale))


def cubic(t: Floats) -> Floats:
    """Keys' cubic convolution kernel with a = -0.5, at distances in samples.

    References
    ----------
    R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
    Acoustics, Speech, and Signal Processing 29(6), 1981.
    """
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    return np.where(t <= 1.0, near, np.where(t < 2.0, far, 0.0))


def bicubic_weights(scale: int) -> Floats:
    """Weights of the 5 x 5 LR pixels around a block, for each of its pixels in bicubic upsampling.

    Parameters
    ----------
    scale
        Factor of super-resolution.

    Returns
    -------
    numpy.ndarray
        ``(scale ** 2, 5, 5)``; the weights of each pixel sum to 1.
    """
    phase = (np.arange(scale) - (scale - 1) / 2) / scale
    along = cubic(np.arange(-2, 3) - phase[:, None])
    return np.einsum("pi,qj->pqij", along, along).reshape(scale**2, 5, 5)
