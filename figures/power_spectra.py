"""Which frequencies are missing: radial power spectra of the ground truth and of model outputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cooanalysis.plots.style import BLACK, GRAY, laid_out, minus, new_figure, plain_log_axis
from cooanalysis.report.numbers import count
from figures import paper, shipped
from figures.contract import SHIPPED, Data, Inputs, MissingData
from figures.text import listed

TITLE = "Power spectra"

TRUTH = "hr"
SHOWN = ("bicubic", *SHIPPED)


def data(inputs: Inputs) -> Data:
    """Spectra of the comparison of the shipped models."""
    comparison = shipped.comparison(inputs)
    table = comparison.spectra
    table = table[table["model"].isin([TRUTH, *SHOWN])]
    if not np.isfinite(table["power_ratio"].to_numpy(np.float64)).any():
        raise MissingData(
            "the images are too small for a power spectrum; use larger images (128 pixels a side)"
        )
    scale = comparison.summary.scale
    facts = {
        "dataset": comparison.summary.dataset.title,
        "n_images": comparison.summary.dataset.n_images,
        "scale": scale,
        "nyquist": 0.5 / scale,
        "missing": missing_power(table, 0.5 / scale),
    }
    return Data({"spectra": table.reset_index(drop=True)}, facts=facts)


def missing_power(table: pd.DataFrame, nyquist: float) -> dict[str, dict[str, float]]:
    """Share of the ground truth's power that a model lacks, below and above the LR Nyquist
    frequency.

    Rings are weighted by their circumference, so that the sum is over the plane of frequencies.
    """
    found: dict[str, dict[str, float]] = {}
    truth = table[table["model"] == TRUTH].set_index("frequency")["power"]
    for name in SHOWN:
        power = table[table["model"] == name].set_index("frequency")["power"]
        radius = power.index.to_numpy(np.float64)
        lost = 1.0 - power.to_numpy(np.float64) / truth.loc[power.index].to_numpy(np.float64)
        weight = radius * truth.loc[power.index].to_numpy(np.float64)
        found[name] = {
            part: float((lost * weight)[inside].sum() / weight[inside].sum())
            for part, inside in (("below", radius < nyquist), ("above", radius >= nyquist))
        }
    return found


# -- drawing --------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Draw power, and power relative to the ground truth with its interval."""
    table, nyquist = data.frames["spectra"], data.facts["nyquist"]
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 2.9)
        left, right = fig.subplots(1, 2)
        truth = table[table["model"] == TRUTH]
        left.plot(truth["frequency"], truth["power"], color=BLACK, lw=1.4)
        right.axhline(1.0, color=BLACK, lw=1.4)
        for number, name in enumerate(SHOWN):
            rows = table[table["model"] == name].sort_values("frequency")
            look = dict(paper.MODELS[name])
            every = (number, len(SHOWN) + 1)
            left.plot(rows["frequency"], rows["power"], ms=3.4, lw=1.0, markevery=every, **look)
            right.plot(rows["frequency"], rows["power_ratio"], ms=3.4, lw=1.0, markevery=every,
                       **look)  # fmt: skip
            low = np.fmax(rows["ci_low"], rows["power_ratio"] / 10.0)  # zero has no logarithm
            right.fill_between(rows["frequency"], low, rows["ci_high"], color=look["color"],
                               alpha=0.1, lw=0)  # fmt: skip
        for ax, name, title in ((left, "a", "power"), (right, "b", "relative to ground truth")):
            _frequencies(ax, nyquist, float(table["frequency"].max()))
            paper.letter(ax, name, title)
        left.set_ylabel("power of the luma [8-bit values²]")
        right.set_ylabel("ratio  [ground truth = 1]")
        for ax in (left, right):
            plain_log_axis(ax)
        handles = [paper.handle(name, **paper.MODELS[name]) for name in SHOWN]
        handles.insert(0, paper.handle("ground truth", color=BLACK, lw=1.4))
        fig.legend(handles=handles, loc="outside upper center", ncols=6)
        return laid_out(fig)


def _frequencies(ax: Axes, nyquist: float, last: float) -> None:
    ax.set_yscale("log")
    ax.axvline(nyquist, color=GRAY, lw=0.9, ls=(0, (4, 2)), zorder=1)
    ax.annotate("LR Nyquist", (nyquist, 0.03), (-3, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", va="bottom", fontsize=6.5, rotation=90,
                color=GRAY)  # fmt: skip
    ax.set(xlim=(0.0, 1.01 * last), xlabel="frequency [cycles per HR pixel]")


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say how much power each model lacks, and at which frequencies."""
    facts = data.facts
    above = listed(
        f"{name} {_percent(shares['above'])}" for name, shares in facts["missing"].items()
    )
    below = listed(
        f"{name} {_percent(shares['below'])}" for name, shares in facts["missing"].items()
    )
    return (
        "Power of the luma by spatial frequency, averaged over directions and the "
        f"{count(facts['n_images'])} images of {facts['dataset']}, ×{facts['scale']}; (b) relative "
        "to the ground truth with 95 % intervals over images. The low-resolution image contains "
        "only frequencies left of the dashed line; those to the right must be invented, and there "
        "the mean of all possible images has too little power. Of the ground truth's power above "
        f"the line, models lack: {above}; below the line: {below}. Negative: more power than the "
        "ground truth. Power at the right frequency need not be the right detail: noise has it too."
    )


def _percent(share: float) -> str:
    # No "-0 %".
    return minus(f"{round(100.0 * share) or 0:d} %")
