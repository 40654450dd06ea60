"""Figures of a comparison: pure functions from a Comparison to a figure.

Every figure is one function and one line in :data:`FIGURES`; look and manners are those of
:mod:`cooanalysis.plots.analysis`. A model keeps its color, marker and line in all figures. A model
NAME-decloss has the color of NAME, with hollow markers and dashed lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import NDArray

from cooanalysis.comparison.record import ComparisonRecord, Crop
from cooanalysis.metrics.registry import METRICS, PYIQA
from cooanalysis.plots import analysis as base
from cooanalysis.plots.analysis import BLACK, DPI, GRAY, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


TWIN = "-decloss"
"""NAME + TWIN is NAME trained with DECLoss added."""

CROPS_SHOWN = 6
MODELS_MAPPED = 5
LONGEST_NAME = 20

_COLORS = (base.BLUE, base.VERMILLION, base.GREEN, base.PURPLE, base.ORANGE, base.SKY)
_MARKERS = ("o", "s", "^", "v", "P", "X", "h")

FigureFunction = Callable[[ComparisonRecord, Figure | None], Figure]
Rows = dict[str, dict[str, Any]]
"""Name of a model to its row of a frame: ``value``, ``ci_low``, ``ci_high``."""
Floats = NDArray[np.float64]


# -- two planes -----------------------------------------------------------------------------


def perception_distortion(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the perception-distortion plane: fidelity against perceived quality.

    Across is PSNR; up is the first learned metric, or the leading manifold ratio where no learned
    metric was computed. An arrow leads from a model to the same model with DECLoss.

    Parameters
    ----------
    comparison
        The comparison.
    fig
        Figure to draw into; a new one if None.

    Returns
    -------
    matplotlib.figure.Figure
    """
    across, up = _plane(comparison)
    with base.house_style():
        if across is None or up is None or not _shared(comparison, across, up):
            return _without(fig, _NO_PLANE)
        fig = base.new_figure(fig, 5.2, 3.7)
        ax = fig.add_subplot()
        points = _draw_points(comparison, ax, across["name"], up["name"])
        ax.margins(0.1)
        unit = f" [{across['unit']}]" if across["unit"] else ""
        ax.set_xlabel(f"{across['title']}{unit}     better →")
        better = {"lower": "← better", "higher": "better →", "one": "better: nearer to 1"}
        ax.set_ylabel(f"{up['title']}     {better[up['direction']]}")
        _mark_truth(comparison, ax, up["name"])
        _label_points(ax, points)
        return base.laid_out(fig)


