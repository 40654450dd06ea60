"""The record of a feature space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import check_call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _nothing_missing() -> str | None:
    return None


@dataclass(frozen=True)
class FeatureSpace:
    """A feature space: a named function from patches to vectors.

    Attributes
    ----------
    name, title
        Short name (option value, column) and a title for plots.
    function
        From (n, size, size, channels) float32 in [0, 1] to (n, n_features) finite numbers.
    whiten
        Whether features are decorrelated and scaled to unit variance on clean patches.
        Otherwise they are only rotated to their leading principal axes.
    max_dim
        Number of leading principal axes that are kept; distances in hundreds of dimensions
        cost more and add no information.
    warning
        What a reader must know before using distances in this space, or None.
    missing
        Returns why the space cannot be used here (weights or packages missing), or None.
    """

    name: str
    title: str
    function: Callable[[NDArray[np.float32]], Any]
    whiten: bool = True
    max_dim: int = 64
    warning: str | None = None
    missing: Callable[[], str | None] = _nothing_missing


def check_feature_space(name: str, space: object) -> None:
    """Refuse what cannot be used as a feature space of this name.

    Raises
    ------
    ConfigError
        The message names the feature space.
    """
    what = f"feature space {name!r}"
    if not isinstance(space, FeatureSpace):
        raise ConfigError(f"{what} must be a FeatureSpace; got {space!r:.100}")
    if space.name != name:
        raise ConfigError(f"{what} has another name in its record: {space.name!r}")
    check_call(f"the function of {what}", space.function, ["patches"])
    check_call(f"missing of {what}", space.missing, [])
    if isinstance(space.max_dim, bool) or not isinstance(space.max_dim, int) or space.max_dim < 1:
        raise ConfigError(
            f"max_dim of {what} must be a positive whole number; got {space.max_dim!r}"
        )
