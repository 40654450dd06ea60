"""The relationship: the higher the entropy of a group, the farther its center from its members."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from cooanalysis.analysis.summary import entropy_column
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap
from cooanalysis.measures.center import center_rms_distance
from cooanalysis.measures.entropy import (
    GAUSSIAN_UNIT_ENTROPY,
    entropy,
    entropy_power,
    estimator_title,
)
from cooanalysis.measures.known_answers import known_distributions
from cooanalysis.plots.style import (
    BLACK,
    BLUE,
    ORANGE,
    PURPLE,
    VERMILLION,
    Look,
    laid_out,
    new_figure,
    plain_log_axis,
)
from cooanalysis.report.numbers import count
from figures import paper
from figures.contract import Data, Inputs, MissingData, generator
from figures.text import as_number, intervals, listed

TITLE = "Entropy and center distance"

BINS = 12
REPEATS = 200
"""Groups drawn from each known distribution."""

Floats = NDArray[np.float64]


# -- known entropies ------------------------------------------------------------------------


def measure_known(k: int, d: int, methods: tuple[str, ...], seed: int) -> pd.DataFrame:
    """Exact and estimated entropy of every known distribution, unit scale.

    Returns
    -------
    pandas.DataFrame
        One row per distribution: ``exact_entropy``, ``exact_distance``, ``bound``, ``distance``
        (mean over groups), and ``METHOD`` and ``METHOD_sd`` for each estimator.
    """
    rng = generator(seed)
    rows = []
    for known in known_distributions():
        groups = np.stack([known.draw(rng, k, d) for _ in range(REPEATS)])
        row: dict[str, Any] = {
            "distribution": known.title,
            "exact_entropy": known.entropy(d),
            "exact_distance": known.rms(d),
            "bound": float(np.sqrt(entropy_power(known.entropy(d)))),
            "distance": float(center_rms_distance(groups).mean()),
        }
        for method in methods:
            values = entropy(groups, method)
            row |= {method: float(values.mean()), f"{method}_sd": float(values.std(ddof=1))}
        rows.append(row)
    return pd.DataFrame(rows)


# -- data -----------------------------------------------------------------------------------


def data(inputs: Inputs) -> Data:
    """Entropy and center distance of the groups of a run, and of groups of known entropy."""
    result = inputs.analysis()
    summary, groups = result.summary, result.groups
    method = summary.leading_estimator
    frame = pd.DataFrame(
        {
            "image": groups["image"],
            "entropy": groups[entropy_column(method)].astype(np.float64),
            "distance": groups["center_rms_subspace"].astype(np.float64),
        }
    )
    frame = frame[np.isfinite(frame["entropy"]) & (frame["distance"] > 0)]
    if len(frame) < 5 * BINS:
        raise MissingData(
            f"only {len(frame)} query patches have an entropy and a center distance, "
            f"{5 * BINS} are needed; raise --queries or use larger images"
        )
    bootstrap = ImageBootstrap(np.unique(frame["image"], return_inverse=True)[1], seed=inputs.seed)
    medians = [
        {"entropy": middle, **median.as_dict()}
        for middle, median in binned_medians(frame["entropy"], frame["distance"], BINS, bootstrap)
    ]
    ratio = np.exp(np.log(frame["distance"]) - 0.5 * np.log(entropy_power(frame["entropy"])))
    d = summary.entropy[method].reliability.d
    methods = tuple(summary.entropy)
    k = summary.config.k
    facts = {
        "estimator": method,
        "estimators": list(methods),
        "k": k,
        "dimensions": d,
        "n_queries": len(frame),
        "spearman": bootstrap.spearman(frame["entropy"], frame["distance"]).as_dict(),
        "median_over_bound": float(np.median(ratio)),
        "share_below_bound": _below(groups, methods),
        "intervals": intervals(bootstrap),
        "reliable": summary.entropy[method].reliability.reliable,
    }
    known = measure_known(k, d, methods, inputs.seed)
    return Data({"patches": frame, "medians": pd.DataFrame(medians), "known": known}, facts=facts)


def _below(groups: pd.DataFrame, methods: tuple[str, ...]) -> dict[str, float]:
    """Share of groups that lie below the bound of their own estimate, by estimator."""
    distance = groups["center_rms_subspace"].to_numpy(np.float64)
    found = {}
    for method in methods:
        values = groups[entropy_column(method)].to_numpy(np.float64)
        usable = np.isfinite(values)
        bound = np.sqrt(entropy_power(values[usable]))
        found[method] = float((distance[usable] < bound).mean())
    return found


def binned_medians(
    x: ArrayLike, y: ArrayLike, n_bins: int, bootstrap: ImageBootstrap
) -> list[tuple[float, Estimate]]:
    """Median of ``y`` in bins of equally many values of ``x``, each with its interval.

    Returns
    -------
    list of (float, Estimate)
        Median of ``x`` and of ``y``, by bin.
    """
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    # The resamples of the bootstrap as weights of patches, so that whole images are drawn.
    weights = bootstrap.weights
    found = []
    for rows in np.array_split(np.argsort(first, kind="stable"), n_bins):
        ordered = rows[np.argsort(second[rows], kind="stable")]
        filled = np.cumsum(weights[:, ordered], axis=1)
        total = filled[:, -1]
        place = (filled < total[:, None] / 2.0).sum(axis=1).clip(max=len(ordered) - 1)
        medians = np.where(total > 0, second[ordered][place], np.nan)
        middle = float(np.median(second[ordered]))
        found.append((float(np.median(first[rows])), bootstrap.percentiles(middle, medians)))
    return found


# -- drawing --------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Draw real groups and, on the same axes, groups of known entropy."""
    patches, known = data.frames["patches"], data.frames["known"]
    x, y = patches["entropy"].to_numpy(), patches["distance"].to_numpy()
    low, tenth, high = np.quantile(x, [0.001, 0.1, 0.999])
    # Groups of (nearly) equal members would squeeze all others into a corner.
    left, right = max(low, 2.0 * tenth - high) - 0.15, high + 0.15
    bottom = float(np.sqrt(entropy_power(left)))
    top = max(float(np.quantile(y, 0.999)) * 1.25, float(np.sqrt(entropy_power(right))))
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 3.1)
        real, exact = fig.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.25))
        _real(real, data, (x >= left) & (x <= right))
        placed = place_known(known, bottom, top)
        _known(exact, placed, list(data.facts["estimators"]))
        for ax in (real, exact):
            curve = np.linspace(left - 2.0, right + 2.0, 50)
            ax.plot(curve, np.sqrt(entropy_power(curve)), color=BLACK, ls="--", lw=1.1)
            ax.set_xlabel("entropy (nats per dimension)")
        real.set(xlim=(left, right), ylim=(bottom, top))
        # Space for the names on the right.
        exact.set_xlim(float(placed["x_exact"].min()) - 0.3, float(placed["x_bound"].max()) + 2.2)
        plain_log_axis(real)
        real.set_ylabel("distance of the center to the members\n(RMS per dimension, log scale)")
        paper.letter(real, "a", "Groups of real patches")
        paper.letter(exact, "b", "Groups of known entropy")
        return laid_out(fig)


