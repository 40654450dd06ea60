"""Collapse index, detail energy and manifold ratio by entropy of the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import legend_above, looks_of, title_of, truth_line
from cooanalysis.plots.numbers import bar_lengths
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, WIDTH, new_figure

if TYPE_CHECKING:
    import pandas as pd

BESIDE = 0.06
"""Strata between the points of models, so that no bar hides another."""


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw collapse index, detail energy and manifold ratio by entropy of the group."""
    panels, looks = panels_of(comparison), looks_of(comparison)
    fig = new_figure(fig, WIDTH, 2.9)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for ax, (measure, part) in zip(axes, panels.items(), strict=True):
        ax.axhline(0.0 if measure == "collapse_index" else 1.0, color=BLACK, lw=1.2)
        for number, (name, look) in enumerate(looks.items()):
            rows = part[part["model"] == name].sort_values("stratum")
            x = rows["stratum"].to_numpy(np.float64) + BESIDE * (number - (len(looks) - 1) / 2)
            error = bar_lengths(rows["value"], rows["ci_low"], rows["ci_high"])
            ax.errorbar(x, rows["value"], yerr=error, elinewidth=0.9, capsize=0, **look)
        ax.set_title(title_of(comparison, measure))
        ax.set_xticks(sorted(part["stratum"].unique()))
        ax.grid(False, axis="x")
        ax.margins(y=0.08)
    fig.supxlabel("entropy of the group in equal parts (1: least ambiguous)", fontsize=8.0)
    legend_above(fig, looks, truth_line())
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if panels_of(comparison) else "The measures by entropy are not available."


def panels_of(comparison: ComparisonRecord) -> dict[str, pd.DataFrame]:
    """Rows with a finite value, by measure."""
    table = comparison.strata
    wanted = ("collapse_index", "detail_energy", comparison.summary.lead)
    if not len(table):
        return {}
    table = table[np.isfinite(table["value"].to_numpy(np.float64))]
    parts = {name: table[table["measure"] == name] for name in wanted}
    return {name: part for name, part in parts.items() if len(part)}


FIGURE = Plot(draw, "Where it happens: by entropy", missing)
