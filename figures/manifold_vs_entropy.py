"""How far centers lie from clean patches, by entropy and feature space, and the naive distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.measures.bootstrap import ImageBootstrap, quantile_bin
from cooanalysis.plots.style import BICUBIC, BLACK, CENTER, CLEAN, GRAY, Look, laid_out, new_figure
from cooanalysis.report.numbers import Number, count
from figures import paper
from figures.contract import Data, Inputs, MissingData, generator
from figures.text import as_number, intervals, listed

TITLE = "Distance to clean patches against entropy"

SPACES = ("sparsity", "subbands", "deep", "pixels")
NAIVE = "pixels"
"""The space that rates blur as clean, shown as a warning."""
MEANING = {
    "sparsity": "how much fine detail a patch has and how unevenly it is distributed",
    "subbands": "how much detail it has in each band of frequency and direction",
    "deep": "features from the first layers of an image recognition network",
    "pixels": "its pixels",
}
"""How each space describes a patch, for readers of the caption."""
QUERIES = 2000
BINS = 10
METHOD = "gaussian"
KINDS = ("center", "bicubic", "clean")
LETTERS = "abcd"
"""Of the panels."""


def data(inputs: Inputs) -> Data:
    """Distances to clean patches (clean patches: 1) by entropy decile and feature space."""
    result = inputs.analysis(
        queries=min(inputs.queries, QUERIES), estimators=(METHOD,), features=SPACES,
        manifold_reference=6000, map_images=0, ceiling_queries=0,
    )  # fmt: skip
    table, spaces = result.groups, result.summary.manifold
    measured = [name for name in SPACES if f"manifold_{name}_center" in table]
    if not set(measured) - {NAIVE}:
        missing = [space.missing for space in spaces.values() if space.missing is not None]
        raise MissingData(f"no feature space that detects blur was measured: {'; '.join(missing)}")
    image = np.unique(table["image"], return_inverse=True)[1]
    bootstrap = ImageBootstrap(image, seed=inputs.seed)
    half = _halves(image, inputs.seed)
    decile = quantile_bin(table[f"entropy_{METHOD}"], BINS)
    rows, overall = [], []
    for name in measured:
        for kind in KINDS:
            key = {"space": name, "kind": kind}
            overall.append(key | _ratio(table, name, kind, half, np.ones(len(table)), bootstrap))
            for number in range(BINS):
                mask = np.where(decile == number, 1.0, np.nan)
                found = _ratio(table, name, kind, half, mask, bootstrap)
                rows.append(key | {"decile": number + 1} | found)
    facts = {
        "titles": {name: spaces[name].title for name in measured},
        "warnings": {name: spaces[name].warning for name in measured},
        "missing": {name: str(s.missing) for name, s in spaces.items() if name not in measured},
        "n_queries": len(table),
        "intervals": intervals(bootstrap),
        "spearman": {name: _trend(table, name, bootstrap) for name in measured},
    }
    return Data({"deciles": pd.DataFrame(rows), "overall": pd.DataFrame(overall)}, facts=facts)


def _halves(image: NDArray[np.intp], seed: int) -> NDArray[np.bool_]:
    """A random half of the patches of every image."""
    order = np.lexsort((generator(seed).random(len(image)), image))
    half = np.empty(len(image), np.bool_)
    half[order] = np.arange(len(image)) % 2 == 0
    return half


def _ratio(
    table: pd.DataFrame, space: str, kind: str, half: NDArray[np.bool_], mask: Any,
    bootstrap: ImageBootstrap,
) -> dict[str, float]:  # fmt: skip
    """Mean distance relative to clean patches of the same entropy; clean: one half to the other.

    Clean patches of high entropy lie farther from others, so each bin has its own reference.
    """
    values = table[f"manifold_{space}_{kind}"].to_numpy(np.float64) * mask
    clean = table[f"manifold_{space}_clean"].to_numpy(np.float64)
    if kind != "clean":
        return bootstrap.ratio(values, clean).as_dict()
    first, second = np.where(half, np.nan, values), np.where(half, values, np.nan)
    return bootstrap.ratio_of_means(first, second).as_dict()


def _trend(table: pd.DataFrame, space: str, bootstrap: ImageBootstrap) -> dict[str, float]:
    """Rank correlation of entropy with the center's ratio, patch by patch."""
    ratio = table[f"manifold_{space}_center"] / table[f"manifold_{space}_clean"].clip(lower=1e-9)
    return bootstrap.spearman(table[f"entropy_{METHOD}"], ratio).as_dict()


# -- drawing --------------------------------------------------------------------------------

LOOKS: Mapping[str, Look] = {
    "center": CENTER,
    "bicubic": BICUBIC | {"ls": "--"},
    "clean": CLEAN | {"ls": ":"},
}


