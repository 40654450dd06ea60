"""Paired tests by sign flips (swaps) of images, and what they can reach with few images."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cooanalysis.measures.intervals import Combine, Floats

FLIPS = 9999
"""Random flips where there are more possible ones than that."""
LEVEL = 0.05


@lru_cache(maxsize=4)
def _signs(n: int, flips: int, seed: int) -> NDArray[np.int8]:
    """(m, n) signs: all of them if there are at most ``flips`` + 1, else random ones."""
    if 2**n <= flips + 1:
        return np.array(list(product((1, -1), repeat=n)), np.int8).reshape(-1, n)
    drawn = np.random.default_rng(seed).integers(0, 2, (flips, n), np.int8)
    return (2 * drawn - 1).astype(np.int8)


def swap_p(
    first: Floats, second: Floats, combine: Combine, *, flips: int = FLIPS, seed: int = 0
) -> float:
    """Two-sided p-value of the difference of a measure of two models.

    Each flip exchanges the two models in some of the images, and the difference of the measure is
    computed from the exchanged sums: a sign-flip test for means (Good, "Permutation,
    Parametric and Bootstrap Tests of Hypotheses", 2005), and just as exact for measures that are
    not linear, where the two models are exchangeable within each image. Equal values of the measure
    alone do not make them exchangeable: where the images of one vary far more, false alarms can
    exceed the level (``python -m experiments.intervals.coverage`` has an example), so the interval
    of the difference should agree before a difference is claimed.

    Parameters
    ----------
    first, second
        (n, k) sums of each image, of the two models.
    combine
        From sums, (..., k), to the measure, (...).
    flips
        Number of random flips. If there are at most ``flips`` + 1 possible ones, all are used, and
        the p-value is exact.
    seed
        Of the random flips.

    Returns
    -------
    float
        NaN with fewer than two images or where the measure is not finite; 1 if the models do not
        differ in any image.
    """
    if len(first) < 2:
        return float("nan")
    middle = (first + second).sum(axis=0) / 2.0
    half = (first - second) / 2.0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        one, other = combine(first.sum(axis=0)), combine(second.sum(axis=0))
        if not (np.isfinite(one) and np.isfinite(other)):
            return float("nan")
        half = half[half.any(axis=1)]  # of the others, a swap changes nothing
        if not len(half):
            return 1.0
        moved = _signs(len(half), flips, seed).astype(np.float64) @ half
        differences = np.abs(np.asarray(combine(middle + moved) - combine(middle - moved)))
    # What is equal but for rounding, or cannot be computed, counts as just as extreme.
    rounding = 1e-9 * abs(one - other) + 1e-15 * (abs(one) + abs(other))
    extreme = int(np.sum(~(differences < abs(one - other) - rounding)))
    if len(differences) == 2 ** len(half):
        return extreme / len(differences)
    return (extreme + 1) / (flips + 1)


def smallest_p(n_images: int, *, flips: int = FLIPS) -> float:
    """Smallest p-value that :func:`swap_p` can give: 2 / 2^n, or 1 / (flips + 1) if that is larger.

    Examples
    --------
    >>> smallest_p(5)
    0.0625
    """
    return max(2.0 * 2.0**-n_images, 1.0 / (flips + 1)) if n_images >= 2 else 1.0


def smallest_adjusted_p(n_images: int, n_tests: int, *, flips: int = FLIPS) -> float:
    """Smallest adjusted p-value that any of several tests can reach, at best.

    The best case is that all tests reach :func:`smallest_p` together: the procedure of Benjamini
    and Yekutieli (2001) then multiplies it by 1 + 1/2 + … + 1/m. If only one test does, the factor
    is m times as large. So if even this value exceeds the level, no test can be significant,
    whatever the models do; if it does not, a single test may still be unable to.

    Examples
    --------
    >>> smallest_adjusted_p(5, 1), smallest_adjusted_p(5, 2)
    (0.0625, 0.09375)
    """
    harmonic = float(np.sum(1.0 / np.arange(1, n_tests + 1)))
    return min(1.0, smallest_p(n_images, flips=flips) * harmonic)


def images_needed(n_tests: int, *, level: float = LEVEL, flips: int = FLIPS) -> int | None:
    """Fewest images with which :func:`smallest_adjusted_p` falls below ``level``.

    None where no number of images suffices, because the number of random flips limits p.

    Examples
    --------
    >>> images_needed(1), images_needed(60)
    (6, 8)
    """
    for n_images in range(2, 65):
        if smallest_adjusted_p(n_images, n_tests, flips=flips) < level:
            return n_images
    return None
