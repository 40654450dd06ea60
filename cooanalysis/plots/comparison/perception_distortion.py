"""The perception-distortion plane: fidelity against perceived quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.summary_record import MeasureInfo
from cooanalysis.metrics.registry import METRICS, PYIQA
from cooanalysis.plots.comparison.looks import shown_name, totals_of
from cooanalysis.plots.comparison.points import draw_points, label_points
from cooanalysis.plots.numbers import value_of
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, GRAY, minus, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BETTER = {"lower": "← better", "higher": "better →", "one": "better: nearer to 1"}


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the perception-distortion plane: fidelity against perceived quality.

    Across is PSNR; up is the first learned metric, or the leading manifold ratio where no learned
    metric was computed. An arrow leads from a model to the same model with DECLoss.
    """
    across, up = axes_of(comparison)
    assert across is not None and up is not None  # see missing()
    fig = new_figure(fig, 5.2, 3.7)
    ax = fig.add_subplot()
    points = draw_points(comparison, ax, across.name, up.name)
    ax.margins(0.1)
    unit = f" [{across.unit}]" if across.unit else ""
    ax.set_xlabel(f"{across.title}{unit}     better →")
    ax.set_ylabel(f"{up.title}     {BETTER[up.direction]}")
    _mark_truth(comparison, ax, up.name)
    label_points(ax, points)
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    across, up = axes_of(comparison)
    if (
        across
        and up
        and (totals_of(comparison, across.name).keys() & totals_of(comparison, up.name).keys())
    ):
        return None
    return "No model has both a PSNR and a perceptual measure."


def axes_of(comparison: ComparisonRecord) -> tuple[MeasureInfo | None, MeasureInfo | None]:
    """The measures of the two axes: across and up."""
    known = {m.name: m for m in comparison.summary.measures}
    learned = [
        name
        for name in known
        if name.startswith(PYIQA) or (name in METRICS and METRICS[name].kind == "learned")
    ]
    wanted = ["st-lpips", *learned, comparison.summary.lead]
    across = next((known[name] for name in ("psnr_y", "psnr_rgb") if name in known), None)
    return across, next((known[name] for name in wanted if name in known), None)


def _mark_truth(comparison: ComparisonRecord, ax: Axes, measure: str) -> None:
    """A line where the ground truth lies, which has no finite PSNR, or a note about it."""
    name = next((name for name, kind in comparison.summary.kinds.items() if kind == "hr"), "")
    row = totals_of(comparison, measure).get(name)
    if row is None:
        return
    value, (low, high) = value_of(row), ax.get_ylim()
    # Drawn to scale, a ground truth far away would squeeze the models into a corner.
    far = value < low - (high - low) or value > high + (high - low)
    text = minus(f"{shown_name(name)}: {value:.3g}, at infinite PSNR")
    if far:
        side = 0.02 if value < low else 0.98
        ax.text(0.99, side, f"{text} (off the scale)", transform=ax.transAxes, ha="right",
                va="bottom" if value < low else "top", fontsize=7.0, color=GRAY)  # fmt: skip
        return
    ax.axhline(value, color=BLACK, lw=0.9, zorder=1)
    margin = 0.08 * (high - low)
    ax.set_ylim(min(low, value - margin), max(high, value + margin))
    ax.annotate(text + " →", (1.0, value), (0, 2.5), xycoords=ax.get_yaxis_transform(),
                textcoords="offset points", ha="right", va="bottom", fontsize=7.0)  # fmt: skip


FIGURE = Plot(draw, "Fidelity and perceived quality", missing)
