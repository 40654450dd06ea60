"""Entropy estimators by name. Importing this module imports none of them."""

from __future__ import annotations

from cooanalysis.measures.entropy.estimator import Estimator, check_estimator
from cooanalysis.runtime.registry import Registry

_HERE = "cooanalysis.measures.entropy"

ESTIMATORS: Registry[Estimator] = Registry(
    "entropy estimator",
    "cooanalysis.estimators",
    {
        "gaussian": f"{_HERE}.gaussian:GAUSSIAN",
        "kozachenko-leonenko": f"{_HERE}.kozachenko_leonenko:KOZACHENKO_LEONENKO",
        "copula": f"{_HERE}.copula:COPULA",
    },
    check=check_estimator,
)
"""Every estimator by its name; other packages add theirs to ``cooanalysis.estimators``."""


def register_estimator(estimator: Estimator, *, replace: bool = False) -> None:
    """Make an estimator usable by its name, for as long as this process runs.

    Parameters
    ----------
    estimator
        Its name, title, function and smallest group size.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or the functions cannot be called as they must.

    Examples
    --------
    >>> import numpy as np
    >>> def box(samples):
    ...     "Entropy of the uniform distribution in the bounding box."
    ...     return np.log(np.ptp(samples, axis=-2)).mean(-1)
    >>> register_estimator(Estimator("box", "bounding box", box, min_samples=lambda d: 2))
    >>> from cooanalysis.measures.entropy import entropy
    >>> float(entropy([[0.0], [1.0], [0.5]], "box"))
    0.0
    >>> ESTIMATORS.unregister("box")
    """
    ESTIMATORS.register(estimator.name, estimator, replace=replace)


def estimator_title(name: str) -> str:
    """How tables and plots name an estimator; the name itself where it is not known here.

    A run may have been made where another package announces an estimator.
    """
    return ESTIMATORS[name].title if name in ESTIMATORS else name
