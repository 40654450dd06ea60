"""What DECLoss changes: perception and distortion, gain, invention, spread, entropy, training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cooanalysis.measures.bootstrap import Estimate
from cooanalysis.plots.style import BLACK, GRAY, laid_out, minus, new_figure
from cooanalysis.report.numbers import count
from figures import measured, paper, shipped
from figures.contract import SHIPPED, Data, Inputs
from figures.text import as_number, listed

TITLE = "With and without DECLoss"

MATCHED = {"l1": "l1-decloss", "ragan": "ragan-decloss"}
LINES: Mapping[float, str] = {0.05: ":", 0.1: "-", 0.2: "--"}
"""Temperatures of the ablation."""
CLAIM = {
    "spread_ratio": "spread of outputs within\ngroups  [ground truth = 1]",
    "entropy_given_features": "ground-truth entropy given the\nfeatures  [nats per dimension]",
}
"""Measures of the claim behind the loss, and their axis labels."""
PARTS = {
    "gain": ("gain", "gain  [as known = 1]", 1.0),
    "invented": ("invented detail", "invented  [share of the unknown]", 0.0),
}
"""Measures by decile: what they are called, axis labels, and the value of a conditional mean."""


def data(inputs: Inputs) -> Data:
    """Trained models from the experiment's folder; deciles from the comparison of shipped ones."""
    table = measured.models()
    log = measured.training()
    curves = training_cost(log)
    comparison = shipped.comparison(inputs)
    strata = comparison.strata
    deciles = strata[strata["measure"].isin(PARTS) & strata["model"].isin(SHIPPED)]
    small = table[table["experiment"] == "small"]
    ablation = table[table["experiment"] == "ablation"]
    plane = ["variant", "seed", "weight", "temperature", "psnr_y", "st_lpips"]
    claim = small[small["variant"].isin(SHIPPED)][["variant", "seed", *CLAIM]]
    changes = [
        {"measure": measure, "variant": variant, "base": base}
        | measured.paired(table, variant, base, measure).as_dict()
        for base, variant in MATCHED.items()
        for measure in ("psnr_y", "st_lpips", *CLAIM)
    ]
    origin = [run for name, run in measured.provenance().items() if name.startswith("small/")]
    facts = {
        "dataset": comparison.summary.dataset.title,
        "n_images": comparison.summary.dataset.n_images,
        "seeds": int(claim["seed"].nunique()),
        "iterations": int(curves["iteration"].max()),
        "parameters": int(origin[0]["parameters"]),
    }
    frames = {
        "plane": pd.concat([small[plane], ablation[plane]], ignore_index=True),
        "deciles": deciles.reset_index(drop=True),
        "claim": claim.sort_values(["variant", "seed"], ignore_index=True),
        "changes": pd.DataFrame(changes),
        "training": curves,
        "decloss": training_decloss(log),
    }
    return Data(frames, facts=facts)


def training_cost(log: pd.DataFrame) -> pd.DataFrame:
    """L1 loss of each training relative to plain L1 at the same step, with intervals over seeds.

    Trainings with the same seed use the same crops, so the difficulty of the crops cancels.
    """
    loss = log[log["quantity"] == "L1Loss"].pivot(
        index=["seed", "iteration"], columns="variant", values="value"
    )
    rows = []
    for variant in [name for name in SHIPPED if name != "l1"]:
        ratio = loss[variant] / loss["l1"]
        for iteration, values in ratio.groupby(level="iteration"):
            if len(values.dropna()):
                found = measured.over_seeds(values).as_dict()
                rows.append({"variant": variant, "iteration": iteration} | found)
    return pd.DataFrame(rows)


def training_decloss(log: pd.DataFrame) -> pd.DataFrame:
    """DECLoss during the trainings that have it, with intervals over seeds."""
    rows = []
    for (variant, iteration), logged in log[log["quantity"] == "DECLoss"].groupby(
        ["variant", "iteration"]
    ):
        rows.append(
            {"variant": variant, "iteration": iteration}
            | measured.over_seeds(logged["value"]).as_dict()
        )
    return pd.DataFrame(rows)


# -- drawing --------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Draw six panels; see the caption."""
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 4.9)
        axes = fig.subplots(2, 3)
        _plane(axes[0, 0], data.frames["plane"])
        deciles = data.frames["deciles"]
        for ax, (measure, (_, label, mean)) in zip(axes[0, 1:], PARTS.items(), strict=True):
            _deciles(ax, deciles[deciles["measure"] == measure], mean)
            ax.set_ylabel(label)
        for ax, (measure, label) in zip(axes[1], CLAIM.items(), strict=False):
            _claim(ax, data.frames["claim"], measure)
            ax.set_ylabel(label)
        _training(axes[1, 2], data.frames["training"], data.frames["decloss"])
        titles = ("perception and distortion", "how the known is shown", "what is made up",
                  "spread of outputs", "entropy given features", "training")  # fmt: skip
        for ax, name, title in zip(axes.flat, "abcdef", titles, strict=True):
            paper.letter(ax, name, title)
        handles = [paper.handle(name, **paper.MODELS[name]) for name in SHIPPED]
        handles.append(paper.handle("conditional mean (b, c)", color=BLACK, lw=1.0))
        fig.legend(handles=handles, loc="outside upper center", ncols=5)
        return laid_out(fig)


