"""How far models collapse onto the center, against how unlike clean images they are."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import title_of, totals_of
from cooanalysis.plots.comparison.points import draw_points, label_points
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, GRAY, new_figure


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw how far models collapse onto the center against how unlike clean images they are."""
    lead = comparison.summary.lead
    fig = new_figure(fig, 5.2, 3.7)
    ax = fig.add_subplot()
    ax.axvline(0.0, color=BLACK, lw=0.6, zorder=1)
    ax.axhline(1.0, color=BLACK, lw=0.6, zorder=1)
    points = draw_points(comparison, ax, "collapse_index", lead)
    ax.plot([0.0], [1.0], ls="", marker="*", ms=11, color=BLACK)
    points.append(("ground truth: the goal", 0.0, 1.0, BLACK))
    # Strips on the left and at the bottom stay free for the text.
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    high = max(high, 1.1)
    ax.set_xlim(left - 0.08 * (right - left), max(right + 0.03, 1.03))
    ax.set_ylim(low - 0.12 * (high - low), high)
    look: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 8.0, "color": GRAY}
    look["fontweight"] = "bold"
    ax.text(0.985, 0.02, "over-smooth →", ha="right", va="bottom", **look)
    ax.text(0.012, 0.985, "unlike clean images: noise, artifacts, blur →", ha="left", va="top",
            rotation=90, **look)  # fmt: skip
    ax.set_xlabel("collapse index     (0: as far from the center as the ground truth, 1: at it)")
    ax.set_ylabel(f"{title_of(comparison, lead)}     (1: as clean images)")
    label_points(ax, points)
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if totals_of(comparison, comparison.summary.lead):
        return None
    return "The manifold ratio was not measured."


FIGURE = Plot(draw, "Over-smooth, or merely noisy?", missing)
