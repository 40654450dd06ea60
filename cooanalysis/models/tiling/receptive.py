"""How far a model looks: the overlap that tiles need, measured at cut edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.models.tiling.arrays import middle, rounded_up
from cooanalysis.models.tiling.runner import Runner
from cooanalysis.runtime.precision import single_precision

PROBES = (48, 96, 192, 384)
"""Sides in LR pixels of the pieces that the reach is measured on."""

_SAME = 5e-6  # outputs differ by rounding even where they see the same


def measured_reach(
    run: Runner, sample: NDArray[Any] | None, multiple: int, largest: int
) -> int | None:
    """How far a model looks, as far as pieces of a size can show it.

    Parameters
    ----------
    run
        The model, in single precision.
    sample
        (h, w, 3) image to cut pieces from, in addition to noise.
    multiple
        Of which heights and widths must be multiples.
    largest
        Side of the largest piece, LR pixels.

    Returns
    -------
    int or None
        LR pixels; None if it is more than about half of the largest piece.
    """
    sides = sorted({rounded_up(side, multiple) for side in PROBES if side <= largest})
    for side in sides or [rounded_up(largest, multiple)]:
        kept = side - rounded_up(side // 4, multiple)
        if kept <= 0:
            continue
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        pieces = [noise]
        if sample is not None and min(sample.shape[:2]) >= side:
            pieces.append(middle(sample, side))
        with single_precision():
            found = max(_felt(run, piece, kept) for piece in pieces)
        if found <= 0.75 * kept:
            return found
    return None


def _felt(run: Runner, piece: NDArray[Any], kept: int) -> int:
    """LR pixels from a cut edge up to which the output is not that for the uncut piece."""
    scale, cut = run.scale, len(piece) - kept
    whole = run(piece)
    tolerance = _SAME * max(1.0, float(np.abs(whole).max()))
    furthest = 0
    # Paddings and strides need not be symmetric: cut above and left, then below and right.
    for corner, flip in ((slice(cut, None), 1), (slice(0, kept), -1)):
        at = slice(cut * scale, None) if flip == 1 else slice(0, kept * scale)
        off = np.abs(whole[at, at] - run(piece[corner, corner])).max(axis=2) > tolerance
        blocks = off.reshape(kept, scale, kept, scale).any(axis=(1, 3))[::flip, ::flip]
        rows, columns = np.nonzero(blocks)
        if len(rows):
            furthest = max(furthest, int(np.minimum(rows, columns).max()) + 1)
    return furthest
