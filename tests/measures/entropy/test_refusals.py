"""Samples and options that every estimator refuses."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.measures.entropy import (
    ESTIMATORS,
    entropy,
    gaussian_entropy,
    kozachenko_leonenko_entropy,
    marginal_entropies,
)
from tests.helpers.entropy_groups import METHODS, gaussian_groups


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(method: str, bad: float) -> None:
    groups, _ = gaussian_groups(64, np.eye(3), groups=2)
    groups[1, 5, 1] = bad
    with pytest.raises(ConfigError, match="samples must be finite"):
        entropy(groups, method)
    with pytest.raises(ConfigError, match="samples must be finite"):
        marginal_entropies(groups)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_points_are_refused(method: str) -> None:
    minimum = ESTIMATORS[method].min_samples(24)
    groups, _ = gaussian_groups(minimum, np.eye(24), groups=2)
    assert np.all(np.isfinite(entropy(groups, method)))
    with pytest.raises(NotEnoughDataError, match=rf"n = {minimum - 1} .*d = 24.*{minimum}"):
        entropy(groups[:, 1:], method)
    with pytest.raises(NotEnoughDataError):
        entropy(groups[:, : ESTIMATORS[method].min_samples(1) - 1, :1], method)


def test_direct_calls_refuse_too_few_points() -> None:
    groups, _ = gaussian_groups(24, np.eye(24), groups=2)
    with pytest.raises(NotEnoughDataError):
        gaussian_entropy(groups, "none")
    with pytest.raises(NotEnoughDataError):
        gaussian_entropy(groups[:, :3], "oas")
    with pytest.raises(NotEnoughDataError):
        kozachenko_leonenko_entropy(groups[:, :12, :2], k=11)
    with pytest.raises(NotEnoughDataError):
        marginal_entropies(groups[:, :7])


@pytest.mark.parametrize("shape", [(10,), (2, 3, 40, 5), (40, 0), (0, 5)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="samples must"):
        entropy(np.zeros(shape))


def test_other_refusals() -> None:
    groups, _ = gaussian_groups(64, np.eye(3), groups=2)
    with pytest.raises(ConfigError, match=r"'histogram'.*gaussian, kozachenko-leonenko, copula"):
        entropy(groups, "histogram")
    with pytest.raises(ConfigError, match="complex"):
        entropy(groups.astype(complex))
    with pytest.raises(ConfigError, match="'lasso'"):
        entropy(groups, shrinkage="lasso")
    with pytest.raises(ConfigError, match=r"1\.5"):
        entropy(groups, shrinkage=1.5)
    with pytest.raises(ConfigError, match="k must be"):
        entropy(groups, "kozachenko-leonenko", k=0)


def test_integers_are_taken() -> None:
    counts = np.random.default_rng(15).integers(-50, 50, size=(2, 64, 3))
    np.testing.assert_allclose(entropy(counts), entropy(counts.astype(float)))
