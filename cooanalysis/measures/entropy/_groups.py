"""What the estimators share on arrays: checked groups, chunks, standardizing, determinants."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.runtime.environment import thread_limit

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

RESOLUTION = 1e-6
"""Smallest distance that counts, relative to the spread of a standardized group."""

GAUSSIAN_UNIT_ENTROPY = 0.5 * math.log(2.0 * math.pi * math.e)
"""Entropy of a Gaussian of unit variance, in nats."""

FLAT = 1e-12
"""A coordinate whose standard deviation is below this share of its mean is constant."""

CHUNK_BYTES = 16 * 2**20
"""Working memory of one chunk of groups."""


def as_groups(samples: ArrayLike) -> tuple[Floats, bool]:
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


def require(n: int, d: int, method: str, minimum: int) -> None:
    """Refuse groups that are too small for an estimator."""
    if n < minimum:
        raise NotEnoughDataError(
            f"n = {n} points are too few for the {method} entropy in d = {d} dimensions: "
            f"at least {minimum} are needed"
        )


def shaped(values: Doubles, single: bool) -> Doubles:
    """(G,) values, or a 0-d array where a single group came in."""
    return values.reshape(()) if single else values


def in_chunks(groups: Floats, group_bytes: int, function: Callable[[Floats], Doubles]) -> Doubles:
    """Apply a function to as many groups at a time as fit the working memory.

    Chunks go to threads (NumPy releases the interpreter lock in its loops); where a chunk ends
    does not depend on their number, so neither do results.
    """
    step = max(1, CHUNK_BYTES // group_bytes)
    # An empty stack of groups still goes through once, for the shape of its result.
    chunks = [groups[start : start + step] for start in range(0, max(1, len(groups)), step)]
    if len(chunks) == 1:
        return function(chunks[0])
    with ThreadPoolExecutor(max_workers=min(len(chunks), thread_limit())) as pool:
        return np.concatenate(list(pool.map(function, chunks)))


def standardize(x: Floats) -> tuple[Doubles, Doubles]:
    """(g, n, d) to zero mean and unit variance, and the (g, d) logarithms of the scales.

    A constant coordinate becomes zero, its logarithm ``-inf``.
    """
    if not np.isfinite(x).all():
        raise ConfigError("samples must be finite, but hold NaN or infinite values")
    z = x.astype(np.float64)
    mean = z.mean(axis=1, keepdims=True)
    z -= mean
    variance = np.einsum("gnd,gnd->gd", z, z) / z.shape[1]
    flat = variance <= (FLAT * mean[:, 0, :]) ** 2
    scale = np.sqrt(np.where(flat, 1.0, variance))
    z /= scale[:, None, :]
    if flat.any():
        z *= ~flat[:, None, :]
    return z, np.where(flat, -np.inf, np.log(scale))


def correlation_matrix(z: Doubles) -> Doubles:
    """(g, d, d) correlations of (g, n, d) standardized samples."""
    matrix: Doubles = np.swapaxes(z, 1, 2) @ z
    matrix /= z.shape[1]
    return matrix


def log_determinant(correlation: Doubles) -> Doubles:
    """(g,) log-determinants; ``-inf`` where a direction is constant within the resolution."""
    sign, value = np.linalg.slogdet(correlation)
    # An eigenvalue below RESOLUTION^2 puts the determinant below this, the others being
    # at most e in product.
    suspect = (sign <= 0.0) | (value < 2.0 * math.log(RESOLUTION) + 2.0)
    if suspect.any():
        smallest = np.linalg.eigvalsh(correlation[suspect])[:, 0]
        value[suspect] = np.where(smallest <= RESOLUTION**2, -np.inf, value[suspect])
    return np.asarray(value)


def correlation_noise(n: int, d: int) -> float:
    """Expected log-determinant of a sample correlation, less that of the true one."""
    m = n - 1
    if m <= d:
        return -0.5 * d * (d - 1) / m
    orders = (m + 1 - np.arange(1, d + 1)) / 2.0
    return float(np.sum(digamma(orders)) - d * digamma(m / 2.0))