def _real(ax: Axes, data: Data, seen: NDArray[np.bool_]) -> None:
    patches, medians = data.frames["patches"][seen], data.frames["medians"]
    ax.set_yscale("log")
    density = ax.hexbin(
        patches["entropy"], patches["distance"], yscale="log", gridsize=(30, 24), mincnt=1,
        cmap="Greys", linewidths=0.1, rasterized=True,
    )  # fmt: skip
    # Half of the scale, so that the darkest cell is still lighter than lines.
    highest = float(np.asarray(density.get_array()).max())
    density.set_norm(LogNorm(0.5, 12.0 * max(2.0, highest)))
    for color, width in (("white", 2.8), (VERMILLION, 1.2)):
        ax.errorbar(
            medians["entropy"], medians["value"], yerr=paper.errorbars(medians), color=color,
            lw=width, elinewidth=width, capsize=0 if color == "white" else 2.0, marker="o",
            ms=2.6 + width / 2, zorder=5,
        )  # fmt: skip
    ax.legend(
        handles=[
            paper.handle("median and its interval", color=VERMILLION, marker="o"),
            paper.handle("bound √(entropy power)", color=BLACK, ls="--"),
        ],
        loc="upper left", handlelength=2.4,
    )  # fmt: skip
    spearman = as_number(data.facts["spearman"])
    ax.text(0.97, 0.04, f"rank correlation\n{spearman.text(3)}", transform=ax.transAxes,
            ha="right", va="bottom", fontsize=7.0)  # fmt: skip


