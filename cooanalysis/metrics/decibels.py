"""Ratios of powers, and mean squared errors, in decibels."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import ConfigError


def decibels(ratio: ArrayLike) -> NDArray[np.floating[Any]]:
    """Ten times the logarithm of a ratio of powers; ``-inf`` at 0.

    Examples
    --------
    >>> float(decibels(100.0))
    20.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10.0 * np.log10(ratio))


@overload
def mse_to_psnr(mse: float) -> float: ...


@overload
def mse_to_psnr(mse: ArrayLike) -> float | NDArray[np.floating[Any]]: ...


def mse_to_psnr(mse: ArrayLike) -> float | NDArray[np.floating[Any]]:
    """Peak signal-to-noise ratio in dB at a mean squared error of values whose peak is 1.

    Parameters
    ----------
    mse
        Mean squared errors, any shape.

    Returns
    -------
    float or numpy.ndarray
        A float for a number, else an array of the same shape; ``inf`` at 0.

    Raises
    ------
    ConfigError
        If an error is negative.

    Examples
    --------
    >>> mse_to_psnr(0.01)
    20.0
    """
    errors = np.asarray(mse, dtype=np.float64)
    if np.any(errors < 0.0):
        raise ConfigError(f"mse must not be negative; got {float(errors.min())}")
    values = -decibels(errors)
    return float(values) if np.isscalar(mse) else values
