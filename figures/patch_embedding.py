"""Where centers and models' outputs lie among clean patches, in a plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from cooanalysis.analysis.explore import as_images, member_images
from cooanalysis.analysis.load import square
from cooanalysis.comparison.groups import QueryGroups, groups_of
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.measures.manifold import (
    CleanManifold,
    FeatureSpace,
    sparsity_features,
    subband_features,
)
from cooanalysis.plots.style import BLACK, BLUE, CENTER, CLEAN, GREEN, Look, laid_out, new_figure
from cooanalysis.report.numbers import Number, count
from cooanalysis.runtime.progress import Silent
from cooanalysis.runtime.run_directory import Checkpoints
from figures import paper, shipped
from figures.contract import Data, Inputs, generator
from figures.text import as_number, intervals, listed

TITLE = "Centers and models among clean patches"

QUERIES = 1000
REFERENCE = 5000
"""Number of clean patches that span the plane and represent the clean manifold."""
INSIDE = 0.9
"""Share of clean patches in the region that is drawn."""
SCALE = 4

Floats = NDArray[np.float64]


def _features(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([subband_features(patches), sparsity_features(patches)])


SPACE = FeatureSpace("both", "log subband energies, energy and its sparsity", _features)


def data(inputs: Inputs) -> Data:
    """Features of clean patches, members, centers and outputs, and their positions in a plane."""
    plan, models = shipped.plan_and_models(inputs, QUERIES, SCALE)
    groups = groups_of(plan, Silent(), Checkpoints())
    run = groups.run
    outputs = shipped.outputs_of(run, plan.queries, models, range(len(groups.store.names)))
    kinds = _kinds(groups, outputs, inputs.seed)
    sampled = run.reference.sample(REFERENCE, generator(inputs.seed))
    clean = square(run, run.reference.hr_patches(sampled))
    manifold = CleanManifold.fit(clean, SPACE, sampled.image)
    plane = Plane.fit(SPACE.function(clean), inputs.seed)
    bootstrap = ImageBootstrap(groups.image, seed=inputs.seed)
    held_out = manifold.distance(kinds["clean"], groups.image, groups.excluded)
    points, rows = [], []
    for kind, patches in kinds.items():
        place = plane.project(SPACE.function(patches))
        inside = plane.inside(place)
        distance = manifold.distance(patches, groups.image, groups.excluded)
        points.append(pd.DataFrame({"kind": kind, "x": place[:, 0], "y": place[:, 1],
                                    "inside": inside}))  # fmt: skip
        ratio, share = bootstrap.ratio(distance, held_out), bootstrap.mean(inside)
        rows.append({"kind": kind, **ratio.as_dict(), "inside": share.value,
                     "inside_low": share.ci_low, "inside_high": share.ci_high})  # fmt: skip
    background = plane.project(SPACE.function(clean))
    frames = {"points": pd.concat(points, ignore_index=True), "kinds": pd.DataFrame(rows),
              "background": pd.DataFrame(background, columns=["x", "y"])}  # fmt: skip
    facts = {
        "explained": [float(share) for share in plane.explained],
        "n_features": int(SPACE.function(clean[:1]).shape[1]),
        "n_queries": len(groups.queries),
        "n_reference": len(clean),
        "intervals": intervals(bootstrap),
        "correlation_with_fine_energy": [
            float(np.corrcoef(column, sparsity_features(clean)[:, 0])[0, 1])
            for column in background.T
        ],
    }
    grid, density = plane.region(background)
    return Data(frames, {"grid": grid, "density": density}, facts)


def _kinds(
    groups: QueryGroups, outputs: Mapping[str, Mapping[int, NDArray[np.uint8]]], seed: int
) -> dict[str, NDArray[np.float32]]:
    """(q, s, s, channels) 8-bit patches at the position of every query, by kind."""
    run, store, queries = groups.run, groups.store, groups.queries
    hr = store.hr_patches(queries.patches)
    drawn = generator(seed).integers(groups.members.shape[1], size=len(queries))
    member = np.take_along_axis(groups.members, drawn[:, None], axis=1)
    found: dict[str, NDArray[np.uint8]] = {
        "clean": as_images(run, hr),
        "member": member_images(run, groups.reference, queries, member)[:, 0],
        "center": groups.measures["center_patch"].reshape(as_images(run, hr).shape),
        "bicubic": as_images(run, hr - store.details(queries.patches)),
    }
    for name, images in outputs.items():
        upscaled = with_outputs(store, [images[i] for i in range(len(store.names))])
        found[name] = as_images(run, upscaled.hr_patches(queries.patches))
    return {name: patches.astype(np.float32) / np.float32(255.0) for name, patches in found.items()}


@dataclass(frozen=True)
class Plane:
    """The plane of the two directions in which clean patches vary most, and their density in it.

    The directions do not depend on centers and models, so they cannot be chosen to show (or to
    hide) a difference.

    Attributes
    ----------
    mean, spread
        (dim,) mean and standard deviation of the features of clean patches.
    axes
        (dim, 2) principal axes.
    explained
        (2,) share of the variance along each.
    density, level
        Density of clean patches, and its value around the region of :data:`INSIDE` of them.
    """

    mean: Floats
    spread: Floats
    axes: Floats
    explained: Floats
    density: Callable[[Floats], Floats]
    level: float

    @classmethod
    def fit(cls, features: NDArray[np.float32], seed: int) -> Plane:
        """The plane of clean features (n, dim)."""
        from sklearn.decomposition import PCA

        mean, spread = features.mean(0, np.float64), features.std(0, dtype=np.float64)
        spread = np.maximum(spread, 1e-6)
        scaled = (features - mean) / spread
        pca = PCA(2, svd_solver="full").fit(scaled)
        # The sign of an axis is arbitrary; this choice is the same on every machine.
        signs = np.where(pca.components_.sum(axis=1) < 0, -1.0, 1.0)
        axes = (pca.components_ * signs[:, None]).T
        half = generator(seed).permutation(len(scaled)) % 2 == 0
        density = gaussian_kde((scaled[half] @ axes).T)
        # The level is determined on the other half, which the density was not fitted to.
        level = float(np.quantile(density((scaled[~half] @ axes).T), 1.0 - INSIDE))
        return cls(mean, spread, axes, pca.explained_variance_ratio_, density, level)

    def project(self, features: NDArray[np.float32]) -> Floats:
        """(n, dim) features to (n, 2) positions."""
        return ((features - self.mean) / self.spread) @ self.axes

    def inside(self, places: Floats) -> Floats:
        """1.0 where a position lies in the region of most clean patches, else 0.0."""
        return (self.density(places.T) >= self.level).astype(np.float64)

    def region(self, places: Floats, n: int = 80) -> tuple[Floats, Floats]:
        """(2, n, n) grid around positions, and the density over the level there (inside: > 1)."""
        low, high = places.min(axis=0), places.max(axis=0)
        margin = 0.2 * (high - low)
        sides = (np.linspace(low[i] - margin[i], high[i] + margin[i], n) for i in range(2))
        grid = np.stack(np.meshgrid(*sides))
        return grid, self.density(grid.reshape(2, -1)).reshape(n, n) / self.level


# -- drawing --------------------------------------------------------------------------------

LOOKS: Mapping[str, Look] = {
    "clean": CLEAN,
    "member": {"color": GREEN, "marker": "v"},
    "center": CENTER,
    **paper.MODELS,
}
TITLES = {
    "clean": "clean patches",
    "member": "members of groups",
    "center": "centers of groups",
    "bicubic": "bicubic",
}


def draw(data: Data) -> Figure:
    """Draw one panel per kind of patch, all over the same clean patches in gray."""
    kinds = data.frames["kinds"].set_index("kind")
    points, background = data.frames["points"], data.frames["background"]
    everything = np.concatenate([points[["x", "y"]], background])
    # A few outliers would squeeze all others; clean patches crowd to the right and at the top.
    low, high = np.quantile(everything, 0.002, axis=0), everything.max(axis=0)
    high = high + 0.03 * (high - low)  # cells reach beyond their points
    columns = 4
    lines = -(-len(kinds) // columns)
    with paper.publication():
        fig = new_figure(None, paper.DOUBLE, 1.72 * lines + 0.3)
        axes = fig.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, kind in zip(axes, kinds.index, strict=False):
            _panel(ax, data, str(kind))
            row = kinds.loc[kind]
            ax.set_title(TITLES.get(str(kind), str(kind).replace("-", " + ")))
            # Space for the numbers below the lowest points.
            ax.set(xlim=(low[0], high[0]), ylim=(low[1] - 0.28 * (high[1] - low[1]), high[1]))
            text = f"inside {100.0 * row['inside']:.0f} %\ndistance {row['value']:.2f}"
            ax.text(0.03, 0.03, text, transform=ax.transAxes, va="bottom", fontsize=6.5)
        for ax in axes[len(kinds) :]:
            ax.axis("off")
        fig.supxlabel(_axis(data, 0), fontsize=7.5)
        fig.supylabel(_axis(data, 1), fontsize=7.5)
        return laid_out(fig)


def _axis(data: Data, number: int) -> str:
    """Name of an axis, with its interpretation if it has one."""
    name = ("first", "second")[number] + " principal axis of clean patches"
    share = f"{100.0 * data.facts['explained'][number]:.0f} % of their variance"
    leaning = float(data.facts["correlation_with_fine_energy"][number])
    if abs(leaning) < 0.7:
        return f"{name} ({share})"
    return f"{name} ({share}; {'more fine detail →' if leaning > 0 else '← more fine detail'})"


def _panel(ax: Axes, data: Data, kind: str) -> None:
    background, look = data.frames["background"], LOOKS.get(kind, {})
    ax.hexbin(background["x"], background["y"], gridsize=34, mincnt=1, cmap="Greys",
              norm=LogNorm(0.5, 3000.0), linewidths=0.1, rasterized=True)  # fmt: skip
    ax.contour(*data.arrays["grid"], data.arrays["density"], levels=[1.0],
               colors=[BLACK], linewidths=0.8, linestyles="--")  # fmt: skip
    points = data.frames["points"]
    own = points[points["kind"] == kind]
    color = look.get("color", BLUE)
    ax.plot(own["x"], own["y"], ls="", marker=".", ms=1.8, mew=0, color=color, alpha=0.7,
            rasterized=True)  # fmt: skip
    ax.plot(own["x"].median(), own["y"].median(), ls="", marker=look.get("marker", "o"), ms=6.5,
            color=look.get("markerfacecolor", color), mec=color if "markerfacecolor" in look
            else "white", mew=1.0, zorder=5)  # fmt: skip
    ax.grid(False)


# -- words ----------------------------------------------------------------------------------


def caption(data: Data) -> str:
    """Say what the points are, where centers lie, and what a plane cannot show."""
    facts = data.facts
    rows = data.frames["kinds"].set_index("kind")
    inside = {str(kind): _inside(row) for kind, row in rows.iterrows()}
    ratio = {str(kind): as_number(row) for kind, row in rows.iterrows()}
    outputs = [kind for kind in ratio if kind not in ("clean", "member", "center")]
    shares = listed(f"{kind} {inside[kind].text(0, ' %', 100.0)}" for kind in outputs)
    return (
        f"Each dot is one of {count(facts['n_queries'])} patches, described by "
        f"{facts['n_features']} features of its fine detail and projected onto the plane in which "
        f"{count(facts['n_reference'])} clean patches (gray) vary most, without regard to centers "
        f"and models. Large marks are medians. The dashed line contains {100.0 * INSIDE:.0f} % of "
        "other clean patches; of the query patches "
        f"themselves {inside['clean'].text(0, ' %', 100.0)}, of members of their groups "
        f"{inside['member'].text(0, ' %', 100.0)}, of the centers of these groups "
        f"{inside['center'].text(0, ' %', 100.0)}; of the outputs {shares} "
        f"({facts['intervals']}). {_verdict(inside)} "
        f"The plane explains {100.0 * sum(facts['explained']):.0f} % of the variance: patches that "
        "coincide in it may still differ in other features, so each panel also gives the distance "
        "to clean patches in all features, relative to that of clean query patches "
        f"({_range(ratio, outputs)})."
    )


def _inside(row: Any) -> Number:
    return as_number(row, ("inside", "inside_low", "inside_high"))


def _verdict(inside: Mapping[str, Number]) -> str:
    center, clean, member = inside["center"], inside["clean"], inside["member"]
    if (
        member.low is not None
        and clean.low is not None
        and center.below(min(member.low, clean.low))
    ):
        return "So the mean of patches that lie among clean ones need not lie among them itself."
    return "Their intervals do not distinguish centers from clean patches in this plane."


def _range(ratio: Mapping[str, Number], outputs: list[str]) -> str:
    """Distances in all features: members, centers, and the models from lowest to highest."""
    ends = sorted((n for n in outputs if ratio[n].value is not None),
                  key=lambda name: float(ratio[name].value or 0.0))  # fmt: skip
    named = ["member", "center", *dict.fromkeys([*ends[:1], *ends[-1:]])]
    words = {"member": "members", "center": "centers"}
    return listed(f"{words.get(name, name)} {ratio[name].text(2)}" for name in named)
