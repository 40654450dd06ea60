"""Uncertainty of reported numbers: bootstrap over images, rank correlation, quantile bins.

Patches of one image resemble each other, so resampling single patches would give
intervals that are far too narrow. The bootstrap here draws whole images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

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
    """Percentile bootstrap that resamples images (clusters) with replacement.

    Every statistic here is a function of sums over patches, so each image is reduced to
    its sums once and a resample costs one small matrix product.

    Parameters
    ----------
    image
        (n,) integer image number of every patch.
    n_resamples
        Number of bootstrap resamples.
    seed
        Seed of the resampling; two calls with the same seed use the same resamples, so
        differences between statistics are paired.
    """

    image: NDArray[np.integer]
    n_resamples: int = 1000
    seed: int = 0

    @property
    def by_image(self) -> bool:
        """Whether whole images are drawn (else single patches: too few images)."""
        return len(np.unique(self.image)) >= MIN_IMAGES

    @cached_property
    def _cluster(self) -> NDArray[np.intp]:
        if not self.by_image:
            return np.arange(len(self.image))
        return np.unique(self.image, return_inverse=True)[1]

    @cached_property
    def _counts(self) -> NDArray[np.float64]:
        """(n_resamples, n_clusters) number of times that each cluster is drawn."""
        rng = np.random.default_rng(self.seed)
        n = int(self._cluster.max()) + 1
        return rng.multinomial(n, np.full(n, 1.0 / n), size=self.n_resamples).astype(np.float64)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n_resamples, n) number of times that each resample draws each patch."""
        return self._counts[:, self._cluster]

    def _sums(
        self, columns: list[NDArray[np.float64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of the columns, over all patches and for every resample."""
        n = int(self._cluster.max()) + 1
        table = np.stack([np.bincount(self._cluster, c, n) for c in columns], axis=1)
        return table.sum(0), self._counts @ table

    def interval(self, value: float, resamples: NDArray[np.float64]) -> Estimate:
        """A number with the interval from its resamples; NaN bounds if most are not finite."""
        finite = resamples[np.isfinite(resamples)]
        if not np.isfinite(value) or len(finite) < self.n_resamples // 2:
            return Estimate(float(value), float("nan"), float("nan"))
        low, high = np.percentile(finite, [2.5, 97.5])
        return Estimate(float(value), float(low), float(high))

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike) -> Estimate:
        """Sum of ``numerator`` over sum of ``denominator``; NaN in either leaves the patch out."""
        return self.interval(*self.resampled_ratio(numerator, denominator))

    def resampled_ratio(
        self, numerator: ArrayLike, denominator: ArrayLike
    ) -> tuple[float, NDArray[np.float64]]:
        """:meth:`ratio` without its interval, and the ratio of each resample: (n_resamples,)."""
        top = np.asarray(numerator, np.float64)
        bottom = np.broadcast_to(np.asarray(denominator, np.float64), top.shape)
        valid = np.isfinite(top) & np.isfinite(bottom)
        all_sums, resampled = self._sums([np.where(valid, top, 0.0), np.where(valid, bottom, 0.0)])
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(all_sums[0] / all_sums[1]), resampled[:, 0] / resampled[:, 1]

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
        all_sums, resampled = self._sums(columns)
        with np.errstate(invalid="ignore", divide="ignore"):
            top, n_top, bottom, n_bottom = np.vstack([all_sums, resampled]).T
            ratios = (top / n_top) / (bottom / n_bottom)
        return self.interval(float(ratios[0]), ratios[1:])

    def spearman(self, a: ArrayLike, b: ArrayLike) -> Estimate:
        """Spearman's rank correlation.

        Ranks are computed once, over all patches, not again in each resample: for
        thousands of patches the difference is far below the width of the interval.
        """
        a = np.asarray(a, np.float64)
        b = np.asarray(b, np.float64)
        valid = np.isfinite(a) & np.isfinite(b)
        x = np.zeros(len(a))
        y = np.zeros(len(b))
        x[valid] = rankdata(a[valid]) / valid.sum()
        y[valid] = rankdata(b[valid]) / valid.sum()
        total, resampled = self._sums([valid.astype(np.float64), x, y, x * x, y * y, x * y])
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.interval(float(_pearson(total[None])[0]), _pearson(resampled))

    def auc(self, scores: ArrayLike, labels: ArrayLike) -> Estimate:
        """Area under the ROC curve of scores for binary labels; ties count half."""
        scores = np.asarray(scores, np.float64)
        valid = np.isfinite(scores)
        order = np.argsort(scores[valid], kind="stable")
        ordered = scores[valid][order]
        cluster = self._cluster[valid][order]
        positive = (np.asarray(labels)[valid][order] == 1).astype(np.float64)
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

        def area(weights: NDArray[np.float64]) -> float:
            up = np.add.reduceat(weights * positive, starts)
            down = np.add.reduceat(weights * (1.0 - positive), starts)
            below = np.cumsum(down) - down
            total = up.sum() * down.sum()
            return float(np.sum(up * (below + 0.5 * down)) / total) if total > 0 else np.nan

        resamples = np.array([area(counts[cluster]) for counts in self._counts])
        return self.interval(area(np.ones(len(ordered))), resamples)


def _pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations from sums over values in (0, 1]; NaN where one of the two is constant."""
    n, x, y, xx, yy, xy = sums.T
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
