"""What each referee of realism says of artifacts, of models and of the ground truth itself.

    python -m experiments.realism.battery --dataset bsd100 --reference BSDS400 --every 3

The artifacts of :mod:`experiments.battery` are applied to bicubic upsampling and to the output of
a shipped network, and a few of them to the ground truth, all in luma. Independent patches of the
ground truth (the same images, other places) show what chance does.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from cooanalysis.comparison.config import ComparedOptions
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.comparison.patches import CONTROL_NOISE
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.images import rgb_to_y
from cooanalysis.data.patches import PEAK, Patches, PatchStore
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap
from cooanalysis.measures.manifold import (
    FEATURE_SPACES,
    CleanManifold,
    TwoSampleTest,
    feature_space,
    two_sample_auc,
    two_sample_features,
)
from cooanalysis.measures.realism import (
    CRITIC_SIZE,
    critic_inputs,
    critic_test,
    domain_shift,
    judge_realism,
    separation,
)
from cooanalysis.measures.realism.critic import missing as critic_missing
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from cooanalysis.models.tiling import upscale
from cooanalysis.report.tables import markdown
from experiments.battery import ARTIFACTS, bicubic, nearest_neighbor, white_noise
from experiments.keeping import kept

Image = NDArray[np.uint8]
Images = list[Image]
Floats = NDArray[np.float32]

SCALE, WIDTH = 4, 5
BASE = "edsr-small-x4-l1"
ON_TRUTH = ("white noise 2", "white noise 5", "JPEG 75", "JPEG 50", "JPEG 30", "cartoon")
DECIDING = ComparedOptions.features
RESAMPLES = 400


@dataclass(frozen=True)
class Cut:
    """Patches of one set of images: for the manifold and the boosting, and for the critic."""

    image: NDArray[np.int32]
    patches: Floats
    critic_image: NDArray[np.int32]
    critic: Floats


def main(
    dataset: Annotated[str, typer.Option(help="Images.")] = "bsd100",
    reference: Annotated[str, typer.Option(help="Reference set.")] = "BSDS400",
    every: Annotated[int, typer.Option(help="Use each n-th image.")] = 3,
    queries: Annotated[int, typer.Option(help="Patches per output.")] = 1700,
    clean: Annotated[int, typer.Option(help="Clean reference patches.")] = 6000,
    features: Annotated[str, typer.Option(help="Feature spaces; empty: all.")] = "",
    nulls: Annotated[int, typer.Option(help="Independent sets of ground-truth patches.")] = 3,
    minutes: Annotated[float, typer.Option(help="Start no further output after this time.")] = 60,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path(
        "experiments/realism/measured"
    ),
) -> None:
    """Measure, print and keep."""
    names = features.split(",") if features else [
        name for name in FEATURE_SPACES.builtin if feature_space(name).missing() is None
    ]  # fmt: skip
    options = {"dataset": dataset, "reference": reference, "every": every, "queries": queries,
               "clean": clean, "features": names, "nulls": nulls, "minutes": minutes,
               "seed": seed}  # fmt: skip
    with kept(out, "battery", options):
        pairs = _pairs(dataset, data_root)[::every]
        store = PatchStore.from_pairs(pairs, scale=SCALE, width=WIDTH)
        known = PatchStore.from_pairs(_pairs(reference, data_root), scale=SCALE, width=WIDTH)
        rng = np.random.default_rng(seed)
        judge = Judge.fit(store, known, names, queries, clean, rng, seed)
        rows, left_out, started = [], [], time.perf_counter()
        for number in range(nulls):
            places = draw(store, queries, np.random.default_rng((seed, 1, number)))
            found = judge.of(cut(store, store, *places))
            rows.append({"output": f"ground truth, other places ({number + 1})"} | found)
        for name, make in _outputs(dataset, data_root, every, pairs):
            if time.perf_counter() - started > 60 * minutes:
                left_out.append(name)
                continue
            # With a channel, an image is luma; without one, a gray image to be turned into luma.
            outputs = with_outputs(store, [image[:, :, None] for image in make()])
            found = judge.of(cut(outputs, store, *judge.places))
            rows.append({"output": name} | found)
            _save(rows, out)
            typer.echo(f"{name}: {time.perf_counter() - started:.0f} s", err=True)
        _print(_save(rows, out), names, judge)
        if left_out:
            typer.echo(f"\nLeft out after {minutes:g} minutes: {'; '.join(left_out)}.")


def _save(rows: Sequence[Mapping[str, Any]], out: Path) -> pd.DataFrame:
    """After each output, so that a stopped run leaves what it found."""
    table = pd.DataFrame(rows)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "battery.csv", index=False, float_format="%.4f")
    return table


def _pairs(dataset: str, data_root: Path | None) -> list[LoadedPair]:
    found = iter_pairs(resolve(dataset, scale=SCALE, data_root=data_root), color="y")
    return [pair for pair in found if isinstance(pair, LoadedPair)]


def _outputs(
    dataset: str, data_root: Path | None, every: int, pairs: Sequence[LoadedPair]
) -> Iterator[tuple[str, Callable[[], Images]]]:
    """Names, and functions that make the outputs in luma, the most telling ones first."""
    lr = [pair.lr[:, :, 0] for pair in pairs]
    truth = [pair.hr[:, :, 0] for pair in pairs]
    upsampled = [bicubic(image, SCALE) for image in lr]

    @cache
    def of_network(name: str) -> Images:
        network = load_weights(shipped()[name])
        color = list(iter_pairs(resolve(dataset, scale=SCALE, data_root=data_root), color="rgb"))
        return [
            rgb_to_y(upscale(network, pair.lr, scale=SCALE)).astype(np.uint8)
            for pair in color[::every]
            if isinstance(pair, LoadedPair)
        ]

    def changed(artifact: str, make: Callable[[], Images]) -> Images:
        change = ARTIFACTS[artifact]
        return [change(*images) for images in zip(make(), lr, truth, strict=True)]

    yield "ground truth", lambda: truth
    yield "ground truth, white noise 1", lambda: [white_noise(image, 1) for image in truth]
    for name in ON_TRUTH:
        yield f"ground truth, {name}", partial(changed, name, lambda: truth)
    yield "bicubic", lambda: upsampled
    yield "nearest neighbor", lambda: [nearest_neighbor(image, SCALE) for image in lr]
    on_output = [name for name in ARTIFACTS if name != "nearest neighbor"]  # needs no output
    yield BASE, partial(of_network, BASE)
    for name in on_output:
        yield f"{BASE}, {name}", partial(changed, name, partial(of_network, BASE))
    for name in shipped():
        if name != BASE:
            yield name, partial(of_network, name)
    for name in on_output:
        yield f"bicubic, {name}", partial(changed, name, lambda: upsampled)


def draw(store: PatchStore, n: int, rng: np.random.Generator) -> tuple[Patches, Patches]:
    """Places of patches for the manifold and the boosting, and of larger ones for the critic."""
    large = dataclasses.replace(store, width=CRITIC_SIZE // SCALE)
    return store.sample(n, rng), large.sample(n, rng)


def cut(outputs: PatchStore, truth: PatchStore, small: Patches, large: Patches) -> Cut:
    """Cut patches out of outputs; ``truth`` has their LR images."""
    wide, true = (
        dataclasses.replace(each, width=CRITIC_SIZE // SCALE) for each in (outputs, truth)
    )
    low = true.hr_patches(large) - true.details(large)
    seen = critic_inputs(_square(wide.hr_patches(large)), _square(low))
    return Cut(small.image, _square(outputs.hr_patches(small)), large.image, seen)


def _square(rows: Floats) -> Floats:
    side = round(rows.shape[1] ** 0.5)
    return rows.reshape(len(rows), side, side, 1)


@dataclass(frozen=True)
class Judge:
    """All referees, with the ground truth that they compare outputs with."""

    places: tuple[Patches, Patches]
    truth: Cut
    manifolds: Mapping[str, CleanManifold]
    distance: Mapping[str, Floats]
    shift: Mapping[str, Estimate]
    described: Floats
    control: Estimate
    seed: int

    @classmethod
    def fit(
        cls, store: PatchStore, known: PatchStore, names: Sequence[str], queries: int, n_clean: int,
        rng: np.random.Generator, seed: int,
    ) -> Judge:  # fmt: skip
        """Describe clean patches."""
        clean, others = known.sample(n_clean, rng), known.sample(queries, rng)
        patches = _square(known.hr_patches(clean))
        manifolds = {name: CleanManifold.fit(patches, name, clean.image) for name in names}
        places = draw(store, queries, rng)
        truth = cut(store, store, *places)
        distance = {name: m.distance(truth.patches) for name, m in manifolds.items()}
        own = np.eye(len(known.names), dtype=np.bool_)
        held_out = {
            name: m.distance(_square(known.hr_patches(others)), others.image, own)
            for name, m in manifolds.items()
        }
        shift = domain_shift(distance, truth.image, held_out, others.image, seed=seed)
        noise = CONTROL_NOISE * rng.standard_normal(truth.patches.shape)
        noisy = np.rint(np.clip(truth.patches + noise, 0, 1) * PEAK) / PEAK
        described = two_sample_features(truth.patches)
        test = two_sample_auc(
            described, two_sample_features(noisy.astype(np.float32)), truth.image, truth.image,
            n_folds=3, seed=seed,
        )  # fmt: skip
        twice = ImageBootstrap(np.concatenate([truth.image] * 2), n_resamples=RESAMPLES, seed=seed)
        control = twice.auc(test.scores, test.labels)
        return cls(places, truth, manifolds, distance, shift, described, control, seed)

    def area(self, test: TwoSampleTest, image: Any) -> tuple[Estimate, Estimate]:
        """Area under the curve and d′ of a test."""
        bootstrap = ImageBootstrap(image, n_resamples=RESAMPLES, seed=self.seed)
        return bootstrap.auc(test.scores, test.labels), separation(
            test.scores, test.labels, bootstrap
        )

    def of(self, output: Cut) -> dict[str, Any]:
        """One row of the table."""
        by_image = ImageBootstrap(self.truth.image, n_resamples=RESAMPLES, seed=self.seed)
        assert np.array_equal(output.image, self.truth.image)
        ratios = {
            name: by_image.ratio(manifold.distance(output.patches), self.distance[name])
            for name, manifold in self.manifolds.items()
        }
        image = np.concatenate([self.truth.image, output.image])
        boosting = self.area(
            two_sample_auc(
                self.described, two_sample_features(output.patches),
                self.truth.image, output.image, n_folds=3, seed=self.seed,
            ),
            image,
        )  # fmt: skip
        areas = {"boosting": boosting}
        if critic_missing() is None:
            test = critic_test(
                self.truth.critic, output.critic, self.truth.critic_image, output.critic_image,
                seed=self.seed,
            )  # fmt: skip
            areas["critic"] = self.area(
                test, np.concatenate([self.truth.critic_image, output.critic_image])
            )
        found = judge_realism(
            {name: ratios[name] for name in DECIDING if name in ratios},
            {name: auc for name, (auc, _) in areas.items()},
            controls={"boosting": self.control},
        )
        row: dict[str, Any] = {}
        for name, ratio in ratios.items():
            row |= _columns(f"ratio_{name}", ratio)
        for name, (auc, grade) in areas.items():
            row |= _columns(f"auc_{name}", auc) | _columns(f"grade_{name}", grade)
        row |= {"decision": found.decision, "contradicted_by": " ".join(found.contradicted_by)}
        return row


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {
        name: estimate.value, f"{name}_low": estimate.ci_low, f"{name}_high": estimate.ci_high
    }  # fmt: skip


def _print(table: pd.DataFrame, names: Sequence[str], judge: Judge) -> None:
    shown = pd.DataFrame({"output": table["output"]})
    for name in names:
        shown[f"ratio, {name}"] = table[f"ratio_{name}"].map("{:.2f}".format)
    for kind in ("boosting", "critic"):
        if f"auc_{kind}" in table:
            shown[f"AUC, {kind}"] = [
                f"{row[f'auc_{kind}']:.3f} ({row[f'auc_{kind}_low']:.3f} to "
                f"{row[f'auc_{kind}_high']:.3f})"
                for _, row in table.iterrows()
            ]
    shown["grade d′"] = table["grade_boosting"].map("{:.2f}".format)
    shown["clean?"] = table["decision"]
    shown["says clean all the same"] = table["contradicted_by"]
    order = np.argsort(table["grade_boosting"].to_numpy(), kind="stable")
    typer.echo(markdown(shown.iloc[order]))
    shifts = ", ".join(
        f"{name} {found.value:.2f} ({found.ci_low:.2f} to {found.ci_high:.2f})"
        for name, found in judge.shift.items()
    )
    typer.echo(
        f"\nDecided by {', '.join(DECIDING)} and the two-sample tests; intervals: 95 % over "
        f"images. Control (ground truth with noise): AUC {judge.control.value:.3f}. Domain shift: "
        f"{shifts}."
    )


if __name__ == "__main__":
    typer.run(main)
