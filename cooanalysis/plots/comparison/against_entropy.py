"""What models know, show and make up, by entropy of the group."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import legend_above, looks_of, title_of, truth_line
from cooanalysis.plots.comparison.parts import (
    MISSING,
    draw_goal,
    fitting_limits,
    parts_shown,
    rows_by_part,
)
from cooanalysis.plots.numbers import bar_lengths
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import WIDTH, new_figure

BESIDE = 0.06
"""Strata between the points of models, so that no bar hides another."""


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw explained, gain and invented by entropy of the group."""
    panels, looks = rows_by_part(comparison, comparison.strata), looks_of(comparison)
    fig = new_figure(fig, WIDTH, 2.9)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for ax, (measure, part) in zip(axes, panels.items(), strict=True):
        draw_goal(ax, measure)
        for number, (name, look) in enumerate(looks.items()):
            rows = part[part["model"] == name].sort_values("stratum")
            x = rows["stratum"].to_numpy(np.float64) + BESIDE * (number - (len(looks) - 1) / 2)
            error = bar_lengths(rows["value"], rows["ci_low"], rows["ci_high"])
            ax.errorbar(x, rows["value"], yerr=error, elinewidth=0.9, capsize=0, **look)
        ax.set_title(title_of(comparison, measure))
        ax.set_xticks(sorted(part["stratum"].unique()))
        ax.grid(False, axis="x")
        ax.set_ylim(*fitting_limits(measure, part))
    fig.supxlabel("entropy of the group in equal parts (1: least ambiguous)", fontsize=8.0)
    legend_above(fig, looks, truth_line())
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if not parts_shown(comparison):
        return MISSING
    if not rows_by_part(comparison, comparison.strata):
        return "The measures by entropy are not available."
    return None


FIGURE = Plot(draw, "Where it happens: by entropy", missing)
