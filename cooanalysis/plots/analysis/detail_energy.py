"""The share of the detail energy that the center keeps, by entropy decile."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary_record import DetailDecile
from cooanalysis.plots.numbers import bars_of, has_value, value_of
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, GRAY, LIGHT, PALE, VERMILLION, WIDTH, new_figure


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the share of the detail energy that the center keeps, by entropy decile.

    Left on a scale from nothing to everything, so that the loss is visible; right magnified, with
    95 % intervals.
    """
    rows = _rows(result)
    kept = 100.0 * np.array([value_of(row.retained) for row in rows])
    decile = np.array([row.decile for row in rows])
    fig = new_figure(fig, WIDTH, 2.6)
    whole, zoom = fig.subplots(1, 2, width_ratios=(1.0, 1.2))
    full = max(100.0, 1.05 * float(kept.max()))
    whole.bar(decile, full, color=PALE, hatch="////", edgecolor=LIGHT, lw=0, width=0.86)
    whole.bar(decile, kept, color=VERMILLION, width=0.86)
    whole.axhline(100.0, color=BLACK, lw=0.8)
    whole.set(ylim=(0.0, 1.14 * full), ylabel="detail energy (% of ground truth)")
    whole.set_title("What the center keeps")
    whole.text(0.45, 1.015 * 100.0, "ground truth: 100 %", va="bottom", fontsize=7.0)
    overall = value_of(result.summary.detail_energy)
    if overall < 1.0:
        whole.text(
            5.5, 50.0 * (1.0 + overall), f"{100.0 * (1.0 - overall):.1f} % averaged away",
            ha="center", va="center", fontsize=9.5, fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 3.0},
        )  # fmt: skip
    error = bars_of([row.retained for row in rows], 100.0)
    zoom.errorbar(decile, kept, yerr=error, color=VERMILLION, marker="o")
    chance = np.array([row.by_chance for row in rows], np.float64)
    zoom.plot(decile, 100.0 * chance, color=GRAY, ls=":", lw=1.2)
    zoom.set_ylim(0.0, None)
    zoom.set_title("The same, magnified (bars: 95 % intervals)")
    zoom.set_ylabel("detail energy kept (%)")
    for ax in (whole, zoom):
        ax.set(xticks=range(1, 11), xlim=(0.4, 10.6))
        ax.set_xlabel("entropy decile (10: most ambiguous)")
        ax.grid(False, axis="x")
    return fig


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if _rows(result) else "The detail energy by entropy decile is not available."


def _rows(result: AnalysisRecord) -> list[DetailDecile]:
    return [row for row in result.summary.detail_energy_by_decile if has_value(row.retained)]


FIGURE = Plot(draw, "Detail that the average keeps", missing)
