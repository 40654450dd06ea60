"""The idea in one figure: many sharp patches behind one low-resolution patch, and their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from cooanalysis.analysis.explore import MEMBERS, as_images, member_images
from cooanalysis.comparison.groups import QueryGroups, groups_of
from cooanalysis.data.images import rgb_to_y
from cooanalysis.measures.entropy import ESTIMATORS, entropy
from cooanalysis.plots.style import BLACK, VERMILLION, laid_out, minus, new_figure, printable
from cooanalysis.report.numbers import count
from cooanalysis.runtime.progress import Silent
from cooanalysis.runtime.run_directory import Checkpoints
from figures import paper, shipped
from figures.contract import SHIPPED, Data, Inputs, MissingData
from figures.text import listed

TITLE = "Center-oriented optimization in one figure"

QUANTILES = (0.1, 0.5, 0.9)
NEIGHBORHOOD = 0.05
"""Share of the queries, nearest in entropy to a quantile, from which a patch is chosen."""
SHOWN = 5
"""Members that are drawn."""
QUERIES = 2000
SCALE = 4

Floats = NDArray[np.float64]


def data(inputs: Inputs) -> Data:
    """Groups of a few patches, and the outputs of the models at the same places."""
    plan, models = shipped.plan_and_models(inputs, QUERIES, SCALE)
    groups = groups_of(plan, Silent(), Checkpoints())
    rows = choose(groups.entropy, groups.queries.std, groups.image)
    if not rows:
        raise MissingData("no query patch has a finite entropy; use images with some detail")
    images = {int(groups.image[row]) for row in rows}
    outputs = shipped.outputs_of(groups.run, plan.queries, models, images)
    arrays: dict[str, NDArray[Any]] = {}
    patches, distances = [], []
    for place, row in enumerate(rows):
        pictures, relative, facts = _one(groups, row, outputs)
        arrays |= {f"{place}_{name}": picture for name, picture in pictures.items()}
        patches.append({"place": place} | facts)
        distances += [{"place": place, "what": name, "relative": value}
                      for name, value in relative.items()]  # fmt: skip
    ranks = rankdata(groups.entropy) / len(groups.entropy)
    frame = pd.DataFrame(patches).assign(entropy_rank=[float(ranks[row]) for row in rows])
    shown = {"n_queries": len(groups.queries), "k": plan.config.k, "width": plan.config.patch_width,
             "models": list(SHIPPED)}  # fmt: skip
    return Data({"patches": frame, "distances": pd.DataFrame(distances)}, arrays, shown)


def choose(values: Floats, contrast: NDArray[np.floating], image: NDArray[np.integer]) -> list[int]:
    """For each entropy quantile, the query of highest LR contrast near it; no image twice.

    Parameters
    ----------
    values, contrast, image
        (q,) entropy, LR contrast and image number of the queries.
    """
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    half = max(1, int(round(NEIGHBORHOOD * len(order) / 2.0)))
    rows: list[int] = []
    for quantile in QUANTILES:
        middle = int(quantile * max(0, len(order) - 1))
        near = order[max(0, middle - half) : middle + half + 1]
        others = near[~np.isin(image[near], image[rows])]
        # A set of one or two images cannot provide three of them.
        near = others if len(others) else near[~np.isin(near, rows)]
        if len(near):
            rows.append(int(near[np.argmax(contrast[near])]))
    return rows


def _one(
    groups: QueryGroups, row: int, outputs: Mapping[str, Mapping[int, NDArray[np.uint8]]]
) -> tuple[dict[str, NDArray[Any]], dict[str, float], dict[str, Any]]:
    """Images of one group, their distances from the center, and the measures of the group."""
    run, store, members = groups.run, groups.store, groups.members[row]
    one = groups.queries[np.array([row])]
    number, y, x = (int(v[0]) for v in (one.patches.image, one.patches.y, one.patches.x))
    hr, detail, std = store.hr_patches(one.patches), store.details(one.patches), one.std[:, None]
    bicubic = hr - detail
    center = groups.centers(slice(row, row + 1))
    width, size = store.width, store.patch_size
    spread = _rms(groups.reference.details(members) - center)
    rms = float(np.sqrt(np.mean(spread**2)))
    # The same members as in reports: evenly spaced by distance, nearest first.
    shown = np.arange(0, len(members), max(1, run.config.k // MEMBERS))[:SHOWN]
    drawn = member_images(run, groups.reference, one, members[None])[0][: len(shown)]
    pictures: dict[str, NDArray[Any]] = {
        "lr": store.lr_image(number)[y : y + width, x : x + width].copy(),
        "members": drawn,
        "center": as_images(run, bicubic + center * std)[0],
        "truth": as_images(run, hr)[0],
        "bicubic": as_images(run, bicubic)[0],
    }
    relative = {f"member {i + 1}": float(spread[m]) / rms for i, m in enumerate(shown)}
    relative |= {"center": 0.0, "truth": float(_rms(detail / std - center)[0]) / rms,
                 "bicubic": float(_rms(-center)[0]) / rms}  # fmt: skip
    top, left = y * store.scale, x * store.scale
    for name, images in outputs.items():
        cut = rgb_to_y(images[number]).astype(np.uint8)[top : top + size, left : left + size]
        output = cut.reshape(1, -1).astype(np.float32) / np.float32(255.0)
        pictures[name] = cut[:, :, None].copy()
        relative[name] = float(_rms((output - bicubic) / std - center)[0]) / rms
    subspace = groups.reference.projected(members)
    facts = {
        "image": store.names[number], "y": y, "x": x, "lr_std": float(one.std[0]),
        **{f"entropy {name}": float(entropy(subspace, name)) for name in ESTIMATORS.builtin},
        "center_rms": rms,
        "nearest_member": float(spread.min()),
        "energy_retained_by_center": float(np.sum(center**2) / np.sum((detail / std) ** 2)),
    }  # fmt: skip
    return pictures, relative, facts


def _rms(rows: NDArray[np.floating]) -> Floats:
    return np.sqrt(np.mean(rows.astype(np.float64) ** 2, axis=1))


# -- drawing --------------------------------------------------------------------------------

GAP, WIDE, HEAD, FOOT = 0.07, 0.24, 0.4, 0.3
"""Gaps between images and between kinds of images; height of the text above and below a row."""
TITLES = 0.62


def draw(data: Data) -> Figure:
    """Draw one row per patch: LR, members, center, ground truth, models, and their distances."""
    frame, relative = data.frames["patches"], data.frames["distances"]
    models = ["bicubic", *data.facts["models"]]
    n_members = min(len(data.arrays[f"{place}_members"]) for place in frame["place"])
    names = ["lr", *(f"member {i + 1}" for i in range(n_members)), "center", "truth", *models]
    lefts = _lefts(names)
    wide = lefts[-1] + 1.0
    high = TITLES + len(frame) * (HEAD + 1.0 + FOOT)
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 0.04 + high * (paper.DOUBLE - 0.08) / wide)
        ax = fig.add_subplot()
        _titles(ax, names, lefts, n_members)
        for number, row in enumerate(frame.to_dict("records")):
            top = TITLES + number * (HEAD + 1.0 + FOOT) + HEAD
            ax.text(0.0, top - 0.09, _numbers(row), va="bottom", fontsize=6.5)
            pictures = _pictures(data, int(row["place"]), n_members, models)
            black, white = _stretch([*pictures[1 : n_members + 1], pictures[n_members + 2]])
            own = relative[relative["place"] == row["place"]].set_index("what")["relative"]
            for name, left, picture in zip(names, lefts, pictures, strict=True):
                shown = np.clip((picture.astype(np.float64) - black) / (white - black), 0.0, 1.0)
                ax.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0.0,
                          vmax=1.0, extent=(left, left + 1.0, top + 1.0, top),
                          interpolation="nearest")  # fmt: skip
                if name in own:
                    ax.text(left + 0.5, top + 1.05, f"{own[name]:.2f}", ha="center", va="top",
                            fontsize=6.0, color=_color(name))  # fmt: skip
        ax.set(xlim=(0.0, wide), ylim=(high, 0.0))
        ax.set_aspect("equal")
        ax.axis("off")
        return laid_out(fig)


def _lefts(names: Sequence[str]) -> list[float]:
    lefts = [0.0]
    for before, name in zip(names, names[1:], strict=False):
        apart = before == "lr" or name in ("center", "truth", "bicubic")
        lefts.append(lefts[-1] + 1.0 + (WIDE if apart else GAP))
    return lefts


def _titles(ax: Axes, names: Sequence[str], lefts: Sequence[float], n_members: int) -> None:
    places = {name: (left + 0.5, "LR" if name == "lr" else name.replace("-", "\n+ "))
              for name, left in zip(names, lefts, strict=True)
              if not name.startswith("member")}  # fmt: skip
    middle = (lefts[1] + lefts[n_members] + 1.0) / 2.0
    places["members"] = middle, "members: details of real patches\nwith (nearly) this LR patch"
    for name, (x, text) in places.items():
        ax.text(x, TITLES - 0.05, text, ha="center", va="bottom", fontsize=6.5, linespacing=1.05,
                fontweight="bold" if name == "center" else "normal",
                color=_color(name))  # fmt: skip


def _color(name: str) -> str:
    return VERMILLION if name == "center" else BLACK


def _pictures(
    data: Data, place: int, n_members: int, models: Sequence[str]
) -> list[NDArray[np.uint8]]:
    arrays = data.arrays
    members = list(arrays[f"{place}_members"][:n_members])
    rest = [arrays[f"{place}_{name}"] for name in ("center", "truth", *models)]
    return [arrays[f"{place}_lr"], *members, *rest]


def _stretch(pictures: Sequence[NDArray[np.uint8]]) -> tuple[float, float]:
    """Black and white of a row: the same for all its images, so that they can be compared."""
    low, high = np.quantile(np.concatenate([p.ravel() for p in pictures]), [0.01, 0.99])
    return float(low), float(max(high, low + 8.0))


def _numbers(row: Mapping[Any, Any]) -> str:
    return minus(
        f"{printable(str(row['image']), 30)}: entropy {row['entropy gaussian']:.2f}, "
        f"higher than {100.0 * row['entropy_rank']:.0f} % of the patches; distance to the center: "
        f"members {row['center_rms']:.2f} (root mean square), nearest {row['nearest_member']:.2f}"
    )


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Explain the images, how the patches were chosen, and the numbers."""
    facts, frame = data.facts, data.frames["patches"]
    relative = data.frames["distances"].pivot(index="what", columns="place", values="relative")
    ranks = listed(f"{100.0 * rank:.0f} %" for rank in frame["entropy_rank"])
    models = ["bicubic", *facts["models"]]
    spans = listed(
        f"{name} {relative.loc[name].min():.2f}–{relative.loc[name].max():.2f}" for name in models
    )
    truth = relative.loc["truth"]
    # Bicubic has no detail, so its distance from the center is the size of the center's detail.
    squares = relative.loc["bicubic"] ** 2
    kept = 100.0 * squares / (1.0 + squares)
    text = (
        "Downsampling loses information: many sharp patches share nearly the same low-resolution "
        f"(LR) patch. Each row shows an LR patch of {facts['width']}×{facts['width']} pixels; some "
        f"of the {facts['k']} sharp patches of other images with the most similar LR patches (the "
        "members of its group), matched in brightness and contrast; their mean, the center, which "
        "minimizes a pixel loss; the ground truth; and the outputs of bicubic interpolation and of "
        "networks trained with a pixel loss (l1) or also with an adversarial loss (ragan), each "
        "without and with DECLoss. Edges and textures of the members lie in different places and "
        "cancel in the mean: the center keeps "
        f"{kept.min():.1f} to {kept.max():.1f} % of the energy of their detail (the difference "
        "from bicubic interpolation). Below each image: its distance to the center relative to "
        f"that of the members (RMS): ground truth {truth.min():.2f}–{truth.max():.2f}, "
        f"{spans}{_nearer(relative, facts['models'])}. Networks see more of the image than this "
        "patch, so they need not output this center. Above each row: the entropy of the group, in "
        "nats per dimension, and distances in units of the LR contrast. The patches are not picked "
        f"by eye: out of {count(facts['n_queries'])} they have the highest LR contrast among the "
        f"{NEIGHBORHOOD:.0%} nearest in entropy to the "
        f"{listed(f'{q:.0%}' for q in QUANTILES)} quantiles, no image twice (entropy ranks "
        f"{ranks}). These are {len(frame)} examples and prove nothing by themselves."
    )  # fmt: skip
    return text.replace("%", " %").replace("  %", " %")


def _nearer(relative: pd.DataFrame, models: Sequence[str]) -> str:
    """The networks that lie nearer to the center than the ground truth does in every row."""
    names = [name for name in models if (relative.loc[name] < relative.loc["truth"]).all()]
    if not names:
        return ""
    return f"; nearer to the center than the ground truth in every row: {listed(names)}"
