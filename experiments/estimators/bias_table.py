"""Bias and scatter of the entropy estimators where the entropy is known, as a Markdown table.

    python -m experiments.estimators.bias_table
    python -m experiments.estimators.bias_table --n 128 --d 24 --trials 1000

Every cell is bias ± standard deviation of a single group, in nats per dimension. The standard
error of a bias is the standard deviation over the root of the number of trials.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from cooanalysis.measures.entropy import (
    ESTIMATORS,
    GAUSSIAN_UNIT_ENTROPY,
    NULLS,
    Estimator,
    entropy,
    gaussian_entropy,
)
from experiments.keeping import kept

Array = NDArray[np.float64]
Sampler = Callable[[np.random.Generator, tuple[int, int, int]], Array]
CLUSTER_GAP = 20.0
DEGREES = 5


def distributions(d: int) -> dict[str, tuple[Sampler, float]]:
    """Samplers and their entropies in nats per dimension."""
    scales = np.geomspace(30.0, 1.0, d)
    lags = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    laplace, uniform = NULLS["laplace"], NULLS["uniform"]
    known = {"Gaussian, isotropic": _gaussian(np.eye(d))}
    if d > 1:
        known["Gaussian, scales 1..30"] = _gaussian(np.diag(scales**2))
        known["Gaussian, AR(1) 0.5"] = _gaussian(0.5**lags)
        known["Gaussian, AR(1) 0.9"] = _gaussian(0.9**lags)
    return known | {
        "Laplace": laplace,
        "uniform box": uniform,
        "two far clusters": (_clusters, GAUSSIAN_UNIT_ENTROPY + math.log(2.0) / d),
        f"multivariate t, {DEGREES} d.o.f.": (_student, _student_entropy(d)),
    }


def _gaussian(covariance: Array) -> tuple[Sampler, float]:
    root = np.linalg.cholesky(covariance)
    half_log_det = float(np.log(np.diagonal(root)).sum())

    def sample(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
        return rng.standard_normal(shape) @ root.T

    return sample, GAUSSIAN_UNIT_ENTROPY + half_log_det / len(covariance)


def _clusters(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    points = rng.standard_normal(shape)
    points[..., 0] += CLUSTER_GAP * rng.integers(0, 2, shape[:2])
    return points


def _student(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    scale = np.sqrt(rng.chisquare(DEGREES, shape[:2]) / DEGREES)
    return rng.standard_normal(shape) / scale[..., None]


def _student_entropy(d: int) -> float:
    half, both = 0.5 * DEGREES, 0.5 * (DEGREES + d)
    joint = gammaln(half) - gammaln(both) + 0.5 * d * math.log(DEGREES * math.pi)
    return float(joint + both * (digamma(both) - digamma(half))) / d


def rows(
    sizes: list[int], dimensions: list[int], trials: int, seed: int
) -> Iterator[tuple[str, ...]]:
    """Header first, then a row for every distribution, d and n."""
    yield ("distribution", "d", "n", *ESTIMATORS, "gaussian, OAS")
    for d in dimensions:
        for name, (sample, truth) in distributions(d).items():
            for n in sizes:
                groups = sample(np.random.default_rng((seed, n, d)), (trials, n, d))
                cells = [_cell(groups, estimator, truth) for estimator in ESTIMATORS.values()]
                shrunk = _error(gaussian_entropy(groups, "oas"), truth)
                yield (name, str(d), str(n), *cells, shrunk)


def _cell(groups: Array, estimator: Estimator, truth: float) -> str:
    _, n, d = groups.shape
    if n < estimator.min_samples(d):
        return "too few"
    return _error(entropy(groups, estimator.name), truth)


def _error(values: Array, truth: float) -> str:
    return f"{values.mean() - truth:+.3f} ± {values.std(ddof=1):.3f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[32, 128, 512], help="group sizes")
    parser.add_argument("--d", type=int, nargs="+", default=[1, 4, 24], help="dimensions")
    parser.add_argument("--trials", type=int, default=200, help="groups per cell (at least 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/estimators"), help="kept there")
    options = parser.parse_args(arguments)
    with kept(options.out, "bias_table", vars(options)):
        _print(options)


def _print(options: argparse.Namespace) -> None:
    print(f"bias ± standard deviation of a group, nats per dimension, {options.trials} trials\n")
    for number, row in enumerate(rows(options.n, options.d, options.trials, options.seed)):
        print("| " + " | ".join(row) + " |", flush=True)
        if number == 0:
            print("|" + "---|" * len(row))


if __name__ == "__main__":
    main()
