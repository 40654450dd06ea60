"""Measures of every model for every query patch: detail taken apart, distance to clean images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.load import square
from cooanalysis.analysis.summary import LabeledScores
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.detail import take_model_apart
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.data.patches import PatchStore
from cooanalysis.measures.manifold import (
    CleanManifold,
    feature_space,
    features,
    two_sample_auc,
)
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import Arrays

AUC_SPACES = ("subbands", "sparsity")
"""Feature spaces whose features the two-sample test uses together."""
AUC_QUERIES = 2500

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CleanPatches:
    """Clean reference patches in each feature space, and the distances of the clean query patches.

    Attributes
    ----------
    manifolds
        By name of the feature space.
    distance
        (q,) by name: distance of the ground-truth patches.
    missing
        Reasons why spaces were left out, by name.
    """

    groups: QueryGroups
    manifolds: Mapping[str, CleanManifold]
    distance: Mapping[str, NDArray[np.float32]]
    missing: Mapping[str, str]

    @classmethod
    def fit(cls, groups: QueryGroups, spaces: Sequence[str]) -> CleanPatches:
        """Describe the clean manifold by patches of the reference images."""
        run = groups.run
        rng = np.random.default_rng((run.config.seed, 5))
        clean = run.reference.sample(run.config.manifold_reference, rng)
        patches = square(run, run.reference.hr_patches(clean))
        manifolds, missing = {}, {}
        run.progress.start("describing clean patches", len(spaces))
        for name in spaces:
            if (reason := feature_space(name).missing()) is not None:
                missing[name] = reason
                run.note(Notice("feature_space_missing", {"space": name, "reason": reason}))
                continue
            manifolds[name] = CleanManifold.fit(
                patches, name, clean.image, engine=run.config.engine, device=run.config.device
            )
            run.progress.advance()
        fitted = cls(groups, manifolds, {}, missing)
        truth = run.checkpoints.load_or_compute(
            "manifold-clean", lambda: fitted.distances(groups.store)
        )
        return cls(groups, manifolds, truth, missing)

    def distances(self, store: PatchStore) -> Arrays:
        """(q,) distance of the patches of a store in each space, by name."""
        run = self.groups.run
        patches = square(run, store.hr_patches(self.groups.queries.patches))
        return {
            name: manifold.distance(patches, self.groups.image, self.groups.excluded)
            for name, manifold in self.manifolds.items()
        }


def measure_patches(
    clean: CleanPatches, maps: Sequence[QueryGroups], name: str, outputs: Sequence[Image],
    anchor: PatchStore | None = None,
) -> Arrays:  # fmt: skip
    """All measures of one model's patches.

    Parameters
    ----------
    clean
        The clean manifold.
    maps
        Groups of all patches of single images.
    name
        Name of the model, for checkpoints.
    outputs
        Its outputs, see :func:`cooanalysis.comparison.with_outputs`.
    anchor
        Store of the anchor's outputs; None without one, and for the anchor itself.

    Returns
    -------
    dict
        What :func:`~cooanalysis.comparison.detail.take_model_apart` returns; (q,)
        ``manifold_SPACE`` by space; ``scores``, ``labels`` and ``score_image`` of the two-sample
        test.
    """
    groups = clean.groups
    run = groups.run
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def compute() -> Arrays:
        store = with_outputs(groups.store, outputs)
        with run.clock.time("detail"):
            found = take_model_apart(groups, maps, store, anchor)
        with run.clock.time("manifold"):
            distances = clean.distances(store)
        found |= {f"manifold_{key}": values for key, values in distances.items()}
        with run.clock.time("two-sample test"):
            found |= _two_sample(groups, store)
        return found

    return run.checkpoints.load_or_compute(f"patches-{digest}", compute)


def scores_of(found: Arrays) -> LabeledScores:
    """The two-sample test of what :func:`measure_patches` returned."""
    return LabeledScores(found["scores"], found["labels"], found["score_image"])


def _two_sample(groups: QueryGroups, store: PatchStore) -> Arrays:
    run = groups.run
    rng = np.random.default_rng((run.config.seed, 6))
    size = min(AUC_QUERIES, len(groups.queries))
    chosen = np.sort(rng.choice(len(groups.queries), size=size, replace=False))
    patches = groups.queries.patches[chosen]
    image = groups.image[chosen]
    if len(np.unique(image)) < 2:
        empty = np.empty(0)
        return {"scores": empty, "labels": empty.astype(np.int8), "score_image": image[:0]}
    first, second = (
        np.hstack(
            [features(square(run, each.hr_patches(patches)), space)
             for space in AUC_SPACES]
        )
        for each in (groups.store, store)
    )  # fmt: skip
    test = two_sample_auc(first, second, image, image, n_folds=3, seed=run.config.seed)
    return {
        "scores": test.scores,
        "labels": test.labels,
        "score_image": np.concatenate([image, image]),
    }
