"""How much detail the center keeps: by entropy, by scale, and by the context of an estimator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.groups import Groups, load_and_group
from cooanalysis.analysis.plan import Plan
from cooanalysis.data.patches import Patches, PatchStore
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap, quantile_bin
from cooanalysis.measures.center import energy_by_chance
from cooanalysis.measures.entropy import entropy
from cooanalysis.neighbors import build_index, search_excluding
from cooanalysis.plots.style import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    LIGHT,
    ORANGE,
    PURPLE,
    VERMILLION,
    Look,
    laid_out,
    new_figure,
    plain_log_axis,
)
from cooanalysis.report.numbers import Number, count
from cooanalysis.runtime.progress import Silent
from cooanalysis.runtime.run_directory import Checkpoints
from figures import paper
from figures.contract import Data, Inputs, MissingData, generator
from figures.text import as_number, intervals, listed

TITLE = "Detail energy kept by the center"

SCALES = (2, 3, 4, 8)
WIDTHS = (3, 5, 7, 9)
"""Context: widths of the LR patch that members must share, LR pixels."""
TARGET = 3
"""Width of the estimated patch, in LR pixels: the same for every context."""
UNIT = 5
"""The contrast of an LR patch of this width is the unit of entropies, for every context."""
SHARES = (1.0, 0.5, 0.25)
"""Shares of the reference patches that groups are formed from."""
QUERIES = 1500
METHOD = "gaussian"
SCALE = 4
BINS = 10

Floats = NDArray[np.float64]


def data(inputs: Inputs) -> Data:
    """Runs at several scales, and groups of growing context around the same patches."""
    queries = min(inputs.queries, QUERIES)
    scales, by_decile = [], []
    for scale in SCALES:
        found = _scale(inputs, scale, queries)
        scales.append(found[0])
        by_decile += found[1]
    context, context_deciles = _context(inputs, queries)
    frames = {
        "scales": pd.DataFrame(scales),
        "scale_deciles": pd.DataFrame(by_decile),
        "contexts": context,
        "context_deciles": context_deciles,
    }
    config = AnalysisConfig(inputs.dataset, seed=inputs.seed)
    facts = {"k": config.k, "dimensions": config.subspace_dim, "scale": SCALE, "target": TARGET,
             "patch_width": config.patch_width, "bins": BINS}  # fmt: skip
    return Data(frames, facts=facts)


# -- scales ---------------------------------------------------------------------------------


def _scale(inputs: Inputs, scale: int, queries: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Detail kept at one scale: overall, and by decile of the entropy."""
    try:
        result = inputs.analysis(
            scale=scale, queries=queries, estimators=(METHOD,), features=(), map_images=0,
            ceiling_queries=0,
        )  # fmt: skip
    except NotEnoughDataError as error:
        raise MissingData(
            f"the images are too few or too small for scale {scale} ({error}); use a larger data "
            "set, or one with larger images"
        ) from error
    table = result.groups
    k = result.summary.config.k
    bootstrap = ImageBootstrap(np.unique(table["image"], return_inverse=True)[1], seed=inputs.seed)
    values = table[f"entropy_{METHOD}"].to_numpy(np.float64)
    energy = _without_chance(table["center_energy"], table["center_rms"], k)
    truth = table["truth_energy"].to_numpy(np.float64)
    rows = _by_bin({"scale": scale}, values, energy, truth, bootstrap)
    raw = bootstrap.ratio(table["center_energy"], truth)
    whole = {
        "scale": scale,
        "n_queries": len(table),
        "n_reference": result.summary.n_reference_patches,
        **bootstrap.ratio(energy, truth).as_dict(),
        "raw": raw.value,
        "mean_entropy": float(np.mean(values[np.isfinite(values)])),
        "intervals": intervals(bootstrap),
        "spearman": bootstrap.spearman(values, energy / np.maximum(truth, 1e-12)).value,
    }
    return whole, rows


def _without_chance(energy: ArrayLike, rms: ArrayLike, k: int) -> Floats:
    """Energy of a center minus that expected by chance: an unbiased estimate, which may be < 0."""
    return np.asarray(energy, np.float64) - energy_by_chance(rms, k)


