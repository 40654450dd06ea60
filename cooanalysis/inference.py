"""From a low-resolution image to a model's answer: in tiles, without seams, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cooanalysis.errors import ModelError

Image = NDArray[np.uint8]
Model = Callable[[Tensor], Tensor]

TILE = 256
"""Side of a tile in LR pixels."""
OVERLAP = 32
"""LR pixels by which a tile reaches beyond the part that is kept."""


def uint8_to_torch(image: Image) -> Tensor:
    """(H, W) or (H, W, C) levels to (1, 3, H, W) float32 in [0, 1]; gray is repeated."""
    flat = image if image.ndim == 3 else image[:, :, None]
    flat = np.repeat(flat, 3, axis=2) if flat.shape[2] == 1 else flat
    return torch.from_numpy(np.ascontiguousarray(flat)).permute(2, 0, 1)[None].float() / 255.0


def torch_to_uint8(image: Tensor) -> Image:
    """(1, 3, H, W) to (H, W, 3) levels: clipped to [0, 1] and rounded, halves to even."""
    levels = (image[0].detach().float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().numpy()


@torch.inference_mode()
def upscale(
    model: Model,
    lr: Image,
    *,
    scale: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
    device: str = "cpu",
    name: str = "the model",
) -> Image:
    """Answer of a model for a whole image.

    Parameters
    ----------
    model
        From (1, 3, h, w) float32 in [0, 1] to (1, 3, scale·h, scale·w).
    lr
        (h, w), (h, w, 1) or (h, w, 3) uint8.
    scale
        Upscaling factor that the model must have.
    tile
        Side of a tile in LR pixels; images no larger are answered in one piece. Memory is bounded
        by that of ``tile + 2 · overlap`` squared.
    overlap
        LR pixels that a tile sees around the part that is kept. Tiles show no seams as long as
        the model's receptive field reaches no further.
    device
        Where the model is.
    name
        What error messages call the model.

    Returns
    -------
    numpy.ndarray
        (scale·h, scale·w, 3) uint8.

    Raises
    ------
    ModelError
        If the output has the wrong size or holds NaN or infinite values.
    """
    height, width = lr.shape[:2]
    image = uint8_to_torch(lr)
    out = np.empty((height * scale, width * scale, 3), np.uint8)
    for top, bottom in _spans(height, tile):
        for left, right in _spans(width, tile):
            y0, x0 = max(0, top - overlap), max(0, left - overlap)
            y1, x1 = min(height, bottom + overlap), min(width, right + overlap)
            answer = model(image[:, :, y0:y1, x0:x1].to(device))
            _check(answer, (1, 3, (y1 - y0) * scale, (x1 - x0) * scale), scale, name)
            kept = answer[
                :, :,
                (top - y0) * scale : (bottom - y0) * scale,
                (left - x0) * scale : (right - x0) * scale,
            ]  # fmt: skip
            target = (
                slice(top * scale, bottom * scale),
                slice(left * scale, right * scale),
            )
            out[target] = torch_to_uint8(kept)
    return out


def _spans(size: int, tile: int) -> list[tuple[int, int]]:
    """Tiles of nearly equal length, none longer than ``tile``."""
    count = -(-size // tile)
    edges = [round(i * size / count) for i in range(count + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _check(answer: Any, wanted: tuple[int, ...], scale: int, name: str) -> None:
    if not isinstance(answer, Tensor) or tuple(answer.shape) != wanted:
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ModelError(
            f"{name} is no x{scale} model: it answers with {got} where {wanted} was expected"
        )
    if not torch.isfinite(answer).all():
        raise ModelError(f"{name} answers with NaN or infinite values")
