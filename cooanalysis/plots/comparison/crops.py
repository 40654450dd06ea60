"""The most over-smoothed places in the output of every model, one row each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.comparison.record import ComparisonRecord, Crop
from cooanalysis.plots.comparison.looks import looks_of, shown_name
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, DPI, GRAY, WIDTH, new_figure, shortened

CROPS_SHOWN = 6
TILE = 160
"""Pixels: crops are enlarged by a whole number to at least this side."""
LEFT, TOP = 24, 40
"""Pixels for the names on the left and at the top."""


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the most over-smoothed places in the output of every model, one row each.

    Pixels are enlarged by a whole number, without interpolation.
    """
    shown = comparison.crops[:CROPS_SHOWN]
    columns = list(dict.fromkeys(name for crop in shown for name in crop.pictures))
    canvas, side, gap = mosaic(shown, columns)
    height, width = canvas.shape[:2]
    if fig is None:
        fig = new_figure(fig, (width + LEFT) / DPI, (height + TOP) / DPI)
        fig.set_layout_engine("none")
    # One pixel of the canvas is one pixel of the file: no other enlargement blurs or drops any.
    ax = fig.add_axes((LEFT / (width + LEFT), 0.0, width / (width + LEFT),
                       height / (height + TOP)))  # fmt: skip
    ax.imshow(canvas, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    ax.axis("off")
    size = 8.0 * max(1.0, width / (WIDTH * DPI))
    looks = looks_of(comparison)
    for number, name in enumerate(columns):
        title = shortened(name, max(6, int(side / (1.25 * size))))
        ax.text(number * (side + gap) + side / 2, -gap, title, ha="center", va="bottom",
                fontsize=size, color=looks.get(name, {"color": BLACK})["color"])  # fmt: skip
    for number, crop in enumerate(shown):
        ax.text(-gap, number * (side + gap) + side / 2, shown_name(crop.image), rotation=90,
                ha="right", va="center", fontsize=6.5, color=GRAY)  # fmt: skip
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if comparison.crops else "No places were cut out (crops is 0)."


def mosaic(shown: Sequence[Crop], columns: Sequence[str]) -> tuple[NDArray[np.uint8], int, int]:
    """All crops in one image, white between them; side of a tile and gap in pixels."""
    largest = max(max(p.shape[:2]) for crop in shown for p in crop.pictures.values())
    factor = max(1, math.ceil(TILE / largest))
    side, gap = factor * largest, 6
    size = (len(shown) * (side + gap) - gap, len(columns) * (side + gap) - gap, 3)
    canvas = np.full(size, 255, np.uint8)
    for row, crop in enumerate(shown):
        for column, name in enumerate(columns):
            if name not in crop.pictures:
                continue
            picture = crop.pictures[name].repeat(factor, axis=0).repeat(factor, axis=1)
            y, x = row * (side + gap), column * (side + gap)
            canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return canvas, side, gap


FIGURE = Plot(draw, "The most over-smoothed places", missing)
