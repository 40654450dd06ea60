"""The explorer of a report: what its script draws from, and a page of its own for notebooks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.record import Explored
from cooanalysis.errors import CooError
from cooanalysis.plots.images import map_grid
from cooanalysis.report.pages import Script, data_url, environment, without_surrogates

if TYPE_CHECKING:
    import pandas as pd

SHEET_WIDTH = 4096
"""Maximum width of an image sheet, pixels; some browsers cannot draw larger ones."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Explorer:
    """An interactive page; notebooks show it, anything else opens the file that it is saved as."""

    page: str = field(repr=False)
    height: int = 860

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.page, quote=True)}" width="100%" height="{self.height}" '
            'style="border:0" title="explorer"></iframe>'
        )

    def save(self, path: str | Path) -> Path:
        """Write the self-contained page."""
        target = Path(path)
        target.write_text(self.page, encoding="utf-8")
        return target


def explorer_page(explored: Explored | None, title: str, data: dict[str, Any] | None) -> Explorer:
    """An explorer alone.

    Raises
    ------
    CooError
        If the run has no images of patches.
    """
    if explored is None or data is None:
        raise CooError(
            "this run has no images of patches (an older version wrote it); make it again with "
            "--overwrite"
        )
    script = Script.read("explorer.js")
    page = environment().get_template("explorer_page.html").render(
        title=title, explorer=data, explorer_models=models_shown(explored), script=script
    )  # fmt: skip
    return Explorer(without_surrogates(page))


def models_shown(explored: Explored | None) -> str:
    """The end of a sentence: what else is shown of a patch."""
    names = [] if explored is None else list(explored.pictures)[3:]
    return f", and the outputs of {', '.join(names)}" if names else ""


def explorer_data(
    explored: Explored | None, maps: pd.DataFrame, *, scale: int, patch_width: int
) -> dict[str, Any] | None:
    """What the script draws from, ready for JSON.

    Parameters
    ----------
    explored
        Patches with images; None gives None.
    maps
        One row per patch of the densely measured images: ``image``, ``y``, ``x``, ``entropy``.
    scale
        Upscaling factor.
    patch_width
        Width of an LR patch in LR pixels.
    """
    if explored is None or not len(explored.table):
        return None
    table, names = explored.table, list(explored.thumbnails)
    number = {name: place for place, name in enumerate(names)}
    columns = {
        name: [_number(value) for value in table[name].to_numpy(np.float64)]
        for name in ("entropy", "distance", "center_error")
    }
    stacks = [explored.members, *(stack[:, None] for stack in explored.pictures.values())]
    tiles = np.concatenate(stacks, axis=1)
    n, parts = tiles.shape[:2]
    low, high = _stretch(tiles)
    sheet = _sheet(_stretched(tiles, low, high).reshape(n * parts, *tiles.shape[2:]))
    return {
        "scale": scale,
        "width": patch_width,
        "points": {
            "image": [number[name] for name in table["image"]],
            "y": table["y"].astype(int).tolist(),
            "x": table["x"].astype(int).tolist(),
        }
        | columns,
        "images": [_image(explored, name, maps, scale, patch_width) for name in names],
        "tiles": {
            "url": data_url(sheet),
            "size": tiles.shape[2],
            "members": explored.members.shape[1],
            "names": [
                *(f"member {i + 1}" for i in range(explored.members.shape[1])),
                *("ground truth" if name == "truth" else name for name in explored.pictures),
            ],
        },
        "lr": {
            "url": data_url(_sheet(_stretched(explored.lr[:, None], low, high)[:, 0])),
            "size": explored.lr.shape[1],
        },
    }


def _image(
    explored: Explored, name: str, maps: pd.DataFrame, scale: int, patch_width: int
) -> dict[str, Any]:
    height, width = explored.sizes[name]
    rows = maps[maps["image"] == name]
    return {
        "name": without_surrogates(name),
        "url": data_url(explored.thumbnails[name], "jpeg"),
        "height": height,
        "width": width,
        "map": _map(name, rows, scale, patch_width) if len(rows) else None,
    }


def _map(name: str, rows: pd.DataFrame, scale: int, patch_width: int) -> dict[str, Any]:
    grid, (left, right, bottom, top) = map_grid(rows, scale, patch_width, name)
    finite = grid[np.isfinite(grid)]
    low, high = np.quantile(finite, [0.02, 0.98]) if len(finite) else (0.0, 1.0)
    shade = np.clip((grid - low) / max(high - low, 1e-9), 0.0, 1.0)
    colors = mpl.colormaps["viridis"](shade, bytes=True)
    colors[~np.isfinite(grid), 3] = 0
    return {"url": data_url(colors), "left": left, "right": right, "top": top, "bottom": bottom}


def _stretch(tiles: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Black and white of each patch: the same for all its images, so that they can be compared."""
    flat = tiles.reshape(len(tiles), -1)
    low, high = np.quantile(flat, [0.01, 0.99], axis=1)
    return low, np.maximum(high, low + 8.0)


def _stretched(tiles: Image, low: NDArray[np.float64], high: NDArray[np.float64]) -> Image:
    shape = (-1, *(1,) * (tiles.ndim - 1))
    factor = 255.0 / (high - low).reshape(shape)
    values = (tiles - low.reshape(shape)) * factor
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)


def _sheet(tiles: Image) -> Image:
    """(n, s, s, channels) images as one, row by row."""
    n, side, _, channels = tiles.shape
    columns = min(n, max(1, SHEET_WIDTH // side))
    rows = math.ceil(n / columns)
    padded = np.zeros((rows * columns, side, side, channels), np.uint8)
    padded[:n] = tiles
    grid = padded.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    return grid.reshape(rows * side, columns * side, channels)


def _number(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
