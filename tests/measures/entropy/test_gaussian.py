"""The Gaussian estimator: bias with and without shrinkage, intensities of the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf, oas

from cooanalysis.measures.entropy import (
    GAUSSIAN_UNIT_ENTROPY,
    entropy,
    gaussian_entropy,
    ledoit_wolf_intensity,
    oas_intensity,
)
from tests.helpers.entropy_groups import ar1, assert_unbiased, clusters, covariance, gaussian_groups


@pytest.mark.parametrize("n", [32, 26])
def test_unshrunk_gaussian_is_unbiased_down_to_the_smallest_group(n: int) -> None:
    groups, truth = gaussian_groups(n, covariance("ar1-0.9", 24), groups=1000)
    values = gaussian_entropy(groups, "none")
    assert abs(values.mean() - truth) < 4.0 * values.std() / math.sqrt(1000)


@pytest.mark.parametrize("shrinkage", ["oas", "ledoit-wolf"])
@pytest.mark.parametrize(("n", "d"), [(32, 8), (64, 24), (128, 24), (512, 16), (16, 24)])
def test_shrunk_gaussian_is_unbiased_without_correlation(shrinkage: str, n: int, d: int) -> None:
    for kind in ("isotropic", "anisotropic"):
        groups, truth = gaussian_groups(n, covariance(kind, d))
        assert_unbiased(gaussian_entropy(groups, shrinkage), truth)


def test_shrinkage_costs_bias_on_correlated_groups() -> None:
    """The documented reason for the default: it overestimates, none does not."""
    groups, truth = gaussian_groups(128, covariance("ar1-0.9", 24))
    assert gaussian_entropy(groups, "oas").mean() - truth == pytest.approx(0.12, abs=0.02)
    assert gaussian_entropy(groups).mean() == pytest.approx(truth, abs=0.005)


def test_gaussian_overestimates_two_far_clusters() -> None:
    """Its documented limit: it sees one Gaussian as wide as both, variance 1 + 10²."""
    groups, truth = clusters(256, 4)
    wide = GAUSSIAN_UNIT_ENTROPY + 0.5 * math.log(101.0) / 4
    assert entropy(groups).mean() == pytest.approx(wide, abs=0.01)
    assert entropy(groups).mean() > truth + 0.3


@pytest.mark.parametrize(("n", "d"), [(32, 8), (20, 24), (128, 24), (50, 1)])
def test_intensities_are_those_of_scikit_learn(n: int, d: int) -> None:
    x = np.random.default_rng(7).standard_normal((n, d)) @ np.linalg.cholesky(ar1(d, 0.5)).T
    x = (x - x.mean(0)) * np.linspace(1.0, 3.0, d)
    # One variable: scikit-learn returns the variance itself, at any intensity.
    if d > 1:
        assert oas_intensity(x.T @ x / n, n) == pytest.approx(oas(x, assume_centered=True)[1])
    expected = ledoit_wolf(x, assume_centered=True)[1]
    assert ledoit_wolf_intensity(x) == pytest.approx(expected, abs=1e-12)


def test_intensities_are_vectorized() -> None:
    x = np.random.default_rng(8).standard_normal((5, 40, 6))
    x -= x.mean(1, keepdims=True)
    covariances = np.swapaxes(x, 1, 2) @ x / 40
    np.testing.assert_allclose(
        oas_intensity(covariances, 40), [oas_intensity(c, 40) for c in covariances]
    )
    np.testing.assert_allclose(ledoit_wolf_intensity(x), [ledoit_wolf_intensity(g) for g in x])


def test_small_intensities_approach_none() -> None:
    groups, _ = gaussian_groups(64, covariance("ar1-0.5", 16), groups=20)
    none = gaussian_entropy(groups, "none")
    np.testing.assert_allclose(gaussian_entropy(groups, 1e-8), none, atol=1e-6)
    np.testing.assert_array_equal(gaussian_entropy(groups, 0.0), none)


def test_full_intensity_is_the_sum_of_the_margins() -> None:
    groups, _ = gaussian_groups(64, covariance("ar1-0.9", 4), groups=5)
    margins = [gaussian_entropy(groups[..., j : j + 1]) for j in range(4)]
    np.testing.assert_allclose(gaussian_entropy(groups, 1.0), np.mean(margins, axis=0))


def test_auto_shrinks_only_where_it_must() -> None:
    groups, _ = gaussian_groups(26, np.eye(24), groups=5)
    np.testing.assert_array_equal(gaussian_entropy(groups), gaussian_entropy(groups, "none"))
    few = groups[:, :25]
    np.testing.assert_array_equal(gaussian_entropy(few), gaussian_entropy(few, "oas"))
