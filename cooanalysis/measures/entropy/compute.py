"""The entropy of groups by any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy._groups import Doubles, as_groups, require
from cooanalysis.measures.entropy.registry import ESTIMATORS


def entropy(samples: ArrayLike, method: str = "gaussian", **options: Any) -> Doubles:
    """Differential entropy of one or many groups, in nats per dimension.

    Parameters
    ----------
    samples
        (G, n, d): G groups of n points in d coordinates; or (n, d), one group.
    method
        A name in :data:`ESTIMATORS`.
    **options
        Passed on to the estimator's function.

    Returns
    -------
    numpy.ndarray
        (G,) float64, or 0-d for one group. ``-inf`` for groups without a density.

    Raises
    ------
    ConfigError
        Unknown method, wrong shape, or NaN or infinity among the samples; or an estimator whose
        result has the wrong shape or holds NaN.
    NotEnoughDataError
        Fewer points than the estimator needs in d coordinates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> group = rng.normal(scale=[1.0, 10.0], size=(512, 2))
    >>> expected = 0.5 * np.log(2 * np.pi * np.e) + np.log(10) / 2
    >>> bool(abs(entropy(group) - expected) < 0.05)
    True
    """
    estimator = ESTIMATORS.find(method)
    groups, single = as_groups(samples)
    require(groups.shape[1], groups.shape[2], method, estimator.min_samples(groups.shape[2]))
    return checked(
        estimator.function(samples, **options), () if single else groups.shape[:1], method
    )


def checked(values: ArrayLike, shape: tuple[int, ...], method: str) -> Doubles:
    """What an estimator returned, as float64.

    Raises
    ------
    ConfigError
        If it has the wrong shape or holds NaN; the message names the estimator.
    """
    found = np.asarray(values, np.float64)
    if found.shape != shape:
        raise ConfigError(
            f"entropy estimator {method!r} must return one number per group, an array of shape "
            f"{shape}; it returned {found.shape}"
        )
    wrong = int(np.isnan(found).sum())
    if wrong:
        raise ConfigError(
            f"entropy estimator {method!r} returned NaN for {wrong} of {found.size} groups; it "
            "must return -inf for groups without a density and raise an error for bad samples"
        )
    return found
