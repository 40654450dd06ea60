"""Where detail of the ground truth is missing in the outputs, over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.comparison.crops import oversmoothing
from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.measures.detail import SUMS
from cooanalysis.plots.comparison.looks import shown_name
from cooanalysis.plots.comparison.parts import MISSING
from cooanalysis.plots.images import Extent, averaged_down, map_grid
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import GRAY, WIDTH, color_bar, image_axes, minus, new_figure, shortened

if TYPE_CHECKING:
    import pandas as pd

MODELS_MAPPED = 5
LABEL = "missing (below 0: too much), 8-bit values squared"

Floats = NDArray[np.float64]


def draw(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw where detail of the ground truth is missing in the outputs."""
    names, models = mapped(comparison)
    grids = {(i, m): missing_grid(comparison, i, m) for i in names for m in models}
    limit, lowest = color_limits([grid for grid, _, _ in grids.values()], 0.99)
    sizes = [comparison.images[name].shape for name in names]
    # No row is higher than it is wide, or tall images would fill pages.
    heights = [min(1.5, size[0] / size[1]) for size in sizes]
    panel = (WIDTH - 1.35) / (1 + len(models))
    fig = new_figure(fig, WIDTH, sum(h * panel + 0.25 for h in heights) + 0.3)
    axes = fig.subplots(len(names), 1 + len(models), squeeze=False, height_ratios=heights)
    drawn = None
    for row, name, size in zip(axes, names, sizes, strict=True):
        extent = (0.0, float(size[1]), float(size[0]), 0.0)
        image = averaged_down(comparison.images[name])
        row[0].imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent)
        row[0].set_ylabel(shown_name(name), fontsize=6.5, color=GRAY)
        for ax, model in zip(row[1:], models, strict=True):
            grid, where, share = grids[name, model]
            ax.set_xlabel(minus(f"{share:.0%}"), fontsize=7.0, labelpad=1.0)
            drawn = ax.imshow(grid, cmap="PuOr_r", vmin=-limit, vmax=limit, extent=where,
                              interpolation="nearest")  # fmt: skip
        for ax in row:
            image_axes(ax, size[0], size[1])
    # A character is about 0.6 of the size of the font wide.
    longest = max(8, int(72.0 * panel / (0.6 * 7.5)))
    for ax, title in zip(axes[0], ["ground truth", *models], strict=True):
        ax.set_title(shortened(title, longest), loc="center", fontsize=7.5, fontweight="normal")
    if drawn is not None:
        bar = fig.colorbar(drawn, ax=list(axes.ravel()), pad=0.015, aspect=35, extend="max")
        bar.ax.set_ylim(lowest, limit)
        color_bar(bar, LABEL)
    return fig


def missing(comparison: ComparisonRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if mapped(comparison)[0]:
        return None if set(SUMS) <= set(comparison.maps) else MISSING
    return "No image was measured densely (map_images is 0)."


def mapped(comparison: ComparisonRecord) -> tuple[list[str], list[str]]:
    """Images and models of the maps.

    Of too many models, those without a special role are preferred to bicubic, and bicubic to the
    ground truth.
    """
    if not len(comparison.maps):
        return [], []
    measured = {str(name) for name in comparison.maps["image"].unique()}
    kinds = comparison.summary.kinds
    found = set(comparison.maps["model"].unique())
    order = sorted(
        (name for name in comparison.names if name in found),
        key=lambda name: {"hr": 2, "bicubic": 1}.get(kinds[name], 0),
    )
    compared = [name for name in order if kinds[name] != "hr"] or order
    chosen = set(compared[:MODELS_MAPPED])
    return (
        [name for name in comparison.images if name in measured],
        [name for name in comparison.names if name in chosen],
    )


def missing_grid(
    comparison: ComparisonRecord, image: str, model: str
) -> tuple[Floats, Extent, float]:
    """What is missing of the detail: a matrix over an image, its place in HR pixels, and a share.

    Returns
    -------
    grid
        See :func:`cooanalysis.comparison.crops.oversmoothing`, per pixel, in 8-bit values squared.
    extent
        See :func:`cooanalysis.plots.images.map_grid`.
    share
        The sum over the image, of the energy of the ground truth's detail.
    """
    rows = rows_of(comparison, image, model)
    lost = oversmoothing(rows[list(SUMS)].to_numpy(np.float64))
    whole = float(np.nansum(rows["truth_energy"].to_numpy(np.float64)))
    patch = comparison.summary.scale * comparison.summary.config.analysis.patch_width
    values = patch**2 * comparison.images[image].shape[2]
    grid, extent = patch_grid(comparison, rows.assign(lost=255.0**2 * lost / values), image, "lost")
    return grid, extent, float(np.nansum(lost)) / whole if whole > 0 else 0.0


def entropy_grid(comparison: ComparisonRecord, image: str) -> tuple[Floats, Extent]:
    """Entropies of an image as a matrix, and its place in HR pixels."""
    # They are the same for all models.
    rows = rows_of(comparison, image, mapped(comparison)[1][0])
    return patch_grid(comparison, rows, image, "entropy")


def rows_of(comparison: ComparisonRecord, image: str, model: str) -> pd.DataFrame:
    """The densely measured patches of an image and a model."""
    table = comparison.maps
    return table[(table["image"] == image) & (table["model"] == model)]


def patch_grid(
    comparison: ComparisonRecord, rows: pd.DataFrame, image: str, column: str
) -> tuple[Floats, Extent]:
    """:func:`cooanalysis.plots.images.map_grid` with the sizes of the comparison."""
    summary = comparison.summary
    return map_grid(rows, summary.scale, summary.config.analysis.patch_width, image, column)


def color_limits(grids: list[Floats], quantile: float) -> tuple[float, float]:
    """The largest value of a color scale around zero, and where its bar should begin."""
    values = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    limit = max(float(np.quantile(np.abs(values), quantile)), 1e-9) if len(values) else 1.0
    lowest = float(values.min()) if len(values) else -limit
    # Where no model adds anything, half of the bar would show colors that appear nowhere.
    return limit, float(np.clip(lowest, -limit, -0.08 * limit))


FIGURE = Plot(draw, "Where in the image", missing)