def _plane(comparison: ComparisonRecord) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The measures of the two axes."""
    known = {str(m["name"]): m for m in comparison.summary["measures"]}
    learned = [
        name
        for name in known
        if name.startswith(PYIQA) or (name in METRICS and METRICS[name].kind == "learned")
    ]
    wanted = ["st-lpips", *learned, str(comparison.summary["lead"])]
    across = next((known[name] for name in ("psnr_y", "psnr_rgb") if name in known), None)
    return across, next((known[name] for name in wanted if name in known), None)


def _shared(comparison: ComparisonRecord, across: dict[str, Any], up: dict[str, Any]) -> set[str]:
    """Models with a number on both axes."""
    both = (_totals(comparison, measure["name"]) for measure in (across, up))
    return set.intersection(*(set(rows) for rows in both))


def _mark_truth(comparison: ComparisonRecord, ax: Axes, measure: str) -> None:
    """A line where the truth lies, which has no finite PSNR, or a word about it."""
    name = next((m["name"] for m in comparison.summary["models"] if m["kind"] == "hr"), None)
    row = _totals(comparison, measure).get(str(name))
    if row is None:
        return
    value, (low, high) = float(row["value"]), ax.get_ylim()
    # Drawn to scale, a truth far away would squeeze the models into a corner.
    far = value < low - (high - low) or value > high + (high - low)
    text = base.minus(f"{_shown(str(name))}: {value:.3g}, at infinite PSNR")
    if far:
        side = 0.02 if value < low else 0.98
        ax.text(0.99, side, f"{text} (off the scale)", transform=ax.transAxes, ha="right",
                va="bottom" if value < low else "top", fontsize=7.0, color=GRAY)  # fmt: skip
        return
    ax.axhline(value, color=BLACK, lw=0.9, zorder=1)
    margin = 0.08 * (high - low)
    ax.set_ylim(min(low, value - margin), max(high, value + margin))
    ax.annotate(text + " →", (1.0, value), (0, 2.5), xycoords=ax.get_yaxis_transform(),
                textcoords="offset points", ha="right", va="bottom", fontsize=7.0)  # fmt: skip


def collapse_manifold(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw how far models collapse onto the center against how unlike clean images they are.

    Takes and returns what :func:`perception_distortion` does.
    """
    lead = str(comparison.summary["lead"])
    with base.house_style():
        if not _totals(comparison, lead):
            return _without(fig, _NO_LEAD)
        fig = base.new_figure(fig, 5.2, 3.7)
        ax = fig.add_subplot()
        ax.axvline(0.0, color=BLACK, lw=0.6, zorder=1)
        ax.axhline(1.0, color=BLACK, lw=0.6, zorder=1)
        points = _draw_points(comparison, ax, "collapse_index", lead)
        ax.plot([0.0], [1.0], ls="", marker="*", ms=11, color=BLACK)
        points.append(("truth: the goal", 0.0, 1.0, BLACK))
        # Strips to the left and below stay free for the words.
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        high = max(high, 1.1)
        ax.set_xlim(left - 0.08 * (right - left), max(right + 0.03, 1.03))
        ax.set_ylim(low - 0.12 * (high - low), high)
        words: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 8.0, "color": GRAY}
        words["fontweight"] = "bold"
        ax.text(0.985, 0.02, "over-smooth →", ha="right", va="bottom", **words)
        ax.text(0.012, 0.985, "unlike clean images: noise, artifacts, blur →", ha="left", va="top",
                rotation=90, **words)  # fmt: skip
        ax.set_xlabel("collapse index     (0: as far from the center as the truth, 1: in it)")
        ax.set_ylabel(f"{_title(comparison, lead)}     (1: as clean images)")
        _label_points(ax, points)
        return base.laid_out(fig)


Point = tuple[str, float, float, str]
"""What is written beside a point, where the point lies, and the color of the words."""


def _draw_points(comparison: ComparisonRecord, ax: Axes, across: str, up: str) -> list[Point]:
    """A point with both intervals for each model but the truth, and the arrows of twins."""
    xs, ys = _totals(comparison, across), _totals(comparison, up)
    points: dict[str, Point] = {}
    for name, look in _looks(comparison).items():
        if name not in xs or name not in ys:
            continue
        x, y = float(xs[name]["value"]), float(ys[name]["value"])
        ax.errorbar(
            [x], [y], xerr=base.error_lengths([{"e": xs[name]}], "e"),
            yerr=base.error_lengths([{"e": ys[name]}], "e"), ecolor=to_rgba(look["color"], 0.45),
            elinewidth=0.8, capsize=0, ms=6.0, **(look | {"ls": ""}), zorder=4,
        )  # fmt: skip
        points[name] = (_shown(name), x, y, look["color"])
    for name, (_, x, y, color) in points.items():
        if name + TWIN in points:
            end = points[name + TWIN][1:3]
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.0, "shrinkA": 4, "shrinkB": 4}
            ax.annotate("", end, (x, y), arrowprops=arrow, zorder=3)
    return list(points.values())


