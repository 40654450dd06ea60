"""Feature spaces by name. Importing this module imports none of them."""

from __future__ import annotations

from cooanalysis.measures.manifold.space import FeatureSpace, check_feature_space
from cooanalysis.runtime.registry import Registry

_HERE = "cooanalysis.measures.manifold"

FEATURE_SPACES: Registry[FeatureSpace] = Registry(
    "feature space",
    "cooanalysis.feature_spaces",
    {
        "subbands": f"{_HERE}.subbands:SUBBANDS",
        "pixels": f"{_HERE}.pixels:PIXELS",
        "sparsity": f"{_HERE}.sparsity:SPARSITY",
        "coupling": f"{_HERE}.coupling:COUPLING",
        "deep": f"{_HERE}.deep:DEEP",
    },
    check=check_feature_space,
)
"""Every feature space by its name; other packages add theirs to ``cooanalysis.feature_spaces``."""


def feature_space(name: str) -> FeatureSpace:
    """Look up a feature space; an unknown name raises a :class:`ConfigError`."""
    return FEATURE_SPACES.find(name)


def register_feature_space(space: FeatureSpace, *, replace: bool = False) -> None:
    """Make a feature space usable by its name, for as long as this process runs.

    Parameters
    ----------
    space
        Its name, title and function.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or the function cannot be called as it must.

    Examples
    --------
    >>> import numpy as np
    >>> def moments(patches):
    ...     "Mean and standard deviation of each patch."
    ...     return np.stack([patches.mean((1, 2, 3)), patches.std((1, 2, 3))], axis=1)
    >>> register_feature_space(FeatureSpace("moments", "mean and contrast", moments))
    >>> feature_space("moments").title
    'mean and contrast'
    >>> FEATURE_SPACES.unregister("moments")
    """
    FEATURE_SPACES.register(space.name, space, replace=replace)
