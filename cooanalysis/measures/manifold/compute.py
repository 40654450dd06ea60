"""Features of patches in any feature space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cooanalysis.errors import ConfigError
from cooanalysis.measures.manifold.contrast import Floats
from cooanalysis.measures.manifold.registry import feature_space
from cooanalysis.measures.manifold.space import FeatureSpace


def features(patches: ArrayLike, space: str | FeatureSpace) -> Floats:
    """Features of patches.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1].
    space
        A name in :data:`FEATURE_SPACES` or a :class:`FeatureSpace` of your own.

    Returns
    -------
    numpy.ndarray
        (n, n_features) float32.

    Raises
    ------
    ConfigError
        Unknown space, patches that are not finite, or a space whose result has the wrong shape or
        is not finite.
    """
    space = feature_space(space) if isinstance(space, str) else space
    given = np.asarray(patches, np.float32)
    if not np.isfinite(given).all():
        raise ConfigError("patches must be finite, but hold NaN or infinite values")
    found = np.asarray(space.function(given), np.float32)
    if found.ndim != 2 or len(found) != len(given) or found.shape[1] < 1:
        raise ConfigError(
            f"feature space {space.name!r} must return (n, n_features) numbers for n = "
            f"{len(given)} patches; it returned the shape {found.shape}"
        )
    wrong = int((~np.isfinite(found)).any(axis=1).sum())
    if wrong:
        raise ConfigError(
            f"feature space {space.name!r} returned NaN or infinity for {wrong} of "
            f"{len(given)} patches"
        )
    return found
