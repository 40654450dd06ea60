"""What a comparison measures of patches beside collapse: held-out distances and referees."""

from __future__ import annotations

import numpy as np
import pytest

import cooanalysis.comparison.patches as compared
from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.comparison.groups import find_query_groups
from cooanalysis.comparison.patches import (
    CleanPatches,
    control_scores,
    critic_scores_of,
    measure_patches,
    scores_of,
)
from cooanalysis.measures.manifold import features
from cooanalysis.measures.realism import domain_shift


@pytest.fixture(scope="module")
def groups():
    config = AnalysisConfig(
        dataset="sample", reference="sample", queries=300, k=32, manifold_reference=800,
        features=("subbands",), map_images=0,
    )  # fmt: skip
    return find_query_groups(config)


@pytest.fixture
def without_critic(monkeypatch):
    monkeypatch.setattr(compared, "critic_missing", lambda: "torch is not installed; install it")


def outputs(groups):
    return [groups.store.hr_image(number) for number in range(len(groups.store.names))]


def test_without_torch_the_critic_is_reported_missing(groups, without_critic):
    before = len(groups.run.warnings)
    clean = CleanPatches.fit(groups, ["subbands"])
    assert clean.missing == {"critic": "torch is not installed; install it"}
    assert groups.run.warnings[before:][0].code == "critic_missing"
    found = measure_patches(clean, [], "itself", outputs(groups))
    assert critic_scores_of(found) is None
    assert scores_of(found).scores.size


def test_held_out_distances_leave_out_the_own_image(groups, without_critic):
    clean = CleanPatches.fit(groups, ["subbands"])
    held_out, image = clean.held_out["subbands"], clean.held_out_image
    assert len(held_out) == len(image)
    assert held_out.min() > 0
    # The data set is its own reference, so both are distances of one domain.
    shift = domain_shift(clean.distance, groups.image, clean.held_out, image)["subbands"]
    assert shift.ci_low < 1.0 < shift.ci_high


def test_the_critic_sees_patches_in_their_place(groups, monkeypatch):
    monkeypatch.setattr(compared, "critic_missing", lambda: None)
    seen = []

    def critic(first, second, image, other, *, seed):
        seen.append((first, second))
        labels = compared.two_sample_auc(
            first[:, :, ::8, ::8].reshape(len(first), -1),
            second[:, :, ::8, ::8].reshape(len(second), -1), image, other, n_folds=2,
        )  # fmt: skip
        return labels

    monkeypatch.setattr(compared, "critic_test", critic)
    clean = CleanPatches.fit(groups, ["subbands"])
    found = critic_scores_of(measure_patches(clean, [], "itself", outputs(groups)))
    first, second = seen[0]
    np.testing.assert_array_equal(first, second)
    assert first.shape[1:] == (3, 24, 24)
    assert len(found.scores) == len(found.labels) == len(found.image) == 2 * len(first)
    assert set(np.unique(found.image)) <= set(range(len(groups.store.names)))


def test_the_control_is_ground_truth_with_faint_noise(groups, monkeypatch):
    pairs = []

    def described(patches):
        pairs.append(patches)
        return features(patches, "subbands")

    monkeypatch.setattr(compared, "two_sample_features", described)
    found = control_scores(groups)
    truth, noisy = pairs
    added = 255 * (noisy - truth)
    assert 1.5 < added.std() < 2.5
    np.testing.assert_allclose(255 * noisy, np.rint(255 * noisy), atol=1e-4)
    assert len(found.scores) == 2 * len(truth)
