"""The power of the outputs over that of the ground truth, against frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import legend_above, looks_of, truth_line
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, GRAY, WIDTH, new_figure, plain_log_axis

if TYPE_CHECKING:
    import pandas as pd


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the power of the outputs over that of the ground truth against frequency."""
    table, looks = positive_rows(comparison), looks_of(comparison)
    fig = new_figure(fig, WIDTH, 3.2)
    ax = fig.add_subplot()
    ax.set_yscale("log")
    ax.axhline(1.0, color=BLACK, lw=1.2)
    for number, (name, look) in enumerate(looks.items()):
        rows = table[table["model"] == name].sort_values("frequency")
        x, value, low, high = (
            rows[key].to_numpy(np.float64)
            for key in ("frequency", "power_ratio", "ci_low", "ci_high")
        )
        lowest = value.min() / 10.0 if len(value) else 1.0  # zero has no logarithm
        ax.fill_between(x, np.fmax(low, lowest), high, color=look["color"], alpha=0.13, lw=0)
        every = max(1, len(x) // 8)
        ax.plot(x, value, markevery=(number % every, every), **look)
    nyquist = 0.5 / comparison.summary.scale
    ax.axvline(nyquist, color=GRAY, lw=1.0, ls=(0, (4, 2)))
    ax.annotate(f"LR Nyquist\n{nyquist:.3g}", (nyquist, 0.03), (-4, 0), fontsize=7.0,
                xycoords=("data", "axes fraction"), textcoords="offset points", ha="right",
                va="bottom", color=GRAY)  # fmt: skip
    ax.set_xlim(0.0, 1.01 * float(table["frequency"].max()))
    plain_log_axis(ax)
    ax.set_xlabel("frequency (cycles per HR pixel)")
    ax.set_ylabel("power relative to the ground truth (log scale)")
    legend_above(fig, looks, truth_line())
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if len(positive_rows(comparison)) else "The power spectra are not available."


def positive_rows(comparison: ComparisonRecord) -> pd.DataFrame:
    """Rows of the spectra whose ratio has a logarithm."""
    table = comparison.spectra
    if not len(table):
        return table
    ratio = table["power_ratio"].to_numpy(np.float64)
    return table[np.isfinite(ratio) & (ratio > 0.0)]


FIGURE = Plot(draw, "Which frequencies are missing", missing)
