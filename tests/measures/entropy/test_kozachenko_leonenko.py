"""The nearest-neighbor estimator: whitening, exact distances, ties."""

from __future__ import annotations

import numpy as np

from cooanalysis.measures.entropy import count_ties, entropy, kozachenko_leonenko_entropy
from cooanalysis.measures.entropy.kozachenko_leonenko import _kth_square_distance
from tests.helpers.entropy_groups import covariance, gaussian_groups


def test_whitening_removes_the_bias_of_anisotropy() -> None:
    groups, truth = gaussian_groups(128, covariance("anisotropic", 24), groups=60)
    raw = kozachenko_leonenko_entropy(groups, whiten=False, calibrate=False).mean() - truth
    white = kozachenko_leonenko_entropy(groups, calibrate=False).mean() - truth
    calibrated = kozachenko_leonenko_entropy(groups).mean() - truth
    assert raw > 0.5
    assert 0.05 < white < 0.12
    assert abs(calibrated) < 0.01


def test_neighbor_distances_are_exact() -> None:
    """The fast distances against differences, float32 products and near duplicates included."""
    rng = np.random.default_rng(5)
    for d, dtype in ((3, np.float64), (24, np.float32)):
        z = rng.standard_normal((2, 60, d))
        z[0, 1] = z[0, 0] + 1e-5
        z[1, :4] = z[1, 0]
        fast = _kth_square_distance(z, 2, dtype)
        slow = np.sort(((z[:, :, None] - z[:, None]) ** 2).sum(-1), axis=2)[:, :, 2]
        np.testing.assert_allclose(fast, slow, rtol=2e-3 if dtype is np.float32 else 1e-9)
        assert np.all(fast[1, :4] == 0.0)


def test_ties_are_counted() -> None:
    points = np.random.default_rng(13).standard_normal((2, 64, 12))
    points[1, :10] = points[1, 0]
    np.testing.assert_array_equal(count_ties(points), [0, 10])
    assert count_ties(points[1], k=3).shape == ()
    assert entropy(points, "kozachenko-leonenko")[1] < entropy(points, "kozachenko-leonenko")[0]
