"""The PSNR of bicubic upsampling and of the center below the ceiling."""

from __future__ import annotations

from matplotlib.figure import Figure

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary_record import Interval
from cooanalysis.plots.numbers import bars_of, ends_of, has_value, value_of
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import (
    BICUBIC,
    CEILING,
    CENTER,
    GRAY,
    GREEN,
    LIGHT,
    Look,
    new_figure,
)


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the PSNR of bicubic upsampling and of the center below the ceiling."""
    rows = _rows(result)
    fig = new_figure(fig, 4.8, 1.9)
    ax = fig.add_subplot()
    reached = []
    for place, (_, estimate, look) in enumerate(rows[::-1]):
        if not has_value(estimate):
            ax.text(0.02, place, "not available", transform=ax.get_yaxis_transform(),
                    va="center", color=GRAY, fontsize=7.0)  # fmt: skip
            continue
        value = value_of(estimate)
        reached += [value, *ends_of(estimate)]
        ax.errorbar([value], [place], xerr=bars_of([estimate]), ls="", ms=6, **look)
        ax.annotate(f"{value:.2f} dB", (value, place), (0, 7), textcoords="offset points",
                    ha="center", fontsize=7.5, color=look["color"], fontweight="bold",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
    if has_value(rows[0][1]):
        ceiling = value_of(rows[0][1])
        ax.axvspan(ceiling, ceiling + 100.0, facecolor="#EDEDED", hatch="////", edgecolor=LIGHT,
                   lw=0)  # fmt: skip
        ax.axvline(ceiling, color=GREEN, lw=1.0)
        ax.text(
            0.99, 0.06, "above the ceiling", transform=ax.transAxes, ha="right", fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    margin = max(0.3, 0.18 * (max(reached) - min(reached)))
    ax.set_xlim(min(reached) - margin, max(reached) + 1.3 * margin)
    ax.set_yticks(range(3), [name for name, _, _ in rows[::-1]])
    ax.set_ylim(-0.5, 2.75)
    ax.grid(False, axis="y")
    ax.set_xlabel("PSNR on the query patches (dB; bars: 95 % intervals)")
    return fig


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if has_value(result.summary.psnr_ceiling_db):
        return None
    return "The PSNR ceiling was not computed."


def _rows(result: AnalysisRecord) -> list[tuple[str, Interval, Look]]:
    """Label, estimate and style, from top to bottom."""
    summary = result.summary
    width, ceiling = summary.config.patch_width, summary.psnr_ceiling_db
    doubt = "" if ceiling.reliable else " (unreliable)"
    return [
        (f"ceiling{doubt}\n(sees {width}×{width} LR pixels)", ceiling, CEILING),
        ("center of the group", summary.psnr_center_db, CENTER),
        ("bicubic", summary.psnr_bicubic_db, BICUBIC),
    ]


FIGURE = Plot(draw, "The PSNR ceiling", missing)
