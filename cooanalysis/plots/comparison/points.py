"""Models as points in a plane, with intervals, arrows to DECLoss, and names that cover little."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.text import Annotation
from numpy.typing import NDArray

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.plots.comparison.looks import DECLOSS, looks_of, shown_name, totals_of
from cooanalysis.plots.numbers import bars_of, value_of
from cooanalysis.plots.style import any_script

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Point = tuple[str, float, float, str]
"""The text beside a point, the position of the point, and the color of the text."""


def draw_points(comparison: ComparisonRecord, ax: Axes, across: str, up: str) -> list[Point]:
    """A point with both intervals for each model but the ground truth.

    An arrow leads from NAME to NAME-decloss.
    """
    xs, ys = totals_of(comparison, across), totals_of(comparison, up)
    points: dict[str, Point] = {}
    for name, look in looks_of(comparison).items():
        if name not in xs or name not in ys:
            continue
        x, y = value_of(xs[name]), value_of(ys[name])
        ax.errorbar(
            [x], [y], xerr=bars_of([xs[name]]), yerr=bars_of([ys[name]]),
            ecolor=to_rgba(look["color"], 0.45), elinewidth=0.8, capsize=0, ms=6.0,
            **(look | {"ls": ""}), zorder=4,
        )  # fmt: skip
        points[name] = (shown_name(name), x, y, look["color"])
    for name, (_, x, y, color) in points.items():
        if name + DECLOSS in points:
            end = points[name + DECLOSS][1:3]
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.0, "shrinkA": 4, "shrinkB": 4}
            ax.annotate("", end, (x, y), arrowprops=arrow, zorder=3)
    return list(points.values())


def label_points(ax: Axes, points: Sequence[Point]) -> None:
    """Write names beside points where they cover least: other names, points, bars.

    Done last, once limits and layout are final.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    with any_script():
        figure.draw_without_rendering()
    places = ax.transData.transform([(x, y) for _, x, y, _ in points])
    pixel = figure.dpi / 72.0
    frame = np.asarray(ax.get_window_extent().extents, np.float64)
    taken = _taken(ax, places, pixel)
    angles = np.radians([45, 0, 135, 180, 225, 315, 90, 270])
    for (name, x, y, color), place in zip(points, places, strict=True):
        text = ax.annotate(name, (x, y), (0, 0), textcoords="offset points", ha="center",
                           va="center", fontsize=7.5, color=color, zorder=6)  # fmt: skip
        text.set_in_layout(False)
        box = text.get_window_extent()
        half = np.array([box.width, box.height]) / 2.0
        best, least = np.zeros(2), math.inf
        for reach, angle in itertools.product((7.0, 14.0, 24.0), angles):
            way = np.array([np.cos(angle), np.sin(angle)])
            middle = place + np.sign(np.round(way, 6)) * half + reach * pixel * way
            label = np.concatenate([middle - half, middle + half])
            outside = 4.0 * half.prod() - shared_area(label, [frame])
            cost = shared_area(label, taken) + 10.0 * outside + 5.0 * reach * pixel
            if cost < least:
                best, least = middle, cost
        text.xyann = tuple((best - place) / pixel)
        # Names over names are worse than names over bars: they count three times.
        taken += 3 * [np.concatenate([best - half, best + half])]


def _taken(ax: Axes, places: Floats, pixel: float) -> list[Floats]:
    """Boxes in display pixels that points, bars, texts and arrows cover; texts three times."""
    arrows = [a for a in ax.texts if isinstance(a, Annotation) and a.arrow_patch is not None]
    taken = [np.concatenate([p - 4.0 * pixel, p + 4.0 * pixel]) for p in places]
    for bar in itertools.chain.from_iterable(c.get_segments() for c in ax.collections):  # type: ignore[attr-defined]
        ends = ax.transData.transform(bar)
        taken.append(np.concatenate([ends.min(axis=0) - pixel, ends.max(axis=0) + pixel]))
    texts = [np.asarray(t.get_window_extent().extents) for t in ax.texts if t not in arrows]
    taken += 3 * texts
    for arrow in arrows:
        ends = ax.transData.transform([arrow.xyann, arrow.xy])
        steps = ends[0] + np.linspace(0.0, 1.0, 15)[:, None] * (ends[1] - ends[0])
        taken += [np.concatenate([step - 2.0 * pixel, step + 2.0 * pixel]) for step in steps]
    return taken


def shared_area(box: Floats, others: Sequence[Floats]) -> float:
    """Area that a box (left, bottom, right, top) shares with others, summed."""
    boxes = np.stack(others)
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return float(np.clip(shared, 0.0, None).prod(axis=1).sum())
