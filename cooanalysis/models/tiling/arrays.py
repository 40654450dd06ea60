"""Images as arrays and tensors: conversions, checks, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cooanalysis.errors import ImageError

Image = NDArray[np.uint8]


def uint8_to_torch(image: Image) -> Tensor:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 to (1, 3, H, W) float32 in [0, 1]; gray is repeated."""
    return to_tensor(image) / 255.0


def torch_to_uint8(image: Tensor) -> Image:
    """(1, 3, H, W) or (3, H, W) to (H, W, 3) uint8: clipped to [0, 1], rounded, halves to even.

    Raises
    ------
    ImageError
        If the tensor has another shape or contains NaN.
    """
    chosen = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if chosen.ndim != 3 or chosen.shape[0] != 3:
        raise ImageError(f"an image tensor must be (1, 3, H, W), not {tuple(image.shape)}")
    return to_uint8(chosen.detach().float().permute(1, 2, 0).cpu().numpy())


def checked_image(lr: Any, name: str) -> NDArray[Any]:
    """(h, w, 3), uint8 or float32, of whatever :func:`upscale` takes."""
    array = np.asarray(lr)
    if array.ndim not in (2, 3) or array.size == 0 or array.shape[2:] not in ((), (1,), (3,)):
        raise ImageError(
            f"{name} must have the shape (h, w), (h, w, 1) or (h, w, 3), not {array.shape}"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind != "f":
            raise ImageError(
                f"{name} must contain 8-bit values (uint8) or floating-point values in [0, 1], not "
                f"{array.dtype}"
            )
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):  # also with NaN
            raise ImageError(f"{name} must be in [0, 1]; its values run from {low:g} to {high:g}")
        array = array.astype(np.float32, copy=False)
    flat = array if array.ndim == 3 else array[:, :, None]
    return np.broadcast_to(flat, (*flat.shape[:2], 3))


def to_tensor(image: NDArray[Any]) -> Tensor:
    """(H, W[, C]) to (1, 3, H, W) float32 with the same values; gray is repeated."""
    flat = image if image.ndim == 3 else image[:, :, None]
    # astype copies: torch does not take arrays that cannot be written to.
    values = np.broadcast_to(flat, (*flat.shape[:2], 3)).astype(np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


def to_uint8(values: NDArray[Any]) -> Image:
    if np.isnan(values).any():
        raise ImageError("an image with NaN has no 8-bit values")
    return np.rint(np.clip(values, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


def padded(image: NDArray[Any], multiple: int) -> NDArray[Any]:
    """The image continued symmetrically to multiples of a size, below and to the right."""
    below, right = -image.shape[0] % multiple, -image.shape[1] % multiple
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")


def middle(image: NDArray[Any], side: int) -> NDArray[Any]:
    """A square piece from the middle, smaller if the image is."""
    top, left = ((size - min(side, size)) // 2 for size in image.shape[:2])
    return image[top : top + side, left : left + side]


def rounded_up(size: int, multiple: int) -> int:
    """The next multiple, not below the size."""
    return -(-size // multiple) * multiple
