"""The perception-distortion plane with the bound that no model can pass."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.measures.perception_distortion import bound_curve
from cooanalysis.metrics.decibels import decibels, mse_to_psnr
from cooanalysis.plots.comparison.looks import looks_of, shown_name
from cooanalysis.plots.comparison.points import Point, label_points
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, GRAY, PALE, minus, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LEVELS = 255.0
"""8-bit values per unit."""


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the models, the bound, and the excess of each model as the way from one to the other.

    Across is the PSNR of the mean squared error of all patches, so that the excess in dB is a
    length; up is the Gaussian Wasserstein distance of the patches.
    """
    table = placed(comparison)
    fig = new_figure(fig, 5.2, 3.7)
    ax = fig.add_subplot()
    points = [_draw_model(comparison, ax, row) for row in table.to_dict("records")]
    ax.margins(0.12)
    ax.set_ylim(0.0, None)
    _draw_bound(ax, table)
    ax.set_xlabel("PSNR of all patches [dB]     better →")
    ax.set_ylabel("distance to clean patches [8-bit values]     ← better")
    label_points(ax, points)
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if comparison.bound is None:
        return "This run was made before the bound was measured."
    if placed(comparison).empty:
        return "No model could be placed: the bound needs images of 12x12 pixels or more."
    return None


def placed(comparison: ComparisonRecord) -> pd.DataFrame:
    """The rows of models other than the ground truth that have an excess."""
    assert comparison.bound is not None  # see missing()
    table = comparison.bound[comparison.bound["model"].isin(list(looks_of(comparison)))]
    return table[table["excess_db"].notna()]


def _draw_model(comparison: ComparisonRecord, ax: Axes, row: dict[Hashable, Any]) -> Point:
    name = str(row["model"])
    look = looks_of(comparison)[name]
    x, y = mse_to_psnr(row["mse"]), LEVELS * row["wasserstein"]
    lowest = x + row["excess_db"]
    ax.hlines(y, x, lowest, color=look["color"], lw=0.9, zorder=3)
    ends = [row["excess_low"], row["excess_high"]]
    if all(map(math.isfinite, ends)):
        ax.hlines(y, *(x + row["excess_db"] - end for end in ends), color=look["color"], lw=4.0,
                  alpha=0.35, zorder=2)  # fmt: skip
    ax.plot([x], [y], ms=6.0, zorder=4, **(look | {"ls": ""}))
    excess = minus(f"{row['excess_db']:+.2f} dB") if row["excess_db"] else "sets the bound"
    return f"{shown_name(name)}: {excess}", x, y, look["color"]


def _draw_bound(ax: Axes, table: pd.DataFrame) -> None:
    first = table.iloc[0]
    top, right = ax.get_ylim()[1], ax.get_xlim()[1]
    distance, lowest = bound_curve(top / LEVELS, first["best_mse"], first["best_wasserstein"])
    psnr = -decibels(lowest)
    up = LEVELS * distance
    ax.fill([*psnr, right, right], [*up, up[-1], up[0]], color=PALE, lw=0.0, zorder=0)
    ax.plot(psnr, up, color=BLACK, zorder=2)
    ax.set(xlim=(ax.get_xlim()[0], right), ylim=(0.0, top))
    ax.text(0.98, 0.03, "below the smallest possible error", transform=ax.transAxes, ha="right",
            va="bottom", fontsize=7.0, color=GRAY)  # fmt: skip


FIGURE = Plot(draw, "Distance to the perception–distortion bound", missing)
