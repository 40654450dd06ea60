"""Where entropy estimators are accurate: bias and scatter by sample size and dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.measures.entropy import ESTIMATORS, TOLERANCE, entropy, estimator_title
from cooanalysis.measures.known_answers import Known, known_distributions
from cooanalysis.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    LIGHT,
    VERMILLION,
    laid_out,
    minus,
    new_figure,
)
from figures import paper
from figures.contract import Data, Inputs, generator
from figures.text import listed

TITLE = "Entropy estimators where the entropy is known"

SHOWN = (
    "Gaussian, neighbors correlated 0.9",
    "Laplace",
    "uniform box",
    "two clusters, every axis",
)
"""Gaussian groups whose estimate has to be unbiased, heavy and light tails, several modes."""
SIZES = (32, 64, 128, 256, 512)
DIMENSIONS = (1, 2, 4, 8, 16, 24, 32)
GROUPS = 60
"""Groups drawn for each point."""
LOOKS: dict[str, dict[str, Any]] = {
    "gaussian": {"color": BLUE, "marker": "o", "ls": "-"},
    "kozachenko-leonenko": {"color": VERMILLION, "marker": "s", "ls": "--"},
    "copula": {"color": GREEN, "marker": "^", "ls": "-."},
}


def data(inputs: Inputs) -> Data:
    """Errors of every estimator on groups of known entropy; needs no images."""
    usual = AnalysisConfig("sample")
    k, d = usual.k, usual.subspace_dim
    known = {one.title: one for one in known_distributions()}
    rows = []
    for title in SHOWN:
        for number, (n, dims) in enumerate(
            [(n, d) for n in SIZES] + [(k, dims) for dims in DIMENSIONS]
        ):
            vary = "n" if number < len(SIZES) else "d"
            found = errors(known[title], n, dims, inputs.seed)
            rows += [
                {"distribution": title, "vary": vary, "n": n, "d": dims} | row for row in found
            ]
    facts = {"k": k, "subspace_dim": d, "groups": GROUPS, "tolerance": TOLERANCE}
    return Data({"errors": pd.DataFrame(rows)}, facts=facts)


def errors(known: Known, n: int, d: int, seed: int) -> list[dict[str, Any]]:
    """Bias with its 95 % interval, and scatter of a single group, of every estimator.

    Estimators that need larger groups are left out.
    """
    rng = generator(seed)
    groups = np.stack([known.draw(rng, n, d) for _ in range(GROUPS)])
    rows = []
    for method, estimator in ESTIMATORS.items():
        if n < estimator.min_samples(d):
            continue
        values = entropy(groups, method) - known.entropy(d)
        bias, scatter = float(values.mean()), float(values.std(ddof=1))
        half = 1.96 * scatter / np.sqrt(GROUPS)
        rows.append({"method": method, "bias": bias, "ci_low": bias - half, "ci_high": bias + half,
                     "scatter": scatter})  # fmt: skip
    return rows


# -- drawing --------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Draw one column per distribution: bias against n above, against d below."""
    frame, facts = data.frames["errors"], data.facts
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 3.9)
        axes = fig.subplots(2, len(SHOWN), sharex="row", sharey=True)
        for line, vary in zip(axes, ("n", "d"), strict=True):
            for ax, title in zip(line, SHOWN, strict=True):
                rows = frame[(frame["distribution"] == title) & (frame["vary"] == vary)]
                _panel(ax, rows, vary, facts["tolerance"])
        for ax, title, name in zip(axes[0], SHOWN, "abcd", strict=True):
            paper.letter(ax, name, title.replace(", ", ",\n"))
        for ax in axes[0]:
            ax.set_xlabel(f"members n of a group (d = {facts['subspace_dim']})", fontsize=6.5)
        for ax in axes[1]:
            ax.set_xlabel(f"dimensions d (n = {facts['k']})", fontsize=6.5)
        axes[0, 0].set_yscale("symlog", linthresh=0.1, linscale=1.5)
        axes[0, 0].set_yticks([-0.5, -0.1, -0.05, 0, 0.05, 0.1, 0.5],
                              ["−0.5", "−0.1", "", "0", "", "0.1", "0.5"])  # fmt: skip
        # Limits are set even if all errors are zero.
        low, high = (
            (frame["bias"] - frame["scatter"]).min(),
            (frame["bias"] + frame["scatter"]).max(),
        )
        axes[0, 0].set_ylim(1.15 * min(low, -0.1), 1.3 * max(high, 0.1))
        axes[0, 0].minorticks_off()
        fig.supylabel("estimate minus exact value [nats per dimension]", fontsize=7.5)
        handles = [paper.handle(estimator_title(name), **look) for name, look in LOOKS.items()]
        handles.append(paper.handle("reliable: bias within the tolerance", color=LIGHT, lw=6.0))
        fig.legend(handles=handles, loc="outside upper center", ncols=4)
        return laid_out(fig)


def _panel(ax: Axes, rows: pd.DataFrame, vary: str, tolerance: float) -> None:
    ax.axhspan(-tolerance, tolerance, color=LIGHT, zorder=0)
    ax.axhline(0.0, color=BLACK, lw=0.6, zorder=1)
    for name, look in LOOKS.items():
        one = rows[rows["method"] == name].sort_values(vary)
        x, bias, scatter = (one[key].to_numpy(np.float64) for key in (vary, "bias", "scatter"))
        ax.fill_between(x, bias - scatter, bias + scatter, color=look["color"], alpha=0.13, lw=0)
        ax.plot(x, bias, ms=3.2, lw=1.0, **look)
    ax.set_xscale("log", base=2)
    ticks = [32, 128, 512] if vary == "n" else [1, 4, 16]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say which estimators are unbiased, and at which sizes."""
    facts = data.facts
    return " ".join(
        [
            "Groups are drawn from distributions of known entropy: Gaussian with correlated "
            "coordinates, heavy tails, a box, and clusters along every axis. "
            f"Top: {facts['subspace_dim']} dimensions and growing groups; "
            f"bottom: {facts['k']} members, the default of an analysis, and growing dimension. "
            f"Lines: mean error over {facts['groups']} groups; bands: scatter (standard "
            "deviation) of a single group; gray: errors of up to "
            f"{facts['tolerance']:g} nats per dimension, which the tool accepts as reliable. "
            "The vertical axis is logarithmic beyond ±0.1.",
            *(_verdict(data, title) for title in SHOWN),
            "No estimator is accurate for every shape, so an analysis runs several and "
            "tests each on groups of known entropy and of the same size.",
        ]
    )


def _verdict(data: Data, title: str) -> str:
    """Errors of the estimators at the default sizes, and which of them are unreliable."""
    frame, facts = data.frames["errors"], data.facts
    rows = frame[(frame["distribution"] == title) & (frame["vary"] == "n")]
    usual = rows[rows["n"] == facts["k"]].to_dict("records")
    named = [
        f"{estimator_title(row['method'])} {minus(format(row['bias'], '+.3f'))}"
        + ("" if _reliable(row, facts["tolerance"]) else " (unreliable)")
        for row in usual
    ]
    name = title[0].upper() + title[1:]
    return f"{name}, {facts['k']} members in {facts['subspace_dim']} dimensions: {listed(named)}."


def _reliable(row: Any, tolerance: float) -> bool:
    """As :func:`~cooanalysis.measures.entropy.reliability` decides: within two standard errors."""
    return bool(abs(row["bias"]) <= tolerance + 2.0 * row["scatter"] / np.sqrt(GROUPS))
