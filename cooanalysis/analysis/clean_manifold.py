"""Distances of centers and bicubic patches to clean patches, relative to held-out clean ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.load import square
from cooanalysis.analysis.patches import QueryPatches
from cooanalysis.analysis.summary import FeatureSpaceDistances, LabeledScores
from cooanalysis.data.patches import PEAK
from cooanalysis.measures.manifold import (
    CleanManifold,
    feature_space,
    two_sample_auc,
    two_sample_features,
)
from cooanalysis.neighbors.fallback import with_fallback
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import Arrays

TWO_SAMPLE_QUERIES = 2500
QUERIES_AT_ONCE = 20_000


def manifold_distances(
    run: Context,
    queries: QueryPatches,
    center_patch: NDArray[np.uint8],
    excluded: NDArray[np.bool_],
    table: Arrays,
) -> tuple[dict[str, FeatureSpaceDistances], dict[str, LabeledScores]]:
    """Calibrated distances per feature space, written into ``table``; two-sample tests."""
    with run.clock.time("manifold"):
        rng = np.random.default_rng((run.config.seed, 5))
        store = run.reference
        clean = store.sample(run.config.manifold_reference, rng)
        clean_patches = square(run, store.hr_patches(clean))
        sets = _patch_values(run, queries, center_patch)
        image = queries.patches.image
        half = rng.permutation(len(queries)) % 2 == 0
        spaces: dict[str, FeatureSpaceDistances] = {}
        run.progress.start("measuring the clean manifold", 3 * len(run.config.features))
        for name in run.config.features:
            space = feature_space(name)
            reason = space.missing()
            if reason is not None:
                spaces[name] = FeatureSpaceDistances(space.title, None, {}, half, reason)
                run.note(Notice("feature_space_missing", {"space": name, "reason": reason}))
                continue

            def compute(space: Any = space) -> Arrays:
                manifold = with_fallback(
                    partial(CleanManifold.fit, clean_patches, space, clean.image),
                    run.config.engine, run.config.device, run.note,
                )  # fmt: skip
                distances = {}
                for kind, patches in sets.items():
                    distances[kind] = np.concatenate(
                        [
                            manifold.distance(_in_unit(run, patches[rows]), image[rows], excluded)
                            for rows in _slices(len(patches))
                        ]
                    )
                    run.progress.advance()
                return distances

            distances = run.checkpoints.load_or_compute(f"manifold-{name}", compute)
            spaces[name] = FeatureSpaceDistances(space.title, space.warning, distances, half)
            scale = float(distances["clean"].mean())
            for kind, values in distances.items():
                table[f"manifold_{name}_{kind}"] = values / scale
    with run.clock.time("two-sample test"):
        tests = _two_sample(run, queries, sets)
    return spaces, tests


def _patch_values(
    run: Context, queries: QueryPatches, center_patch: NDArray[np.uint8]
) -> dict[str, NDArray[np.uint8]]:
    """Clean, center and bicubic HR patches of the queries: (n, patch_dim) 8-bit values."""
    values = {kind: np.empty(center_patch.shape, np.uint8) for kind in ("clean", "bicubic")}
    for rows in _slices(len(queries)):
        hr = run.queries.hr_patches(queries.patches[rows])
        bicubic = hr - run.queries.details(queries.patches[rows])
        for kind, patches in (("clean", hr), ("bicubic", bicubic)):
            values[kind][rows] = np.rint(np.clip(patches, 0.0, 1.0) * PEAK)
    return {"clean": values["clean"], "center": center_patch, "bicubic": values["bicubic"]}


def _in_unit(run: Context, values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, size, size, channels) patches in [0, 1]."""
    return square(run, values * np.float32(1.0 / PEAK))


def _slices(n: int) -> list[slice]:
    """Batches of queries whose patches are in memory as floating-point numbers at the same time."""
    return [slice(start, start + QUERIES_AT_ONCE) for start in range(0, max(1, n), QUERIES_AT_ONCE)]


def _two_sample(
    run: Context, queries: QueryPatches, sets: dict[str, NDArray[np.uint8]]
) -> dict[str, LabeledScores]:
    rng = np.random.default_rng((run.config.seed, 6))
    size = min(TWO_SAMPLE_QUERIES, len(queries))
    chosen = np.sort(rng.choice(len(queries), size=size, replace=False))
    image = queries.patches.image[chosen]
    if len(np.unique(image)) < 2:
        run.note(Notice("two_sample_test_left_out", {"n_images": len(np.unique(image))}))
        return {}
    described = {
        kind: two_sample_features(_in_unit(run, values[chosen])) for kind, values in sets.items()
    }
    # Halves balanced within every image: otherwise the class shares of the folds reveal the images.
    shuffled = np.lexsort((rng.random(size), image))
    half = np.empty(size, np.bool_)
    half[shuffled] = np.arange(size) % 2 == 0
    everyone = np.ones(size, np.bool_)
    pairs = {
        "center": ("center", everyone, everyone),
        "bicubic": ("bicubic", everyone, everyone),
        "clean_null": ("clean", half, ~half),
    }
    tests = {}
    for name, (kind, first, second) in pairs.items():
        test = two_sample_auc(
            described["clean"][first], described[kind][second], image[first], image[second],
            n_folds=3, seed=run.config.seed,
        )  # fmt: skip
        images = np.concatenate([image[first], image[second]])
        tests[name] = LabeledScores(test.scores, test.labels, images)
    return tests
