"""What every metric compares: two 8-bit images of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ImageError

Image = NDArray[np.uint8]


def check_pair(sr: Any, hr: Any) -> tuple[Image, Image]:
    """Refuse what is not a pair of 8-bit images of one size.

    Raises
    ------
    ImageError
        If an image is not uint8 or not an image, or if the sizes differ.
    """
    images = []
    for name, values in (("sr", sr), ("hr", hr)):
        image = np.asarray(values)
        if image.dtype != np.uint8:
            bad = image.dtype.kind == "f" and not np.isfinite(image).all()
            reason = "and holds NaN or infinite values" if bad else "; round and clip it first"
            raise ImageError(f"{name} must be a uint8 image; it is {image.dtype} {reason}")
        if image.ndim not in (2, 3) or image.size == 0 or image.shape[2:] not in ((), (1,), (3,)):
            raise ImageError(
                f"{name} must be a (H, W), (H, W, 1) or (H, W, 3) image; its shape is {image.shape}"
            )
        images.append(image)
    if images[0].shape[:2] != images[1].shape[:2]:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in images]
        raise ImageError(f"sr and hr differ in size; sr is {sizes[0]} and hr {sizes[1]} pixels")
    return images[0], images[1]


def three_channels(image: Image) -> Image:
    """(H, W), (H, W, 1) or (H, W, 3) to (H, W, 3); gray is repeated."""
    flat = image if image.ndim == 3 else image[:, :, None]
    return np.repeat(flat, 3, axis=2) if flat.shape[2] == 1 else flat
