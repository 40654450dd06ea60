"""Uncertainty of reported numbers: intervals over images, rank correlation, quantile bins.

Patches of one image resemble each other, so intervals over single patches would be far too narrow.
Those here are over whole images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from cooanalysis.measures.intervals import (
    NOT_NEGATIVE,
    UNBOUNDED,
    Bounds,
    Combine,
    draws,
    expanded_level,
    interval,
)

MIN_IMAGES = 5
"""With fewer images than this, resampling images says little; patches are resampled instead."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval."""

    value: float
    ci_low: float
    ci_high: float

    def as_dict(self) -> dict[str, float]:
        """The keys ``value``, ``ci_low`` and ``ci_high``."""
        return {"value": self.value, "ci_low": self.ci_low, "ci_high": self.ci_high}

    def transform(self, function: Callable[[float], float]) -> Estimate:
        """Apply a monotone function to the number and its interval."""
        low, high = sorted((function(self.ci_low), function(self.ci_high)))
        return Estimate(function(self.value), low, high)


@dataclass(frozen=True)
class ImageBootstrap:
    """Totals over patches with intervals over images (clusters).

    Every statistic here is a function of sums over patches (:func:`intervals.interval`), so each
    image is reduced to its sums once, and a resample costs one small matrix product.

    Parameters
    ----------
    image
        (n,) integer image number of every patch.
    n_resamples
        Number of bootstrap resamples.
    seed
        Seed of the resampling.
    """

    image: NDArray[np.integer]
    n_resamples: int = 1000
    seed: int = 0

    @cached_property
    def by_image(self) -> bool:
        """Whether whole images are drawn (else single patches: too few images)."""
        return len(np.unique(self.image)) >= MIN_IMAGES

    @cached_property
    def _cluster(self) -> NDArray[np.intp]:
        if not self.by_image:
            return np.arange(len(self.image))
        return np.unique(self.image, return_inverse=True)[1]

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n_resamples, n) number of times that each resample draws each patch."""
        return draws(self._n_clusters, self.n_resamples, self.seed)[:, self._cluster]

    @property
    def _n_clusters(self) -> int:
        return int(self._cluster.max()) + 1

    def of_sums(
        self, columns: Sequence[ArrayLike], combine: Combine, bounds: Bounds = UNBOUNDED
    ) -> Estimate:
        """Any smooth function of the sums of several columns.

        Parameters
        ----------
        columns
            k arrays of (n,) finite values, one per patch.
        combine
            From sums along the last axis, (..., k), to values, (...).
        bounds
            Values that the statistic never passes.
        """
        return self.of_table(image_sums(self._cluster, columns), combine, bounds)

    def of_table(
        self, table: NDArray[np.float64], combine: Combine, bounds: Bounds = UNBOUNDED
    ) -> Estimate:
        """:meth:`of_sums` where the (n, k) sums of each image (or patch) are known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value = float(combine(table.sum(axis=0)))
        low, high = interval(
            table, combine, bounds=bounds, n_resamples=self.n_resamples, seed=self.seed
        )
        return Estimate(value, low, high)

    def percentiles(self, value: float, resamples: NDArray[np.float64]) -> Estimate:
        """A number that is not a function of sums, with the interval from its resamples.

        The percentiles are expanded for few images (Hesterberg 2015, see
        :func:`intervals.expanded_level`). NaN bounds if most resamples are not finite.
        """
        finite = resamples[np.isfinite(resamples)]
        if not np.isfinite(value) or len(finite) < self.n_resamples // 2:
            return Estimate(float(value), float("nan"), float("nan"))
        level = 100.0 * expanded_level(self._n_clusters)
        low, high = np.percentile(finite, [level, 100.0 - level])
        return Estimate(float(value), float(min(low, value)), float(max(high, value)))

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike) -> Estimate:
        """Sum of ``numerator`` over sum of ``denominator``; NaN in either leaves the patch out.

        If no value is negative, neither is the interval.
        """
        top = np.asarray(numerator, np.float64)
        bottom = np.broadcast_to(np.asarray(denominator, np.float64), top.shape)
        valid = np.isfinite(top) & np.isfinite(bottom)
        columns = [np.where(valid, top, 0.0), np.where(valid, bottom, 0.0)]
        return self.of_sums(columns, quotient, _not_negative(columns))

    def mean(self, values: ArrayLike) -> Estimate:
        """Mean over patches; NaN leaves the patch out."""
        values = np.asarray(values, np.float64)
        return self.ratio(values, np.where(np.isfinite(values), 1.0, np.nan))

    def ratio_of_means(self, numerator: ArrayLike, denominator: ArrayLike) -> Estimate:
        """Mean over mean, each over the patches where it is not NaN."""
        columns = []
        for values in (np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)):
            valid = np.isfinite(values)
            columns += [np.where(valid, values, 0.0), valid.astype(np.float64)]
        return self.of_sums(columns, _ratio_of_means, _not_negative(columns))

    def spearman(self, a: ArrayLike, b: ArrayLike) -> Estimate:
        """Spearman's rank correlation.

        Ranks are computed once, over all patches, not again in each resample: for
        thousands of patches the difference is far below the width of the interval.
        """
        a = np.asarray(a, np.float64)
        b = np.asarray(b, np.float64)
        valid = np.isfinite(a) & np.isfinite(b)
        n = int(valid.sum())
        x = np.zeros(len(a))
        y = np.zeros(len(b))
        x[valid] = (rankdata(a[valid]) - (n + 1) / 2.0) / max(n, 1)
        y[valid] = (rankdata(b[valid]) - (n + 1) / 2.0) / max(n, 1)
        columns = [valid.astype(np.float64), x, y, x * x, y * y, x * y]
        return self.of_sums(columns, _pearson, (-1.0, 1.0))

    def auc(self, scores: ArrayLike, labels: ArrayLike) -> Estimate:
        """Area under the ROC curve of scores for binary labels; ties count half.

        The area is the mean, over patches of either label, of the share of patches of the other
        label that lie on the right side. For the interval it is the sum of these two means (less
        the area), with the shares held fixed (DeLong et al. 1988; for clusters Obuchowski,
        "Nonparametric analysis of clustered ROC curve data", Biometrics 1997).
        """
        scores = np.asarray(scores, np.float64)
        valid = np.isfinite(scores)
        positive = valid & (np.asarray(labels) == 1)
        negative = valid & ~positive
        n_up, n_down = int(positive.sum()), int(negative.sum())
        if not (n_up and n_down):
            return Estimate(float("nan"), float("nan"), float("nan"))
        # Rank among all minus rank among the own label: how many of the other label lie below.
        rank = rankdata(scores[valid])
        share = np.zeros(len(scores))
        share[valid] = rank
        share[positive] = (share[positive] - rankdata(scores[positive])) / n_down
        share[negative] = 1.0 - (share[negative] - rankdata(scores[negative])) / n_up
        area = float(share[positive].mean())
        columns = [np.where(positive, share, 0.0), positive, np.where(negative, share, 0.0),
                   negative]  # fmt: skip
        found = self.of_sums(columns, partial(_two_means, less=area), (0.0, 1.0))
        return Estimate(area, min(found.ci_low, area), max(found.ci_high, area))


