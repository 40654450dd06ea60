"""Effects of the weight and temperature of DECLoss: a table, and what each step costs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import measured
from figures.contract import Data, Inputs, MissingData

TITLE = "Weight and temperature of DECLoss"

COLUMNS = {
    "psnr_y": ("PSNR-Y [dB]", ".2f", 1),
    "ssim_y": ("SSIM-Y", ".4f", 1),
    "st_lpips": ("ST-LPIPS", ".4f", None),
    "detail_energy_retained": ("detail energy [ground truth = 1]", ".3f", None),
    "spread_ratio": ("spread of outputs [ground truth = 1]", ".3f", None),
}
"""Title, form, and sign of what is better; None for what sharpening or artifacts raise, too."""


def data(inputs: Inputs) -> Data:
    """Measures of L1 + DECLoss for each weight and temperature, from the experiment's folder."""
    table = measured.models()
    table = table[table["experiment"] == "ablation"].sort_values(
        ["weight", "temperature"], ignore_index=True
    )
    if len(table) < 2 or table.loc[0, "weight"] != 0.0:
        raise MissingData(f"the ablation lacks its models; {measured.HOW}")
    frame = table[["weight", "temperature", "seed", *COLUMNS]]
    text, bold = as_text(frame)
    origin = measured.provenance()
    runs = [facts for name, facts in origin.items() if name.startswith("ablation/")]
    facts: dict[str, Any] = {
        "n_models": len(frame),
        "iterations": sorted({run["iterations"] for run in runs}),
        "parameters": sorted({run["parameters"] for run in runs}),
        "images": sorted({run["images"] for run in runs}),
    }
    return Data({"models": frame}, facts=facts, tables={"models": (text, bold)})


def as_text(frame: pd.DataFrame) -> tuple[pd.DataFrame, set[tuple[int, str]]]:
    """The table as text, and the best cell of each column."""
    text = pd.DataFrame(
        {
            "weight": [f"{value:g}" for value in frame["weight"]],
            "temperature": ["–" if pd.isna(t) else f"{t:g}" for t in frame["temperature"]],
        }
    )
    bold: set[tuple[int, str]] = set()
    for key, (title, form, better) in COLUMNS.items():
        text[title] = [f"{value:{form}}" for value in frame[key]]
        if better is not None:
            goodness = better * frame[key]
            best = goodness.max()
            bold |= {(place, title) for place, value in enumerate(goodness) if value == best}
    return text, bold


def draw(data: Data) -> Figure | None:
    """Nothing to draw: this is a table."""
    return None


def caption(data: Data) -> str:
    """Describe the trainings, and what the strongest and the mildest loss change and cost."""
    frame, facts = data.frames["models"], data.facts
    plain, rest = frame.iloc[0], frame.iloc[1:]
    lost = plain["psnr_y"] - rest["psnr_y"]
    gained = 1.0 - rest["st_lpips"] / plain["st_lpips"]
    least, most = lost.idxmin(), lost.idxmax()
    return (
        f"L1 + DECLoss with {len(rest)} choices of weight and temperature, and L1 alone (weight "
        f"0), one seed each: networks of {_span(facts['parameters'])} parameters, "
        f"{_span(facts['iterations'])} iterations of fine-tuning from the same start, measured on "
        f"{_span(facts['images'])} images (BSD100 and Set14; spread on BSD100). "
        f"From the mildest loss to the strongest, the cost rises from {lost[least]:.2f} to "
        f"{lost[most]:.2f} dB of PSNR, and ST-LPIPS falls by {100 * gained[least]:.0f} to "
        f"{100 * gained[most]:.0f} %; sharpening lowers it, too, so no value of it is called best. "
        "Bold: best fidelity. One seed has no interval; the figure that compares the losses shows "
        "how much seeds differ."
    )


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