def place_known(known: pd.DataFrame, bottom: float, top: float) -> pd.DataFrame:
    """Scale each known distribution so that they lie one above the other.

    Scaling by s adds log s to the entropy and multiplies the distance by s, so nothing is lost.
    """
    heights = np.geomspace(bottom * 1.25, top / 1.25, len(known))
    factor = heights / known["exact_distance"].to_numpy()
    shift = np.log(factor)
    methods = [str(name) for name in known if f"{name}_sd" in known]
    placed = known.assign(
        y_exact=heights,
        y=known["distance"].to_numpy() * factor,
        x_exact=known["exact_entropy"].to_numpy() + shift,
        # A Gaussian of this distance, which is where the bound lies.
        x_bound=np.log(heights) + GAUSSIAN_UNIT_ENTROPY,
    )
    for method in methods:
        placed[f"x_{method}"] = known[method].to_numpy() + shift
    return placed


MARKS: tuple[Look, ...] = (
    {"marker": "s", "color": BLUE},
    {"marker": "^", "color": PURPLE},
    {"marker": "o", "color": ORANGE},
)
"""Of the estimators, in their order."""


def _known(ax: Axes, placed: pd.DataFrame, methods: list[str]) -> None:
    for number, method in enumerate(methods):
        look = MARKS[number % len(MARKS)]
        ax.errorbar(
            placed[f"x_{method}"], placed["y"],
            xerr=placed[f"{method}_sd"], ls="", ms=3.6, capsize=0, elinewidth=0.9,
            markerfacecolor="white", zorder=4 + number, **look,
        )  # fmt: skip
    ax.plot(placed["x_exact"], placed["y_exact"], ls="", marker="D", ms=5.5, zorder=3,
            color=BLACK)  # fmt: skip
    reach = placed[[name for name in placed if str(name).startswith("x_")]].max(axis=1)
    for x, y, title in zip(reach, placed["y_exact"], placed["distribution"], strict=True):
        ax.text(x + 0.12, y, title, va="center", fontsize=6.5)
    handles = [paper.handle("exact", color=BLACK, marker="D", ls="")]
    for number, method in enumerate(methods):
        look = MARKS[number % len(MARKS)]
        handles.append(paper.handle(estimator_title(method), ls="", markerfacecolor="white",
                                    **look))  # fmt: skip
    ax.legend(handles=handles, loc="upper left", handletextpad=0.2)


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """State the relationship, and what the bound means."""
    facts, known = data.facts, data.frames["known"]
    spearman = as_number(facts["spearman"])
    if spearman.above(0.0):
        relation = "the higher the entropy, the farther the center lies from the members"
    elif spearman.below(0.0):
        relation = "contrary to expectation, the center lies nearer where entropy is higher"
    else:
        relation = "no significant relationship"
    method = str(facts["estimator"])
    errors = listed(_worst(known, name) for name in facts["estimators"])
    doubt = "" if facts["reliable"] else " (its absolute values are unreliable here)"
    share = 100.0 * float(facts["share_below_bound"][method])
    bound = (
        "A Gaussian fit, which estimates the entropy here, can put a group below the line only "
        "by chance, so (a) does not test the bound; (b) does."
        if method == "gaussian"
        else f"{share:.0f} % of the groups lie below it because of estimation errors."
    )
    return (
        "How far the center, which minimizes a pixel loss, lies from the sharp patches of its "
        f"group. (a) Each of {count(facts['n_queries'])} groups holds the {facts['k']} sharp "
        "patches with the most similar low-resolution patches to one query. Horizontal: entropy "
        f"of the group ({estimator_title(method)}{doubt}); vertical: distance of the members to "
        f"their center. Gray: density of groups; orange: medians of {len(data.frames['medians'])} "
        f"bins ({facts['intervals']}). Rank correlation {spearman.text(3)}: {relation}. Dashed: "
        "square root of the entropy power, a lower bound on the distance for any distribution. "
        f"The median group lies {facts['median_over_bound']:.2f} times as far. {bound} "
        f"(b) Groups of the same size ({facts['k']} members, {facts['dimensions']} dimensions) "
        "drawn from distributions of known entropy, each scaled to a different height. All exact "
        "values lie on the line or to its left; an isotropic Gaussian lies on it. Estimates (mean "
        f"of {REPEATS} groups, bars: standard deviation) miss the exact value, in nats per "
        f"dimension, by at most {errors}."
    )


def _worst(known: pd.DataFrame, method: str) -> str:
    """The largest error of an estimator, and its distribution."""
    error = (known[method] - known["exact_entropy"]).abs()
    where = known["distribution"].iloc[int(np.argmax(error))]
    return f"{error.max():.2f} ({estimator_title(method)}: {where})"
