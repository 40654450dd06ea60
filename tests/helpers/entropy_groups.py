"""Groups of known entropy, and when an estimate counts as unbiased."""

from __future__ import annotations

import math

import numpy as np

from cooanalysis.measures.entropy import ESTIMATORS, GAUSSIAN_UNIT_ENTROPY

METHODS = ESTIMATORS.builtin
TOLERANCE = 0.02
SIZES = [(64, 1), (128, 2), (128, 8), (64, 24), (128, 24), (256, 16)]


def ar1(d: int, correlation: float) -> np.ndarray:
    return correlation ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))


def covariance(kind: str, d: int) -> np.ndarray:
    if kind == "isotropic":
        return np.eye(d)
    if kind == "anisotropic":
        return np.diag(np.geomspace(30.0, 1.0, d) ** 2)
    return ar1(d, 0.5 if kind == "ar1-0.5" else 0.9)


def gaussian_groups(
    n: int, cov: np.ndarray, groups: int = 200, seed: int = 0
) -> tuple[np.ndarray, float]:
    d = len(cov)
    root = np.linalg.cholesky(cov)
    points = np.random.default_rng(seed).standard_normal((groups, n, d)) @ root.T
    return points, GAUSSIAN_UNIT_ENTROPY + np.log(np.diagonal(root)).mean()


def assert_unbiased(values: np.ndarray, truth: float, tolerance: float = TOLERANCE) -> None:
    error = 3.0 * values.std() / math.sqrt(len(values))
    assert abs(values.mean() - truth) < tolerance + error
    assert error < tolerance, "the test averages too few groups to say anything"


def clusters(n: int, d: int, groups: int = 150) -> tuple[np.ndarray, float]:
    rng = np.random.default_rng(4)
    points = rng.standard_normal((groups, n, d))
    points[..., 0] += 20.0 * rng.integers(0, 2, (groups, n))
    return points, GAUSSIAN_UNIT_ENTROPY + math.log(2.0) / d