def _plane(ax: Axes, table: pd.DataFrame) -> None:
    ablation = table[table["weight"] > 0.0]
    handles = []
    for temperature, rows in ablation.groupby("temperature"):
        ordered = rows.sort_values("weight")
        line: dict[str, Any] = {
            "color": GRAY,
            "lw": 0.9,
            "ls": LINES.get(float(str(temperature)), "-."),
        }
        ax.plot(ordered["psnr_y"], ordered["st_lpips"], zorder=2, **line)
        handles.append(paper.handle(f"temp. {temperature:g}", **line))
    for place, (weight, rows) in enumerate(ablation.groupby("weight")):
        dot: dict[str, Any] = {
            "color": GRAY,
            "ls": "",
            "marker": "o",
            "mec": "none",
            "ms": 2.0 + 1.5 * place,
        }
        ax.plot(rows["psnr_y"], rows["st_lpips"], zorder=3, **dot)
        handles.append(paper.handle(f"weight {weight:g}", **dot))
    seeds = table[table["weight"].isna()]
    for name in SHIPPED:
        rows = seeds[seeds["variant"] == name]
        look = {**paper.MODELS[name], "ls": ""}
        ax.plot(rows["psnr_y"], rows["st_lpips"], ms=4.0, zorder=4, **look)
    ax.margins(x=0.08, y=0.08)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.36 * (high - low))  # space for the legend
    ax.legend(handles=handles, loc="upper left", fontsize=6.0, ncols=2, handlelength=1.6,
              columnspacing=1.0, borderaxespad=0.1)  # fmt: skip
    ax.set(xlabel="PSNR-Y [dB]     better →", ylabel="ST-LPIPS     ← better")


def _deciles(ax: Axes, rows: pd.DataFrame, mean: float) -> None:
    ax.axhline(mean, color=BLACK, lw=1.0, zorder=1)
    for number, name in enumerate(SHIPPED):
        one = rows[rows["model"] == name].sort_values("stratum")
        ax.errorbar(one["stratum"] + 0.12 * (number - 1.5), one["value"], yerr=paper.errorbars(one),
                    ms=3.0, lw=1.0, capsize=0, elinewidth=0.7, **paper.MODELS[name])  # fmt: skip
    ax.set(xticks=(1, 4, 7, 10), xlabel="entropy decile (10: highest)")
    ax.grid(False, axis="x")


def _claim(ax: Axes, table: pd.DataFrame, measure: str) -> None:
    for place, (base, variant) in enumerate(MATCHED.items()):
        by_seed = table.pivot(index="seed", columns="variant", values=measure)
        for pair in by_seed[[base, variant]].to_numpy(np.float64):
            ax.plot([2.6 * place, 2.6 * place + 1], pair, color=paper.MODELS[base]["color"],
                    lw=0.8, zorder=2)  # fmt: skip
        for step, name in enumerate((base, variant)):
            values = by_seed[name].to_numpy(np.float64)
            look = {**paper.MODELS[name], "ls": ""}
            ax.plot(np.full(len(values), 2.6 * place + step), values, ms=4.0, zorder=3, **look)
    ax.set_xticks([0, 1, 2.6, 3.6], ["without", "with"] * 2, fontsize=6.5)
    ax.set_xlim(-0.5, 4.1)
    ax.grid(False, axis="x")
    for place, base in enumerate(MATCHED):
        ax.text(2.6 * place + 0.5, 0.97, base, transform=ax.get_xaxis_transform(), ha="center",
                va="top", fontsize=7.0, color=paper.MODELS[base]["color"])  # fmt: skip
    ax.margins(y=0.16)


def _training(ax: Axes, cost: pd.DataFrame, decloss: pd.DataFrame) -> None:
    below = ax.inset_axes((0.0, 0.0, 1.0, 0.42))
    above = ax.inset_axes((0.0, 0.54, 1.0, 0.46), sharex=below)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)
    above.axhline(0.0, color=paper.MODELS["l1"]["color"], lw=1.0, zorder=1)
    percent = cost.copy()
    columns = ["value", "ci_low", "ci_high"]
    percent[columns] = 100.0 * (percent[columns] - 1.0)
    _curves(above, percent)
    _curves(below, decloss)
    # Three seeds make wide bands; the lines determine the limits.
    highest, lowest = float(percent["value"].max()), float(percent["value"].min())
    above.set_ylim(min(0.0, lowest) - 1.5, 1.6 * highest)
    above.tick_params(labelbottom=False)
    above.set_ylabel("L1 loss over\nplain L1 [%]")
    below.set(xlabel="iteration of fine-tuning", ylabel="DECLoss")


