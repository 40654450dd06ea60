"""What entropies say about errors: closed forms and inequalities."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy import (
    GAUSSIAN_UNIT_ENTROPY,
    NULLS,
    copula_entropy,
    entropy_power,
    marginal_entropies,
    marginal_mmse_floor,
    mmse_floor,
    psnr_ceiling,
)
from tests.helpers.entropy_groups import clusters

quick = settings(max_examples=20, deadline=None, derandomize=True)


def test_entropy_power_of_a_gaussian_is_its_variance() -> None:
    variance = np.array([0.01, 1.0, 25.0])
    h = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(variance)
    np.testing.assert_allclose(entropy_power(h), variance)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert entropy_power(-np.inf) == 0.0


def test_floors_of_a_gaussian_in_closed_form() -> None:
    """For independent Gaussians the marginal floor is the error of the best estimate."""
    variance = np.array([9.0, 4.0, 1.0])
    h = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(variance)
    marginal = marginal_mmse_floor(h, patch_dim=10)
    joint = mmse_floor(h.mean(), subspace_dim=3, patch_dim=10)
    assert marginal == pytest.approx(variance.sum() / 10)
    assert joint == pytest.approx(3 / 10 * 36 ** (1 / 3))
    assert marginal_mmse_floor(np.tile(h, (5, 1)), 10).shape == (5,)


@given(st.integers(1, 12), st.integers(0, 2**20))
@quick
def test_marginal_floor_is_the_tighter_one(d: int, seed: int) -> None:
    """On exact values: any covariance, both below the mean squared error of the mean."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) + 0.1 * np.eye(d)
    cov = root @ root.T
    joint = GAUSSIAN_UNIT_ENTROPY + np.linalg.slogdet(root)[1] / d
    margins = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(np.diagonal(cov))
    tight = marginal_mmse_floor(margins, patch_dim=2 * d)
    loose = mmse_floor(joint, subspace_dim=d, patch_dim=2 * d)
    assert loose <= tight * (1 + 1e-9)
    assert tight <= np.trace(cov) / (2 * d) * (1 + 1e-9)


def test_floor_is_below_the_error_of_the_best_estimate_for_other_distributions() -> None:
    groups, _ = clusters(256, 3)
    floor = marginal_mmse_floor(marginal_entropies(groups), patch_dim=3)
    best = groups.var(axis=1).mean(axis=1)
    assert np.all(floor < best)


def test_entropy_power_inequality() -> None:
    """N(X + Y) >= N(X) + N(Y) for independent Laplace and uniform coordinates."""
    rng = np.random.default_rng(14)
    laplace = NULLS["laplace"][0](rng, (300, 512, 1))
    uniform = NULLS["uniform"][0](rng, (300, 512, 1))
    power = [entropy_power(copula_entropy(x).mean()) for x in (laplace, uniform, laplace + uniform)]
    assert power[2] > power[0] + power[1]


def test_psnr_ceiling() -> None:
    np.testing.assert_allclose(psnr_ceiling([1.0, 0.01, 1e-4]), [0.0, 20.0, 40.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert psnr_ceiling(0.0) == np.inf
    with pytest.raises(ConfigError, match="mse"):
        psnr_ceiling(-1.0)


def test_floors_refuse_more_axes_than_values() -> None:
    with pytest.raises(ConfigError, match="subspace_dim"):
        mmse_floor(0.0, subspace_dim=11, patch_dim=10)
    with pytest.raises(ConfigError, match="patch_dim = 2"):
        marginal_mmse_floor(np.zeros((4, 3)), patch_dim=2)
