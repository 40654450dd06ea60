"""Whether an estimator is reliable at the sizes of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy import reliability
from tests.helpers.entropy_groups import METHODS, ar1, covariance


@pytest.mark.parametrize("method", METHODS)
def test_reliability_at_the_usual_sizes(method: str) -> None:
    shape = (
        covariance("anisotropic", 24) ** 0.5 @ ar1(24, 0.3) @ covariance("anisotropic", 24) ** 0.5
    )
    result = reliability(method, 128, 24, covariance=shape)
    assert result.reliable, result.reason
    assert (result.method, result.n, result.d) == (method, 128, 24)
    assert abs(result.bias) < 0.02
    assert 0.005 < result.standard_deviation < 0.03
    assert "n = 128, d = 24" in result.reason
    assert result == reliability(method, 128, 24, covariance=shape)


def test_reliability_sees_the_bias_of_other_shapes() -> None:
    assert reliability("copula", 128, 24, null="uniform").reliable
    boxes = reliability("kozachenko-leonenko", 128, 24, null="uniform")
    assert not boxes.reliable and boxes.bias > 0.15
    assert "beyond" in boxes.reason


def test_reliability_sees_the_bias_of_an_option() -> None:
    shape = covariance("ar1-0.9", 24)
    assert not reliability("gaussian", 128, 24, covariance=shape, shrinkage="oas").reliable
    assert not reliability("kozachenko-leonenko", 128, 24, n_trials=50, calibrate=False).reliable


@pytest.mark.parametrize("method", METHODS)
def test_reliability_without_enough_data(method: str) -> None:
    result = reliability(method, 24, 32)
    assert not result.reliable
    assert math.isnan(result.bias)
    assert "n = 24" in result.reason and "d = 32" in result.reason


def test_reliability_of_a_singular_covariance() -> None:
    for singular in (np.ones((3, 3)), np.diag([1.0, 0.0, 1.0])):
        result = reliability("gaussian", 64, 3, covariance=singular)
        assert not result.reliable and "hyperplane" in result.reason


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.eye(2), "shape"),
        (np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]), "symmetric"),
        (np.diag([1.0, -1.0, 1.0]), "negative"),
        (np.array([[1.0, 2.0, 0], [2.0, 1, 0], [0, 0, 1]]), "positive"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_reliability_refuses_what_is_not_a_covariance(matrix: np.ndarray, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        reliability("gaussian", 64, 3, covariance=matrix)


def test_reliability_refuses_nonsense() -> None:
    with pytest.raises(ConfigError, match="laplace"):
        reliability("gaussian", 64, 3, null="cauchy")
    with pytest.raises(ConfigError, match="n_trials"):
        reliability("gaussian", 64, 3, n_trials=1)
    with pytest.raises(ConfigError, match="copula"):
        reliability("histogram", 64, 3)
