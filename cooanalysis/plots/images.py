"""Images and maps as figures show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

LONGEST_SIDE = 800
"""Pixels: larger images are averaged down before they are drawn."""

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top of an image in HR pixels."""


def averaged_down(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with its longest side at most :data:`LONGEST_SIDE` pixels.

    Parameters
    ----------
    image
        (height, width, channels).
    """
    step = max(1, math.ceil(max(image.shape[:2]) / LONGEST_SIDE))
    if step == 1 or min(image.shape[:2]) < step:
        return image
    height, width = (size // step * step for size in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)).round(), np.uint8)


def map_grid(
    maps: pd.DataFrame, scale: float, patch_width: float, name: str, column: str = "entropy"
) -> tuple[NDArray[np.float64], Extent]:
    """Values of the patches of one image as a matrix, and its place in HR pixels.

    Parameters
    ----------
    maps
        One row per patch: ``image``, ``y`` and ``x`` (LR pixels of its upper left corner), and the
        values.
    scale
        HR pixels per LR pixel.
    patch_width
        LR pixels.
    name
        The image.
    column
        Which values.

    Returns
    -------
    grid
        (rows, columns); NaN where there is no patch.
    extent
        Each value covers a cell of one grid step around the middle of its patch.
    """
    table = maps[maps["image"] == name]
    ys, row = np.unique(table["y"].to_numpy(np.int64), return_inverse=True)
    xs, place = np.unique(table["x"].to_numpy(np.int64), return_inverse=True)
    grid = np.full((len(ys), len(xs)), np.nan)
    grid[row, place] = table[column].to_numpy(np.float64)
    steps = [float(np.median(np.diff(v))) if len(v) > 1 else patch_width for v in (ys, xs)]
    (top, bottom), (left, right) = (
        (
            float(scale * (v[0] + patch_width / 2.0 - step / 2.0)),
            float(scale * (v[-1] + patch_width / 2.0 + step / 2.0)),
        )
        for v, step in zip((ys, xs), steps, strict=True)
    )
    return grid, (left, right, bottom, top)
