"""What models know, show and make up, by frequency."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import legend_above, looks_of, title_of, truth_line
from cooanalysis.plots.comparison.parts import (
    MISSING,
    draw_goal,
    fitting_limits,
    rows_by_part,
)
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import GRAY, WIDTH, new_figure


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw explained (coherence), gain (transfer function) and invented by frequency."""
    assert comparison.bands is not None  # see missing()
    panels, looks = rows_by_part(comparison, comparison.bands), looks_of(comparison)
    fig = new_figure(fig, WIDTH, 2.9)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    nyquist = 0.5 / comparison.summary.scale
    for ax, (measure, part) in zip(axes, panels.items(), strict=True):
        draw_goal(ax, measure)
        ax.axvline(nyquist, color=GRAY, lw=1.0, ls=(0, (4, 2)), zorder=1)
        for name, look in looks.items():
            rows = part[part["model"] == name].sort_values("frequency")
            x, value, low, high = (
                rows[key].to_numpy(np.float64)
                for key in ("frequency", "value", "ci_low", "ci_high")
            )
            ax.fill_between(x, low, high, color=look["color"], alpha=0.13, lw=0)
            ax.plot(x, value, **(look | {"ms": 3.5}))
        ax.set_title(title_of(comparison, measure))
        ax.set_xlim(0.0, 0.5)
        ax.set_ylim(*fitting_limits(measure, part))
    fig.supxlabel(
        f"frequency (cycles per HR pixel; dashed: LR Nyquist frequency, {nyquist:.3g})",
        fontsize=8.0,
    )
    legend_above(fig, looks, truth_line())
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if comparison.bands is None:
        return MISSING
    if not rows_by_part(comparison, comparison.bands):
        return "The images are too small for frequency bands."
    return None


FIGURE = Plot(draw, "At which frequencies", missing)
