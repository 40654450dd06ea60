"""Measures of every model for every query patch: detail taken apart, distance to clean images."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.load import square
from cooanalysis.analysis.summary import LabeledScores
from cooanalysis.comparison.detail import take_model_apart
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.data.patches import PEAK, Patches, PatchStore
from cooanalysis.measures.manifold import (
    CleanManifold,
    TwoSampleTest,
    feature_space,
    two_sample_auc,
    two_sample_features,
)
from cooanalysis.measures.realism import CRITIC_SIZE, critic_inputs, critic_test
from cooanalysis.measures.realism.critic import missing as critic_missing
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import Arrays

AUC_QUERIES = 2500
"""Patches of each sample of the two-sample tests."""
HELD_OUT = 2500
"""Reference patches whose distances, without their own image, measure the domain shift."""
CONTROL_NOISE = 2.0 / PEAK
"""Standard deviation of the noise that the two-sample test must find on the ground truth."""
CRITIC = "critic"

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CleanPatches:
    """Clean reference patches in each feature space, and what outputs are compared with.

    Attributes
    ----------
    manifolds
        By name of the feature space.
    distance
        (q,) by name: distance of the ground-truth patches, which manifold ratios are relative to.
    held_out, held_out_image
        (r,) by name: distance of further reference patches, each without its own image, and the
        numbers of these images, for :func:`cooanalysis.measures.realism.domain_shift`.
    missing
        Reasons why spaces, or the critic, were left out, by name.
    """

    groups: QueryGroups
    manifolds: Mapping[str, CleanManifold]
    distance: Mapping[str, NDArray[np.float32]]
    held_out: Mapping[str, NDArray[np.float32]]
    held_out_image: NDArray[np.int32]
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
        if (reason := critic_missing()) is not None:
            missing[CRITIC] = reason
            run.note(Notice("critic_missing", {"reason": reason}))
        others = run.reference.sample(HELD_OUT, np.random.default_rng((run.config.seed, 8)))
        fitted = cls(groups, manifolds, {}, {}, others.image, missing)
        truth = run.checkpoints.load_or_compute(
            "manifold-clean", lambda: fitted.distances(groups.store)
        )
        held_out = run.checkpoints.load_or_compute(
            "manifold-held-out", lambda: fitted._without_own_image(others)
        )
        return cls(groups, manifolds, truth, held_out, others.image, missing)

    def _without_own_image(self, others: Patches) -> Arrays:
        """Distance of reference patches, each without its own image."""
        run = self.groups.run
        patches = square(run, run.reference.hr_patches(others))
        own = np.eye(len(run.reference.names), dtype=np.bool_)
        return {
            name: manifold.distance(patches, others.image, own)
            for name, manifold in self.manifolds.items()
        }

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
        test, the same with ``critic_`` before them if there is torch.
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
            if CRITIC not in clean.missing:
                found |= _critic(groups, store)
        return found

    return run.checkpoints.load_or_compute(f"patches-{digest}", compute)


def scores_of(found: Arrays) -> LabeledScores:
    """The two-sample test of what :func:`measure_patches` returned."""
    return LabeledScores(found["scores"], found["labels"], found["score_image"])


def critic_scores_of(found: Arrays) -> LabeledScores | None:
    """The critic's test of what :func:`measure_patches` returned; None without torch."""
    if "critic_scores" not in found:
        return None
    return LabeledScores(*(found[f"critic_{key}"] for key in ("scores", "labels", "score_image")))


def control_scores(groups: QueryGroups) -> LabeledScores:
    """The two-sample test of the ground truth with faint noise, which it must be able to find.

    With too few patches it cannot, and then it says nothing about outputs either: see
    ``control`` in :func:`cooanalysis.measures.realism.auc_vote`.
    """

    def compute() -> Arrays:
        with groups.run.clock.time("two-sample test"):
            return _two_sample(groups, groups.store, noise=CONTROL_NOISE)

    return scores_of(groups.run.checkpoints.load_or_compute("two-sample-control", compute))


def _two_sample(groups: QueryGroups, store: PatchStore, *, noise: float = 0.0) -> Arrays:
    run = groups.run
    rng = np.random.default_rng((run.config.seed, 6))
    size = min(AUC_QUERIES, len(groups.queries))
    chosen = np.sort(rng.choice(len(groups.queries), size=size, replace=False))
    patches = groups.queries.patches[chosen]
    truth, output = (square(run, each.hr_patches(patches)) for each in (groups.store, store))
    if noise:
        gray = rng.standard_normal((*output.shape[:3], 1), dtype=np.float32)
        noisy = np.clip(output + np.float32(noise) * gray, 0.0, 1.0)
        output = np.rint(noisy * PEAK) * np.float32(1.0 / PEAK)
    image = patches.image
    if len(np.unique(image)) < 2:
        return _scores(None, image)
    first, second = two_sample_features(truth), two_sample_features(output)
    return _scores(
        two_sample_auc(first, second, image, image, n_folds=3, seed=run.config.seed), image
    )


def _critic(groups: QueryGroups, store: PatchStore) -> Arrays:
    """The critic's test, on patches large enough to see where detail is, at the same places."""
    run = groups.run
    width = max(store.width, 2 * math.ceil(CRITIC_SIZE / store.scale / 2))
    large = np.flatnonzero(np.minimum(store.heights, store.widths) >= width)
    if len(large) < 2:
        return _scores(None, large[:0], "critic_")
    truth, output = (
        dataclasses.replace(each.only(large), width=width) for each in (groups.store, store)
    )
    size = min(AUC_QUERIES, len(groups.queries))
    patches = truth.sample(size, np.random.default_rng((run.config.seed, 9)))
    true = truth.hr_patches(patches)
    upsampled = true - truth.details(patches)
    side = truth.patch_size
    shaped = [
        rows.reshape(len(patches), side, side, -1)
        for rows in (true, output.hr_patches(patches), upsampled)
    ]
    first, second = (critic_inputs(rows, shaped[2]) for rows in shaped[:2])
    test = critic_test(first, second, patches.image, patches.image, seed=run.config.seed)
    return _scores(test, large[patches.image], "critic_")


def _scores(test: TwoSampleTest | None, image: NDArray[np.integer], prefix: str = "") -> Arrays:
    """A two-sample test of patches at the same places; empty if there is none."""
    if test is None:
        image, empty = image[:0], np.empty(0)
        test = TwoSampleTest(np.nan, empty, empty.astype(np.int8))
    twice = np.concatenate([image, image])
    found: Arrays = {"scores": test.scores, "labels": test.labels, "score_image": twice}
    return {prefix + key: values for key, values in found.items()}
