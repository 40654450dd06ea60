"""What the figures of a comparison share: the marks of models, legends, and the numbers of totals.

A model keeps its color, marker and line in all figures. A model NAME-decloss has the color of NAME,
with hollow markers and dashed lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cooanalysis.analysis.summary_record import Interval
from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.numbers import has_value
from cooanalysis.plots.style import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    shortened,
)

DECLOSS = "-decloss"
"""NAME-decloss is the model NAME trained with DECLoss added."""

LONGEST_NAME = 20

COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "v", "P", "X", "h")


def looks_of(comparison: ComparisonRecord) -> dict[str, dict[str, Any]]:
    """Color, marker and line of every model but the ground truth, which is black in all figures."""
    kinds = comparison.summary.kinds
    looks: dict[str, dict[str, Any]] = {}
    number = 0
    for name, kind in kinds.items():
        if kind == "bicubic":
            looks[name] = {"color": GRAY, "marker": "D", "ls": ":"}
        elif kind != "hr" and name.removesuffix(DECLOSS) not in kinds.keys() - {name}:
            looks[name] = {
                "color": COLORS[number % len(COLORS)],
                "marker": MARKERS[number % len(MARKERS)],
                "ls": "-" if number < len(COLORS) else "-.",
            }
            number += 1
    for name, kind in kinds.items():
        if kind != "hr" and name not in looks:
            single = looks.get(name.removesuffix(DECLOSS), {"color": GREEN, "marker": "d"})
            looks[name] = single | {"ls": "--", "markerfacecolor": "white"}
    return {name: looks[name] for name in kinds if name in looks}


def truth_line(width: float = 1.2) -> Line2D:
    """The entry of the ground truth in a legend."""
    return Line2D([], [], color=BLACK, lw=width, label="ground truth")


def legend_above(fig: Figure, looks: Mapping[str, dict[str, Any]], *more: Line2D) -> None:
    """A legend of models above the axes, in as many columns as fit."""
    handles = [Line2D([], [], label=shown_name(name), **look) for name, look in looks.items()]
    handles = [*more, *handles]
    widest = max(len(str(handle.get_label())) for handle in handles)
    fitting = max(1, int(72.0 * WIDTH / (44.0 + 4.5 * widest)))
    columns = math.ceil(len(handles) / math.ceil(len(handles) / fitting))
    fig.legend(handles=handles, loc="outside upper center", ncols=columns)


def totals_of(comparison: ComparisonRecord, measure: str) -> dict[str, Interval]:
    """Totals of a measure by model; only those with a finite value."""
    table = comparison.totals[comparison.totals["measure"] == measure]
    totals = {
        str(name): Interval(value=value, ci_low=low, ci_high=high)
        for name, value, low, high in zip(
            *(table[key] for key in ("model", "value", "ci_low", "ci_high")), strict=True
        )
    }
    return {name: total for name, total in totals.items() if has_value(total)}


def title_of(comparison: ComparisonRecord, measure: str) -> str:
    """What a measure is called in figures."""
    return next(m.title for m in comparison.summary.measures if m.name == measure)


def shown_name(name: str) -> str:
    """A name that a font can draw, not too long."""
    return shortened(name, LONGEST_NAME)
