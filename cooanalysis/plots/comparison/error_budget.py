"""Where the squared error of each model comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.summary_record import BudgetSummary
from cooanalysis.plots.comparison.looks import shown_name
from cooanalysis.plots.comparison.parts import MISSING
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, LIGHT, ORANGE, SKY, VERMILLION, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = {
    "unknown": ("unknown to all", LIGHT),
    "known_to_others": ("known to others only", SKY),
    "wrong_gain": ("wrong gain", ORANGE),
    "made_up": ("made up", VERMILLION),
}
"""Title and color of the parts of :class:`BudgetSummary`."""
LEVELS = 255.0**2
"""8-bit values squared per squared unit."""


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw a stacked bar for each model: the whole error, and its avoidable parts, enlarged.

    A tick marks the error as it was measured; where it lies off the end of the bar, the parts do
    not add up, because what is known was not estimated well.
    """
    found = budgets(comparison)
    fig = new_figure(fig, WIDTH, 1.05 + 0.27 * max(len(found), 2))
    whole, avoidable = fig.subplots(1, 2, sharey=True)
    _stack(whole, found, tuple(PARTS))
    _stack(avoidable, found, tuple(PARTS)[1:])
    whole.set_yticks(range(len(found)), [shown_name(name) for name in found])
    whole.set_ylim(len(found) - 0.4, -0.6)
    whole.set_title("all of the error")
    avoidable.set_title("without what is unknown to all, enlarged")
    fig.supxlabel("mean squared error (8-bit values squared)", fontsize=8.0)
    handles: list[Patch | Line2D] = [
        Patch(color=color, label=title) for title, color in PARTS.values()
    ]
    handles.append(Line2D([], [], color=BLACK, ls="", marker="|", ms=9.0, label="measured"))
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    for ax in (whole, avoidable):
        ax.tick_params(axis="y", length=0.0)
        ax.grid(False, axis="y")
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if budgets(comparison) else MISSING


def budgets(comparison: ComparisonRecord) -> dict[str, BudgetSummary]:
    """The budgets of all models but the ground truth, which makes no error."""
    return {
        model.name: model.budget
        for model in comparison.summary.models
        if model.budget is not None and model.kind != "hr"
    }


def _stack(ax: Axes, found: dict[str, BudgetSummary], parts: tuple[str, ...]) -> None:
    """Bars of some parts, one upon the other, and a tick where the measured error ends."""
    for place, budget in enumerate(found.values()):
        end = 0.0
        for part in parts:
            length = LEVELS * getattr(budget, part)
            ax.barh([place], [length], left=end, height=0.62, color=PARTS[part][1], zorder=2)
            end += length
        ax.plot([end + LEVELS * budget.remainder], [place], color=BLACK, marker="|", ms=11.0,
                mew=1.4, zorder=3)  # fmt: skip


FIGURE = Plot(draw, "Where the error comes from", missing)
