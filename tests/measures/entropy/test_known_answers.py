"""Every estimator on distributions of known entropy, and on groups without a density."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from cooanalysis.measures.entropy import GAUSSIAN_UNIT_ENTROPY, NULLS, entropy, marginal_entropies
from tests.helpers.entropy_groups import (
    METHODS,
    SIZES,
    TOLERANCE,
    assert_unbiased,
    clusters,
    covariance,
    gaussian_groups,
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic", "ar1-0.5", "ar1-0.9"])
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_gaussian_groups(method: str, kind: str, n: int, d: int) -> None:
    groups, truth = gaussian_groups(n, covariance(kind, d), groups=400 if d == 1 else 150)
    # The documented limit of ranks: strong correlation in many dimensions, few points.
    blunt = (method, kind, n, d) == ("copula", "ar1-0.9", 64, 24)
    assert_unbiased(entropy(groups, method), truth, tolerance=0.035 if blunt else TOLERANCE)


@pytest.mark.parametrize("method", ["copula", "kozachenko-leonenko"])
@pytest.mark.parametrize("n", [256, 512])
def test_uniform_interval(method: str, n: int) -> None:
    groups = np.random.default_rng(1).uniform(-2.0, 3.0, size=(300, n, 1))
    assert_unbiased(entropy(groups, method), math.log(5.0))


@pytest.mark.parametrize(
    ("method", "n", "d"),
    [
        ("copula", 64, 2),
        ("copula", 128, 24),
        ("kozachenko-leonenko", 256, 1),
        ("kozachenko-leonenko", 128, 8),
        ("kozachenko-leonenko", 512, 4),
    ],
)
def test_laplace(method: str, n: int, d: int) -> None:
    sampler, truth = NULLS["laplace"]
    groups = sampler(np.random.default_rng(3), (200, n, d))
    assert_unbiased(entropy(groups, method), truth)


@pytest.mark.parametrize(
    ("method", "n", "d", "options"),
    [
        ("copula", 512, 1, {}),
        ("copula", 256, 4, {}),
        ("copula", 128, 24, {}),
        ("kozachenko-leonenko", 128, 1, {}),
        ("kozachenko-leonenko", 512, 2, {}),
        ("kozachenko-leonenko", 128, 4, {"whiten": False}),
    ],
)
def test_two_far_clusters_add_log_two(method: str, n: int, d: int, options: dict) -> None:
    groups, truth = clusters(n, d, groups=400 if d == 1 else 150)
    assert_unbiased(entropy(groups, method, **options), truth)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 0.3, 1e3])
def test_constant_coordinate_has_entropy_minus_infinity(
    method: str, dtype: type, offset: float
) -> None:
    groups = np.random.default_rng(9).standard_normal((3, 64, 5)).astype(dtype)
    groups[1, :, 2] = offset
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = entropy(groups, method)
        margins = marginal_entropies(groups)
    assert values[1] == -np.inf
    assert np.all(np.isfinite(values[[0, 2]]))
    assert np.isneginf(margins).sum() == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_embedded_in_more_dimensions_has_entropy_minus_infinity(
    method: str, dtype: type
) -> None:
    rng = np.random.default_rng(10)
    embedding = np.linalg.qr(rng.standard_normal((12, 3)))[0].T
    flat = (rng.standard_normal((4, 128, 3)) @ embedding).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isneginf(entropy(flat, method)))


@pytest.mark.parametrize("method", ["gaussian", "kozachenko-leonenko"])
def test_nearly_embedded_gaussian_is_known(method: str) -> None:
    """A thickness of 1e-3 in 9 of 12 dimensions: very low, finite and right."""
    rng = np.random.default_rng(11)
    rotation = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    scales = np.where(np.arange(12) < 3, 1.0, 1e-3)
    groups = (rng.standard_normal((100, 128, 12)) * scales) @ rotation
    assert_unbiased(entropy(groups, method), GAUSSIAN_UNIT_ENTROPY + np.log(scales).mean())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("whole", [True, False])
def test_repeated_points_stay_finite_or_minus_infinity(method: str, whole: bool) -> None:
    points = np.random.default_rng(12).standard_normal((1, 64, 4))
    points[:, : 64 if whole else 20] = points[:, :1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = entropy(points, method)[0]
    assert not np.isnan(value)
    assert np.isneginf(value) == whole
