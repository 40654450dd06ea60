"""Reliability of an estimator, measured on groups of known entropy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.measures.entropy._groups import GAUSSIAN_UNIT_ENTROPY, RESOLUTION, Doubles
from cooanalysis.measures.entropy.compute import entropy
from cooanalysis.measures.entropy.registry import ESTIMATORS

TOLERANCE = 0.02
"""Largest bias at which an absolute entropy counts as reliable, in nats per dimension."""


ReliabilityCode = Literal[
    "bias_within_tolerance", "bias_beyond_tolerance", "singular_covariance", "too_few_members"
]
"""Why an estimator can be relied on, or not."""


@dataclass(frozen=True)
class Reliability:
    """Bias and scatter of an estimator on groups of known entropy, of a run's own sizes.

    Attributes
    ----------
    method, n, d
        What was tried.
    bias
        Mean error, nats per dimension; NaN where there is no estimate.
    standard_deviation
        Scatter of the estimate of a single group, nats per dimension.
    reliable
        Whether the bias is within the tolerance.
    reason
        Why, in one sentence.
    code
        The same for programs.
    """

    method: str
    n: int
    d: int
    bias: float
    standard_deviation: float
    reliable: bool
    reason: str
    code: ReliabilityCode


NULLS: dict[str, tuple[Callable[[np.random.Generator, tuple[int, ...]], Doubles], float]] = {
    "gaussian": (lambda rng, shape: rng.standard_normal(shape), GAUSSIAN_UNIT_ENTROPY),
    "laplace": (
        lambda rng, shape: rng.laplace(scale=math.sqrt(0.5), size=shape),
        1.0 + 0.5 * math.log(2.0),
    ),
    "uniform": (
        lambda rng, shape: rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), size=shape),
        0.5 * math.log(12.0),
    ),
}
"""Independent coordinates of unit variance with known entropy: sampler and nats."""


def reliability(
    method: str,
    n: int,
    d: int,
    *,
    covariance: ArrayLike | None = None,
    n_trials: int = 200,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    null: str = "gaussian",
    **options: Any,
) -> Reliability:
    """Try an estimator on groups of known entropy, of the sizes and covariance of a run.

    Parameters
    ----------
    method
        A name in :data:`ESTIMATORS`.
    n, d
        Points and coordinates of a group.
    covariance
        (d, d) covariance to give the groups, such as the mean covariance of the run's own.
        ``None``: identity.
    n_trials
        Number of groups.
    seed
        Of the simulation.
    tolerance
        Largest bias that counts as reliable, in nats per dimension. Two standard errors of the
        measured bias are added to it.
    null
        Which groups, a name in :data:`NULLS`: independent coordinates of that distribution,
        mixed by the square root of the covariance.
    **options
        Passed on to the estimator.

    Returns
    -------
    Reliability
        Unreliable, with the reason, also where n is too small for d to estimate anything.

    Raises
    ------
    ConfigError
        Unknown method or null, or a covariance that is not one.

    Notes
    -----
    ``gaussian`` is unbiased on Gaussian groups by construction and ``kozachenko-leonenko`` by
    calibration. Use
    ``null="laplace"`` or ``"uniform"`` to see whether they are right for groups of another shape.
    """
    ESTIMATORS.require(method)
    if null not in NULLS:
        raise ConfigError(f"null must be one of {', '.join(NULLS)}, got {null!r}")
    if n < 1 or d < 1 or n_trials < 2:
        raise ConfigError(
            f"n and d must be positive and n_trials at least 2, got n = {n}, d = {d}, "
            f"n_trials = {n_trials}"
        )
    nan = float("nan")
    root = np.eye(d) if covariance is None else _root(covariance, d)
    if root is None:
        reason = "the covariance is singular: such groups lie in a hyperplane and have no density"
        return Reliability(method, n, d, nan, nan, False, reason, "singular_covariance")
    sampler, unit = NULLS[null]
    groups = sampler(np.random.default_rng(seed), (n_trials, n, d)) @ root.T
    try:
        values = entropy(groups, method, **options)
    except NotEnoughDataError as error:
        return Reliability(method, n, d, nan, nan, False, str(error), "too_few_members")
    truth = unit + float(np.linalg.slogdet(root)[1]) / d
    bias = float(values.mean()) - truth
    deviation = float(values.std(ddof=1))
    reliable = abs(bias) <= tolerance + 2.0 * deviation / math.sqrt(n_trials)
    reason = (
        f"bias {bias:+.4f} nats per dimension on {n_trials} {null} groups of n = {n}, d = {d}, "
        f"{'within' if reliable else 'beyond'} the tolerance of {tolerance:g}"
    )
    code: ReliabilityCode = "bias_within_tolerance" if reliable else "bias_beyond_tolerance"
    return Reliability(method, n, d, bias, deviation, reliable, reason, code)


def _root(covariance: ArrayLike, d: int) -> Doubles | None:
    """Cholesky factor of a covariance; ``None`` where it is singular."""
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (d, d):
        raise ConfigError(f"covariance must have the shape ({d}, {d}), got {matrix.shape}")
    if not np.all(np.isfinite(matrix)) or not np.allclose(matrix, matrix.T, rtol=1e-6):
        raise ConfigError("covariance must be finite and symmetric")
    variance = np.diagonal(matrix)
    if np.any(variance < 0.0):
        raise ConfigError("covariance must not have negative variances")
    if np.any(variance == 0.0):
        return None
    scale = np.sqrt(variance)
    correlation = matrix / np.outer(scale, scale)
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if smallest < -1e-6:
        raise ConfigError(f"covariance must be positive: it has the eigenvalue {smallest:g}")
    if smallest <= RESOLUTION**2:
        return None
    return scale[:, None] * np.linalg.cholesky(correlation)
