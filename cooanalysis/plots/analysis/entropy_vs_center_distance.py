"""How far the center lies from its group, against the entropy of the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.analysis.summary_record import EntropySummary
from cooanalysis.measures.entropy import entropy_power, estimator_title
from cooanalysis.plots.numbers import interval_text
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import (
    BLACK,
    GRAY,
    LIGHT,
    VERMILLION,
    WIDTH,
    color_bar,
    new_figure,
    plain_log_axis,
    plain_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

N_BINS = 12
PATCHES_PER_BIN = 20
"""Fewer patches are drawn in fewer bins."""

Floats = NDArray[np.float64]


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw how far the center lies from its group against the entropy of the group.

    One panel per estimator: density of the query patches, median and middle half in bins with
    equally many patches, and the lower bound for every distribution, the square root of the
    entropy power.
    """
    entropies, panels = result.summary.entropy, points(result)
    fig = new_figure(fig, WIDTH if len(panels) > 1 else 4.2, 3.0)
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    drawn = [
        _panel(ax, name, *values, entropies[name])
        for ax, (name, values) in zip(axes, panels.items(), strict=True)
    ]
    # One color scale for all panels, so that they can be compared.
    highest = max(float(np.asarray(d.get_array()).max()) for d in drawn)
    for density in drawn:
        density.set_norm(LogNorm(1.0, max(highest, 2.0)))
    values = np.concatenate([y for _, y in panels.values()])
    low, high = np.quantile(values, [0.001, 0.999])
    axes[0].set_ylim(low / 1.3, high * 2.2)
    plain_log_axis(axes[0])
    axes[0].set_ylabel("distance of the center to its group\n(RMS per dimension, log scale)")
    fig.supxlabel("entropy of the group (nats per dimension)", fontsize=8.0)
    bar = fig.colorbar(drawn[-1], ax=list(axes), pad=0.01, aspect=30)
    color_bar(bar, "query patches in a cell")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(plain_number))
    handles = [
        Line2D([], [], color=VERMILLION, marker="o", label="median, bar: middle half"),
        Line2D([], [], color=BLACK, ls="--", label="lower bound √(entropy power)"),
    ]
    fig.legend(handles=handles, loc="outside upper right", ncols=2)
    return fig


def points(result: AnalysisRecord) -> dict[str, tuple[Floats, Floats]]:
    """Entropy and center distance of the query patches with both, by estimator."""
    groups = result.groups
    found: dict[str, tuple[Floats, Floats]] = {}
    if "center_rms_subspace" not in groups:
        return found
    distance = groups["center_rms_subspace"].to_numpy(np.float64)
    for name in result.summary.entropy:
        if entropy_column(name) in groups:
            x = groups[entropy_column(name)].to_numpy(np.float64)
            valid = np.isfinite(x) & np.isfinite(distance) & (distance > 0)
            if valid.sum() > 1:
                found[name] = x[valid], distance[valid]
    return found


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if points(result) else "No query has both an entropy and a center distance."


def binned_quartiles(x: Floats, y: Floats, n_bins: int) -> Floats:
    """(n_bins, 4): median of x and the quartiles of y, in bins of equally many points."""
    parts = np.array_split(np.argsort(x, kind="stable"), n_bins)
    return np.array([[np.median(x[p]), *np.quantile(y[p], [0.25, 0.5, 0.75])] for p in parts])


def _panel(ax: Axes, name: str, x: Floats, y: Floats, entry: EntropySummary) -> PolyCollection:
    # Groups of (nearly) equal members have entropies far below all others; drawn to scale they
    # would squeeze the rest into a corner.
    low, tenth, high = np.quantile(x, [0.001, 0.1, 0.999])
    low = max(low, 2.0 * tenth - high)
    margin = max(0.06 * (high - low), 0.05)
    seen = (x >= low - margin) & (x <= high + margin)
    ax.set_yscale("log")
    density = ax.hexbin(
        x[seen], y[seen], yscale="log", gridsize=(36, 24), mincnt=1, cmap="cividis_r",
        linewidths=0.1, rasterized=True,
    )  # fmt: skip
    ax.set_xlim(low - margin, high + margin)
    curve = np.linspace(low - margin, high + margin, 100)
    bound = np.sqrt(entropy_power(curve))
    ax.plot(curve, bound, color="white", lw=2.6)
    ax.plot(curve, bound, color=BLACK, ls="--", lw=1.2)
    n_bins = min(N_BINS, max(1, len(x) // PATCHES_PER_BIN))
    middle, lower, median, upper = binned_quartiles(x, y, n_bins).T
    spread = np.stack([median - lower, upper - median])
    for color, width in (("white", 3.2), (VERMILLION, 1.3)):
        ax.errorbar(
            middle, median, yerr=spread, color=color, lw=width, elinewidth=width, marker="o",
            ms=3.0 + width / 2, capsize=0, zorder=5,
        )  # fmt: skip
    ax.set_title(estimator_title(name))
    note = f"Spearman\n{interval_text(entry.spearman_center_distance, '.3f')}"
    if not entry.reliability.reliable:
        note += "\nvalues unreliable"
    if hidden := int((~seen).sum()):
        ax.text(0.98, 0.03, f"{hidden} outside", transform=ax.transAxes, fontsize=6.5, ha="right",
                color=GRAY)  # fmt: skip
    ax.text(
        0.035, 0.965, note, transform=ax.transAxes, va="top", fontsize=7.5, zorder=6,
        bbox={"facecolor": "white", "edgecolor": LIGHT, "linewidth": 0.5, "pad": 2.5},
    )  # fmt: skip
    return density


FIGURE = Plot(draw, "Does ambiguity drive the average away?", missing)
