"""Where models over-smooth: whole images, their entropy, and the detail that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cooanalysis.comparison.crops import oversmoothing
from cooanalysis.measures.bootstrap import ImageBootstrap, quantile_bin
from cooanalysis.measures.detail import SUMS
from cooanalysis.plots.comparison.looks import DECLOSS
from cooanalysis.plots.comparison.maps import (
    color_limits,
    entropy_grid,
    mapped,
    missing_grid,
)
from cooanalysis.plots.images import averaged_down
from cooanalysis.plots.style import color_bar, image_axes, laid_out, minus, new_figure, printable
from figures import paper, shipped
from figures.contract import Data, Inputs, MissingData
from figures.text import as_number, listed

if TYPE_CHECKING:
    from cooanalysis.results import Comparison

TITLE = "Where models over-smooth"

QUARTERS = 4


def data(inputs: Inputs) -> Data:
    """Maps of the comparison of the shipped models, and the share of detail that each lacks."""
    comparison = shipped.comparison(inputs)
    names, models = mapped(comparison)
    if not names:
        raise MissingData("the comparison has no maps; run it with map_images of at least 1")
    arrays: dict[str, NDArray[Any]] = {}
    places, shares = [], []
    for number, name in enumerate(names):
        arrays[f"{number}_image"] = averaged_down(comparison.images[name])
        entropies, extent = entropy_grid(comparison, name)
        arrays[f"{number}_entropy"] = entropies.astype(np.float32)
        height, width = comparison.images[name].shape[:2]
        ends = dict(zip(("left", "right", "bottom", "top"), extent, strict=True))
        places.append({"place": number, "image": name, "height": height, "width": width, **ends})
        for model in models:
            grid, _, share = missing_grid(comparison, name, model)
            arrays[f"{number}_missing_{model}"] = grid.astype(np.float32)
            shares.append({"image": name, "model": model, "share": share})
    overall, quarters, by_image = _lost(comparison, models, inputs.seed)
    frames = {"places": pd.DataFrame(places), "images": pd.DataFrame(shares),
              "overall": overall, "quarters": quarters}  # fmt: skip
    facts = {
        "models": models,
        "intervals": "95 % intervals over "
        + ("images" if by_image else "single patches (too few images)"),
        "n_images": comparison.summary.dataset.n_images,
    }
    return Data(frames, arrays, facts)


def _lost(
    comparison: Comparison, models: list[str], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Share of the energy of the ground truth's detail that outputs lack.

    For query patches; over all patches, by entropy quarter, and, for a model with DECLoss, minus
    that of the same model without it.
    """
    overall, quarters = [], []
    by_image = True
    lost: dict[str, NDArray[np.float64]] = {}
    for model in models:
        rows = comparison.patches[comparison.patches["model"] == model]
        image = np.unique(rows["image"], return_inverse=True)[1]
        bootstrap = ImageBootstrap(image, seed=seed)
        by_image = bootstrap.by_image
        whole = rows["truth_energy"].to_numpy(np.float64)
        lost[model] = oversmoothing(rows[list(SUMS)].to_numpy(np.float64))
        found = {"model": model} | bootstrap.ratio(lost[model], whole).as_dict()
        base = model.removesuffix(DECLOSS)
        if base != model and base in lost:
            change = bootstrap.ratio(lost[model] - lost[base], whole)
            found |= {"change": change.value, "change_low": change.ci_low,
                      "change_high": change.ci_high}  # fmt: skip
        overall.append(found)
        quarter = quantile_bin(rows["entropy"], QUARTERS)
        for number in range(QUARTERS):
            inside = quarter == number
            share = bootstrap.ratio(np.where(inside, lost[model], np.nan), whole)
            # Share of the total loss, not of the quarter's own detail.
            part = float(lost[model][inside].sum() / lost[model].sum())
            key = {"model": model, "quarter": number + 1, "part": part}
            quarters.append(key | share.as_dict())
    return pd.DataFrame(overall), pd.DataFrame(quarters), by_image


