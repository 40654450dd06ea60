"""Distributions whose entropy is known, for testing estimators and bounds.

They are shared by the self-test, the figures and the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from cooanalysis.measures.entropy import GAUSSIAN_UNIT_ENTROPY

SEPARATION = 4.0
"""Half the distance of two clusters, in standard deviations of a cluster."""
FREEDOM = 5
"""Degrees of freedom of Student's t distribution."""
CORRELATION = 0.9
"""Correlation of neighboring coordinates of the correlated Gaussian."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """A distribution in ``d`` dimensions whose entropy is known.

    Attributes
    ----------
    title
        Name in figures.
    entropy
        Entropy in nats per dimension, as a function of ``d``.
    rms
        Root mean squared distance to the mean per dimension, as a function of ``d``.
    draw
        Draws (n, d) samples, given a generator, n and d.
    """

    title: str
    entropy: Callable[[int], float]
    rms: Callable[[int], float]
    draw: Callable[[np.random.Generator, int, int], Floats]


def known_distributions() -> tuple[Known, ...]:
    """Distributions of very different shapes, all with an exact entropy."""
    return (
        Known("Gaussian", lambda d: GAUSSIAN_UNIT_ENTROPY, lambda d: 1.0,
              lambda rng, n, d: rng.normal(size=(n, d))),
        Known("Gaussian, variances 1 … 0.01", lambda d: GAUSSIAN_UNIT_ENTROPY
              + float(np.log(_deviations(d)).mean()),
              lambda d: float(np.sqrt((_deviations(d) ** 2).mean())),
              lambda rng, n, d: rng.normal(size=(n, d)) * _deviations(d)),
        Known(f"Gaussian, neighbors correlated {CORRELATION:g}",
              lambda d: GAUSSIAN_UNIT_ENTROPY
              + 0.5 * math.log1p(-(CORRELATION**2)) * (d - 1) / d,
              lambda d: 1.0, _correlated),
        Known("Laplace", lambda d: 1.0 + math.log(2.0), lambda d: math.sqrt(2.0),
              lambda rng, n, d: rng.laplace(size=(n, d))),
        Known("uniform box", lambda d: 0.0, lambda d: math.sqrt(1.0 / 12.0),
              lambda rng, n, d: rng.uniform(size=(n, d))),
        Known(f"Student, {FREEDOM} degrees", _student_entropy,
              lambda d: math.sqrt(FREEDOM / (FREEDOM - 2.0)), _student),
        Known("two clusters", lambda d: GAUSSIAN_UNIT_ENTROPY + _label_entropy() / d,
              lambda d: math.sqrt(1.0 + SEPARATION**2 / d), _two_clusters),
        Known("two clusters, every axis", lambda d: GAUSSIAN_UNIT_ENTROPY + _label_entropy(),
              lambda d: math.sqrt(1.0 + SEPARATION**2),
              lambda rng, n, d: rng.normal(size=(n, d))
              + SEPARATION * rng.choice((-1.0, 1.0), size=(n, d))),
    )  # fmt: skip


def _deviations(d: int) -> Floats:
    return np.geomspace(1.0, 0.1, d)


def _correlated(rng: np.random.Generator, n: int, d: int) -> Floats:
    """First-order autoregression: coordinates i and j have correlation CORRELATION^|i - j|."""
    lags = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    root = np.linalg.cholesky(CORRELATION**lags)
    return np.asarray(rng.normal(size=(n, d)) @ root.T)


def _student(rng: np.random.Generator, n: int, d: int) -> Floats:
    spread = np.sqrt(rng.chisquare(FREEDOM, size=(n, 1)) / FREEDOM)
    return rng.normal(size=(n, d)) / spread


def _student_entropy(d: int) -> float:
    half, whole = FREEDOM / 2.0, (FREEDOM + d) / 2.0
    volume = 0.5 * d * math.log(FREEDOM * math.pi) + float(gammaln(half) - gammaln(whole))
    return (volume + whole * float(digamma(whole) - digamma(half))) / d


def _two_clusters(rng: np.random.Generator, n: int, d: int) -> Floats:
    samples = rng.normal(size=(n, d))
    samples[:, 0] += SEPARATION * rng.choice((-1.0, 1.0), size=n)
    # Rotated, so that no single coordinate shows the clusters.
    turn = np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]
    return samples @ turn


def _label_entropy() -> float:
    """Entropy added by the unknown cluster, nats: log 2 minus the overlap (a 1-D integral)."""
    x = np.linspace(-12.0, 12.0, 4001) + SEPARATION
    weight = np.exp(-0.5 * (x - SEPARATION) ** 2) / math.sqrt(2.0 * math.pi)
    overlap = float(np.sum(weight * np.log1p(np.exp(-2.0 * SEPARATION * x))) * (x[1] - x[0]))
    return math.log(2.0) - overlap
