"""The classifier two-sample test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import NotEnoughDataError
from cooanalysis.measures.manifold.compute import features


@dataclass(frozen=True)
class TwoSampleTest:
    """Outcome of the classifier two-sample test.

    Attributes
    ----------
    auc
        Area under the ROC curve: 0.5 when the samples cannot be distinguished, 1.0 when always.
    scores, labels
        (n,) out-of-fold probability of being the second sample, and the true sample (0 or 1).
    """

    auc: float
    scores: NDArray[np.float64]
    labels: NDArray[np.int8]


TWO_SAMPLE_SPACES = ("subbands", "sparsity", "coupling")
"""Feature spaces whose features the two-sample test uses together."""

Scorer = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Trains on the rows of the first argument, returns probabilities of class 1 for the second's."""


def two_sample_features(patches: ArrayLike) -> NDArray[np.float32]:
    """What the two-sample test sees of a patch: energies of its bands, how they are spread, and how
    bands go together, which catches detail in the wrong place.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1].

    Returns
    -------
    numpy.ndarray
        (n, n_features) float32.
    """
    return np.hstack([features(patches, space) for space in TWO_SAMPLE_SPACES])


def two_sample_auc(
    first: ArrayLike,
    second: ArrayLike,
    first_group: ArrayLike,
    second_group: ArrayLike,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> TwoSampleTest:
    """Can a classifier distinguish two samples of feature vectors?

    Gradient boosting with cross-validation in which all patches of an image stay in the
    same fold, so that it cannot recognize images (Lopez-Paz & Oquab, "Revisiting classifier
    two-sample tests", ICLR 2017).

    Parameters
    ----------
    first, second
        (n, n_features) and (m, n_features).
    first_group, second_group
        Image numbers; a number means the same image in both.
    n_folds
        Number of folds, lowered to the number of images where there are fewer.
    seed
        Seed of the classifier.

    Raises
    ------
    NotEnoughDataError
        With fewer than two images.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    a, b = np.asarray(first), np.asarray(second)
    x = np.concatenate([a, b])
    labels = two_labels(len(a), len(b))

    def boosting(train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
        classifier = HistGradientBoostingClassifier(random_state=seed, max_iter=40)
        classifier.fit(x[train], labels[train])
        return classifier.predict_proba(x[test])[:, 1]

    groups = np.concatenate([np.asarray(first_group), np.asarray(second_group)])
    # One thread: its OpenMP threads spin, and on a busy machine take twenty times as long.
    with threadpool_limits(limits=1, user_api="openmp"):
        return cross_validated(boosting, labels, groups, n_folds=n_folds)


def two_labels(n_first: int, n_second: int) -> NDArray[np.int8]:
    """0 for each patch of the first sample, then 1 for each of the second."""
    return np.repeat(np.array([0, 1], np.int8), [n_first, n_second])


def cross_validated(
    scorer: Scorer, labels: NDArray[np.int8], groups: NDArray[Any], *, n_folds: int
) -> TwoSampleTest:
    """The two-sample test with any classifier: out-of-fold scores, folds by image.

    Parameters
    ----------
    scorer
        Trains the classifier on some rows and scores others.
    labels
        (n,) 0 or 1.
    groups
        (n,) image numbers.
    n_folds
        Number of folds, lowered to the number of images where there are fewer.

    Raises
    ------
    NotEnoughDataError
        With fewer than two images, or with a sample that all comes from one image.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    n_images = len(np.unique(groups))
    if n_images < 2:
        raise NotEnoughDataError("the two-sample test needs patches of at least two images")
    scores = np.full(len(labels), np.nan)
    for train, test in GroupKFold(min(n_folds, n_images)).split(labels, labels, groups):
        if len(np.unique(labels[train])) == 2:
            scores[test] = scorer(train, test)
    scored = np.isfinite(scores)
    if len(np.unique(labels[scored])) < 2:
        raise NotEnoughDataError("the two-sample test needs both samples in two or more images")
    auc = float(roc_auc_score(labels[scored], scores[scored]))
    return TwoSampleTest(auc, scores, labels)
