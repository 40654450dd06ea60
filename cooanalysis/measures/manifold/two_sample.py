"""The classifier two-sample test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import NotEnoughDataError


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
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    a, b = np.asarray(first), np.asarray(second)
    x = np.concatenate([a, b])
    labels = np.repeat(np.array([0, 1], np.int8), [len(a), len(b)])
    groups = np.concatenate([np.asarray(first_group), np.asarray(second_group)])
    n_images = len(np.unique(groups))
    if n_images < 2:
        raise NotEnoughDataError("the two-sample test needs patches of at least two images")
    scores = np.full(len(x), np.nan)
    # One thread: its OpenMP threads spin, and on a busy machine take twenty times as long.
    with threadpool_limits(limits=1, user_api="openmp"):
        for train, test in GroupKFold(min(n_folds, n_images)).split(x, labels, groups):
            if len(np.unique(labels[train])) < 2:
                continue
            classifier = HistGradientBoostingClassifier(random_state=seed, max_iter=40)
            classifier.fit(x[train], labels[train])
            scores[test] = classifier.predict_proba(x[test])[:, 1]
    scored = np.isfinite(scores)
    if len(np.unique(labels[scored])) < 2:
        raise NotEnoughDataError("the two-sample test needs both samples in two or more images")
    auc = float(roc_auc_score(labels[scored], scores[scored]))
    return TwoSampleTest(auc, scores, labels)