def _label_points(ax: Axes, points: Sequence[Point]) -> None:
    """Write names beside points where they cover least: other names, points, bars.

    Done last, once limits and layout are final.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    with base.any_script():
        figure.draw_without_rendering()
    places = ax.transData.transform([(x, y) for _, x, y, _ in points])
    arrows = [a for a in ax.texts if isinstance(a, Annotation) and a.arrow_patch is not None]
    pixel = figure.dpi / 72.0
    frame = np.asarray(ax.get_window_extent().extents, np.float64)
    taken = [np.concatenate([p - 4.0 * pixel, p + 4.0 * pixel]) for p in places]
    for bar in itertools.chain.from_iterable(c.get_segments() for c in ax.collections):  # type: ignore[attr-defined]
        ends = ax.transData.transform(bar)
        taken.append(np.concatenate([ends.min(axis=0) - pixel, ends.max(axis=0) + pixel]))
    # Words that lie there already count like names.
    words = [np.asarray(t.get_window_extent().extents) for t in ax.texts if t not in arrows]
    taken += 3 * words
    for arrow in arrows:
        ends = ax.transData.transform([arrow.xyann, arrow.xy])
        steps = ends[0] + np.linspace(0.0, 1.0, 15)[:, None] * (ends[1] - ends[0])
        taken += [np.concatenate([step - 2.0 * pixel, step + 2.0 * pixel]) for step in steps]
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
            outside = 4.0 * half.prod() - _overlap(label, [frame])
            cost = _overlap(label, taken) + 10.0 * outside + 5.0 * reach * pixel
            if cost < least:
                best, least = middle, cost
        text.xyann = tuple((best - place) / pixel)
        # Names over names are worse than names over bars: they count three times.
        taken += 3 * [np.concatenate([best - half, best + half])]


def _overlap(box: Floats, others: Sequence[Floats]) -> float:
    """Area that a box (left, bottom, right, top) shares with others."""
    boxes = np.stack(others)
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return float(np.clip(shared, 0.0, None).prod(axis=1).sum())


# -- against entropy and frequency ----------------------------------------------------------


def against_entropy(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw collapse index, detail energy and manifold ratio by entropy of the group.

    Takes and returns what :func:`perception_distortion` does.
    """
    panels = _stratified(comparison)
    with base.house_style():
        if not panels:
            return _without(fig, _NO_STRATA)
        fig = base.new_figure(fig, WIDTH, 2.9)
        axes = fig.subplots(1, len(panels), squeeze=False)[0]
        looks = _looks(comparison)
        for ax, (measure, part) in zip(axes, panels.items(), strict=True):
            ax.axhline(0.0 if measure == "collapse_index" else 1.0, color=BLACK, lw=1.2)
            for number, (name, look) in enumerate(looks.items()):
                rows = part[part["model"] == name].sort_values("stratum")
                # Side by side, so that no bar hides another.
                x = rows["stratum"].to_numpy(np.float64) + 0.06 * (number - (len(looks) - 1) / 2)
                error = base.error_lengths([{"e": row} for row in rows.to_dict("records")], "e")
                ax.errorbar(x, rows["value"], yerr=error, elinewidth=0.9, capsize=0, **look)
            ax.set_title(_title(comparison, measure))
            ax.set_xticks(sorted(part["stratum"].unique()))
            ax.grid(False, axis="x")
            ax.margins(y=0.08)
        fig.supxlabel("entropy of the group in equal parts (1: least ambiguous)", fontsize=8.0)
        _legend(fig, looks, Line2D([], [], color=BLACK, lw=1.2, label="truth"))
        return base.laid_out(fig)


def _stratified(comparison: ComparisonRecord) -> dict[str, pd.DataFrame]:
    table = comparison.strata
    wanted = ("collapse_index", "detail_energy", str(comparison.summary["lead"]))
    if not len(table):
        return {}
    table = table[np.isfinite(table["value"].to_numpy(np.float64))]
    parts = {name: table[table["measure"] == name] for name in wanted}
    return {name: part for name, part in parts.items() if len(part)}