def _by_bin(
    key: Mapping[str, Any], values: Floats, energy: Floats, truth: Floats, bootstrap: ImageBootstrap
) -> list[dict[str, Any]]:
    # Groups without a density have no finite entropy and rank lowest.
    values = np.where(np.isnan(values), -np.inf, values)
    bins = quantile_bin(values, BINS)
    rows = []
    for number in range(BINS):
        mask = np.where(bins == number, 1.0, np.nan)
        rows.append(
            {
                **key,
                "decile": number + 1,
                "entropy": _median(values[bins == number]),
                **bootstrap.ratio(energy * mask, truth).as_dict(),
            }
        )
    return rows


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


# -- context --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stores:
    """Query and reference images as stores of one patch width."""

    queries: PatchStore
    reference: PatchStore

    def of(self, width: int) -> _Stores:
        return _Stores(
            dataclasses.replace(self.queries, width=width),
            dataclasses.replace(self.reference, width=width),
        )


def _moved(patches: Patches, step: int) -> Patches:
    """Patches whose corners lie ``step`` LR pixels further in."""
    move = np.int32(step)
    return Patches(patches.image, patches.y + move, patches.x + move)


def _context(inputs: Inputs, queries: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Groups of the same patches by contexts of growing width, and by parts of the reference."""
    widest = max(WIDTHS)
    config = AnalysisConfig(
        inputs.dataset, reference=inputs.reference, scale=SCALE, patch_width=widest,
        queries=queries, estimators=(METHOD,), seed=inputs.seed,
    )  # fmt: skip
    plan = Plan.make(config, data_root=inputs.data_root)
    try:
        found = load_and_group(plan, Silent(), Checkpoints())
    except NotEnoughDataError as error:
        raise MissingData(
            f"the images are too few or too small for contexts of {widest} LR pixels ({error}); "
            "use a larger data set, or one with larger images"
        ) from error
    target = _target(found)
    bootstrap = ImageBootstrap(found.queries.patches.image, seed=inputs.seed)
    rng = generator(inputs.seed)
    order = rng.permutation(len(found.reference.patches))
    rows, deciles = [], []
    full: dict[int, dict[str, Floats]] = {}
    for share in SHARES:
        # Nested parts: a smaller one is a subset of a larger one.
        chosen = np.sort(order[: int(share * len(order))])
        before: dict[str, Floats] | None = None
        for width in WIDTHS:
            try:
                measured = _measure(found, target, width, chosen)
            except NotEnoughDataError:
                continue  # this part of a small reference set cannot fill any group
            full.setdefault(width, measured)
            row = {"width": width, "share": share, "n_reference": len(chosen)}
            row |= _averages(measured, target, bootstrap)
            row |= _changes("context", measured, before, target, bootstrap)
            row |= _changes("scarcity", measured, full[width], target, bootstrap)
            rows.append(row)
            before = measured
            if share == 1.0:
                deciles += _by_bin(
                    {"width": width}, measured["entropy"], measured["energy"],
                    target.truth_energy, bootstrap,
                )  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(deciles)


@dataclass(frozen=True)
class _Target:
    """The target that is estimated in every context: the middle of the patches.

    Attributes
    ----------
    stores
        Stores of the target's width.
    truth, truth_energy
        (q, values) ground-truth details and (q,) their mean squares, in units of ``contrast``.
    contrast
        (q,) unit of all details.
    projected
        (n, dim) reference details on the leading axes.
    """

    stores: _Stores
    truth: NDArray[np.float32]
    truth_energy: Floats
    contrast: NDArray[np.float32]
    projected: NDArray[np.float32]


def _target(found: Groups) -> _Target:
    widest = max(WIDTHS)
    stores = _Stores(found.run.queries, found.run.reference)
    _, _, contrast = stores.of(UNIT).queries.lr_patches(
        _moved(found.queries.patches, (widest - UNIT) // 2)
    )
    reference = found.reference.patches[:]
    _, _, reference_contrast = stores.of(UNIT).reference.lr_patches(
        _moved(reference, (widest - UNIT) // 2)
    )
    narrow = stores.of(TARGET)
    inside = (widest - TARGET) // 2
    truth = narrow.queries.details(_moved(found.queries.patches, inside)) / contrast[:, None]
    details = narrow.reference.details(_moved(reference, inside))
    scaled = (details / reference_contrast[:, None]).astype(np.float64)
    axes = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, : found.run.config.subspace_dim]
    energy = np.mean(truth.astype(np.float64) ** 2, axis=1)
    return _Target(narrow, truth, energy, contrast, details @ axes.astype(np.float32))


def _measure(
    found: Groups, target: _Target, width: int, chosen: NDArray[np.int64]
) -> dict[str, Floats]:
    """Groups of the queries that share a context of ``width``, from some reference patches."""
    run, widest = found.run, max(WIDTHS)
    stores = _Stores(run.queries, run.reference).of(width)
    patches = found.reference.patches[chosen]
    inside = (widest - width) // 2
    features, _, std = stores.reference.lr_patches(_moved(patches, inside))
    wanted, _, query_std = stores.queries.lr_patches(_moved(found.queries.patches, inside))
    index = build_index(features, kind="exact", engine=run.config.engine, device=run.config.device)
    near = search_excluding(
        index, wanted, run.config.k, found.queries.patches.image, patches.image, found.excluded
    )
    # Members are scaled to the contrast of the query, as elsewhere, then to the common unit.
    unit = query_std / target.contrast
    middle = _moved(patches, (widest - TARGET) // 2)
    moments = target.stores.reference.group_moments(middle, near.index, 1.0 / std)
    center = moments.center * unit[:, None]
    members = target.projected[chosen][near.index] / std[near.index][..., None]
    energy = _without_chance(
        np.mean(moments.center.astype(np.float64) ** 2, axis=1), moments.rms_distance, run.config.k
    )
    values = entropy(members, METHOD) + np.log(unit.astype(np.float64))
    return {
        "entropy": np.where(np.isfinite(values), values, np.nan),
        "energy": energy * unit.astype(np.float64) ** 2,
        "error": np.mean((center - target.truth).astype(np.float64) ** 2, axis=1),
        "neighbor": np.sqrt(near.squared_distances.mean(axis=1) / features.shape[1]),
    }


def _averages(
    measured: Mapping[str, Floats], target: _Target, bootstrap: ImageBootstrap
) -> dict[str, float]:
    return (
        _columns("entropy", bootstrap.mean(measured["entropy"]))
        | _columns("retained", bootstrap.ratio(measured["energy"], target.truth_energy))
        | _columns("error", bootstrap.ratio(measured["error"], target.truth_energy))
        | _columns("neighbor", bootstrap.mean(measured["neighbor"]))
    )


def _changes(
    name: str, measured: Mapping[str, Floats], other: Mapping[str, Floats] | None,
    target: _Target, bootstrap: ImageBootstrap,
) -> dict[str, float]:  # fmt: skip
    """Changes from ``other``, patch by patch: images differ far more than contexts do."""
    if other is None:
        nothing = Estimate(float("nan"), float("nan"), float("nan"))
        return _columns(f"{name}_entropy", nothing) | _columns(f"{name}_error", nothing)
    entropies = bootstrap.mean(measured["entropy"] - other["entropy"])
    errors = bootstrap.ratio(measured["error"] - other["error"], target.truth_energy)
    return _columns(f"{name}_entropy", entropies) | _columns(f"{name}_error", errors)


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.ci_low, f"{name}_high": estimate.ci_high}


# -- drawing --------------------------------------------------------------------------------

LOOKS: tuple[Look, ...] = (
    {"color": BLUE, "marker": "o", "ls": "-"},
    {"color": VERMILLION, "marker": "s", "ls": "--"},
    {"color": GREEN, "marker": "^", "ls": "-."},
    {"color": PURPLE, "marker": "D", "ls": ":"},
)
SHARE_LOOKS: tuple[Look, ...] = (
    {"color": BLACK, "marker": "o", "ls": "-"},
    {"color": GRAY, "marker": "s", "ls": "--", "markerfacecolor": "white"},
    {"color": ORANGE, "marker": "^", "ls": ":", "markerfacecolor": "white"},
)


def draw(data: Data) -> Figure:
    """Draw detail kept by scale and by context, and the effects of the context itself."""
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 4.9)
        halves: Any = fig.subfigures(2, 1, height_ratios=(1.15, 1.0))
        upper, lower = halves
        scales, contexts = upper.subplots(1, 2, sharey=True)
        _kept(scales, data.frames["scale_deciles"], "scale", "decile", "×{}")
        _kept(contexts, data.frames["context_deciles"], "width", "entropy", "{0}×{0} LR pixels")
        lowest = min(
            _lowest(data.frames[name]["value"]) for name in ("scale_deciles", "context_deciles")
        )
        scales.set_ylim(100.0 * lowest / 2.0, None)
        plain_log_axis(scales)
        scales.set(xticks=range(1, BINS + 1), xlabel="entropy decile at that scale")
        scales.set_ylabel("detail energy kept by the center (%)")
        contexts.set_xlabel("entropy of the same 12×12 pixels (nats per dimension)".replace(
            "12", str(int(data.facts["scale"]) * int(data.facts["target"]))))  # fmt: skip
        paper.letter(scales, "a", "By scale")
        paper.letter(contexts, "b", f"By context, ×{data.facts['scale']}")
        means = lower.subplots(1, 3)
        panels = (
            ("entropy", "Mean entropy", "nats per dimension"),
            ("neighbor", "Distance of LR neighbors", "RMS, units of contrast"),
            ("error", "Squared error of the center", "bicubic = 1"),
        )
        for ax, name, (column, title, unit) in zip(means, "cde", panels, strict=True):
            _against_width(ax, data.frames["contexts"], column)
            ax.set_ylabel(unit)
            paper.letter(ax, name, title)
        means[2].axhline(1.0, color=BLUE, lw=0.9, zorder=1)
        handles = [
            paper.handle(f"{share:.0%} of the reference patches", **look)
            for share, look in zip(SHARES, SHARE_LOOKS, strict=True)
        ]
        lower.legend(handles=handles, loc="outside lower center", ncols=3)
        return laid_out(fig)


def _lowest(values: pd.Series[float]) -> float:
    positive = values[values > 0.0]
    return float(positive.min()) if len(positive) else 1e-3


def _kept(ax: Axes, frame: pd.DataFrame, key: str, across: str, label: str) -> None:
    ax.set_yscale("log", nonpositive="mask")
    groups = list(frame.groupby(key, sort=True))
    for number, (value, rows) in enumerate(groups):
        # Next to each other, so that bars do not overlap.
        move = 0.12 * (number - (len(groups) - 1) / 2.0) if across == "decile" else 0.0
        ax.errorbar(
            rows[across] + move, 100.0 * rows["value"], yerr=paper.errorbars(rows, 100.0),
            label=label.format(value), ms=3.6, capsize=0, elinewidth=0.7, lw=1.1,
            **LOOKS[number % len(LOOKS)],
        )  # fmt: skip
    ax.legend(ncols=2, loc="upper right")


def _against_width(ax: Axes, frame: pd.DataFrame, column: str) -> None:
    for share, look in zip(SHARES, SHARE_LOOKS, strict=True):
        rows = frame[frame["share"] == share]
        ax.plot(rows["width"], rows[column], ms=4.0, lw=1.1, **look)
        if share == 1.0:
            ax.fill_between(rows["width"], rows[f"{column}_low"], rows[f"{column}_high"],
                            color=LIGHT, alpha=0.6, lw=0)  # fmt: skip
    ax.xaxis.set_major_locator(FixedLocator(WIDTHS))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("context: width of the LR patch")
    ax.margins(y=0.12)


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say how much detail is kept, and how far context can be judged on these images."""
    facts, scales, contexts = data.facts, data.frames["scales"], data.frames["contexts"]
    kept = listed(
        f"{as_number(row).text(1, ' %', 100.0)} at ×{row['scale']}"
        for row in scales.to_dict("records")
    )
    side = int(facts["scale"]) * int(facts["target"])
    whole = contexts[contexts["share"] == 1.0]
    least = contexts[contexts["share"] == contexts["share"].min()]
    return (
        "Detail is what bicubic interpolation misses: edges and textures. The center of a group "
        f"(the mean of the {facts['k']} sharp patches with the most similar low-resolution "
        "patches, which minimizes a pixel loss) loses most of it where these patches differ. "
        "Shown: detail energy of the center relative to the ground truth, minus the "
        f"1/{facts['k']} that a mean of {facts['k']} unrelated details keeps by chance (bars and "
        f"gray: {scales['intervals'].iloc[0]}). (a) By upscaling factor: over all patches the "
        f"center keeps {kept}{_falls(data)}. Deciles run from the lowest entropy (1) to the "
        f"highest ({facts['bins']}); patches of different scales differ in size, so only their "
        "deciles are comparable. Members are found among "
        f"{_references(scales)} patches. (b–e) By context, at "
        f"×{facts['scale']}: members share wider and wider low-resolution patches, while the "
        f"target stays the same {side}×{side} pixels in the same unit, so these entropies can "
        f"be compared: {_context_words(whole)} {_scarcity_words(whole, least)}"
    )


def _falls(data: Data) -> str:
    """Detail kept in the deciles of lowest and highest entropy, by scale."""
    frame = data.frames["scale_deciles"]
    words: dict[str, list[str]] = {"less": [], "more": [], "no significantly different share": []}
    for scale, rows in frame.groupby("scale", sort=True):
        first, last = as_number(rows.iloc[0]), as_number(rows.iloc[-1])
        falls = last.high is not None and first.above(last.high)
        rises = first.high is not None and last.above(first.high)
        verdict = "less" if falls else "more" if rises else "no significantly different share"
        ends = f"{first.plain(1, ' %', 100.0)} to {last.plain(1, ' %', 100.0)}"
        words[verdict].append(f"×{scale} ({ends})")
    parts = [f"{verdict} at {listed(scales)}" for verdict, scales in words.items() if scales]
    return f"; from the lowest to the highest entropy it keeps {', '.join(parts)}"


def _references(scales: pd.DataFrame) -> str:
    """Number of reference patches at each scale: at a large one, images hold few."""
    return listed(
        f"{count(row['n_reference'])} (×{row['scale']})" for row in scales.to_dict("records")
    )


def _context_words(whole: pd.DataFrame) -> str:
    """How mean entropy changes from one context to the next."""
    widths = whole["width"].tolist()
    steps = [
        f"{_change(row, 'context_entropy').text(2)} from width {before} to {row['width']}"
        for before, row in zip(widths, whole.to_dict("records")[1:], strict=False)
    ]
    return (
        f"mean entropy changes by {listed(steps)} "
        "(c; the same patches, paired; where it falls, the wider context leaves less uncertainty)."
    )


def _change(row: Any, name: str) -> Number:
    return as_number(row, (name, f"{name}_low", f"{name}_high"))


def _scarcity_words(whole: pd.DataFrame, least: pd.DataFrame) -> str:
    """Whether the reference set is large enough to judge wide contexts."""
    rows, small = whole.to_dict("records"), least.to_dict("records")[-1]
    first, last = rows[0], rows[-1]
    thinned = _change(small, "scarcity_entropy")
    text = (
        f"LR neighbors lie {last['neighbor'] / first['neighbor']:.1f} times as far away at "
        f"width {last['width']} as at width {first['width']} (d), and with {small['share']:.0%} "
        f"of the reference patches the entropy at width {small['width']} is "
        f"{thinned.text(2)} higher"
    ).replace("%", " %")
    worse = [row for row in rows if _change(row, "context_error").above(0.0)]
    if worse and thinned.above(0.0):
        return (
            f"But {text}; the center's own error even rises from width {worse[0]['width'] - 2} on "
            "(e; blue line: bicubic interpolation), where more context could only lower it. These "
            "images are too few for groups whose members share that much context: entropies of "
            "wide contexts are overestimated, and where they stop falling, they do not show "
            "ambiguity."
        )
    return f"{text}."
