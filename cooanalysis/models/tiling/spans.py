"""Where tiles lie and how much each of them counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.models.tiling.arrays import rounded_up
from cooanalysis.models.tiling.receptive import measured_reach
from cooanalysis.models.tiling.runner import Floats, Runner
from cooanalysis.runtime.notices import Notice

_BLEND = 32  # LR pixels over which tiles are blended that need more overlap than they have


@dataclass(frozen=True)
class Span:
    """What a tile sees along one axis, in LR pixels, and how much it counts at each HR pixel."""

    start: int
    stop: int
    weight: Floats


def plan_tiles(
    run: Runner, pixels: NDArray[Any], side: int, overlap: int | str, multiple: int
) -> tuple[list[Span], list[Span]]:
    """Tiles of an image along its height and its width.

    Parameters
    ----------
    run
        The model, whose reach is measured where ``overlap`` is ``"auto"``.
    pixels
        (h, w, 3).
    side
        Of the largest tile, LR pixels.
    overlap
        LR pixels that a tile sees around the part that is kept, or ``"auto"``.
    multiple
        Where tiles begin.

    Raises
    ------
    ConfigError
        If tiles are not larger than what they share.
    """
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        whole = (height, width)
        rows, columns = ([Span(0, n, np.ones(n * run.scale, np.float32))] for n in whole)
        return rows, columns
    side = max(side // multiple, 1) * multiple
    blend = False
    if overlap == "auto":
        # Half precision would drown small differences.
        found = measured_reach(Runner(**{**vars(run), "half": False}), pixels, multiple, side)
        around = 0 if found is None else rounded_up(found + found // 8 + 1, multiple)
        blend = found is None or side - 2 * around < side // 4
        if blend:
            around = min(rounded_up(_BLEND, multiple), side // 4 // multiple * multiple)
            run.note(
                Notice(
                    "tiles_blended",
                    {
                        "model": run.name,
                        "image": run.image,
                        "tile": side,
                        "blended_over": 2 * around,
                    },
                )
            )
    else:
        around = rounded_up(int(overlap), multiple)
    if side - 2 * around < multiple:
        raise ConfigError(
            f"tile must be more than twice the overlap; got a tile of {side} and an overlap of "
            f"{around} pixels"
        )
    spans = [spans_of(n, side, around, multiple, run.scale, blend) for n in (height, width)]
    return spans[0], spans[1]


def spans_of(
    size: int, side: int, around: int, multiple: int, scale: int, blend: bool
) -> list[Span]:
    """Tiles of one length at even distances, of which neighbors share at least ``2 * around``."""
    side = min(side, size)
    count = 1 if size == side else math.ceil((size - 2 * around) / (side - 2 * around))
    steps = (size - side) // multiple
    starts = [i * steps // max(count - 1, 1) * multiple for i in range(count)]
    # Cuts in the middle of what neighbors share. Ramps around two cuts must not meet, even where
    # three tiles overlap: only then do all weights add up to one everywhere.
    cuts = [(a + side + b) * scale / 2.0 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    gaps = [b - a for a, b in zip(starts[:-1], starts[1:], strict=True)]
    ramp = min([2 * around, *gaps]) * scale if blend else 0
    spans = []
    for i, start in enumerate(starts):
        position = np.arange(start * scale, (start + side) * scale) + 0.5
        weight = np.ones(side * scale)
        if i > 0:
            weight *= _rise(position - cuts[i - 1], ramp)
        if i < count - 1:
            weight *= 1.0 - _rise(position - cuts[i], ramp)
        spans.append(Span(start, start + side, weight.astype(np.float32)))
    return spans


def _rise(distance: NDArray[np.floating], ramp: float) -> NDArray[np.floating]:
    """From 0 to 1 across a cut, at once or smoothly over ``ramp`` pixels."""
    if ramp == 0:
        return (distance >= 0).astype(np.float64)
    return np.sin(0.5 * np.pi * np.clip(distance / ramp + 0.5, 0.0, 1.0)) ** 2
