"""What a figure really shows, read from its artists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bars:
    """Points with error bars, as they are drawn.

    Attributes
    ----------
    x, y
        (n,) positions of the points.
    ends
        For each direction that has bars (``"x"``, ``"y"``), (n, 2): where they begin and end.
    color, marker, line
        Of the points.
    """

    x: Floats
    y: Floats
    ends: dict[str, Floats]
    color: str
    marker: str
    line: str


def bars(ax: Axes) -> list[Bars]:
    """All points with error bars of a pair of axes, in the order in which they were drawn."""
    return [_bars(c) for c in ax.containers if isinstance(c, ErrorbarContainer)]


def _bars(container: ErrorbarContainer) -> Bars:
    points, _, collections = container.lines
    assert isinstance(points, Line2D)
    directions = [name for name in ("x", "y") if getattr(container, f"has_{name}err")]
    ends = {}
    for direction, collection in zip(directions, collections, strict=True):
        segments = np.array(collection.get_segments(), np.float64)
        ends[direction] = segments[:, :, "xy".index(direction)]
    x, y = (np.asarray(v, np.float64) for v in points.get_data())
    return Bars(x, y, ends, look(points), str(points.get_marker()), str(points.get_linestyle()))


def look(line: Line2D) -> str:
    """Color of a line, ``#rrggbb``."""
    return to_hex(line.get_color())


def lines(ax: Axes, **wanted: Any) -> list[Line2D]:
    """Lines of a pair of axes with these properties: ``lines(ax, linestyle="--")``."""
    return [
        line
        for line in ax.lines
        if all(getattr(line, f"get_{key}")() == value for key, value in wanted.items())
    ]


def horizontals(ax: Axes) -> list[float]:
    """Where lines run across the axes from left to right."""
    return [float(np.ravel(line.get_ydata())[0]) for line in _spanning(ax, "x")]


def verticals(ax: Axes) -> list[float]:
    """Where lines run across the axes from bottom to top."""
    return [float(np.ravel(line.get_xdata())[0]) for line in _spanning(ax, "y")]


def _spanning(ax: Axes, direction: str) -> list[Line2D]:
    return [
        line
        for line in ax.lines
        if list(np.ravel(getattr(line, f"get_{direction}data")())) == [0, 1]
        and line.get_transform() != ax.transData
    ]


def texts(ax: Axes) -> list[str]:
    """Texts inside a pair of axes."""
    return [text.get_text() for text in ax.texts if text.get_text()]


def title(ax: Axes) -> str:
    """Title on the left or in the middle."""
    return ax.get_title(loc="left") or ax.get_title()


def legend(fig: Figure) -> list[str]:
    """Entries of the legend above the axes."""
    (found,) = fig.legends
    return [text.get_text() for text in found.get_texts()]


def legend_lines(fig: Figure) -> dict[str, Line2D]:
    """Lines of the legend above the axes, by their text."""
    (found,) = fig.legends
    entries = zip(found.get_texts(), found.get_lines(), strict=True)
    return {text.get_text(): line for text, line in entries}
