"""What over-smoothing looks like: crops where plain L1 lacks most detail, chosen by a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.comparison.crops import SIDE
from cooanalysis.data.images import rgb_to_y
from cooanalysis.metrics import psnr
from cooanalysis.plots.style import GRAY, laid_out, new_figure, printable
from cooanalysis.report.numbers import count
from figures import paper, shipped
from figures.contract import SHIPPED, Data, Inputs, MissingData
from figures.text import listed

TITLE = "The most over-smoothed places"

COLUMNS = ("hr", "bicubic", *SHIPPED)
PLACES = 5
RULE = (
    "the query patch where l1 lacks most detail that it neither knows nor makes up (energy of the "
    "unknown detail minus that of what is made up); one per image, highest first"
)
"""How :func:`cooanalysis.comparison.crops.find_places` chooses, for baseline l1."""

Image = NDArray[np.uint8]


def data(inputs: Inputs) -> Data:
    """Crops of the comparison of the shipped models, and the detail in each."""
    comparison = shipped.comparison(inputs)
    shown = comparison.crops[:PLACES]
    if not shown:
        raise MissingData("the comparison has no crops; use images with more query patches")
    arrays, rows = {}, []
    for place, crop in enumerate(shown):
        for name in COLUMNS:
            arrays[f"{place}_{name}"] = crop.pictures[name]
            rows.append({"place": place, "image": crop.image, "top": crop.top, "left": crop.left,
                         "model": name} | measures(crop.pictures[name], crop.pictures["hr"],
                                                   crop.pictures["bicubic"]))  # fmt: skip
    facts = {
        "rule": RULE,
        "side": SIDE,
        "scale": comparison.summary.scale,
        "baseline": comparison.summary.baseline,
        "n_images": comparison.summary.dataset.n_images,
    }
    return Data({"crops": pd.DataFrame(rows)}, arrays, facts)


def measures(output: Image, truth: Image, bicubic: Image) -> dict[str, float]:
    """Detail energy relative to the ground truth, and PSNR-Y, of the pixels that are shown.

    Detail is the difference from bicubic interpolation, in luma.
    """
    base = rgb_to_y(bicubic, rounded=False).astype(np.float64)
    energies = [
        float(np.mean((rgb_to_y(image, rounded=False) - base) ** 2)) for image in (output, truth)
    ]
    same = bool(np.array_equal(output, truth))
    return {
        "detail_energy": energies[0] / energies[1] if energies[1] > 0 else float("nan"),
        "psnr_y": float("inf") if same else psnr(output, truth, border=0),
    }


def draw(data: Data) -> Figure:
    """Draw one row per place and one column per model."""
    table = data.frames["crops"]
    places = table["place"].nunique()
    panel = (paper.DOUBLE - 0.2) / len(COLUMNS)
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, places * (panel + 0.17) + 0.35)
        axes = fig.subplots(places, len(COLUMNS), squeeze=False)
        for row, line in zip(table.to_dict("records"), axes.flat, strict=True):
            line.imshow(data.arrays[f"{row['place']}_{row['model']}"], interpolation="nearest")
            line.set(xticks=[], yticks=[])
            line.grid(False)
            line.spines[:].set_visible(False)
            if row["model"] != "hr":
                line.set_xlabel(f"{row['detail_energy']:.2f}   {row['psnr_y']:.1f} dB",
                                fontsize=6.5, labelpad=1.5)  # fmt: skip
            else:
                name = printable(str(row["image"]), 18)
                line.set_ylabel(name, fontsize=6.5)
                line.set_xlabel("detail   PSNR", fontsize=6.5, labelpad=1.5, color=GRAY)
        for ax, name in zip(axes[0], COLUMNS, strict=True):
            ax.set_title("ground truth" if name == "hr" else name, loc="center", fontsize=7.0)
        return laid_out(fig)


def caption(data: Data) -> str:
    """State the rule, and how much of the detail each model keeps at these places."""
    table, facts = data.frames["crops"], data.facts
    energy = table[table["model"] != "hr"].groupby("model", sort=False)["detail_energy"]
    ranges = listed(
        f"{model} {low:.2f} to {high:.2f}"
        for model, low, high in zip(energy.min().index, energy.min(), energy.max(), strict=True)
    )
    places = listed(
        f"{row['image']} (row {row['top']}, column {row['left']})"
        for row in table.drop_duplicates("place").to_dict("records")
    )
    return (
        f"Crops of {facts['side']}×{facts['side']} pixels at ×{facts['scale']}, chosen by a rule: "
        f"around {facts['rule']}, among {count(facts['n_images'])} images. Below each crop: energy "
        "of its detail (the difference from bicubic interpolation) relative to the ground truth, "
        f"and PSNR of its luma. Detail kept: {ranges}. Positions of the corners in HR pixels: "
        f"{places}."
    )