def image_sums(image: NDArray[np.integer], columns: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """(n_images, k) sums of k columns of (n,) values over images, which are numbered from 0."""
    found = [np.bincount(image, np.asarray(column, np.float64)) for column in columns]
    return np.stack(found, axis=1)


def quotient(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """First sum over second sum."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def _ratio_of_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    top, n_top, bottom, n_bottom = np.moveaxis(sums, -1, 0)
    return np.asarray((top / n_top) / (bottom / n_bottom))


def _two_means(sums: NDArray[np.float64], less: float) -> NDArray[np.float64]:
    first, n_first, second, n_second = np.moveaxis(sums, -1, 0)
    return np.asarray(first / n_first + second / n_second - less)


def _not_negative(columns: Sequence[NDArray[np.float64]]) -> Bounds:
    return UNBOUNDED if any((column < 0).any() for column in columns) else NOT_NEGATIVE


def _pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations from sums over values in ±1/2; NaN where one of the two is constant."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    covariance = xy / n - x * y / n**2
    first, second = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
    # For a constant, rounding leaves less than this; one deviating rank in a million leaves more.
    varied = np.minimum(first, second) > 1e-10
    return np.asarray(covariance / np.sqrt(np.where(varied, first * second, np.nan)))


def quantile_bin(values: ArrayLike, n_bins: int) -> NDArray[np.intp]:
    """Index of the equally filled bin (0 … n_bins-1) of each value, by rank; ties by position.

    Examples
    --------
    >>> quantile_bin([30.0, 10.0, 20.0, 40.0], 2)
    array([1, 0, 0, 1])
    """
    ranks = rankdata(np.asarray(values, np.float64), method="ordinal") - 1
    return np.asarray(ranks * n_bins // len(ranks), np.intp)
