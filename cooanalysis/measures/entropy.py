r"""Differential entropy of potential-HR groups: three estimators with known answers.

How many high-resolution patches share one low-resolution patch, and how far apart they
lie, is measured by the conditional entropy :math:`h(Y \mid X = x)`. A group of ``n`` details
in ``d`` coordinates stands for the distribution behind it, and three estimators look at it
from different sides:

========================  =====================================================================
``gaussian``              Entropy of the Gaussian with the group's covariance. Exactly unbiased
                          for Gaussian groups of any covariance; an upper bound for all others.
``kozachenko-leonenko``   Nearest-neighbor distances after whitening, calibrated on Gaussian
                          groups of the same ``n`` and ``d``. Sees any shape in a few dimensions;
                          in many (d > 8) it hardly tells a box or clusters from a Gaussian.
``copula``                Spacing entropies of the coordinates plus a Gaussian copula. Sees the
                          shape of every coordinate, and only linear-like dependence.
========================  =====================================================================

All entropies are in **nats per dimension**: the joint entropy divided by ``d``. All functions
are pure functions of arrays. Adding an estimator takes one function and one line in
:data:`ESTIMATORS`; :func:`reliability` says how far an estimator may be trusted at the sizes
of a given run.

A group that lies in a hyperplane (a constant coordinate, or coordinates that are linearly
dependent) has no density, and its entropy is ``-inf`` by every estimator. A direction counts as
constant when its standard deviation is below :data:`RESOLUTION` of that of the standardized
coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammaln, ndtri

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.runtime.environment import thread_limit

__all__ = [
    "ESTIMATORS",
    "NULLS",
    "RESOLUTION",
    "TOLERANCE",
    "Estimator",
    "Reliability",
    "ReliabilityCode",
    "copula_entropy",
    "count_ties",
    "entropy",
    "entropy_power",
    "gaussian_entropy",
    "kozachenko_leonenko_entropy",
    "ledoit_wolf_intensity",
    "marginal_entropies",
    "marginal_mmse_floor",
    "mmse_floor",
    "oas_intensity",
    "psnr_ceiling",
    "reliability",
]

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

RESOLUTION = 1e-6
"""Smallest distance that counts, relative to the spread of a standardized group."""

GAUSSIAN_UNIT_ENTROPY = 0.5 * math.log(2.0 * math.pi * math.e)
"""Entropy of a Gaussian of unit variance, in nats."""

TOLERANCE = 0.02
"""Largest bias at which an absolute entropy is trusted, in nats per dimension."""

_CHUNK_BYTES = 16 * 2**20
_SPACING = 2
_FLAT = 1e-12


# -- The one entrance ------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimator:
    """What is known about an entropy estimator.

    Attributes
    ----------
    name
        How users name it.
    title
        How tables and plots name it.
    function
        ``function(samples, **options)`` gives nats per dimension.
    min_samples
        ``min_samples(d)`` is the smallest group size at which it gives a number.
    reference
        Where it comes from.
    """

    name: str
    title: str
    function: Callable[..., Doubles]
    min_samples: Callable[[int], int]
    reference: str


def entropy(samples: ArrayLike, method: str = "gaussian", **options: Any) -> Doubles:
    """Differential entropy of one or many groups, in nats per dimension.

    Parameters
    ----------
    samples
        (G, n, d): G groups of n points in d coordinates; or (n, d), one group.
    method
        A name in :data:`ESTIMATORS`.
    **options
        Passed on to the estimator's function.

    Returns
    -------
    numpy.ndarray
        (G,) float64, or 0-d for one group. ``-inf`` for groups without a density.

    Raises
    ------
    ConfigError
        Unknown method, wrong shape, or NaN or infinity among the samples.
    NotEnoughDataError
        Fewer points than the estimator needs in so many coordinates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> group = rng.normal(scale=[1.0, 10.0], size=(512, 2))
    >>> truth = 0.5 * np.log(2 * np.pi * np.e) + np.log(10) / 2
    >>> bool(abs(entropy(group) - truth) < 0.05)
    True
    """
    estimator = _estimator(method)
    groups, _ = _as_groups(samples)
    _require(groups.shape[1], groups.shape[2], method, estimator.min_samples(groups.shape[2]))
    return estimator.function(samples, **options)


# -- Gaussian --------------------------------------------------------------------------------


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
    groups, single = _as_groups(samples)
    _, n, d = groups.shape
    shrinkage = _resolve_shrinkage(shrinkage, n, d, "gaussian")
    # E log s^2 = log sigma^2 + psi(m/2) - log(m/2) for every coordinate.
    m = n - 1
    marginal = 0.5 * (math.log(n / 2.0) - float(digamma(m / 2.0)))

    def chunk(x: Floats) -> Doubles:
        z, log_scale = _standardize(x)
        log_det = _log_det_correlation(z, shrinkage)
        values: Doubles = GAUSSIAN_UNIT_ENTROPY + marginal + log_scale.mean(1) + 0.5 * log_det / d
        return values

    return _output(_in_chunks(groups, 24 * n * d, chunk), single)


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


# -- Kozachenko-Leonenko ---------------------------------------------------------------------


def kozachenko_leonenko_entropy(
    samples: ArrayLike,
    k: int = 3,
    *,
    whiten: bool = True,
    calibrate: bool = True,
) -> Doubles:
    r"""Entropy from the distances to the k-th nearest neighbor.

    :math:`\hat h = \psi(n) - \psi(k) + \log V_d + \frac{d}{n} \sum_i \log r_i`, with the
    distance :math:`r_i` of point i to its k-th neighbor and the volume :math:`V_d` of the
    unit ball [1]_ [2]_. It assumes a constant density within :math:`r_i`, which fails in many
    dimensions; two measures lower the bias:

    * *whitening*: distances are taken after whitening the group by its own covariance, and the
      log-determinant is added back. Entropy is equivariant under affine maps, so this is
      legitimate, and anisotropy and correlation no longer matter at all;
    * *calibration*: the bias that is left for Gaussian groups depends, after whitening, on
      (n, d, k) alone. It is measured once on simulated Gaussian groups (fixed seed, cached)
      and taken off, so what the estimator says is, strictly, how far a group is from a
      Gaussian. For other distributions a part of the bias remains: at n = 128, d = 24 +0.03
      for Laplace coordinates, +0.20 for a uniform box, -0.07 for a multivariate t with 5
      degrees of freedom (nats per dimension; without calibration +0.12, +0.29 and +0.02).

    Whitening by the covariance squeezes the axis along which clusters lie apart, so far
    clusters are found only where n is large for d (n = 512 for d = 2); if the clusters
    themselves are close to isotropic, ``whiten=False`` finds them in more dimensions.

    Parameters
    ----------
    samples
        (G, n, d) or (n, d).
    k
        Order of the neighbor. Larger: less variance, more bias.
    whiten
        Whiten each group. Without it the data must be close to isotropic.
    calibrate
        Take off the bias measured on Gaussian groups; isotropic ones without ``whiten``.

    Returns
    -------
    numpy.ndarray
        (G,) or 0-d, nats per dimension; ``-inf`` for groups in a hyperplane.

    Raises
    ------
    ConfigError
        Wrong shape or values, or k < 1.
    NotEnoughDataError
        n < max(d, k) + 2.

    Notes
    -----
    Repeated points have distance zero, and a logarithm of minus infinity. Distances are floored
    at :data:`RESOLUTION` times :math:`\sqrt{d}` of the whitened (else standardized as a whole)
    group; :func:`count_ties` counts the points for which the floor was used. Cost per group:
    a matrix product of :math:`n^2 d` and a partial sort of n rows of n distances.

    References
    ----------
    .. [1] Kozachenko, Leonenko: Sample estimate of the entropy of a random vector.
       Problems of Information Transmission 23, 1987.
    .. [2] Kraskov, Stögbauer, Grassberger: Estimating mutual information.
       Physical Review E 69, 2004.
    """
    groups, single = _as_groups(samples)
    _, n, d = groups.shape
    _check_neighbor(k, n, d)
    values = _nearest_neighbors(groups, k, whiten)[0]
    if calibrate:
        values = values - _nearest_neighbor_null(n, d, k, whiten)
    return _output(values, single)


def count_ties(samples: ArrayLike, k: int = 3, *, whiten: bool = True) -> NDArray[np.int64]:
    """Number of points whose k-th neighbor is closer than can be told apart.

    Parameters
    ----------
    samples
        (G, n, d) or (n, d).
    k, whiten
        As in :func:`kozachenko_leonenko_entropy`.

    Returns
    -------
    numpy.ndarray
        (G,) or 0-d int64. Anything but 0 says that the group has repeated points, that its
        distribution is not continuous at this resolution, and that its nearest-neighbor
        entropy depends on :data:`RESOLUTION`.
    """
    groups, single = _as_groups(samples)
    _check_neighbor(k, groups.shape[1], groups.shape[2])
    counts = _nearest_neighbors(groups, k, whiten)[1]
    return counts.reshape(()) if single else counts


def _check_neighbor(k: int, n: int, d: int) -> None:
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}")
    _require(n, d, "kozachenko-leonenko", max(d, k) + 2)


def _nearest_neighbors(groups: Floats, k: int, whiten: bool) -> tuple[Doubles, NDArray[np.int64]]:
    """Uncalibrated entropies in nats per dimension, and how many distances were floored."""
    _, n, d = groups.shape
    constant = float(digamma(n) - digamma(k)) + 0.5 * d * math.log(math.pi) - gammaln(0.5 * d + 1)
    # In few dimensions neighbors are so close that float32 products lose them.
    dtype = np.float64 if d <= 8 else np.float32
    floor = d * RESOLUTION**2

    def chunk(x: Floats) -> Doubles:
        z, log_scale = _standardize(x)
        log_volume = log_scale.sum(1)
        correlation = _correlation(z)
        log_det = _log_det(correlation)
        degenerate = np.isneginf(log_det) | np.isneginf(log_volume)
        if whiten:
            correlation[degenerate] = np.eye(d)
            root = np.linalg.cholesky(correlation)
            z = z @ np.swapaxes(np.linalg.inv(root), 1, 2)
            log_volume = log_volume + 0.5 * log_det
        else:
            # One scale for all coordinates, so that the floor is relative to the group.
            log_scale = np.where(np.isneginf(log_scale), 0.0, log_scale)
            common = log_scale.max(1)
            z = z * np.exp(log_scale - common[:, None])[:, None, :]
            log_volume = np.where(degenerate, -np.inf, d * common)
        square = _kth_square_distance(z, k, dtype)
        floored = square <= floor
        logs = np.log(np.maximum(square, floor))
        values = (constant + log_volume + 0.5 * d * logs.mean(1)) / d
        return np.stack([values, floored.sum(1)], axis=1)

    width = np.dtype(dtype).itemsize
    out = _in_chunks(groups, 2 * width * n * n + 32 * n * d, chunk)
    return out[:, 0], out[:, 1].astype(np.int64)


def _kth_square_distance(z: Doubles, k: int, dtype: type[np.floating[Any]]) -> Doubles:
    """(g, n) squared distances to the k-th neighbor, the point itself not counted."""
    points = z.astype(dtype)
    norms = np.einsum("gnd,gnd->gn", points, points)
    squares = points @ np.swapaxes(points, 1, 2)
    squares *= -2.0
    squares += norms[:, :, None]
    squares += norms[:, None, :]
    # Rounding must not put another point before the point itself.
    diagonal = np.arange(z.shape[1])
    squares[:, diagonal, diagonal] = -1.0
    nearest = np.partition(squares, k, axis=-1)[..., k].astype(np.float64)
    # The products cancel for close points: take those again from differences.
    precision = 1e3 * float(np.finfo(dtype).eps)
    group, row = np.nonzero(nearest <= precision * (norms + z.shape[2]))
    if len(group):
        step = max(1, _CHUNK_BYTES // (8 * z.shape[1] * z.shape[2]))
        for start in range(0, len(group), step):
            g, i = group[start : start + step], row[start : start + step]
            exact = np.sum((z[g] - z[g, i][:, None, :]) ** 2, axis=2)
            exact[np.arange(len(g)), i] = -1.0
            nearest[g, i] = np.partition(exact, k, axis=1)[:, k]
    return np.maximum(nearest, 0.0)


@lru_cache(maxsize=256)
def _nearest_neighbor_null(n: int, d: int, k: int, whiten: bool) -> float:
    """Bias on Gaussian groups, nats per dimension; standard error 0.002 (d = 1) and less."""
    # The spread of one group's value shrinks like 1/sqrt(n); the cost grows like n^2.
    trials = max(64, min(2**18 // n, 2**26 // n**2))
    rng = np.random.default_rng((n, d, k))
    groups = rng.standard_normal((trials, n, d))
    return float(_nearest_neighbors(groups, k, whiten)[0].mean()) - GAUSSIAN_UNIT_ENTROPY


# -- Copula ----------------------------------------------------------------------------------


def copula_entropy(samples: ArrayLike) -> Doubles:
    r"""Entropies of the coordinates plus that of a Gaussian copula (nonparanormal).

    :math:`\hat h = \sum_j \hat h_j + \frac12 \log|\hat R|`: the entropy of every coordinate from
    its spacings (:func:`marginal_entropies`), and the dependence from the correlation
    :math:`\hat R` of the normal scores, that is of the ranks put through the normal quantile
    function [1]_. The noise of the correlations is corrected as in :func:`gaussian_entropy`.

    It is free of any assumption on the coordinates' distributions. Of their dependence it sees
    what a Gaussian copula can express; other dependence (two clusters along a diagonal, a
    common random scale) is missed, and the entropy overestimated (+0.04 at n = 128, d = 24 for
    a multivariate t with 5 degrees of freedom). Ranks blunt strong correlations: at d = 24 with
    neighbors correlated by 0.9 the bias is +0.03 at n = 64 and +0.02 at n = 128.

    Parameters
    ----------
    samples
        (G, n, d) or (n, d).

    Returns
    -------
    numpy.ndarray
        (G,) or 0-d, nats per dimension; ``-inf`` for groups in a hyperplane.

    Raises
    ------
    ConfigError
        Wrong shape or values.
    NotEnoughDataError
        n < max(d, 6) + 2.

    References
    ----------
    .. [1] Singh, Póczos: Nonparanormal information estimation. ICML 2017.
    """
    groups, single = _as_groups(samples)
    _, n, d = groups.shape
    _require(n, d, "copula", _min_samples_copula(d))
    scores = ndtri(np.arange(1, n + 1) / (n + 1.0))
    scores /= math.sqrt(float(np.mean(scores**2)))

    def chunk(x: Floats) -> Doubles:
        z, log_scale = _standardize(x)
        flat = np.isneginf(_log_det(_correlation(z)))
        columns = np.ascontiguousarray(np.swapaxes(z, 1, 2))
        # Flat positions: several times faster than take_along_axis and put_along_axis.
        order = np.argsort(columns, axis=2)
        order += np.arange(0, columns.size, n).reshape(len(x), d, 1)
        marginal = _spacing_entropy(columns.ravel()[order]) + log_scale
        normal = np.empty_like(columns)
        normal.ravel()[order] = scores
        log_det = _log_det_correlation(np.swapaxes(normal, 1, 2), "none")
        return np.where(flat, -np.inf, marginal.mean(1) + 0.5 * log_det / d)

    return _output(_in_chunks(groups, 48 * n * d, chunk), single)


def marginal_entropies(samples: ArrayLike) -> Doubles:
    r"""Entropy of every single coordinate, from the spacings of its sorted values.

    The mean over i of :math:`\log(x_{(i+m)} - x_{(i-m)}) - \psi(c_i) + \psi(n+1)`, m = 2, where
    :math:`c_i` is the number of gaps in between: 2m, fewer at the ends, where the spacing stops
    at the extreme value. It is the estimator of Vasicek [1]_ with the ends of Ebrahimi [2]_;
    the digamma terms instead of logarithms make it exactly unbiased for a uniform
    distribution. Among Vasicek, Ebrahimi, van Es [3]_ and Correa, each with several m, it had
    the least bias for Gaussian, uniform, Laplace and bimodal data of 32 to 512 samples.

    Parameters
    ----------
    samples
        (G, n, d) or (n, d).

    Returns
    -------
    numpy.ndarray
        (G, d) or (d,), nats; ``-inf`` for a constant coordinate.

    Raises
    ------
    ConfigError
        Wrong shape or values.
    NotEnoughDataError
        n < 8.

    Notes
    -----
    The bias is about -1/n for a Gaussian, -0.6/n for a Laplace and 0 for a uniform
    distribution; a gap between clusters costs up to +8/n. The standard deviation at n = 128 is
    0.07, 0.09 and 0.03 nats. Ties make spacings of zero: they are floored at :data:`RESOLUTION`
    standard deviations.

    References
    ----------
    .. [1] Vasicek: A test for normality based on sample entropy. J. Royal Statistical Society B
       38, 1976.
    .. [2] Ebrahimi, Pflughoeft, Soofi: Two measures of sample entropy. Statistics & Probability
       Letters 20, 1994.
    .. [3] van Es: Estimating functionals related to a density by a class of statistics based on
       spacings. Scandinavian J. Statistics 19, 1992.
    """
    groups, single = _as_groups(samples)
    _, n, d = groups.shape
    _require(n, d, "marginal", _min_samples_copula(1))

    def chunk(x: Floats) -> Doubles:
        z, log_scale = _standardize(x)
        return _spacing_entropy(np.sort(np.swapaxes(z, 1, 2), axis=2)) + log_scale

    values = _in_chunks(groups, 40 * n * d, chunk)
    return values[0] if single else values


def _min_samples_copula(d: int) -> int:
    return max(d, 6) + 2


def _spacing_entropy(ordered: Doubles) -> Doubles:
    """(..., n) sorted values of unit variance to (...) entropies in nats."""
    n, m = ordered.shape[-1], _SPACING
    spacings = np.empty_like(ordered)
    np.subtract(ordered[..., 2 * m :], ordered[..., : -2 * m], out=spacings[..., m:-m])
    np.subtract(ordered[..., m : 2 * m], ordered[..., :1], out=spacings[..., :m])
    np.subtract(ordered[..., -1:], ordered[..., -2 * m : -m], out=spacings[..., -m:])
    np.maximum(spacings, RESOLUTION, out=spacings)
    index = np.arange(n)
    gaps = np.minimum(index + m, n - 1) - np.maximum(index - m, 0)
    expected = float(np.mean(digamma(gaps)) - digamma(n + 1))
    values: Doubles = np.log(spacings, out=spacings).mean(-1) - expected
    return values


# -- What an entropy says about errors -------------------------------------------------------


def entropy_power(h: ArrayLike) -> Doubles:
    r"""Variance of the white Gaussian of the same entropy, :math:`N = e^{2h} / (2 \pi e)`.

    Parameters
    ----------
    h
        Entropies in nats per dimension, any shape.

    Returns
    -------
    numpy.ndarray
        Same shape; the squared unit of the samples. 0 for ``-inf``.

    Examples
    --------
    >>> bool(np.isclose(entropy_power(0.5 * np.log(2 * np.pi * np.e) + np.log(3.0)), 9.0))
    True
    """
    return np.exp(2.0 * (np.asarray(h, dtype=np.float64) - GAUSSIAN_UNIT_ENTROPY))


def mmse_floor(h: ArrayLike, *, subspace_dim: int, patch_dim: int) -> Doubles:
    r"""Lower bound of the mean squared error per value of the patch, from a joint entropy.

    Let ``y`` be the patch (D = ``patch_dim`` values), ``V`` an orthonormal basis of p =
    ``subspace_dim`` axes, and ``f(x)`` any answer that sees only the low-resolution patch. Then
    :math:`E\|y - f\|^2 \ge E\|V^T(y - f)\|^2`, since a projection never lengthens. Given x, the
    answer is a constant and does not change an entropy, so the projected error has the
    entropy p·h. Among all errors of that entropy the white Gaussian has the smallest mean
    square, p·N(h). Hence :math:`\mathrm{MSE} \ge \frac{p}{D} N(h)`: what lies outside the
    subspace is counted as zero, so a larger subspace gives a bound nearer the truth.

    Parameters
    ----------
    h
        Entropies in nats per dimension of the subspace, in an orthonormal (not whitened) basis.
    subspace_dim, patch_dim
        p and D.

    Returns
    -------
    numpy.ndarray
        Same shape as ``h``, squared unit of the samples.

    Raises
    ------
    ConfigError
        Unless 1 <= subspace_dim <= patch_dim.
    """
    if not 1 <= subspace_dim <= patch_dim:
        raise ConfigError(
            f"subspace_dim must lie between 1 and patch_dim = {patch_dim}, got {subspace_dim}"
        )
    return subspace_dim / patch_dim * entropy_power(h)


def marginal_mmse_floor(marginal_h: ArrayLike, patch_dim: int) -> Doubles:
    r"""Lower bound of the mean squared error per value, from the entropies along axes.

    Along each axis the error's mean square is at least the entropy power of that coordinate,
    :math:`E(v_j^T (y - f))^2 \ge N(h_j)`, by the argument of :func:`mmse_floor` for one
    dimension; for orthonormal axes the mean squares add up to at most that of the whole patch.
    It is at least as tight as the joint bound: the mean of :math:`N(h_j)` is at least their
    geometric mean :math:`N(\bar h)`, and :math:`\bar h \ge h` since the joint entropy is at most
    the sum of the marginal ones. An expectation over queries may be taken of the floors.

    Estimates scatter, and the exponential turns scatter into an upward bias: a standard
    deviation s of :math:`\hat h_j` raises the floor by about :math:`2 s^2` (1 % at n = 128).

    Parameters
    ----------
    marginal_h
        (..., p) entropies in nats along p orthonormal axes.
    patch_dim
        Number of values of the patch, D >= p.

    Returns
    -------
    numpy.ndarray
        (...), squared unit of the samples.

    Raises
    ------
    ConfigError
        If there are more axes than values.
    """
    h = np.atleast_1d(np.asarray(marginal_h, dtype=np.float64))
    if h.shape[-1] > patch_dim:
        raise ConfigError(
            f"marginal_h has {h.shape[-1]} axes, more than patch_dim = {patch_dim} allows"
        )
    floor: Doubles = np.asarray(entropy_power(h).sum(-1) / patch_dim)
    return floor


def psnr_ceiling(mse: ArrayLike) -> Doubles:
    """Peak signal-to-noise ratio in dB at a mean squared error, peak 1.

    Parameters
    ----------
    mse
        Mean squared errors, any shape, of values between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Same shape; ``inf`` at 0.

    Raises
    ------
    ConfigError
        If an error is negative.

    Examples
    --------
    >>> float(psnr_ceiling(0.01))
    20.0
    """
    errors = np.asarray(mse, dtype=np.float64)
    if np.any(errors < 0.0):
        raise ConfigError("mse must not be negative")
    with np.errstate(divide="ignore"):
        return np.asarray(-10.0 * np.log10(errors))


# -- Whether to trust a number ---------------------------------------------------------------

ReliabilityCode = Literal[
    "bias_within_tolerance", "bias_beyond_tolerance", "singular_covariance", "too_few_members"
]
"""Why an estimator can be relied on, or not."""


@dataclass(frozen=True)
class Reliability:
    """How an estimator does where the answer is known, at a run's own sizes.

    Attributes
    ----------
    method, n, d
        What was tried.
    bias
        Mean error, nats per dimension; NaN where there is no estimate.
    standard_deviation
        Scatter of the estimate of a single group, nats per dimension.
    trusted
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
    trusted: bool
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
        Largest bias to be trusted, in nats per dimension. Two standard errors of the measured
        bias are granted on top.
    null
        Which groups, a name in :data:`NULLS`: independent coordinates of that distribution,
        mixed by the square root of the covariance.
    **options
        Passed on to the estimator.

    Returns
    -------
    Reliability
        Not trusted, with the reason, also where n is too small for d to estimate anything.

    Raises
    ------
    ConfigError
        Unknown method or null, or a covariance that is not one.

    Notes
    -----
    ``gaussian`` is unbiased on Gaussian groups by construction and ``kozachenko-leonenko`` by
    calibration. Whether they are right for groups of another shape is told by
    ``null="laplace"`` or ``"uniform"``.
    """
    _estimator(method)
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
    trusted = abs(bias) <= tolerance + 2.0 * deviation / math.sqrt(n_trials)
    reason = (
        f"bias {bias:+.4f} nats per dimension on {n_trials} {null} groups of n = {n}, d = {d}, "
        f"{'within' if trusted else 'beyond'} the tolerance of {tolerance:g}"
    )
    code: ReliabilityCode = "bias_within_tolerance" if trusted else "bias_beyond_tolerance"
    return Reliability(method, n, d, bias, deviation, trusted, reason, code)


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


# -- Shared pieces ---------------------------------------------------------------------------


def _estimator(method: str) -> Estimator:
    try:
        return ESTIMATORS[method]
    except KeyError:
        raise ConfigError(
            f"method must be one of {', '.join(ESTIMATORS)}, got {method!r}"
        ) from None


def _as_groups(samples: ArrayLike) -> tuple[Floats, bool]:
    """(G, n, d) floats, and whether a single group came in."""
    array = np.asarray(samples)
    if array.ndim not in (2, 3):
        raise ConfigError(f"samples must have the shape (G, n, d) or (n, d), got {array.shape}")
    if array.shape[-1] < 1 or array.shape[-2] < 1:
        raise ConfigError(f"samples must hold points with coordinates, got {array.shape}")
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise ConfigError(f"samples must be real numbers, got dtype {array.dtype}")
    return (array[None], True) if array.ndim == 2 else (array, False)


def _require(n: int, d: int, method: str, minimum: int) -> None:
    if n < minimum:
        raise NotEnoughDataError(
            f"n = {n} points are too few for the {method} entropy in d = {d} dimensions: "
            f"at least {minimum} are needed"
        )


def _output(values: Doubles, single: bool) -> Doubles:
    return values.reshape(()) if single else values


def _in_chunks(groups: Floats, group_bytes: int, function: Callable[[Floats], Doubles]) -> Doubles:
    """Apply a function to as many groups at a time as fit the working memory.

    Chunks go to threads (NumPy releases the interpreter lock in its loops); where a chunk ends
    does not depend on their number, so neither do results.
    """
    step = max(1, _CHUNK_BYTES // group_bytes)
    # An empty stack of groups still goes through once, for the shape of its result.
    chunks = [groups[start : start + step] for start in range(0, max(1, len(groups)), step)]
    if len(chunks) == 1:
        return function(chunks[0])
    with ThreadPoolExecutor(max_workers=min(len(chunks), thread_limit())) as pool:
        return np.concatenate(list(pool.map(function, chunks)))


def _standardize(x: Floats) -> tuple[Doubles, Doubles]:
    """(g, n, d) to zero mean and unit variance, and the (g, d) logarithms of the scales.

    A constant coordinate becomes zero, its logarithm ``-inf``.
    """
    if not np.isfinite(x).all():
        raise ConfigError("samples must be finite, but hold NaN or infinite values")
    z = x.astype(np.float64)
    mean = z.mean(axis=1, keepdims=True)
    z -= mean
    variance = np.einsum("gnd,gnd->gd", z, z) / z.shape[1]
    flat = variance <= (_FLAT * mean[:, 0, :]) ** 2
    scale = np.sqrt(np.where(flat, 1.0, variance))
    z /= scale[:, None, :]
    if flat.any():
        z *= ~flat[:, None, :]
    return z, np.where(flat, -np.inf, np.log(scale))


def _correlation(z: Doubles) -> Doubles:
    matrix: Doubles = np.swapaxes(z, 1, 2) @ z
    matrix /= z.shape[1]
    return matrix


def _log_det(correlation: Doubles) -> Doubles:
    """(g,) log-determinants; ``-inf`` where a direction is constant within the resolution."""
    sign, value = np.linalg.slogdet(correlation)
    # An eigenvalue below RESOLUTION^2 puts the determinant below this, the others being
    # at most e in product.
    suspect = (sign <= 0.0) | (value < 2.0 * math.log(RESOLUTION) + 2.0)
    if suspect.any():
        smallest = np.linalg.eigvalsh(correlation[suspect])[:, 0]
        value[suspect] = np.where(smallest <= RESOLUTION**2, -np.inf, value[suspect])
    return np.asarray(value)


def _log_det_correlation(z: Doubles, shrinkage: str | float) -> Doubles:
    """(g,) log-determinant of the correlation of standardized samples, less its expected noise."""
    _, n, d = z.shape
    correlation = _correlation(z)
    if shrinkage == "none":
        return _log_det(correlation) - _correlation_noise(n, d)
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
    value: Doubles = np.log(kept + rho).sum(1) - damping * _correlation_noise(n, d)
    return value


def _correlation_noise(n: int, d: int) -> float:
    """Expected log-determinant of a sample correlation, less that of the true one."""
    m = n - 1
    if m <= d:
        return -0.5 * d * (d - 1) / m
    orders = (m + 1 - np.arange(1, d + 1)) / 2.0
    return float(np.sum(digamma(orders)) - d * digamma(m / 2.0))


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
    _require(n, d, method, d + 2 if shrinkage == "none" else 4)
    return shrinkage


# -- The registry ----------------------------------------------------------------------------

ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (
        Estimator(
            "gaussian",
            "Gaussian",
            gaussian_entropy,
            lambda d: d + 2,
            "Ahmed and Gokhale 1989; shrinkage: Ledoit and Wolf 2004, Chen et al. 2010",
        ),
        Estimator(
            "kozachenko-leonenko",
            "Kozachenko–Leonenko",
            kozachenko_leonenko_entropy,
            lambda d: max(d, 3) + 2,
            "Kozachenko and Leonenko 1987; Kraskov et al. 2004",
        ),
        Estimator(
            "copula",
            "Gaussian copula",
            copula_entropy,
            _min_samples_copula,
            "Singh and Póczos 2017; margins: Vasicek 1976, Ebrahimi et al. 1994",
        ),
    )
}
"""Every estimator by its name."""
