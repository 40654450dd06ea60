"""Artifacts that no referee may mistake for detail, as functions of images.

Every function takes and returns 8-bit images, ``(H, W)`` or ``(H, W, C)``; none changes its
arguments, and each is deterministic. :data:`ARTIFACTS` lists the battery by name: what is done to
an output, given its LR image and the ground truth.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter
from scipy.ndimage import gaussian_filter

from cooanalysis.data.degradation import upsample

Image = NDArray[np.uint8]
Artifact = Callable[[Image, Image, Image], Image]
"""From an output, its LR image and the ground truth to an output with the artifact."""


def to_8_bit(image: NDArray[Any]) -> Image:
    """Round to 8-bit values and clip to 0..255."""
    return np.rint(np.clip(image, 0.0, 255.0)).astype(np.uint8)


def bicubic(lr: Image, scale: int) -> Image:
    """Bicubic upsampling, rounded to 8 bits."""
    return to_8_bit(upsample(lr, scale))


def nearest_neighbor(lr: Image, scale: int) -> Image:
    """Each LR pixel as a block of ``scale`` × ``scale`` pixels."""
    return np.repeat(np.repeat(lr, scale, axis=0), scale, axis=1)


def unsharp_mask(image: Image, strength: float, *, radius: float = 1.5) -> Image:
    """Add ``strength`` times the difference from the Gaussian blur of ``radius`` pixels."""
    mask = ImageFilter.UnsharpMask(radius=radius, percent=round(100 * strength), threshold=0)
    return _by_pillow(image, lambda picture: picture.filter(mask))


def jpeg(image: Image, quality: int) -> Image:
    """Compress with JPEG (Pillow's quality, 4:2:0) and decode."""

    def compressed(picture: Pillow.Image) -> Pillow.Image:
        stream = io.BytesIO()
        picture.save(stream, "jpeg", quality=quality)
        return Pillow.open(stream)

    return _by_pillow(image, compressed)


def white_noise(image: Image, sigma: float, *, seed: int = 0) -> Image:
    """Add white gray noise with a standard deviation of ``sigma`` 8-bit values."""
    return _plus(image, sigma * _noise(image, seed))


def low_pass_noise(image: Image, sigma: float, *, width: float = 1.5, seed: int = 0) -> Image:
    """Add gray noise below a Gaussian low pass of ``width`` pixels, ``sigma`` 8-bit values."""
    smooth = gaussian_filter(_noise(image, seed), width, mode="wrap")
    return _plus(image, sigma * smooth / smooth.std())


def checkerboard(image: Image, amplitude: float, *, period: int = 2) -> Image:
    """Add a checkerboard of ± ``amplitude`` 8-bit values whose cells repeat every ``period``."""
    height, width = image.shape[:2]
    cell = period // 2
    sign = (np.arange(height)[:, None] // cell + np.arange(width) // cell) % 2
    return _plus(image, amplitude * (2.0 * sign - 1.0))


def cartoon(image: Image, *, rounds: int = 3, radius: int = 2, contrast: float = 20.0) -> Image:
    """Wipe out texture and keep edges: repeated bilateral filtering.

    Parameters
    ----------
    image
        8-bit image.
    rounds
        How often the filter is repeated.
    radius
        Half the side of the square window in pixels.
    contrast
        Standard deviation in 8-bit values of the Gaussian that weights differences of gray values
        (Tomasi & Manduchi, "Bilateral filtering for gray and color images", ICCV 1998).
    """
    now = image.reshape(*image.shape[:2], -1).astype(np.float32)
    height, width, _ = now.shape
    offsets = [(y, x) for y in range(2 * radius + 1) for x in range(2 * radius + 1)]
    for _ in range(rounds):
        around = np.pad(now, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
        total, weights = np.zeros_like(now), np.zeros((height, width, 1), np.float32)
        for y, x in offsets:
            moved = around[y : y + height, x : x + width]
            squared = np.mean((moved - now) ** 2, axis=2, keepdims=True)
            weight = np.exp(-squared / (2 * contrast**2))
            total += weight * moved
            weights += weight
        now = total / weights
    return to_8_bit(now).reshape(image.shape)


def shifted_detail(output: Image, truth: Image, *, pixels: int = 8) -> Image:
    """Add what the output lacks (ground truth − output) in the wrong place: shifted diagonally."""
    missing = truth.astype(np.float32) - output
    return to_8_bit(output + np.roll(missing, (pixels, pixels), axis=(0, 1)))


def detail_of_another_patch(output: Image, lr: Image, truth: Image, *, size: int = 12) -> Image:
    """Add what the output lacks (ground truth − output), taken from another place of like contrast.

    The image is divided into blocks of ``size`` × ``size`` LR pixels, which are sorted by the
    standard deviation of the LR image; each gets the missing detail of the next one (the last of
    the first). Pixels beyond the last whole block keep the output. This resembles a sample of what
    the LR image leaves open: right in amount, wrong in place.
    """
    scale = len(output) // len(lr)
    missing = truth.astype(np.float32) - output
    rows, columns = lr.shape[0] // size, lr.shape[1] // size
    corners = [(size * y, size * x) for y in range(rows) for x in range(columns)]
    contrast = [float(lr[y : y + size, x : x + size].std()) for y, x in corners]
    order = np.argsort(contrast, kind="stable")
    found = np.zeros_like(missing)
    for here, there in zip(order, np.roll(order, -1), strict=True):
        found[_block(corners[here], size, scale)] = missing[_block(corners[there], size, scale)]
    return to_8_bit(output + found)


def _block(corner: tuple[int, int], size: int, scale: int) -> tuple[slice, slice]:
    y, x = (scale * start for start in corner)
    return slice(y, y + scale * size), slice(x, x + scale * size)


def _noise(image: Image, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(image.shape[:2])


def _plus(image: Image, gray: NDArray[np.floating]) -> Image:
    return to_8_bit(image + (gray if image.ndim == 2 else gray[:, :, None]))


def _by_pillow(image: Image, change: Callable[[Pillow.Image], Pillow.Image]) -> Image:
    """A change of gray or RGB images that Pillow makes."""
    plane = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    changed = np.asarray(change(Pillow.fromarray(plane)), np.uint8)
    return changed.reshape(image.shape)


def _of_output(change: Callable[..., Image], *values: Any) -> Artifact:
    return lambda output, lr, truth: change(output, *values)


ARTIFACTS: Mapping[str, Artifact] = {
    **{f"unsharp mask {s:g}": _of_output(unsharp_mask, s) for s in (0.5, 1.0, 2.0)},
    **{f"white noise {s}": _of_output(white_noise, s) for s in (2, 5, 10)},
    **{f"low-pass noise {s}": _of_output(low_pass_noise, s) for s in (2, 5, 10)},
    **{f"JPEG {quality}": _of_output(jpeg, quality) for quality in (75, 50, 30)},
    "checkerboard 4": _of_output(checkerboard, 4),
    "cartoon": _of_output(cartoon),
    "detail shifted by 8 pixels": lambda output, lr, truth: shifted_detail(output, truth),
    "detail of another patch": detail_of_another_patch,
    "nearest neighbor": lambda output, lr, truth: nearest_neighbor(
        lr, len(truth) // len(lr)
    ),
}  # fmt: skip
"""The battery by name; strengths are in 8-bit values, JPEG in Pillow's quality."""
