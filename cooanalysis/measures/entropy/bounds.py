"""What an entropy says about errors: entropy powers, floors and ceilings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy._groups import GAUSSIAN_UNIT_ENTROPY, Doubles
from cooanalysis.metrics.decibels import mse_to_psnr


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
    ``subspace_dim`` axes, and ``f(x)`` any estimate that sees only the low-resolution patch. Then
    :math:`E\|y - f\|^2 \ge E\|V^T(y - f)\|^2`, since a projection never lengthens. Given x, the
    estimate is a constant and does not change an entropy, so the projected error has the
    entropy p·h. Among all errors of that entropy the white Gaussian has the smallest mean
    square, p·N(h). Hence :math:`\mathrm{MSE} \ge \frac{p}{D} N(h)`: what lies outside the
    subspace is counted as zero, so a larger subspace gives a tighter bound.

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


def psnr_ceiling(mse_floor: ArrayLike) -> Doubles:
    """Largest PSNR in dB that a floor of the mean squared error allows, peak 1.

    Parameters
    ----------
    mse_floor
        Floors, any shape, of values between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Same shape; ``inf`` at 0.

    Raises
    ------
    ConfigError
        If a floor is negative.

    Examples
    --------
    >>> float(psnr_ceiling(0.01))
    20.0
    """
    return np.asarray(mse_to_psnr(mse_floor))