# -- drawing --------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Draw one row per image: the image, its entropy, and what each model lacks."""
    places, models = data.frames["places"], list(data.facts["models"])
    given = {
        (place, model): data.arrays[f"{place}_missing_{model}"]
        for place in places["place"]
        for model in models
    }
    limit, lowest = color_limits(list(given.values()), 0.98)
    entropies = [data.arrays[f"{place}_entropy"].ravel() for place in places["place"]]
    low, high = np.nanquantile(np.concatenate(entropies), [0.02, 0.98])
    heights = np.minimum(1.4, places["height"] / places["width"]).tolist()
    panel = (paper.DOUBLE - 0.25) / (2 + len(models))
    share = data.frames["images"].set_index(["image", "model"])["share"]
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, sum(h * panel + 0.19 for h in heights) + 0.85)
        axes = fig.subplots(len(places), 2 + len(models), squeeze=False, height_ratios=heights)
        drawn: list[Any] = [None, None]
        for line, row in zip(axes, places.to_dict("records"), strict=True):
            place = int(row["place"])
            size = (float(row["height"]), float(row["width"]))
            extent = tuple(float(row[end]) for end in ("left", "right", "bottom", "top"))
            line[0].imshow(data.arrays[f"{place}_image"], cmap="gray", vmin=0, vmax=255,
                           extent=(0.0, size[1], size[0], 0.0))  # fmt: skip
            line[0].set_ylabel(printable(str(row["image"]), 20), fontsize=6.5)
            drawn[0] = line[1].imshow(data.arrays[f"{place}_entropy"], cmap="cividis", vmin=low,
                                      vmax=max(high, low + 1e-6), extent=extent,
                                      interpolation="nearest")  # fmt: skip
            for ax, model in zip(line[2:], models, strict=True):
                drawn[1] = ax.imshow(given[place, model], cmap="PuOr_r", vmin=-limit, vmax=limit,
                                     extent=extent, interpolation="nearest")  # fmt: skip
                text = minus(f"{100.0 * share[row['image'], model]:.0f} %")
                ax.set_xlabel(text, fontsize=7.0, labelpad=1.5)
            for ax in line:
                image_axes(ax, *size)
        for ax, title in zip(axes[0], ["ground truth", "entropy", *models], strict=True):
            ax.set_title(title.replace("-", "\n+ "), loc="center", fontsize=7.0)
        first = fig.colorbar(drawn[0], ax=list(axes[-1, :2]), location="bottom", aspect=14,
                             extend="both", pad=0.03, fraction=0.2)  # fmt: skip
        color_bar(first, "nats per dimension")
        second = fig.colorbar(drawn[1], ax=list(axes[-1, 2:]), location="bottom", aspect=35,
                              extend="max", pad=0.03, fraction=0.2)  # fmt: skip
        color_bar(second, "detail missing (below 0: too much), 8-bit values squared")
        second.ax.set_xlim(lowest, limit)
        return laid_out(fig)


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say what is lost, how much by which model, and whether it happens where entropy is high."""
    rows = data.frames["overall"].to_dict("records")
    shares = listed(f"{row['model']} {as_number(row).text(0, ' %', 100.0)}" for row in rows)
    quarters = data.frames["quarters"]
    parts = quarters[quarters["quarter"] == QUARTERS]["part"]
    n = len(data.frames["places"])
    return (
        f"The {n} images (of {data.facts['n_images']}) whose detail the center of the groups "
        "misses most: the ground truth, the entropy of the groups, and the detail that each output "
        "lacks, because it is unknown and not made up, or known and damped (orange; violet: more "
        "is made up than is unknown). Sharpening makes up for nothing, but noise would. Below each "
        "map, the sum as a share of the image's detail energy. Over patches of all images the "
        f"shares are {shares} "
        f"({data.facts['intervals']}){_changes(rows)}. "
        "The quarter of the patches with the highest entropy holds "
        f"{100.0 * parts.min():.0f} to {100.0 * parts.max():.0f} % of what is missing: entropy, "
        "which is relative to the contrast of a patch, explains only a part of where that is."
    )


UNCHANGED = "no significant change"


def _changes(rows: Sequence[Mapping[Any, Any]]) -> str:
    """The changes by DECLoss, from differences on the same patches."""
    words = []
    for row in rows:
        if "change" not in row:
            continue
        change = as_number(row, ("change", "change_low", "change_high"))
        if change.value is None:
            continue
        base = str(row["model"]).removesuffix(DECLOSS)
        how = "less" if change.below(0.0) else "more" if change.above(0.0) else UNCHANGED
        points = change.text(0, " points", 100.0)
        words.append(f"with DECLoss {base} lacks {how} ({points})"
                     if how != UNCHANGED
                     else f"with DECLoss {base} shows {how} ({points})")  # fmt: skip
    return "; " + listed(words) if words else ""
