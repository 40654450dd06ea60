"""Figures of an analysis: pure functions from its record to a figure.

Every figure is one function and one line in :data:`FIGURES`. Figures are made without
pyplot, so nothing global is left behind and no display is needed. Colors are those of
Okabe and Ito and the cividis map: readable with every kind of color vision and in gray.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from cooanalysis.analysis.record import AnalysisRecord, ExampleGroup
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.measures.entropy import entropy_power, estimator_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 150
WIDTH = 7.0
"""Inches: the text width of a two-column page."""

# Okabe and Ito (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
LIGHT = "#DDDDDD"

CENTER: dict[str, Any] = {"color": VERMILLION, "marker": "o"}
BICUBIC: dict[str, Any] = {"color": BLUE, "marker": "s"}
CLEAN: dict[str, Any] = {"color": BLACK, "marker": "D"}
CEILING: dict[str, Any] = {"color": GREEN, "marker": "^"}

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.labelsize": 8.0,
        "axes.linewidth": 0.6,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 8.5,
        "axes.titleweight": "bold",
        "errorbar.capsize": 2.5,
        "figure.dpi": DPI,
        "figure.facecolor": "white",
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.5,
        "hatch.color": "#BBBBBB",
        "hatch.linewidth": 0.5,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "lines.linewidth": 1.3,
        "lines.markersize": 4.5,
        "pdf.fonttype": 42,  # TrueType: text stays text in the PDF
        "savefig.dpi": DPI,
        "text.parse_math": False,  # names of files may hold a dollar sign
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
    }
)

MAPS_SHOWN = 3
ROWS_PER_KIND = 3
MEMBERS_SHOWN = 5
LONGEST_SIDE = 800
"""Pixels: larger images are averaged down before they are drawn."""

FigureFunction = Callable[[AnalysisRecord, Figure | None], Figure]


# -- the law --------------------------------------------------------------------------------


def entropy_vs_center_distance(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw how far the center lies from its group against the entropy of the group.

    One panel an estimator: density of the query patches, median and middle half in bins
    that hold equally many patches, and the lower bound that holds for every distribution,
    the square root of the entropy power.

    Parameters
    ----------
    result
        The run.
    fig
        Figure to draw into; a new one if None.

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups, entropies = result.groups, result.summary["entropy"]
    panels = {}
    if "center_rms_subspace" in groups:
        distance = groups["center_rms_subspace"].to_numpy(np.float64)
        for name in entropies:
            if entropy_column(name) in groups:
                x = groups[entropy_column(name)].to_numpy(np.float64)
                valid = np.isfinite(x) & np.isfinite(distance) & (distance > 0)
                if valid.sum() > 1:
                    panels[name] = x[valid], distance[valid]
    with house_style():
        fig = new_figure(fig, WIDTH if len(panels) > 1 else 4.2, 3.0)
        if not panels:
            return _nothing(fig, "No query has both an entropy and a center distance.")
        axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        drawn = [
            _law_panel(ax, name, *values, entropies[name])
            for ax, (name, values) in zip(axes, panels.items(), strict=True)
        ]
        # One scale of color for all panels, so that they can be compared.
        highest = max(float(np.asarray(d.get_array()).max()) for d in drawn)
        for density in drawn:
            density.set_norm(LogNorm(1.0, max(highest, 2.0)))
        values = np.concatenate([y for _, y in panels.values()])
        low, high = np.quantile(values, [0.001, 0.999])
        axes[0].set_ylim(low / 1.3, high * 2.2)
        plain_log_axis(axes[0])
        axes[0].set_ylabel("distance of the center to its group\n(RMS per dimension, log scale)")
        fig.supxlabel("entropy of the group (nats per dimension)", fontsize=8.0)
        bar = fig.colorbar(drawn[-1], ax=list(axes), pad=0.01, aspect=30)
        bar.set_label("query patches in a cell")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.outline.set_visible(False)
        handles = [
            Line2D([], [], color=VERMILLION, marker="o", label="median, bar: middle half"),
            Line2D([], [], color=BLACK, ls="--", label="lower bound √(entropy power)"),
        ]
        fig.legend(handles=handles, loc="outside upper right", ncols=2)
        return laid_out(fig)


def _law_panel(
    ax: Axes, name: str, x: NDArray[np.float64], y: NDArray[np.float64], entry: dict[str, Any]
) -> Any:
    # Groups of (nearly) equal members have entropies far below all others; drawn to scale they
    # would squeeze the rest into a corner.
    low, tenth, high = np.quantile(x, [0.001, 0.1, 0.999])
    low = max(low, 2.0 * tenth - high)
    margin = max(0.06 * (high - low), 0.05)
    seen = (x >= low - margin) & (x <= high + margin)
    ax.set_yscale("log")
    density = ax.hexbin(
        x[seen], y[seen], yscale="log", gridsize=(36, 24), mincnt=1, cmap="cividis_r",
        linewidths=0.1, rasterized=True,
    )  # fmt: skip
    ax.set_xlim(low - margin, high + margin)
    curve = np.linspace(low - margin, high + margin, 100)
    bound = np.sqrt(entropy_power(curve))
    ax.plot(curve, bound, color="white", lw=2.6)
    ax.plot(curve, bound, color=BLACK, ls="--", lw=1.2)
    quartiles = _binned_quartiles(x, y, n_bins=min(12, max(1, len(x) // 20)))
    middle, lower, median, upper = quartiles.T
    spread = np.stack([median - lower, upper - median])
    for color, width in (("white", 3.2), (VERMILLION, 1.3)):
        ax.errorbar(
            middle, median, yerr=spread, color=color, lw=width, elinewidth=width, marker="o",
            ms=3.0 + width / 2, capsize=0, zorder=5,
        )  # fmt: skip
    ax.set_title(estimator_title(name))
    note = f"Spearman\n{_interval(entry.get('spearman_center_distance'), '.3f')}"
    if (entry.get("reliability") or {}).get("trusted") is False:
        note += "\nvalues not trusted"
    if hidden := int((~seen).sum()):
        ax.text(0.98, 0.03, f"{hidden} outside", transform=ax.transAxes, fontsize=6.5, ha="right",
                color=GRAY)  # fmt: skip
    ax.text(
        0.035, 0.965, note, transform=ax.transAxes, va="top", fontsize=7.5, zorder=6,
        bbox={"facecolor": "white", "edgecolor": LIGHT, "linewidth": 0.5, "pad": 2.5},
    )  # fmt: skip
    return density


def _binned_quartiles(
    x: NDArray[np.float64], y: NDArray[np.float64], n_bins: int
) -> NDArray[np.float64]:
    """(n_bins, 4): median of x and the quartiles of y, in bins of equally many points."""
    parts = np.array_split(np.argsort(x, kind="stable"), n_bins)
    return np.array([[np.median(x[p]), *np.quantile(y[p], [0.25, 0.5, 0.75])] for p in parts])


# -- detail energy --------------------------------------------------------------------------


def detail_energy(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the share of the detail energy that the center keeps, by entropy decile.

    Left on the scale from nothing to all, so that the loss is seen; right magnified, with
    95 % intervals.

    Parameters
    ----------
    result, fig
        As in :func:`entropy_vs_center_distance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = result.summary.get("detail_energy_by_decile") or []
    rows = [row for row in rows if _value(row["retained"]) is not None]
    with house_style():
        fig = new_figure(fig, WIDTH, 2.6)
        if not rows:
            return _nothing(fig, "The detail energy by entropy decile is not available.")
        decile = np.array([row["decile"] for row in rows])
        kept = 100.0 * np.array([_value(row["retained"]) for row in rows], np.float64)
        whole, zoom = fig.subplots(1, 2, width_ratios=(1.0, 1.2))
        full = max(100.0, 1.05 * float(kept.max()))
        whole.bar(decile, full, color="#F3F3F3", hatch="////", edgecolor=LIGHT, lw=0, width=0.86)
        whole.bar(decile, kept, color=VERMILLION, width=0.86)
        whole.axhline(100.0, color=BLACK, lw=0.8)
        whole.set(ylim=(0.0, 1.14 * full), ylabel="detail energy (% of truth)")
        whole.set_title("What the center keeps of the truth")
        whole.text(0.45, 1.015 * 100.0, "true patch: 100 %", va="bottom", fontsize=7.0)
        overall = _value(result.summary.get("detail_energy"))
        if overall is not None and overall < 1.0:
            whole.text(
                5.5, 50.0 * (1.0 + overall), f"{100.0 * (1.0 - overall):.1f} % averaged away",
                ha="center", va="center", fontsize=9.5, fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 3.0},
            )  # fmt: skip
        error = error_lengths(rows, "retained", 100.0)
        zoom.errorbar(decile, kept, yerr=error, color=VERMILLION, marker="o")
        chance = [_nan(row.get("by_chance")) for row in rows]
        zoom.plot(decile, 100.0 * np.array(chance), color=GRAY, ls=":", lw=1.2)
        zoom.set_ylim(0.0, None)
        zoom.set_title("The same, magnified (bars: 95 % intervals)")
        zoom.set_ylabel("detail energy kept (%)")
        for ax in (whole, zoom):
            ax.set(xticks=range(1, 11), xlim=(0.4, 10.6))
            ax.set_xlabel("entropy decile (10: most ambiguous)")
            ax.grid(False, axis="x")
        return laid_out(fig)


# -- clean manifold -------------------------------------------------------------------------


def manifold_distances(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw distances to the clean patches, relative to those of held-out clean patches.

    Left all patches by feature space, right by entropy quartile. Feature spaces with a
    warning are hatched and gray: their numbers do not mean what they seem to mean.

    Parameters
    ----------
    result, fig
        As in :func:`entropy_vs_center_distance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    spaces = result.summary.get("manifold") or {}
    measured = {name: s for name, s in spaces.items() if "missing" not in s}
    with house_style():
        n_warned = sum(bool(s.get("warning")) for s in measured.values())
        fig = new_figure(fig, WIDTH, 2.1 + 0.45 * max(0, len(spaces) - 1) + 0.25 * n_warned)
        if not spaces:
            return _nothing(fig, "No feature space was asked for.")
        axes = fig.subplots(
            1, 1 + len(measured), squeeze=False,
            width_ratios=(1.7 if len(measured) > 1 else 1.2, *[1.0] * len(measured)),
        )[0]  # fmt: skip
        _manifold_overall(axes[0], spaces)
        for ax, space in zip(axes[1:], measured.values(), strict=True):
            _manifold_quartiles(ax, space)
        handles = [
            Line2D([], [], ls="", label="center", **CENTER),
            Line2D([], [], ls="", label="bicubic", **BICUBIC),
            Line2D([], [], ls="", label="clean (check: should be 1)", **CLEAN),
        ]
        fig.legend(handles=handles, loc="outside upper center", ncols=3)
        notes = [_wrapped(f"Hatched, {s['title']}: {s['warning']}.", 118)
                 for s in measured.values() if s.get("warning")]  # fmt: skip
        if notes:
            fig.supxlabel("\n".join(notes), fontsize=7.0, color=GRAY)
        return laid_out(fig)


def _manifold_overall(ax: Axes, spaces: Mapping[str, Any]) -> None:
    names = list(spaces)[::-1]
    for place, name in enumerate(names):
        space = spaces[name]
        if "missing" in space:
            ax.text(1.0, place, _wrapped(f" left out: {space['missing']}", 34), va="center",
                    fontsize=6.5, color=GRAY)  # fmt: skip
            continue
        warned = bool(space.get("warning"))
        if warned:
            ax.axhspan(place - 0.45, place + 0.45, facecolor="#F3F3F3", hatch="////",
                       edgecolor="#CCCCCC", lw=0, zorder=0)  # fmt: skip
        kinds = (("clean", CLEAN), ("center", CENTER), ("bicubic", BICUBIC))
        for offset, (kind, look) in zip((0.25, 0.0, -0.25), kinds, strict=True):
            estimate = space.get(f"{kind}_ratio")
            if (value := _value(estimate)) is None:
                continue
            look = look | {"color": GRAY} if warned else look
            error = error_lengths([{"e": estimate}], "e")
            ax.errorbar([value], [place + offset], xerr=error, ls="", zorder=4, **look)
            ax.annotate(f"{value:.2f}", (value, place + offset), (0, 4.0), fontsize=6.5,
                        ha="center", textcoords="offset points", color=look["color"],
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.2})  # fmt: skip
    ax.axvline(1.0, color=BLACK, lw=0.9, zorder=1)
    ax.set_yticks(range(len(names)), [_wrapped(str(spaces[n].get("title", n)), 14) for n in names])
    ax.set_ylim(-0.55, len(names) - 0.4)
    ax.margins(x=0.18)
    ax.grid(False, axis="y")
    ax.set_xlabel("distance to clean patches\n(held-out clean patches = 1)")
    ax.set_title("All patches")


def _manifold_quartiles(ax: Axes, space: Mapping[str, Any]) -> None:
    warned = bool(space.get("warning"))
    if warned:
        ax.patch.set(facecolor="#F3F3F3", hatch="////", edgecolor="#CCCCCC")
    for kind, look in (("center", CENTER), ("bicubic", BICUBIC)):
        rows = space.get(f"{kind}_ratio_by_quartile") or []
        values = np.array([_nan(_value(row)) for row in rows])
        if not np.isfinite(values).any():
            continue
        look = look | {"color": GRAY} if warned else look
        error = error_lengths([{"e": row} for row in rows], "e")
        ax.errorbar(np.arange(1, len(values) + 1), values, yerr=error, **look)
    ax.axhline(1.0, color=BLACK, lw=0.9)
    ax.set(xticks=range(1, 5), xlim=(0.6, 4.4), xlabel="entropy quartile")
    ax.margins(y=0.12)
    ax.grid(False, axis="x")
    ax.set_title(str(space.get("title", "")))


# -- pictures -------------------------------------------------------------------------------


def entropy_maps(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the entropy of the potential-HR groups over the images, beside the images.

    Parameters
    ----------
    result, fig
        As in :func:`entropy_vs_center_distance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [str(name) for name in result.maps["image"].unique()] if len(result.maps) else []
    names = [name for name in names if name in result.images]
    if len(names) > MAPS_SHOWN:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MAPS_SHOWN).round().astype(int)]
    with house_style():
        if not names:
            return _nothing(new_figure(fig, WIDTH, 1.2), _no_maps(result))
        shapes = [result.images[name].shape for name in names]
        # Side by side two columns; tall images get a row no higher than it is wide.
        heights = [min(1.0, shape[0] / shape[1]) for shape in shapes]
        panel = 2.8
        fig = new_figure(fig, WIDTH, sum(h * panel + 0.25 for h in heights) + 0.1)
        axes = fig.subplots(len(names), 2, squeeze=False, height_ratios=heights)
        entropies = result.maps["entropy"].to_numpy(np.float64)
        finite = entropies[np.isfinite(entropies)]
        low, high = np.quantile(finite, [0.02, 0.98]) if len(finite) else (0.0, 1.0)
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
            grid, where = map_grid(result, name)
            drawn = laid.imshow(
                grid, cmap="viridis", alpha=0.6, vmin=low, vmax=max(high, low + 1e-6), extent=where,
                interpolation="nearest",
            )  # fmt: skip
            mean = float(np.nanmean(grid)) if np.isfinite(grid).any() else float("nan")
            plain.set_title(printable(name, 36), fontsize=8.0, fontweight="normal")
            laid.set_title(minus(f"mean entropy {mean:.2f}"), fontsize=8.0, fontweight="normal")
            for ax in (plain, laid):
                ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(False)
        if drawn is not None:
            bar = fig.colorbar(
                drawn, ax=list(axes[:, 1]), pad=0.02, aspect=40, extend="both", extendfrac=0.015
            )
            bar.set_label("entropy (nats per dimension)")
        return laid_out(fig)


def map_grid(
    result: AnalysisRecord, name: str
) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """Entropies of one image as a matrix (NaN where there is none) and its place in HR pixels."""
    scale = float(result.summary["scale"])
    width = float((result.summary.get("config") or {}).get("patch_width") or 1)
    table = result.maps[result.maps["image"] == name]
    ys, row = np.unique(table["y"].to_numpy(np.int64), return_inverse=True)
    xs, column = np.unique(table["x"].to_numpy(np.int64), return_inverse=True)
    grid = np.full((len(ys), len(xs)), np.nan)
    grid[row, column] = table["entropy"].to_numpy(np.float64)
    steps = [float(np.median(np.diff(v))) if len(v) > 1 else width for v in (ys, xs)]
    # Each value is drawn as a cell of one grid step around the middle of its patch.
    (top, bottom), (left, right) = (
        (scale * (v[0] + width / 2.0 - step / 2.0), scale * (v[-1] + width / 2.0 + step / 2.0))
        for v, step in zip((ys, xs), steps, strict=True)
    )
    return grid, (left, right, bottom, top)


def averaged_down(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with its longest side at most :data:`LONGEST_SIDE` pixels."""
    step = max(1, math.ceil(max(image.shape[:2]) / LONGEST_SIDE))
    if step == 1 or min(image.shape[:2]) < step:
        return image
    height, width = (size // step * step for size in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)).round(), np.uint8)


def example_groups(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the groups with the highest and the lowest entropy, a row each.

    Parameters
    ----------
    result, fig
        As in :func:`entropy_vs_center_distance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows: list[tuple[str, list[ExampleGroup]]] = []
    for kind in ("highest", "lowest"):
        chosen = [e for e in result.examples if e.kind == kind][:ROWS_PER_KIND]
        if chosen:
            rows.append((kind, chosen))
    with house_style():
        if not rows:
            return _nothing(new_figure(fig, WIDTH, 1.2), _no_examples())
        members = min(MEMBERS_SHOWN, *(len(e.members) for _, kind in rows for e in kind))
        # Everything is drawn as one picture: dozens of axes would take seconds.
        gap, section, wide = 0.08, 0.45, 0.28
        columns = [0.0]  # left edges in tiles
        for number in range(1, members + 4):
            edge = wide if number in (1, members + 1, members + 2) else gap
            columns.append(columns[-1] + 1.0 + edge)
        total_width = columns[-1] + 1.0
        n_rows = sum(len(kind) for _, kind in rows)
        total_height = n_rows * (1.0 + gap) + section * (len(rows) - 1)
        label = 1.25  # tiles, for the numbers at the left
        tile = WIDTH / (total_width + label)
        fig = new_figure(fig, WIDTH, tile * (total_height + 0.62))
        ax = fig.add_subplot()
        titles = ["LR patch", *[""] * members, "center", "truth", "bicubic"]
        for left, title in zip(columns, titles, strict=True):
            bold = "bold" if title == "center" else "normal"
            ax.text(left + 0.5, -0.12, title, ha="center", va="bottom", fontsize=7.5,
                    fontweight=bold, color=VERMILLION if title == "center" else BLACK)  # fmt: skip
        middle = (columns[1] + columns[members] + 1.0) / 2.0
        ax.text(middle, -0.12, "members of the group: HR patches with (nearly) this LR patch",
                ha="center", va="bottom", fontsize=7.5)  # fmt: skip
        top = 0.0
        for kind, examples in rows:
            for number, example in enumerate(examples):
                pictures = [example.lr, *example.members[:members], example.center, example.truth,
                            example.bicubic]  # fmt: skip
                low, high = _range_of(example)
                for left, picture in zip(columns, pictures, strict=True):
                    ax.imshow(
                        _stretched(picture, low, high), cmap="gray", vmin=0.0, vmax=1.0,
                        extent=(left, left + 1.0, top + 1.0, top), interpolation="nearest",
                    )  # fmt: skip
                text = f"{kind}\nentropy\n" if number == 0 else ""
                value = _example_entropy(result, example)
                ax.text(-0.14, top + 0.5, text + value, ha="right", va="center", fontsize=7.5)
                top += 1.0 + gap
            top += section
        ax.set(xlim=(-label, total_width), ylim=(total_height + 0.02, -0.5))
        ax.set_aspect("equal")
        ax.axis("off")
        return laid_out(fig)


def _example_entropy(result: AnalysisRecord, example: ExampleGroup) -> str:
    column = next((c for c in result.groups if str(c).startswith("entropy_")), None)
    names = list(result.summary["entropy"])
    if names and entropy_column(names[0]) in result.groups:
        column = entropy_column(names[0])
    if column is None or not 0 <= example.row < len(result.groups):
        return ""
    return minus(f"{float(result.groups[column].iloc[example.row]):.2f}")


def _range_of(example: ExampleGroup) -> tuple[float, float]:
    """Black and white of a row: one stretch for all its pictures, so that they compare."""
    everything = np.concatenate([example.truth.ravel(), example.members.ravel()])
    low, high = np.quantile(everything, [0.01, 0.99])
    return float(low), float(max(high, low + 8.0))


def _stretched(picture: NDArray[np.uint8], low: float, high: float) -> NDArray[np.float64]:
    values = np.clip((picture.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return values[..., 0] if values.shape[-1] == 1 else values


# -- PSNR ceiling ---------------------------------------------------------------------------


def psnr_ceiling(result: AnalysisRecord, fig: Figure | None = None) -> Figure:
    """Draw the PSNR of bicubic upsampling and of the center below the ceiling.

    Parameters
    ----------
    result, fig
        As in :func:`entropy_vs_center_distance`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    summary = result.summary
    width = (summary.get("config") or {}).get("patch_width")
    seen = f"\n(sees {width}×{width} LR pixels)" if width else ""
    trusted = (summary.get("psnr_ceiling_db") or {}).get("trusted")
    doubt = " (not trusted)" if trusted is False else ""
    rows = [
        ("ceiling" + doubt + seen, summary.get("psnr_ceiling_db"), CEILING),
        ("center of the group", summary.get("psnr_center_db"), CENTER),
        ("bicubic", summary.get("psnr_bicubic_db"), BICUBIC),
    ]
    with house_style():
        fig = new_figure(fig, 4.8, 1.9)
        if all(_value(estimate) is None for _, estimate, _ in rows):
            return _nothing(fig, "The PSNR ceiling was not computed.")
        ax = fig.add_subplot()
        values = []
        for place, (_, estimate, look) in enumerate(rows[::-1]):
            if (value := _value(estimate)) is None:
                ax.text(0.02, place, "not available", transform=ax.get_yaxis_transform(),
                        va="center", color=GRAY, fontsize=7.0)  # fmt: skip
                continue
            values.append(value)
            ax.errorbar(
                [value], [place], xerr=error_lengths([{"e": estimate}], "e"), ls="", ms=6, **look
            )
            ax.annotate(f"{value:.2f} dB", (value, place), (0, 7), textcoords="offset points",
                        ha="center", fontsize=7.5, color=look["color"], fontweight="bold",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
        ceiling = _value(rows[0][1])
        if ceiling is not None:
            ax.axvspan(ceiling, ceiling + 100.0, facecolor="#EDEDED", hatch="////",
                       edgecolor=LIGHT, lw=0)  # fmt: skip
            ax.axvline(ceiling, color=GREEN, lw=1.0)
            ax.text(
                0.99, 0.06, "above the ceiling", transform=ax.transAxes, ha="right", fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        lowest = min([*values, *_ends(rows)])
        highest = max([*values, *_ends(rows)])
        margin = max(0.3, 0.18 * (highest - lowest))
        ax.set_xlim(lowest - margin, highest + 1.3 * margin)
        ax.set_yticks(range(3), [name for name, _, _ in rows[::-1]])
        ax.set_ylim(-0.5, 2.75)
        ax.grid(False, axis="y")
        ax.set_xlabel("PSNR on the query patches (dB; bars: 95 % intervals)")
        return laid_out(fig)


def _ends(rows: list[tuple[str, Any, Any]]) -> list[float]:
    ends = [e.get(k) for _, e, _ in rows if e for k in ("ci_low", "ci_high")]
    return [float(end) for end in ends if end is not None and math.isfinite(end)]


# -- all figures ----------------------------------------------------------------------------

FIGURES: Mapping[str, FigureFunction] = MappingProxyType(
    {
        "entropy_vs_center_distance": entropy_vs_center_distance,
        "detail_energy": detail_energy,
        "manifold_distances": manifold_distances,
        "psnr_ceiling": psnr_ceiling,
        "entropy_maps": entropy_maps,
        "example_groups": example_groups,
    }
)
"""Name to function of every figure; a new figure is one function and one line here."""


class Plots:
    """Figures of one result: ``result.plot.detail_energy()`` and so on.

    Parameters
    ----------
    result
        The run.
    """

    def __init__(self, result: AnalysisRecord) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Callable[..., Figure]:
        if name not in FIGURES:
            raise AttributeError(f"no figure is called {name!r}; there are {', '.join(FIGURES)}")
        function = FIGURES[name]

        def plot(fig: Figure | None = None) -> Figure:
            return function(self._result, fig)

        plot.__name__ = name
        plot.__doc__ = function.__doc__
        return plot

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FIGURES]

    def all(self) -> dict[str, Figure]:
        """Every figure, by name."""
        return {name: function(self._result, None) for name, function in FIGURES.items()}


def unavailable(result: AnalysisRecord) -> dict[str, str]:
    """Figures that would show nothing, each with the reason.

    Returns
    -------
    dict
        Name of the figure to one sentence.
    """
    reasons = {}
    if not len(result.maps) or not result.images:
        reasons["entropy_maps"] = _no_maps(result)
    if not result.examples:
        reasons["example_groups"] = _no_examples()
    if not result.summary.get("manifold"):
        reasons["manifold_distances"] = "No feature space was asked for."
    if _value(result.summary.get("psnr_ceiling_db")) is None:
        reasons["psnr_ceiling"] = "The PSNR ceiling was not computed."
    return reasons


def png_bytes(fig: Figure) -> bytes:
    """Return a figure as a PNG file without date or program name: equal figures, equal bytes."""
    buffer = io.BytesIO()
    save_figure(fig, buffer, "png")
    return buffer.getvalue()


def png_figures(result: AnalysisRecord) -> dict[str, bytes]:
    """PNG files of all figures that have something to show, by name."""
    skip = unavailable(result)
    return {name: png_bytes(f(result, None)) for name, f in FIGURES.items() if name not in skip}


def save_figures(result: AnalysisRecord, folder: str | Path) -> list[Path]:
    """Write all figures that have something to show as PNG (150 dpi) and PDF.

    Parameters
    ----------
    result
        The run.
    folder
        Where to write; made if it is not there.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of :data:`FIGURES`, PNG before PDF. They hold no dates: the
        same result gives the same bytes.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    skip = unavailable(result)
    paths = []
    for name, function in FIGURES.items():
        if name in skip:
            continue
        fig = function(result, None)
        for kind in ("png", "pdf"):
            path = target / f"{name}.{kind}"
            with path.open("wb") as file:
                save_figure(fig, file, kind)
            paths.append(path)
    return paths


def save_figure(fig: Figure, file: Any, kind: str) -> None:
    empty = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with house_style(), any_script():
        fig.savefig(file, format=kind, dpi=DPI, metadata=empty[kind])


_OURS = "cooanalysis"
"""Label of the figures that were made here."""


# -- helpers --------------------------------------------------------------------------------


def house_style() -> AbstractContextManager[None]:
    style: Any = dict(STYLE)  # the stubs want every key to be a literal
    return mpl.rc_context(style)


@contextmanager
def any_script() -> Iterator[None]:
    """Names of files in scripts that the font lacks are drawn as boxes; no word about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


class ShownFigure(Figure):
    """A figure that Jupyter shows though pyplot, which usually sees to that, is not loaded."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def new_figure(fig: Figure | None, width: float, height: float) -> Figure:
    if fig is not None:
        return fig
    fig = ShownFigure(figsize=(width, height), layout="constrained")
    fig.set_label(_OURS)
    FigureCanvasAgg(fig)
    return fig


def laid_out(fig: Figure) -> Figure:
    """Place everything once and for all: layout takes longer than drawing.

    A figure that was handed in keeps the layout of its owner.
    """
    if fig.get_label() == _OURS:
        with any_script():
            fig.draw_without_rendering()
        fig.set_layout_engine("none")
    return fig


def _nothing(fig: Figure, reason: str) -> Figure:
    fig.text(0.5, 0.5, reason, ha="center", va="center", color=GRAY, wrap=True)
    return fig


def _no_maps(result: AnalysisRecord) -> str:
    if (result.summary.get("config") or {}).get("map_images") == 0:
        return "No entropy maps were asked for (map_images is 0)."
    return "No image has enough groups for an entropy map."


def _no_examples() -> str:
    return "No query patch has enough contrast to be shown as an example."


def _value(estimate: Any) -> float | None:
    """The number of an estimate of the summary, or None where there is none."""
    value = estimate.get("value") if isinstance(estimate, Mapping) else None
    return float(value) if value is not None and math.isfinite(value) else None


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _interval(estimate: Any, form: str) -> str:
    value = _value(estimate)
    if value is None:
        return "not available"
    low, high = estimate.get("ci_low"), estimate.get("ci_high")
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} ({low:{form}}–{high:{form}})"


def error_lengths(rows: list[dict[str, Any]], key: str, factor: float = 1.0) -> NDArray[np.float64]:
    """(2, n) lengths of error bars; none where an interval is missing."""
    out = np.zeros((2, len(rows)))
    for number, row in enumerate(rows):
        value = _value(row[key])
        for side, end in enumerate(("ci_low", "ci_high")):
            limit = row[key].get(end) if isinstance(row[key], Mapping) else None
            if value is not None and limit is not None and math.isfinite(limit):
                # A percentile interval need not hold its own estimate; a bar cannot be negative.
                length = value - limit if side == 0 else limit - value
                out[side, number] = factor * max(0.0, length)
    return out


def plain_log_axis(ax: Axes) -> None:
    """Label a logarithmic axis that spans about a decade with plain numbers."""
    low, high = ax.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 300.0 else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def printable(text: str, longest: int) -> str:
    """Text that a font can draw: no control characters or lone surrogates, not too long."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    clean = "".join(c if c.isprintable() else "?" for c in clean)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width)) or text
