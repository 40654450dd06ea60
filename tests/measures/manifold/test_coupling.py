"""Correlations between bands catch detail in the wrong place; energies do not."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from cooanalysis.measures.manifold import (
    coupling_features,
    features,
    two_sample_auc,
    two_sample_features,
)

N = 600


def scenes(seed, *, misplaced=False):
    """(N, 20, 20, 1): coarse blobs, and fine grain that is strong where they are bright."""
    rng = np.random.default_rng(seed)
    coarse = gaussian_filter(rng.standard_normal((N, 20, 20)), (0, 3, 3))
    coarse /= coarse.std(axis=(1, 2), keepdims=True)
    grain = rng.standard_normal((N, 20, 20))
    where = np.roll(coarse, 1, axis=0) if misplaced else coarse
    patches = 0.5 + 0.08 * coarse + 0.03 * grain * np.exp(1.5 * where - 1)
    return np.clip(patches, 0, 1).astype(np.float32)[..., None]


def auc(function, first, second):
    image = np.arange(N) % 10
    return two_sample_auc(function(first), function(second), image, image, n_folds=3).auc


def test_detail_in_the_wrong_place_is_found_by_coupling_and_not_by_energies():
    clean, wrong = scenes(0), scenes(1, misplaced=True)
    energies = auc(lambda p: features(p, "subbands"), clean, wrong)
    assert auc(coupling_features, clean, wrong) > 0.75
    assert auc(two_sample_features, clean, wrong) > 0.75
    assert energies < 0.65


def test_two_samples_of_one_distribution_cannot_be_distinguished():
    assert abs(auc(two_sample_features, scenes(0), scenes(1)) - 0.5) < 0.05


def test_brightness_and_contrast_do_not_matter():
    patches = scenes(0)[:20]
    np.testing.assert_allclose(
        coupling_features(0.5 * patches + 0.2), coupling_features(patches), atol=2e-3
    )


def test_flat_and_tiny_patches_have_finite_features():
    for patches in (np.full((3, 20, 20, 1), 0.5), np.random.default_rng(0).random((3, 6, 6, 3))):
        found = coupling_features(np.asarray(patches, np.float32))
        assert found.shape == (3, 20)
        assert np.isfinite(found).all()
