"""How much each model knows, how it shows it, and how much it makes up, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from cooanalysis.analysis.summary_record import Interval
from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import looks_of, shown_name, totals_of
from cooanalysis.plots.comparison.parts import (
    KNOWS,
    LEAST,
    MAKES_UP,
    MISSING,
    SHOWS,
    draw_goal,
)
from cooanalysis.plots.numbers import bars_of, value_of
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import GRAY, LIGHT, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICTS = {"like": "yes", "unlike": "no", "undecided": "undecided"}


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw three panels with a row for each model: explained, gain, invented.

    Beside them stands whether the referees take the model's patches for those of clean images.
    """
    looks = looks_of(comparison)
    fig = new_figure(fig, WIDTH, 0.95 + 0.27 * max(len(looks), 2))
    knows, shows, makes_up = fig.subplots(1, 3, sharey=True)
    explained = totals_of(comparison, KNOWS)
    best = max((value_of(explained[name]) for name in looks if name in explained), default=None)
    if best is not None:
        knows.axvline(best, color=GRAY, lw=0.9, ls=(0, (4, 2)), zorder=1)
    draw_goal(shows, SHOWS, across=True)
    draw_goal(makes_up, MAKES_UP, across=True)
    _draw_rows(comparison, knows, explained)
    _draw_least(comparison, makes_up)
    for ax, measure in ((shows, SHOWS), (makes_up, MAKES_UP)):
        if measure not in comparison.summary.unreliable:
            _draw_rows(comparison, ax, totals_of(comparison, measure))
    knows.set_yticks(range(len(looks)), [shown_name(name) for name in looks])
    knows.set_ylim(len(looks) - 0.4, -0.6)
    for label, look in zip(knows.get_yticklabels(), looks.values(), strict=True):
        label.set_color(look["color"])
    _write_realism(comparison, makes_up)
    knows.set(title="knows: explained", xlabel="share of the detail (dashed: most)")
    shows.set(title="shows: gain", xlabel="as known = 1")
    makes_up.set(title="makes up: invented", xlabel="share of the unknown (bar: at least)")
    knows.set_xlim(min(0.0, knows.get_xlim()[0]), None)
    makes_up.set_xlim(min(0.0, makes_up.get_xlim()[0]), None)
    for ax in (knows, shows, makes_up):
        ax.tick_params(axis="y", length=0.0)
        ax.spines["left"].set_visible(False)
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if totals_of(comparison, KNOWS) else MISSING


def _draw_rows(comparison: ComparisonRecord, ax: Axes, rows: dict[str, Interval]) -> None:
    """A point with its interval in the row of each model that has one."""
    for place, (name, look) in enumerate(looks_of(comparison).items()):
        if name in rows:
            ax.errorbar([value_of(rows[name])], [place], xerr=bars_of([rows[name]]), capsize=0,
                        elinewidth=1.6, ms=5.5, zorder=4, **(look | {"ls": ""}))  # fmt: skip


def _draw_least(comparison: ComparisonRecord, ax: Axes) -> None:
    """A bar from nothing to what is made up at least, which needs no anchor."""
    found = totals_of(comparison, LEAST)
    for place, name in enumerate(looks_of(comparison)):
        if name in found:
            ax.barh([place], [value_of(found[name])], height=0.42, color=LIGHT, zorder=2)


def _write_realism(comparison: ComparisonRecord, ax: Axes) -> None:
    """Right of the panels, in the row of each model, what the referees say."""
    found = {model.name: model.realism for model in comparison.summary.models}
    beside: dict[str, Any] = {
        "xycoords": ax.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 7.5,
        "annotation_clip": False,
    }
    ax.annotate("like clean\nimages?", (1.0, 1.0), (6, 4), xycoords="axes fraction",
                textcoords="offset points", va="bottom", fontsize=7.5, color=GRAY)  # fmt: skip
    for place, name in enumerate(looks_of(comparison)):
        realism = found[name]
        text = "–" if realism is None else VERDICTS[realism.decision]
        weight = "bold" if text == "yes" else "normal"
        ax.annotate(text, (1.0, place), (6, 0), fontweight=weight, **beside)


FIGURE = Plot(draw, "What models know, show and make up", missing)