def draw(data: Data) -> Figure:
    """Draw one panel per feature space; the naive one hatched and gray."""
    titles = data.facts["titles"]
    frame = data.frames["deciles"]
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 2.6)
        axes = fig.subplots(1, len(titles), sharex=True, squeeze=False)[0]
        calibrated = frame[frame["space"] != NAIVE]
        top = float(calibrated["ci_high"].max()) + 0.06
        bottom = min(float(calibrated["ci_low"].min()), 1.0) - 0.06
        for ax, name, where in zip(axes, titles, LETTERS, strict=False):
            _panel(ax, frame[frame["space"] == name], name == NAIVE)
            paper.letter(ax, where, titles[name])
            if name != NAIVE:
                ax.set_ylim(bottom, top)
        axes[0].set_ylabel("distance to clean patches\n(held-out clean patches = 1)")
        fig.supxlabel("entropy decile (10: most ambiguous)", fontsize=7.5)
        handles = [
            paper.handle("center of the group", **LOOKS["center"]),
            paper.handle("bicubic", **LOOKS["bicubic"]),
            paper.handle("clean patches to clean patches (check)", **LOOKS["clean"]),
        ]
        fig.legend(handles=handles, loc="outside upper center", ncols=3)
        return laid_out(fig)


def _panel(ax: Axes, rows: pd.DataFrame, naive: bool) -> None:
    if naive:
        ax.patch.set(facecolor="#F3F3F3", hatch="////", edgecolor="#D5D5D5")
        ax.text(0.5, 0.97, "warning: below 1,\nblur counts as clean", transform=ax.transAxes,
                ha="center", va="top", fontsize=7.0, fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": GRAY, "lw": 0.5, "pad": 2.0},
                zorder=9)  # fmt: skip
    for number, kind in enumerate(KINDS):
        one = rows[rows["kind"] == kind]
        look = {**LOOKS[kind], **({"color": GRAY} if naive and kind != "clean" else {})}
        ax.errorbar(one["decile"] + 0.16 * (number - 1), one["value"],
                    yerr=paper.errorbars(one), ms=3.4, lw=1.1, capsize=0, elinewidth=0.8,
                    **look)  # fmt: skip
    ax.axhline(1.0, color=BLACK, lw=0.8, zorder=1)
    ax.set(xticks=(1, 4, 7, 10), xlim=(0.4, 10.6))
    ax.grid(False, axis="x")
    if naive:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.3 * (high - low))  # space for the warning


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say where centers lie farther from clean patches, and what the naive pixel distance says."""
    facts, overall = data.facts, data.frames["overall"]
    titles = facts["titles"]
    parts = [
        f"({where}) center {_overall(overall, name, 'center').text(2)}, bicubic "
        f"{_overall(overall, name, 'bicubic').text(2)}"
        for where, name in zip(LETTERS, titles, strict=False)
        if name != NAIVE
    ]
    meant = [f"({where}) {MEANING[name]}" for where, name in zip(LETTERS, titles, strict=False)]
    far = [n for n in titles if n != NAIVE and _overall(overall, n, "center").above(1.0)]
    rest = [n for n in titles if n != NAIVE and n not in far]
    verdict = "Centers lie farther from clean patches than clean patches from each other"
    verdict += " in every space that detects blur" if not rest else (
        f" in {listed(titles[n] for n in far)}, but not significantly in "
        f"{listed(titles[n] for n in rest)}" if far else " in none of the spaces significantly"
    )  # fmt: skip
    sentences = [
        "Does the center (the mean of the sharp patches behind one low-resolution patch, which "
        "minimizes a pixel loss) look like a patch of a clean photograph? Each of "
        f"{count(facts['n_queries'])} centers is described by {listed(meant)}; its distance "
        "to the nearest clean patches of other images is divided by that of ground-truth patches "
        "of the same entropy decile: 1 is like a clean image, more is unlike one. "
        f"Horizontal: entropy decile, 1 to {BINS} (most ambiguous); bars: {facts['intervals']}. "
        "Black: ground-truth patches compared with each other, a check that must lie at 1. "
        f"{verdict}; over all patches, {'; '.join(parts)}{_trends(data)}."
    ]
    if NAIVE in titles:
        center = _overall(overall, NAIVE, "center")
        says = (
            "rates the center as cleaner than clean patches"
            if center.below(1.0)
            else "does not distinguish the center from clean patches"
            if not center.above(1.0)
            else "puts the center far from clean patches here, but may not for other images"
        )
        sentences.append(
            f"The hatched panel ({LETTERS[list(titles).index(NAIVE)]}) is a warning: the naive "
            f"pixel distance {says} ({center.text(2)}), because smooth patches lie near "
            "everything; it must not be used to judge blur."
        )
    sentences += [f"{name} is left out: {why}." for name, why in facts["missing"].items()]
    return " ".join(sentences)


def _overall(overall: pd.DataFrame, space: str, kind: str) -> Number:
    rows = overall[(overall["space"] == space) & (overall["kind"] == kind)]
    return as_number(rows.to_dict("records")[0])


def _trends(data: Data) -> str:
    """The spaces in which the ratio rises from the lowest to the highest entropy decile."""
    frame = data.frames["deciles"]
    rising: list[str] = []
    others: list[str] = []
    for name, title in data.facts["titles"].items():
        if name == NAIVE:
            continue
        rows = frame[(frame["space"] == name) & (frame["kind"] == "center")].to_dict("records")
        first, last = as_number(rows[0]), as_number(rows[-1])
        text = f"{title} ({first.plain(2)} to {last.plain(2)})"
        rises = first.high is not None and last.above(first.high)
        (rising if rises else others).append(text)
    words = []
    if rising:
        words.append(f"from the lowest to the highest decile it rises in {listed(rising)}")
    if others:
        words.append(f"it does not rise significantly in {listed(others)}")
    return "; " + "; ".join(words) if words else ""
