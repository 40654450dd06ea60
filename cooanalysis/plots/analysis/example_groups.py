"""The groups with the highest and the lowest entropy, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.analysis.record import AnalysisRecord, ExampleGroup
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import BLACK, VERMILLION, WIDTH, minus, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_PER_KIND = 3
MEMBERS_SHOWN = 5

# In sides of a tile.
GAP, SECTION, WIDE = 0.08, 0.45, 0.28
LABEL = 1.25
"""Room for the numbers on the left."""


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the groups with the highest and the lowest entropy, one row each."""
    rows = _rows(result)
    members = min(MEMBERS_SHOWN, *(len(e.members) for kind in rows.values() for e in kind))
    columns = _left_edges(members)
    width = columns[-1] + 1.0
    n_rows = sum(len(examples) for examples in rows.values())
    height = n_rows * (1.0 + GAP) + SECTION * (len(rows) - 1)
    tile = WIDTH / (width + LABEL)
    fig = new_figure(fig, WIDTH, tile * (height + 0.62))
    # Everything goes into one pair of axes: dozens of them would take seconds.
    ax = fig.add_subplot()
    _titles(ax, columns, members)
    top = 0.0
    for kind, examples in rows.items():
        for number, example in enumerate(examples):
            pictures = [example.lr, *example.members[:members], example.center, example.truth,
                        example.bicubic]  # fmt: skip
            low, high = gray_range(example)
            for left, picture in zip(columns, pictures, strict=True):
                ax.imshow(
                    stretched(picture, low, high), cmap="gray", vmin=0.0, vmax=1.0,
                    extent=(left, left + 1.0, top + 1.0, top), interpolation="nearest",
                )  # fmt: skip
            text = f"{kind}\nentropy\n" if number == 0 else ""
            text += _entropy_text(result, example)
            ax.text(-0.14, top + 0.5, text, ha="right", va="center", fontsize=7.5)
            top += 1.0 + GAP
        top += SECTION
    ax.set(xlim=(-LABEL, width), ylim=(height + 0.02, -0.5))
    ax.set_aspect("equal")
    ax.axis("off")
    return fig


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if _rows(result):
        return None
    return "No query patch has enough contrast to be shown as an example."


def gray_range(example: ExampleGroup) -> tuple[float, float]:
    """Black and white of a row: the same for all its images, so that they can be compared."""
    everything = np.concatenate([example.truth.ravel(), example.members.ravel()])
    low, high = np.quantile(everything, [0.01, 0.99])
    return float(low), float(max(high, low + 8.0))


def stretched(picture: NDArray[np.uint8], low: float, high: float) -> NDArray[np.float64]:
    """The image in [0, 1]: 0 at ``low`` and below, 1 at ``high`` and above."""
    values = np.clip((picture.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return values[..., 0] if values.shape[-1] == 1 else values


def _rows(result: AnalysisRecord) -> dict[str, list[ExampleGroup]]:
    kinds = ("highest", "lowest")
    rows = {k: [e for e in result.examples if e.kind == k][:ROWS_PER_KIND] for k in kinds}
    return {kind: examples for kind, examples in rows.items() if examples}


def _left_edges(members: int) -> list[float]:
    """Left edges of the LR patch, the members, the center, the ground truth, and bicubic."""
    edges = [0.0]
    for number in range(1, members + 4):
        gap = WIDE if number in (1, members + 1, members + 2) else GAP
        edges.append(edges[-1] + 1.0 + gap)
    return edges


def _titles(ax: Axes, columns: list[float], members: int) -> None:
    titles = ["LR patch", *[""] * members, "center", "ground truth", "bicubic"]
    for left, title in zip(columns, titles, strict=True):
        bold = "bold" if title == "center" else "normal"
        ax.text(left + 0.5, -0.12, title, ha="center", va="bottom", fontsize=7.5,
                fontweight=bold, color=VERMILLION if title == "center" else BLACK)  # fmt: skip
    middle = (columns[1] + columns[members] + 1.0) / 2.0
    ax.text(middle, -0.12, "members of the group: HR patches with (nearly) this LR patch",
            ha="center", va="bottom", fontsize=7.5)  # fmt: skip


def _entropy_text(result: AnalysisRecord, example: ExampleGroup) -> str:
    column = next((c for c in result.groups if str(c).startswith("entropy_")), None)
    names = list(result.summary.entropy)
    if names and entropy_column(names[0]) in result.groups:
        column = entropy_column(names[0])
    if column is None or not 0 <= example.row < len(result.groups):
        return ""
    return minus(f"{float(result.groups[column].iloc[example.row]):.2f}")


FIGURE = Plot(draw, "Example groups", missing)
