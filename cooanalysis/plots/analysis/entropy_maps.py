"""The entropy of the potential-HR groups over the images, beside the images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.plots.images import averaged_down, map_grid
from cooanalysis.plots.plot import Plot
from cooanalysis.plots.style import WIDTH, color_bar, image_axes, minus, new_figure, printable

MAPS_SHOWN = 3
PANEL = 2.8
"""Inches: width of an image."""


def draw(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the entropy of the potential-HR groups over the images, beside the images."""
    names = _shown(result)
    shapes = [result.images[name].shape for name in names]
    # Two columns side by side; tall images get a row no higher than it is wide.
    heights = [min(1.0, shape[0] / shape[1]) for shape in shapes]
    fig = new_figure(fig, WIDTH, sum(h * PANEL + 0.25 for h in heights) + 0.1)
    axes = fig.subplots(len(names), 2, squeeze=False, height_ratios=heights)
    entropies = result.maps["entropy"].to_numpy(np.float64)
    finite = entropies[np.isfinite(entropies)]
    low, high = np.quantile(finite, [0.02, 0.98]) if len(finite) else (0.0, 1.0)
    scale, patch = result.summary.scale, result.summary.config.patch_width
    drawn = None
    for (plain, laid), name in zip(axes, names, strict=True):
        image = result.images[name]
        height, width = image.shape[:2]
        extent = (0.0, float(width), float(height), 0.0)
        small = averaged_down(image)
        gray = small.mean(axis=2)
        plain.imshow(
            gray if small.shape[2] == 1 else small, cmap="gray", vmin=0, vmax=255, extent=extent
        )
        laid.imshow(gray, cmap="gray", vmin=0, vmax=255, extent=extent)
        grid, where = map_grid(result.maps, scale, patch, name)
        drawn = laid.imshow(
            grid, cmap="viridis", alpha=0.6, vmin=low, vmax=max(high, low + 1e-6), extent=where,
            interpolation="nearest",
        )  # fmt: skip
        mean = float(np.nanmean(grid)) if np.isfinite(grid).any() else float("nan")
        plain.set_title(printable(name, 36), fontsize=8.0, fontweight="normal")
        laid.set_title(minus(f"mean entropy {mean:.2f}"), fontsize=8.0, fontweight="normal")
        for ax in (plain, laid):
            image_axes(ax, height, width)
    if drawn is not None:
        bar = fig.colorbar(
            drawn, ax=list(axes[:, 1]), pad=0.02, aspect=40, extend="both", extendfrac=0.015
        )
        color_bar(bar, "entropy (nats per dimension)")
    return fig


def missing(result: AnalysisRecord) -> str | None:
    """Why there is nothing to show, or None."""
    if _shown(result):
        return None
    if result.summary.config.map_images == 0:
        return "No entropy maps were requested (map_images is 0)."
    return "No image has enough groups for an entropy map."


def _shown(result: AnalysisRecord) -> list[str]:
    """The images with a map; of many, a few evenly spaced ones."""
    names = [str(name) for name in result.maps["image"].unique()] if len(result.maps) else []
    names = [name for name in names if name in result.images]
    if len(names) > MAPS_SHOWN:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MAPS_SHOWN).round().astype(int)]
    return names


FIGURE = Plot(draw, "Where the images are ambiguous", missing)
