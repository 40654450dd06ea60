"""What can be known of the ground-truth detail, as images: conditional means, out of image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_1samp

from cooanalysis.measures.detail.regression import (
    STRENGTHS,
    Floats,
    Image,
    Moments,
    Ridge,
    View,
    columns_of,
    moments_of,
    predict,
    symmetrized,
)

FOLDS = 5
"""Parts that the images are divided into for cross-fitting."""

WINDOWS = 120_000
"""About this many windows are used for fitting, spread evenly over the images."""

LEVEL = 0.05
"""Level of the test whether an output adds to what the anchor knows."""

LR_REACH = 2
"""LR pixels around an LR pixel that the regression sees: 5×5, less than any model sees."""


@dataclass(frozen=True)
class KnownDetail:
    """Estimates of conditional means of ground-truth detail, given other versions of it.

    Build it with :meth:`fit`. Images are read when they are needed, so the sequences may compute
    them on request.

    Attributes
    ----------
    versions, lr, scale
        As given to :meth:`fit`.
    strengths
        Ridge strength that cross-validation chose for each estimate.
    """

    versions: Sequence[Sequence[Image]]
    lr: Sequence[Image]
    scale: int
    strengths: tuple[float, ...]
    _views: list[View]
    _weights: list[list[Floats]]
    _regions: list[_Region]

    @classmethod
    def fit(
        cls, truth: Sequence[Image], versions: Sequence[Sequence[Image]], lr: Sequence[Image], *,
        subsets: Sequence[Sequence[int]], scale: int, seed: int = 0, channels: int = 1,
    ) -> KnownDetail:  # fmt: skip
        """Fit the estimates out of image.

        A ridge regression of each scale×scale block on the same block of the versions and on 5×5
        LR pixels. No more than that, because a conditional mean says at each pixel what its model
        knows of it: neighboring outputs have seen other LR pixels, and an estimate that saw them
        would know more than the model. An image (a band of rows, if there is only one) has no part
        in its own estimate. The strength is the one with the smallest error on images left out.

        Of several versions, the first counts only if it surely lowers that error. What a model
        makes up agrees with the ground truth here and there by chance, and without this rule a
        correlation of half a percent would change a gain by several.

        Parameters
        ----------
        truth
            (H, W) float32 ground-truth details, one per image (or channel of an image); every
            height and width is ``scale`` times that of the LR image.
        versions
            Details of a model's outputs, of an anchor, and so on; each like ``truth``.
        lr
            (h, w) float32 LR images.
        subsets
            For each estimate the numbers of the versions that it sees, beside the LR image.
        scale
            Upscaling factor.
        seed
            Seed of the folds.
        channels
            This many consecutive entries are channels of the same image.
        """
        views = [View(scale, 0) for _ in versions] + [View(1, LR_REACH, center=True)]
        regions = _regions([plane.shape[0] for plane in lr], channels, seed)
        folds = _cross_moments(truth, versions, lr, views, scale, regions)
        columns = columns_of(views)
        weights: list[list[Floats]] = []
        strengths = []
        for subset in subsets:
            candidates = []
            for start in range(min(2, len(subset))):
                chosen = [*subset[start:], len(versions)]
                inside = np.concatenate([columns[number] for number in chosen])
                parts = [fold.only(inside) for fold in folds]
                candidates.append((inside, *_fit(parts, [views[i] for i in chosen], scale)))
            errors = [errors for *_, errors in candidates]
            few = len(candidates) > 1 and not _surely_lower(*errors)
            inside, own, strength, _ = candidates[-1 if few else 0]
            strengths.append(strength)
            padded = np.zeros((len(own), len(folds[0].cross), scale**2))
            padded[:, inside] = own
            weights.append(list(padded))
        return cls(versions, lr, scale, tuple(strengths), views, weights, regions)

    def images(self, number: int) -> list[Image]:
        """(H, W) float32 estimates for one image, one for each of the subsets."""
        images = [version[number] for version in self.versions] + [self.lr[number]]
        pieces: list[list[Image]] = [[] for _ in self._weights]
        for region in self._regions:
            if region.image == number:
                # The whole image is given, so that windows at the edge of a band are complete.
                weights = [own[region.fold] for own in self._weights]
                for own, whole in zip(
                    pieces, predict(images, self._views, weights, self.scale), strict=True
                ):
                    own.append(whole[region.rows(self.scale)])
        return [np.concatenate(own) for own in pieces]


def _cross_moments(
    truth: Sequence[Image], versions: Sequence[Sequence[Image]], lr: Sequence[Image],
    views: Sequence[View], scale: int, regions: Sequence[_Region],
) -> list[Moments]:  # fmt: skip
    """Moments of each fold."""
    stride = max(1, round((sum(image.size for image in lr) / WINDOWS) ** 0.5))
    folds: dict[int, Moments] = {}
    for region in regions:
        images = [version[region.image][region.rows(scale)] for version in versions]
        images.append(lr[region.image][region.rows(1)])
        target = truth[region.image][region.rows(scale)]
        own = moments_of(images, views, target, scale, stride)
        folds[region.fold] = folds[region.fold] + own if region.fold in folds else own
    return [symmetrized(folds[number], views, scale) for number in sorted(folds)]


def _fit(
    folds: Sequence[Moments], views: Sequence[View], scale: int
) -> tuple[list[Floats], float, Floats]:
    """Weights for each fold, from the other folds; their best strength; the error of each fold."""
    whole = folds[0]
    for fold in folds[1:]:
        whole = whole + fold
    fits = [Ridge(whole - fold, views, scale) for fold in folds]
    errors = np.array(
        [
            [fold.error(fit.weights(strength)) for fold, fit in zip(folds, fits, strict=True)]
            for strength in STRENGTHS
        ]
    )
    best = int(np.argmin(errors.sum(axis=1)))
    return [fit.weights(STRENGTHS[best]) for fit in fits], STRENGTHS[best], errors[best]


def _surely_lower(errors: Floats, others: Floats) -> bool:
    """Whether errors of folds are lower than others, by a one-sided paired t-test of their ratios.

    Ratios, because folds with strong detail have errors many times those of others. With fewer
    than :data:`FOLDS` folds the test could hardly notice anything, so all of them must have lower
    errors: to overlook what a model knows does more harm than to believe in chance.
    """
    tiny = 1e-12 * float(others.sum())
    change = np.log(np.maximum(others, tiny)) - np.log(np.maximum(errors, tiny))
    if tiny == 0.0 or np.allclose(change, 0.0, atol=1e-12):
        return False
    if len(change) < FOLDS:
        return bool((change > 0.0).all())
    return bool(ttest_1samp(change, 0.0, alternative="greater").pvalue < LEVEL)


@dataclass(frozen=True)
class _Region:
    """Rows of an image that are left out together."""

    image: int
    top: int
    bottom: int
    fold: int

    def rows(self, scale: int) -> slice:
        return slice(self.top * scale, self.bottom * scale)


def _regions(heights: Sequence[int], channels: int, seed: int) -> list[_Region]:
    """Whole images in folds of equal size; a single image is cut into bands."""
    n_images = len(heights) // channels
    if n_images == 1:
        edges = np.linspace(0, heights[0], 1 + min(FOLDS, heights[0])).astype(int)
        return [
            _Region(plane, int(edges[fold]), int(edges[fold + 1]), fold)
            for plane in range(len(heights))
            for fold in range(len(edges) - 1)
        ]
    fold = np.empty(n_images, np.intp)
    order = np.random.default_rng(seed).permutation(n_images)
    fold[order] = np.arange(n_images) % min(FOLDS, n_images)
    return [
        _Region(plane, 0, height, int(fold[plane // channels]))
        for plane, height in enumerate(heights)
    ]