def _curves(ax: Axes, rows: pd.DataFrame) -> None:
    for name in [name for name in SHIPPED if name in set(rows["variant"])]:
        one = rows[rows["variant"] == name].sort_values("iteration")
        look = paper.MODELS[name]
        ax.fill_between(one["iteration"], one["ci_low"], one["ci_high"], color=look["color"],
                        alpha=0.1, lw=0)  # fmt: skip
        ax.plot(one["iteration"], one["value"], ms=3.0, lw=1.0, **look)


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say what is gained, what is lost, and whether the claim behind the loss is supported."""
    facts, deciles = data.facts, data.frames["deciles"]
    return " ".join(
        [
            f"Networks of {count(facts['parameters'])} parameters, fine-tuned for "
            f"{count(facts['iterations'])} iterations from the same start with L1 or L1 + RaGAN, "
            "with and without DECLoss; "
            f"{count(facts['seeds'])} seeds, differences between matched models with "
            "95 % intervals over seeds (Student's t). Trained on BSDS400, "
            "measured on BSD100 and Set14 (a) and BSD100 (d, e) by `experiments/decloss`.",
            f"(a) Fidelity and perceptual distance; gray: one seed of L1 + DECLoss per weight and "
            f"temperature. {_pair(data, 'st_lpips', 'ST-LPIPS', 4)}; "
            f"{_pair(data, 'psnr_y', 'PSNR-Y', 2, ' dB')}.",
            f"(b, c) The shipped models on {facts['dataset']} ({count(facts['n_images'])} images), "
            "by decile of entropy: how strongly they show what is known (above 1: sharpened), and "
            "what they make up, as a share of what is unknown. Neither says that an output is "
            "good, because sharpening raises the gain, and noise counts as made up. "
            f"{_by_decile(deciles)}",
            "(d) Spread of the outputs for patches that look alike at low resolution, as energy "
            "relative to that of the ground-truth details. "
            f"{_pair(data, 'spread_ratio', 'The spread', 3)}.",
            "(e) Entropy of the ground-truth details among patches with similar features in the "
            "network; it would fall if the features predicted the ground truth better. "
            f"{_pair(data, 'entropy_given_features', 'It', 3, ' nats per dimension')}.",
            f"(f) The cost in training: {_cost(data.frames['training'])} Below, DECLoss itself, "
            f"as logged: {_course(data.frames['decloss'])}.",
        ]
    )


def _pair(data: Data, measure: str, name: str, digits: int, unit: str = "") -> str:
    """How DECLoss changes a measure of both matched models, and whether that is significant."""
    table = data.frames["changes"]
    parts = []
    for base, variant in MATCHED.items():
        row = table[(table["measure"] == measure) & (table["variant"] == variant)].iloc[0]
        change = as_number(row)
        sure = change.above(0.0) or change.below(0.0)
        text = f"{_signed(row, digits)}{unit} for {base}"
        parts.append(text if sure else f"{text}, not significant")
    return f"{name} changes by {listed(parts)}"


def _signed(row: Any, digits: int) -> str:
    text = (
        f"{row['value']:+.{digits}f} ({row['ci_low']:+.{digits}f} to {row['ci_high']:+.{digits}f})"
    )
    return minus(text)


def _by_decile(deciles: pd.DataFrame) -> str:
    """Ends of the curves, and in how many deciles the intervals of matched models are apart."""
    sentences = []
    for measure, (name, _, _) in PARTS.items():
        rows = deciles[deciles["measure"] == measure]
        parts = []
        for base, variant in MATCHED.items():
            a, b = (rows[rows["model"] == one].set_index("stratum") for one in (base, variant))
            apart = int(((b["ci_high"] < a["ci_low"]) | (b["ci_low"] > a["ci_high"])).sum())
            (first, *_, last), (start, *_, end) = (
                one["value"].sort_index().to_numpy(np.float64) for one in (a, b)
            )
            parts.append(
                f"{first:.3f} to {last:.3f} for {base}, {start:.3f} to {end:.3f} with DECLoss "
                f"(intervals apart in {apart} of {len(a)} deciles)"
            )
        what = f"{name[0].upper()}{name[1:]} from the least to the most ambiguous patches"
        sentences.append(f"{what}: {'; '.join(parts)}.")
    return minus(" ".join(sentences))


def _cost(rows: pd.DataFrame) -> str:
    """L1 loss at the end of the training, relative to plain L1."""
    last = rows[rows["iteration"] == rows["iteration"].max()]
    parts = []
    for row in last.to_dict("records"):
        value = Estimate(
            *(100.0 * (float(row[key]) - 1.0) for key in ("value", "ci_low", "ci_high"))
        )
        parts.append(f"{row['variant']} {_signed(value.as_dict(), 1)} %")
    return (
        "L1 loss relative to plain L1 with the same crops; bands are 95 % intervals over seeds. "
        f"At the end: {listed(parts)}."
    )


def _course(rows: pd.DataFrame) -> str:
    """First and last value of DECLoss, and whether it fell by more than seeds differ."""
    parts = []
    for variant, one in rows.groupby("variant"):
        ordered = one.sort_values("iteration")
        first, last = as_number(ordered.iloc[0]), as_number(ordered.iloc[-1])
        fell = last.high is not None and first.above(last.high)
        text = f"{first.text(2)} to {last.text(2)} for {variant}"
        parts.append(text if fell else f"{text}, no fall beyond the difference of crops and seeds")
    return "; ".join(parts)
