"""What the figures of the argument share: sizes and marks, on the style of the package."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cooanalysis.plots.numbers import bar_lengths
from cooanalysis.plots.style import BLUE, GRAY, VERMILLION, house_style

SINGLE, DOUBLE = 3.35, 7.0
"""Inches: one and two columns of a page."""

MODELS: Mapping[str, Mapping[str, Any]] = {
    "bicubic": {"color": GRAY, "marker": "D", "ls": ":"},
    "l1": {"color": BLUE, "marker": "o", "ls": "-"},
    "l1-decloss": {"color": BLUE, "marker": "o", "ls": "--", "markerfacecolor": "white"},
    "ragan": {"color": VERMILLION, "marker": "s", "ls": "-"},
    "ragan-decloss": {"color": VERMILLION, "marker": "s", "ls": "--", "markerfacecolor": "white"},
}
"""Marks of the models, as in the figures of a comparison."""


def publication() -> AbstractContextManager[None]:
    """The style of the package, a little smaller, for printed columns."""
    return house_style(
        {"axes.titlesize": 8.0, "axes.labelsize": 7.5, "font.size": 7.5, "legend.fontsize": 7.0,
         "xtick.labelsize": 7.0, "ytick.labelsize": 7.0, "axes.titleweight": "normal"}
    )  # fmt: skip


def letter(ax: Axes, name: str, title: str = "") -> None:
    """Name a panel: a bold letter before its title."""
    ax.set_title(title)
    ax.text(0.0, 1.0, name, transform=ax.transAxes, ha="right", va="bottom", fontweight="bold",
            fontsize=9.0)  # fmt: skip
    # Space for the letter, whose width does not depend on a label.
    ax.texts[-1].set_position((-0.02, 1.015))


def errorbars(frame: pd.DataFrame, factor: float = 1.0) -> NDArray[np.float64]:
    """(2, n) lengths of the bars of a frame with ``value``, ``ci_low`` and ``ci_high``."""
    return bar_lengths(frame["value"], frame["ci_low"], frame["ci_high"], factor)


def handle(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **look)
