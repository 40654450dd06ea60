"""How far outputs are from the ground truth: a grade where the area under the curve saturates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap

PROBABILITY_FLOOR = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken."""


def separation(scores: ArrayLike, labels: ArrayLike, bootstrap: ImageBootstrap) -> Estimate:
    """Distance d′ between the log-odds that a classifier gives to two samples.

    The difference of the means over the root of the mean variance of the two samples (Green &
    Swets, "Signal detection theory and psychophysics", 1966). An area under the curve of 0.99 and
    one of 1.00 are hard to distinguish, but their log-odds are far apart. 0 where the samples
    cannot be distinguished; for normal log-odds of equal variance, the area under the curve is
    Φ(d′ / √2).

    Parameters
    ----------
    scores
        (n,) out-of-fold probabilities of belonging to the second sample; NaN is left out.
    labels
        (n,) 0 or 1.
    bootstrap
        Draws the images of these patches.

    Returns
    -------
    Estimate
        With a 95 % interval over images; NaN if there is nothing to estimate it from.
    """
    p = np.clip(np.asarray(scores, np.float64), PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    odds = np.log(p / (1.0 - p))
    columns = []
    for label in (0, 1):
        own = (np.asarray(labels) == label) & np.isfinite(odds)
        values = np.where(own, odds, 0.0)
        columns += [own.astype(np.float64), values, values**2]
    return bootstrap.of_sums(columns, _distance)


def _distance(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """d′ from number, sum and sum of squares of the log-odds of the two samples."""
    n_0, sum_0, square_0, n_1, sum_1, square_1 = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_0, mean_1 = sum_0 / n_0, sum_1 / n_1
        variance_0 = np.maximum(square_0 / n_0 - mean_0**2, 0.0)
        variance_1 = np.maximum(square_1 / n_1 - mean_1**2, 0.0)
        difference = mean_1 - mean_0
        distance = difference / np.sqrt((variance_0 + variance_1) / 2.0)
    # A classifier that gives all patches the same score does not distinguish them.
    return np.asarray(np.where(difference == 0.0, 0.0, distance))
