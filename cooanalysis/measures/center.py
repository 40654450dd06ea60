"""Center-oriented optimization (COO): pure functions of arrays.

A model trained with a pixel loss outputs the *center* (mean) of all
high-resolution (HR) patches that share its low-resolution input. These functions
measure the center of such a potential-HR group, how far it lies from its members,
and how much detail it keeps. What a model does is measured in
:mod:`cooanalysis.measures.detail`.

The ideas are those of Xu et al., "Uncovering the Over-Smoothing Challenge in Image
Super-Resolution" (TPAMI 2024, arXiv 2201.01034); where a formula is our own reading,
its docstring says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import ConfigError

Floats = NDArray[np.floating]


def center(members: ArrayLike) -> Floats:
    """Mean of each potential-HR group: the estimate that minimizes the squared error.

    Parameters
    ----------
    members
        (..., k, dim) details of the k members of each group.

    Returns
    -------
    numpy.ndarray
        (..., dim).

    Examples
    --------
    >>> center([[0.0, 2.0], [4.0, 2.0]])
    array([2., 2.])
    """
    return _members(members).mean(axis=-2)


def center_rms_distance(members: ArrayLike) -> Floats:
    """Root mean squared distance of the members to their center, per pixel value.

    Parameters
    ----------
    members
        (..., k, dim).

    Returns
    -------
    numpy.ndarray
        (...), in the unit of ``members``. For many members of an isotropic Gaussian this
        is its standard deviation; for any distribution it is at least the square root of
        the entropy power (a Gaussian has the largest entropy for its variance).

    Examples
    --------
    >>> float(center_rms_distance([[-1.0], [1.0]]))
    1.0
    """
    members = _members(members)
    difference = members - members.mean(axis=-2, keepdims=True)
    return np.sqrt(np.mean(difference**2, axis=(-2, -1)))


def center_min_distance(members: ArrayLike) -> Floats:
    """Distance of the nearest member to the center, per value: the empty shell around it.

    Parameters
    ----------
    members
        (..., k, dim).

    Returns
    -------
    numpy.ndarray
        (...), root of the mean over the ``dim`` values of the squared difference.

    Examples
    --------
    >>> float(center_min_distance([[-3.0], [-1.0], [4.0]]))
    1.0
    """
    members = _members(members)
    difference = members - members.mean(axis=-2, keepdims=True)
    return np.sqrt(np.mean(difference**2, axis=-1).min(axis=-1))


def detail_energy_retained(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Energy of the estimated detail over energy of the ground-truth detail.

    Parameters
    ----------
    estimate, truth
        Details (HR minus bicubic) of the same patches, same shape.

    Returns
    -------
    float
        1.0 for as much detail as in the ground truth, 0.0 for bicubic itself; NaN when
        the ground truth has no detail at all. It says how *much* detail there is, not whether it is
        the right detail.

    Examples
    --------
    >>> detail_energy_retained([0.5, -0.5], [1.0, -1.0])
    0.25
    """
    top, bottom = _same_shape(estimate, truth)
    energy = float(np.sum(bottom**2, dtype=np.float64))
    return float(np.sum(top**2, dtype=np.float64)) / energy if energy > 0 else float("nan")


def energy_by_chance(rms_distance: ArrayLike, k: int) -> NDArray[np.float64]:
    """Energy that the center of a group has even if its members have nothing in common.

    The expectation of the squared mean of ``k`` details is their squared expectation plus their
    variance over ``k``; this is the latter, without bias. Subtracted from the energy of a center,
    it leaves that of the mean of all details, not only of these ``k``.

    Parameters
    ----------
    rms_distance
        Distances of centers to their members, as returned by :func:`center_rms_distance`.
    k
        Members of each group, at least 2.

    Returns
    -------
    numpy.ndarray
        Mean squared values, in the unit of the distances squared; same shape.

    Raises
    ------
    ConfigError
        If ``k`` is below 2.

    Examples
    --------
    >>> float(energy_by_chance(1.0, 128))
    0.007874015748031496
    """
    if k < 2:
        raise ConfigError(f"k must be at least 2, got {k}")
    return np.asarray(rms_distance, np.float64) ** 2 / (k - 1)


def _members(members: ArrayLike) -> Floats:
    array = np.asarray(members)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.ndim < 2 or array.shape[-2] == 0 or array.shape[-1] == 0:
        raise ConfigError(f"members must have shape (..., k, dim), got {array.shape}")
    return array


def _same_shape(estimate: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(estimate, np.float64), np.asarray(truth, np.float64)
    if first.shape != second.shape:
        raise ConfigError(
            f"estimate and truth must have the same shape, got {first.shape} and {second.shape}"
        )
    return first, second
