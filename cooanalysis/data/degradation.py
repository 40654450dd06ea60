"""The bicubic down- and upsampling of the super-resolution literature.

Benchmarks make their low-resolution images with MATLAB's ``imresize(image, 1/scale, 'bicubic')``:
the cubic kernel of Keys with a = -0.5, stretched by the scale when downsampling (antialiasing), and
the image continued symmetrically beyond its border. Pillow's bicubic filter is the same kernel, but
cuts it off at the border; padding the image symmetrically first makes the two agree.

References
----------
R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
Acoustics, Speech, and Signal Processing 29(6), 1981.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cooanalysis.errors import ConfigError, ImageError

__all__ = ["downsample", "modcrop", "upsample"]

# The cubic kernel reaches 2 (low-resolution) pixels to each side of an output sample.
_SUPPORT = 2


def modcrop(image: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    """Crop at the bottom and right until height and width are multiples of `scale`.

    Parameters
    ----------
    image : numpy.ndarray
        ``(H, W)`` or ``(H, W, C)``, any dtype.
    scale : int
        At least 1.

    Returns
    -------
    numpy.ndarray
        A view on `image`, ``(H - H % scale, W - W % scale[, C])``.

    Raises
    ------
    ConfigError
        `scale` is not a positive whole number.
    ImageError
        `image` is not an image, or is smaller than `scale` in height or width.
    """
    _check(image, scale)
    height, width = image.shape[:2]
    if height < scale or width < scale:
        raise ImageError(f"an image of {height} x {width} pixels is too small for scale {scale}")
    return image[: height - height % scale, : width - width % scale]


def downsample(image: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
    """Downsample an image as MATLAB's ``imresize(modcrop(image), 1/scale, 'bicubic')`` does.

    Parameters
    ----------
    image : numpy.ndarray
        ``(H, W)`` or ``(H, W, C)``, ``uint8``, 0..255. Cropped by :func:`modcrop` first.
    scale : int
        At least 1; 1 returns a copy.

    Returns
    -------
    numpy.ndarray
        ``(H // scale, W // scale[, C])``, ``uint8``.

    Raises
    ------
    ConfigError
        `scale` is not a positive whole number.
    ImageError
        `image` is not ``uint8``, is not an image, or is smaller than `scale` in height or width.

    Notes
    -----
    Columns are filtered before rows and the intermediate result is rounded to 8 bits, in MATLAB's
    order. On the widespread Set5, Set14 and BSD100 archives (``image_SRF_2`` to ``image_SRF_4``,
    low-resolution images made by MATLAB) the result is equal bit by bit, except for their outermost
    pixels: those archives were made when ``imresize`` still repeated the last row and column beyond
    the border, where MATLAB today, and this function, mirror the image.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ImageError(f"an image to be downsampled must be uint8, not {image.dtype}")
    image = modcrop(image, scale)
    if scale == 1:
        return np.array(image)
    height, width = image.shape[:2]
    padding = _SUPPORT * scale
    # Pillow filters along the width first, MATLAB along the height: pass the transpose.
    padded = np.ascontiguousarray(_pad(image, padding).swapaxes(0, 1))
    box = (padding, padding, padding + height, padding + width)
    planes = [
        np.asarray(
            Image.fromarray(plane).resize(
                (height // scale, width // scale), Image.Resampling.BICUBIC, box=box
            )
        )
        for plane in _planes(padded)
    ]
    return np.array(_join(planes, image.ndim).swapaxes(0, 1), dtype=np.uint8, order="C")


def upsample(image: npt.NDArray[Any], scale: int) -> npt.NDArray[np.float32]:
    """Enlarge an image with bicubic interpolation: U(x), which details are relative to.

    Parameters
    ----------
    image : numpy.ndarray
        ``(H, W)`` or ``(H, W, C)``, any real dtype.
    scale : int
        At least 1; 1 returns a copy.

    Returns
    -------
    numpy.ndarray
        ``(scale * H, scale * W[, C])``, ``float32``, in the units of `image`: neither rounded nor
        clipped, so that it may overshoot the range of the input at edges.

    Raises
    ------
    ConfigError
        `scale` is not a positive whole number.
    ImageError
        `image` is not an image.
    """
    image = np.asarray(image, dtype=np.float32)
    _check(image, scale)
    if scale == 1:
        return np.array(image)
    height, width = image.shape[:2]
    padded = _pad(image, _SUPPORT)
    box = (_SUPPORT, _SUPPORT, _SUPPORT + width, _SUPPORT + height)
    planes = [
        np.asarray(
            Image.fromarray(plane).resize(
                (scale * width, scale * height), Image.Resampling.BICUBIC, box=box
            )
        )
        for plane in _planes(padded)
    ]
    return np.array(_join(planes, image.ndim), dtype=np.float32)


def _check(image: npt.NDArray[Any], scale: int) -> None:
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ConfigError(f"scale must be a whole number of at least 1, not {scale!r}")
    if image.ndim not in (2, 3) or image.size == 0:
        raise ImageError(f"an image must be (H, W) or (H, W, C) and not empty, not {image.shape}")


def _pad(image: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    sides = [(width, width), (width, width), (0, 0)][: image.ndim]
    return np.pad(image, sides, mode="symmetric")


def _planes(image: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if image.ndim == 2:
        return [np.ascontiguousarray(image)]
    return [np.ascontiguousarray(image[:, :, channel]) for channel in range(image.shape[2])]


def _join(planes: list[npt.NDArray[Any]], ndim: int) -> npt.NDArray[Any]:
    return planes[0] if ndim == 2 else np.stack(planes, axis=2)
