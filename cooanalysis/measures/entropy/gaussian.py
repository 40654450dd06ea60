"""Entropy of the Gaussian with a group's covariance, with and without shrinkage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy._groups import (
    GAUSSIAN_UNIT_ENTROPY,
    RESOLUTION,
    Doubles,
    Floats,
    as_groups,
    correlation_matrix,
    correlation_noise,
    in_chunks,
    log_determinant,
    require,
    shaped,
    standardize,
)
from cooanalysis.measures.entropy.estimator import Estimator

if TYPE_CHECKING:
    from torch import Tensor


def gaussian_entropy(samples: ArrayLike, shrinkage: str | float = "auto") -> Doubles:
    r"""Entropy of the Gaussian with the group's covariance, free of finite-sample bias.

    Every coordinate is standardized by its own standard deviation, so anisotropy costs
    nothing; the correlation matrix :math:`R` is shrunk toward the identity,
    :math:`A = (1 - \rho) R + \rho I`; and the expectation of the sampling noise is taken off.

    Without shrinkage the correction is exact: for Gaussian groups with :math:`m = n - 1`
    degrees of freedom, :math:`E \log|S| = \log|\Sigma| - d \log(m/2) +
    \sum_{i=1}^{d} \psi((m + 1 - i)/2)`, for every covariance. The result is the uniformly
    minimum-variance unbiased estimator [1]_. With shrinkage the noise of the correlations is
    damped, and so is its part of the correction: with the eigenvalues :math:`l_i` of :math:`R`
    and :math:`t_i = (1-\rho) l_i / ((1-\rho) l_i + \rho)` by the factor
    :math:`[\sum t_i^2 + (\sum t_i)^2] / (d^2 + d)` of the second-order expansion, which is 1
    at :math:`\rho = 0` and 0 at :math:`\rho = 1`. The pull of the shrinkage itself is *not*
    taken off: it makes correlated coordinates look less dependent (at n = 128, d = 24 and
    neighbors correlated by 0.9: +0.12 nats per dimension, against 0.000 without shrinkage, and
    a standard deviation of 0.015 against 0.013).

    The Gaussian has the largest entropy for its covariance, so for other distributions this
    overestimates: two far clusters look like one wide Gaussian.

    Parameters
    ----------
    samples
        (G, n, d) or (n, d).
    shrinkage
        ``"auto"``: none for n >= d + 2 (exactly unbiased there, which no shrinkage is), else
        ``"oas"``; ``"oas"`` [2]_ or ``"ledoit-wolf"`` [3]_: analytic intensity;
        ``"none"``; or an intensity between 0 and 1.

    Returns
    -------
    numpy.ndarray
        (G,) or 0-d, nats per dimension; ``-inf`` for a constant coordinate and, without
        shrinkage, for linearly dependent coordinates.

    Raises
    ------
    ConfigError
        Wrong shape, values or shrinkage.
    NotEnoughDataError
        n < d + 2 without shrinkage, n < 4 with it.

    References
    ----------
    .. [1] Ahmed, Gokhale: Entropy expressions and their estimators for multivariate
       distributions. IEEE Trans. Information Theory 35, 1989.
    .. [2] Chen, Wiesel, Eldar, Hero: Shrinkage algorithms for MMSE covariance estimation.
       IEEE Trans. Signal Processing 58, 2010.
    .. [3] Ledoit, Wolf: A well-conditioned estimator for large-dimensional covariance matrices.
       J. Multivariate Analysis 88, 2004.
    """
    groups, single = as_groups(samples)
    _, n, d = groups.shape
    shrinkage = _resolve_shrinkage(shrinkage, n, d, "gaussian")
    # E log s^2 = log sigma^2 + psi(m/2) - log(m/2) for every coordinate.
    m = n - 1
    marginal = 0.5 * (math.log(n / 2.0) - float(digamma(m / 2.0)))

    def chunk(x: Floats) -> Doubles:
        z, log_scale = standardize(x)
        log_det = _log_det_correlation(z, shrinkage)
        values: Doubles = GAUSSIAN_UNIT_ENTROPY + marginal + log_scale.mean(1) + 0.5 * log_det / d
        return values

    return shaped(in_chunks(groups, 24 * n * d, chunk), single)


def oas_intensity(covariance: ArrayLike, n: int) -> Doubles:
    """Shrinkage intensity of the oracle-approximating estimator (Chen et al. 2010).

    Parameters
    ----------
    covariance
        (..., d, d) maximum-likelihood covariances (divided by n).
    n
        Number of samples behind each.

    Returns
    -------
    numpy.ndarray
        (...), between 0 and 1; the target is the identity times the mean variance.
    """
    s = np.asarray(covariance, dtype=np.float64)
    d = s.shape[-1]
    mean_square = np.mean(s**2, axis=(-2, -1))
    mean_variance_square = (np.trace(s, axis1=-2, axis2=-1) / d) ** 2
    numerator = mean_square + mean_variance_square
    denominator = (n + 1.0) * (mean_square - mean_variance_square / d)
    # The sphere itself (always so for d = 1) leaves nothing to shrink.
    bounded = denominator > numerator
    return np.where(bounded, numerator / np.where(bounded, denominator, 1.0), 1.0)


def ledoit_wolf_intensity(centered: ArrayLike) -> Doubles:
    """Shrinkage intensity of Ledoit and Wolf (2004).

    Parameters
    ----------
    centered
        (..., n, d) samples whose mean over n is zero.

    Returns
    -------
    numpy.ndarray
        (...), between 0 and 1; the target is the identity times the mean variance.
    """
    x = np.asarray(centered, dtype=np.float64)
    n, d = x.shape[-2:]
    s = np.swapaxes(x, -1, -2) @ x / n
    mean_variance = np.trace(s, axis1=-2, axis2=-1) / d
    square = np.sum(s**2, axis=(-2, -1))
    noise = (np.mean(np.sum(x**2, axis=-1) ** 2, axis=-1) - square) / (n * d)
    distance = square / d - mean_variance**2
    noise = np.minimum(noise, distance)
    positive = noise > 0.0
    return np.where(positive, noise / np.where(positive, distance, 1.0), 0.0)


def _log_det_correlation(z: Doubles, shrinkage: str | float) -> Doubles:
    """(g,) log-determinant of the correlation of standardized samples, less its expected noise."""
    _, n, d = z.shape
    correlation = correlation_matrix(z)
    if shrinkage == "none":
        return log_determinant(correlation) - correlation_noise(n, d)
    if shrinkage == "oas":
        rho = oas_intensity(correlation, n)
    elif shrinkage == "ledoit-wolf":
        rho = ledoit_wolf_intensity(z)
    else:
        rho = np.full(len(z), float(shrinkage))
    rho = rho[:, None]
    kept = (1.0 - rho) * np.maximum(np.linalg.eigvalsh(correlation), RESOLUTION**2)
    share = kept / (kept + rho)
    damping = (np.sum(share**2, 1) + np.sum(share, 1) ** 2) / (d * d + d)
    value: Doubles = np.log(kept + rho).sum(1) - damping * correlation_noise(n, d)
    return value


def _resolve_shrinkage(shrinkage: str | float, n: int, d: int, method: str) -> str | float:
    if shrinkage == "auto":
        shrinkage = "none" if n >= d + 2 else "oas"
    if isinstance(shrinkage, str):
        if shrinkage not in ("none", "oas", "ledoit-wolf"):
            raise ConfigError(
                "shrinkage must be auto, none, oas, ledoit-wolf or a number between 0 and 1, "
                f"got {shrinkage!r}"
            )
    elif not 0.0 <= shrinkage <= 1.0:
        raise ConfigError(f"shrinkage must lie between 0 and 1, got {shrinkage}")
    if shrinkage == 0.0:
        shrinkage = "none"
    require(n, d, method, d + 2 if shrinkage == "none" else 4)
    return shrinkage


def gaussian_entropy_of_tensors(x: Tensor) -> Tensor:
    """Entropies of (G, n, d) groups on their device, as :func:`gaussian_entropy` by default."""
    from cooanalysis.measures.entropy import _tensors

    z, log_scale = _tensors.standardize(x)
    _, n, d = z.shape
    marginal = 0.5 * (math.log(n / 2.0) - float(digamma((n - 1) / 2.0)))
    log_det = _tensors.log_determinant(_tensors.correlation(z)) - correlation_noise(n, d)
    return GAUSSIAN_UNIT_ENTROPY + marginal + log_scale.mean(1) + 0.5 * log_det / d


GAUSSIAN = Estimator(
    name="gaussian",
    title="Gaussian fit",
    function=gaussian_entropy,
    min_samples=lambda d: d + 2,
    reference="Ahmed and Gokhale 1989; shrinkage: Ledoit and Wolf 2004, Chen et al. 2010",
    tensor_function=gaussian_entropy_of_tensors,
)
