"""Distances to the clean patches, relative to those of held-out clean patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary_record import SpaceSummary
from cooanalysis.plots.numbers import bars_of, has_value, value_of
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import (
    BICUBIC,
    BLACK,
    CENTER,
    CLEAN,
    GRAY,
    PALE,
    WIDTH,
    Look,
    new_figure,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HATCHED: Look = {"facecolor": PALE, "hatch": "////", "edgecolor": "#CCCCCC"}


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw distances to the clean patches, relative to those of held-out clean patches.

    Left all patches by feature space, right by entropy quartile. Feature spaces with a warning are
    hatched and gray: their numbers are unreliable.
    """
    spaces = result.summary.manifold
    measured = {name: s for name, s in spaces.items() if s.missing is None}
    n_warned = sum(bool(s.warning) for s in measured.values())
    fig = new_figure(fig, WIDTH, 2.1 + 0.45 * max(0, len(spaces) - 1) + 0.25 * n_warned)
    axes = fig.subplots(
        1, 1 + len(measured), squeeze=False,
        width_ratios=(1.7 if len(measured) > 1 else 1.2, *[1.0] * len(measured)),
    )[0]  # fmt: skip
    _overall(axes[0], spaces)
    for ax, space in zip(axes[1:], measured.values(), strict=True):
        _quartiles(ax, space)
    handles = [
        Line2D([], [], ls="", label="center", **CENTER),
        Line2D([], [], ls="", label="bicubic", **BICUBIC),
        Line2D([], [], ls="", label="clean (check: should be 1)", **CLEAN),
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=3)
    notes = [wrapped(f"Hatched, {s.title}: {s.warning}.", 118)
             for s in measured.values() if s.warning]  # fmt: skip
    if notes:
        fig.supxlabel("\n".join(notes), fontsize=7.0, color=GRAY)
    return fig


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    return None if result.summary.manifold else "No feature space was requested."


def _overall(ax: Axes, spaces: Mapping[str, SpaceSummary]) -> None:
    names = list(spaces)[::-1]
    for place, name in enumerate(names):
        space = spaces[name]
        if space.missing is not None:
            ax.text(1.0, place, wrapped(f" left out: {space.missing}", 34), va="center",
                    fontsize=6.5, color=GRAY)  # fmt: skip
            continue
        warned = bool(space.warning)
        if warned:
            ax.axhspan(place - 0.45, place + 0.45, lw=0, zorder=0, **HATCHED)
        kinds = (
            (0.25, space.clean_ratio, CLEAN),
            (0.0, space.center_ratio, CENTER),
            (-0.25, space.bicubic_ratio, BICUBIC),
        )
        for offset, estimate, look in kinds:
            if not has_value(estimate):
                continue
            value = value_of(estimate)
            look = look | {"color": GRAY} if warned else look
            ax.errorbar([value], [place + offset], xerr=bars_of([estimate]), ls="", zorder=4,
                        **look)  # fmt: skip
            ax.annotate(f"{value:.2f}", (value, place + offset), (0, 4.0), fontsize=6.5,
                        ha="center", textcoords="offset points", color=look["color"],
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.2})  # fmt: skip
    ax.axvline(1.0, color=BLACK, lw=0.9, zorder=1)
    ax.set_yticks(range(len(names)), [wrapped(spaces[n].title, 14) for n in names])
    ax.set_ylim(-0.55, len(names) - 0.4)
    ax.margins(x=0.18)
    ax.grid(False, axis="y")
    ax.set_xlabel("distance to clean patches\n(held-out clean patches = 1)")
    ax.set_title("All patches")


def _quartiles(ax: Axes, space: SpaceSummary) -> None:
    warned = bool(space.warning)
    if warned:
        ax.patch.set(**HATCHED)
    kinds = (
        (space.center_ratio_by_quartile, CENTER),
        (space.bicubic_ratio_by_quartile, BICUBIC),
    )
    for rows, look in kinds:
        values = np.array([value_of(row) for row in rows])
        if not np.isfinite(values).any():
            continue
        look = look | {"color": GRAY} if warned else look
        ax.errorbar(np.arange(1, len(values) + 1), values, yerr=bars_of(rows), **look)
    ax.axhline(1.0, color=BLACK, lw=0.9)
    ax.set(xticks=range(1, 5), xlim=(0.6, 4.4), xlabel="entropy quartile")
    ax.margins(y=0.12)
    ax.grid(False, axis="x")
    ax.set_title(space.title)


FIGURE = Plot(draw, "Distance from clean patches", missing)