def power_spectra(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the power of the outputs over that of the truth against frequency.

    Takes and returns what :func:`perception_distortion` does.
    """
    table = _positive_spectra(comparison)
    with base.house_style():
        if not len(table):
            return _without(fig, _NO_SPECTRA)
        fig = base.new_figure(fig, WIDTH, 3.2)
        ax = fig.add_subplot()
        ax.set_yscale("log")
        ax.axhline(1.0, color=BLACK, lw=1.2)
        looks = _looks(comparison)
        for number, (name, look) in enumerate(looks.items()):
            rows = table[table["model"] == name].sort_values("frequency")
            x, value, low, high = (
                rows[key].to_numpy(np.float64)
                for key in ("frequency", "power_ratio", "ci_low", "ci_high")
            )
            lowest = value.min() / 10.0 if len(value) else 1.0  # zero has no logarithm
            ax.fill_between(x, np.fmax(low, lowest), high, color=look["color"], alpha=0.13, lw=0)
            every = max(1, len(x) // 8)
            ax.plot(x, value, markevery=(number % every, every), **look)
        nyquist = 0.5 / float(comparison.summary["scale"])
        ax.axvline(nyquist, color=GRAY, lw=1.0, ls=(0, (4, 2)))
        ax.annotate(f"LR Nyquist\n{nyquist:.3g}", (nyquist, 0.03), (-4, 0), fontsize=7.0,
                    xycoords=("data", "axes fraction"), textcoords="offset points", ha="right",
                    va="bottom", color=GRAY)  # fmt: skip
        ax.set_xlim(0.0, 1.01 * float(table["frequency"].max()))
        base.plain_log_axis(ax)
        ax.set_xlabel("frequency (cycles per HR pixel)")
        ax.set_ylabel("power relative to the truth's (log scale)")
        _legend(fig, looks, Line2D([], [], color=BLACK, lw=1.2, label="truth"))
        return base.laid_out(fig)


def _positive_spectra(comparison: ComparisonRecord) -> pd.DataFrame:
    table = comparison.spectra
    if not len(table):
        return table
    ratio = table["power_ratio"].to_numpy(np.float64)
    return table[np.isfinite(ratio) & (ratio > 0.0)]


# -- pictures -------------------------------------------------------------------------------


def crops(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw the most over-smoothed places as every model shows them, a row each.

    Pixels are enlarged by a whole number, without interpolation.

    Takes and returns what :func:`perception_distortion` does.
    """
    shown = comparison.crops[:CROPS_SHOWN]
    with base.house_style():
        if not shown:
            return _without(fig, _NO_CROPS)
        columns = list(dict.fromkeys(name for crop in shown for name in crop.pictures))
        canvas, side, gap = _mosaic(shown, columns)
        height, width = canvas.shape[:2]
        left, top = 24, 40  # pixels for the names at the left and above
        if fig is None:
            fig = base.new_figure(fig, (width + left) / DPI, (height + top) / DPI)
            fig.set_layout_engine("none")
        # One picture pixel is one pixel of the file: no other enlarging blurs or drops any.
        ax = fig.add_axes((left / (width + left), 0.0, width / (width + left),
                           height / (height + top)))  # fmt: skip
        ax.imshow(canvas, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
        ax.axis("off")
        size = 8.0 * max(1.0, width / (WIDTH * DPI))
        looks = _looks(comparison)
        for number, name in enumerate(columns):
            title = base.printable(name, max(6, int(side / (1.25 * size))))
            ax.text(number * (side + gap) + side / 2, -gap, title, ha="center", va="bottom",
                    fontsize=size, color=looks.get(name, {"color": BLACK})["color"])  # fmt: skip
        for number, crop in enumerate(shown):
            ax.text(-gap, number * (side + gap) + side / 2, _shown(crop.image), rotation=90,
                    ha="right", va="center", fontsize=6.5, color=GRAY)  # fmt: skip
        return fig


def _mosaic(shown: Sequence[Crop], columns: Sequence[str]) -> tuple[NDArray[np.uint8], int, int]:
    """All pictures in one, white between them; side of a tile and gap in pixels."""
    largest = max(max(p.shape[:2]) for crop in shown for p in crop.pictures.values())
    factor = max(1, math.ceil(160 / largest))
    side, gap = factor * largest, 6
    size = (len(shown) * (side + gap) - gap, len(columns) * (side + gap) - gap, 3)
    canvas = np.full(size, 255, np.uint8)
    for row, crop in enumerate(shown):
        for column, name in enumerate(columns):
            if name not in crop.pictures:
                continue
            picture = crop.pictures[name].repeat(factor, axis=0).repeat(factor, axis=1)
            y, x = row * (side + gap), column * (side + gap)
            canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return canvas, side, gap


def maps(comparison: ComparisonRecord, fig: Figure | None = None) -> Figure:
    """Draw where models give up the truth's distance from the center.

    Takes and returns what :func:`perception_distortion` does.
    """
    names, models = mapped(comparison)
    with base.house_style():
        if not names:
            return _without(fig, _NO_MAPS)
        grids = {(i, m): loss_grid(comparison, i, m) for i in names for m in models}
        values = np.concatenate([grid[np.isfinite(grid)] for grid, _, _ in grids.values()])
        limit = max(float(np.quantile(np.abs(values), 0.99)), 1e-9) if len(values) else 1.0
        sizes = [comparison.images[name].shape for name in names]
        # No row is higher than it is wide, or tall images would fill pages.
        heights = [min(1.5, size[0] / size[1]) for size in sizes]
        panel = (WIDTH - 1.35) / (1 + len(models))
        fig = base.new_figure(fig, WIDTH, sum(h * panel + 0.25 for h in heights) + 0.3)
        axes = fig.subplots(len(names), 1 + len(models), squeeze=False, height_ratios=heights)
        drawn = None
        for row, name, size in zip(axes, names, sizes, strict=True):
            extent = (0.0, float(size[1]), float(size[0]), 0.0)
            image = base.averaged_down(comparison.images[name])
            row[0].imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent)
            row[0].set_ylabel(_shown(name), fontsize=6.5, color=GRAY)
            for ax, model in zip(row[1:], models, strict=True):
                grid, where, share = grids[name, model]
                ax.set_xlabel(base.minus(f"{share:.0%}"), fontsize=7.0, labelpad=1.0)
                drawn = ax.imshow(grid, cmap="PuOr_r", vmin=-limit, vmax=limit, extent=where,
                                  interpolation="nearest")  # fmt: skip
            for ax in row:
                ax.set(xlim=(0, size[1]), ylim=(size[0], 0), xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(False)
        for ax, title in zip(axes[0], ["truth", *map(_shown, models)], strict=True):
            ax.set_title(title, loc="center", fontsize=7.5, fontweight="normal")
        if drawn is not None:
            bar = fig.colorbar(drawn, ax=list(axes.ravel()), pad=0.015, aspect=35, extend="max")
            # Where no model adds, half of the bar would show colors that are nowhere.
            lowest = float(values.min()) if len(values) else -limit
            bar.ax.set_ylim(np.clip(lowest, -limit, -0.08 * limit), limit)
            bar.set_label("given up (below 0: added), gray levels squared")
            bar.outline.set_visible(False)
        return base.laid_out(fig)


def mapped(comparison: ComparisonRecord) -> tuple[list[str], list[str]]:
    """Images and models of the maps; of too many models plain ones give way first."""
    if not len(comparison.maps):
        return [], []
    measured = {str(name) for name in comparison.maps["image"].unique()}
    kinds = {m["name"]: m["kind"] for m in comparison.summary["models"]}
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


def loss_grid(
    comparison: ComparisonRecord, image: str, model: str
) -> tuple[Floats, tuple[float, float, float, float], float]:
    """How much a model gives up, a matrix over an image; its place in HR pixels; the share."""
    table = comparison.maps
    rows = table[(table["image"] == image) & (table["model"] == model)]
    contrast = (255.0 * rows["lr_std"].to_numpy(np.float64)) ** 2
    whole = rows["truth_center"].to_numpy(np.float64) * contrast
    lost = whole - rows["model_center"].to_numpy(np.float64) * contrast
    total = float(np.nansum(whole))
    # The shared helper lays out a column called entropy.
    summary = {"scale": comparison.summary["scale"], "config": analysis_of(comparison)}
    view: Any = SimpleNamespace(summary=summary, maps=rows.assign(entropy=lost))
    return *base.map_grid(view, image), float(np.nansum(lost)) / total if total > 0 else 0.0


# -- all figures ----------------------------------------------------------------------------

FIGURES: Mapping[str, FigureFunction] = MappingProxyType(
    {
        "perception_distortion": perception_distortion,
        "collapse_manifold": collapse_manifold,
        "against_entropy": against_entropy,
        "power_spectra": power_spectra,
        "crops": crops,
        "maps": maps,
    }
)
"""Name to function of every figure; a new figure is one function and one line here."""

_NO_PLANE = "No model has both a PSNR and a perceptual measure."
_NO_LEAD = "The manifold ratio was not measured."
_NO_STRATA = "The measures by entropy are not available."
_NO_SPECTRA = "The power spectra are not available."
_NO_CROPS = "No places were cut out (crops is 0)."
_NO_MAPS = "No image was measured densely (map_images is 0)."


class Plots:
    """Figures of one comparison: ``comparison.plot.crops()`` and so on.

    Parameters
    ----------
    comparison
        The comparison.
    """

    def __init__(self, comparison: ComparisonRecord) -> None:
        self._comparison = comparison

    def __getattr__(self, name: str) -> Callable[..., Figure]:
        if name not in FIGURES:
            raise AttributeError(f"no figure is called {name!r}; there are {', '.join(FIGURES)}")
        function = FIGURES[name]

        def plot(fig: Figure | None = None) -> Figure:
            return function(self._comparison, fig)

        plot.__name__ = name
        plot.__doc__ = function.__doc__
        return plot

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FIGURES]

    def all(self) -> dict[str, Figure]:
        """Every figure, by name."""
        return {name: function(self._comparison, None) for name, function in FIGURES.items()}


def unavailable(comparison: ComparisonRecord) -> dict[str, str]:
    """Figures that would show nothing, each with the reason.

    Returns
    -------
    dict
        Name of the figure to one sentence.
    """
    across, up = _plane(comparison)
    checks = (
        ("perception_distortion", across and up and _shared(comparison, across, up), _NO_PLANE),
        ("collapse_manifold", _totals(comparison, str(comparison.summary["lead"])), _NO_LEAD),
        ("against_entropy", _stratified(comparison), _NO_STRATA),
        ("power_spectra", len(_positive_spectra(comparison)), _NO_SPECTRA),
        ("crops", comparison.crops, _NO_CROPS),
        ("maps", mapped(comparison)[0], _NO_MAPS),
    )
    return {name: reason for name, there, reason in checks if not there}


def save_figures(comparison: ComparisonRecord, folder: str | Path) -> list[Path]:
    """Write all figures that have something to show as PNG (150 dpi) and PDF.

    Parameters
    ----------
    comparison
        The comparison.
    folder
        Where to write; made if it is not there.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of :data:`FIGURES`, PNG before PDF. They hold no dates: the same
        comparison gives the same bytes.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    skip = unavailable(comparison)
    paths = []
    for name, function in FIGURES.items():
        if name in skip:
            continue
        fig = function(comparison, None)
        for kind in ("png", "pdf"):
            path = target / f"{name}.{kind}"
            with path.open("wb") as file:
                base.save_figure(fig, file, kind)
            paths.append(path)
    return paths


# -- helpers --------------------------------------------------------------------------------


def _looks(comparison: ComparisonRecord) -> dict[str, dict[str, Any]]:
    """Color, marker and line of every model but the truth, which is black in all figures."""
    kinds = {str(m["name"]): m["kind"] for m in comparison.summary["models"]}
    looks: dict[str, dict[str, Any]] = {}
    number = 0
    for name, kind in kinds.items():
        if kind == "bicubic":
            looks[name] = {"color": GRAY, "marker": "D", "ls": ":"}
        elif kind != "hr" and name.removesuffix(TWIN) not in kinds.keys() - {name}:
            looks[name] = {
                "color": _COLORS[number % len(_COLORS)],
                "marker": _MARKERS[number % len(_MARKERS)],
                "ls": "-" if number < len(_COLORS) else "-.",
            }
            number += 1
    for name, kind in kinds.items():
        if kind != "hr" and name not in looks:
            single = looks.get(name.removesuffix(TWIN), {"color": base.GREEN, "marker": "d"})
            looks[name] = single | {"ls": "--", "markerfacecolor": "white"}
    return {name: looks[name] for name in kinds if name in looks}


def _without(fig: Figure | None, reason: str) -> Figure:
    """A figure that says why there is none."""
    blank = base.new_figure(fig, WIDTH, 1.2)
    if fig is None:
        blank.set_layout_engine("none")  # constrained layout warns where there are no axes
    return base._nothing(blank, reason)


def _legend(fig: Figure, looks: Mapping[str, dict[str, Any]], *more: Line2D) -> None:
    handles = [Line2D([], [], label=_shown(name), **look) for name, look in looks.items()]
    handles = [*more, *handles]
    widest = max(len(str(handle.get_label())) for handle in handles)
    fitting = max(1, int(72.0 * WIDTH / (44.0 + 4.5 * widest)))
    columns = math.ceil(len(handles) / math.ceil(len(handles) / fitting))
    fig.legend(handles=handles, loc="outside upper center", ncols=columns)


def _totals(comparison: ComparisonRecord, measure: str) -> Rows:
    """Rows of the totals of a measure by model; only those with a finite value."""
    table = comparison.totals[comparison.totals["measure"] == measure]
    rows: Iterable[dict[Any, Any]] = table.to_dict("records")
    return {str(row["model"]): row for row in rows if base._value(row) is not None}


def _title(comparison: ComparisonRecord, measure: str) -> str:
    return str(next(m["title"] for m in comparison.summary["measures"] if m["name"] == measure))


def analysis_of(comparison: ComparisonRecord) -> Mapping[str, Any]:
    return (comparison.summary.get("config") or {}).get("analysis") or {}


def _shown(name: str) -> str:
    return base.printable(name, LONGEST_NAME)
