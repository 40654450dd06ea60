"""Candidates for entropy estimation. Only NumPy is needed here; peers import the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH_SECONDS = 3.0

Values = NDArray[np.float64]
Groups = NDArray[np.float64]


def estimate(name: str, groups: str, values: str) -> dict[str, Any]:
    """Entropies of groups from a file (G, n, d), in nats per dimension, to another file.

    Returns the seconds of the work (a median where it is short), and those of a first call on
    few groups: compiled code and calibration, which are paid once.
    """
    samples = np.load(groups)
    function = CONTESTANTS[name]
    start = time.perf_counter()
    function(samples[:2])
    first = time.perf_counter() - start
    seconds: list[float] = []
    while sum(seconds) < ENOUGH_SECONDS and len(seconds) < 9:
        start = time.perf_counter()
        found = function(samples)
        seconds.append(time.perf_counter() - start)
    np.save(values, found)
    return {"seconds": float(np.median(seconds)), "first": first}


def _ours(method: str) -> Callable[[Groups], Values]:
    def function(groups: Groups) -> Values:
        from cooanalysis.measures.entropy import entropy

        return entropy(groups, method)

    return function


def _our_marginals(groups: Groups) -> Values:
    from cooanalysis.measures.entropy import marginal_entropies

    return marginal_entropies(groups).mean(axis=1)


def _scipy_gaussian(groups: Groups) -> Values:
    from scipy.stats import multivariate_normal

    d = groups.shape[2]
    fitted = (multivariate_normal.fit(x) for x in groups)
    return np.array([multivariate_normal(*each).entropy() / d for each in fitted])


def _scipy_marginal(method: Any) -> Callable[[Groups], Values]:
    def function(groups: Groups) -> Values:
        from scipy.stats import differential_entropy

        return np.asarray(differential_entropy(groups, axis=1, method=method)).mean(axis=1)

    return function


def _infomeasure(groups: Groups) -> Values:
    from infomeasure import entropy

    d = groups.shape[2]
    return np.array([entropy(x, approach="kl", k=3, base="e") / d for x in groups])


def _npeet(groups: Groups) -> Values:
    from npeet_plus import entropy

    d = groups.shape[2]
    return np.array([entropy(x, k=3, base=math.e) / d for x in groups])


def _dadapy(groups: Groups) -> Values:
    from dadapy import DensityEstimation

    d = groups.shape[2]
    found = []
    for x in groups:
        density = DensityEstimation(x, maxk=10)
        density.compute_distances(maxk=10)
        # Otherwise it would estimate the dimension, and its entropy would have another unit.
        density.set_id(d)
        density.compute_density_kNN(k=3)
        found.append(density.return_entropy() / d)
    return np.array(found)


JOINT: dict[str, Callable[[Groups], Values]] = {
    "cooanalysis, Gaussian": _ours("gaussian"),
    "cooanalysis, Kozachenko-Leonenko": _ours("kozachenko-leonenko"),
    "cooanalysis, copula": _ours("copula"),
    "SciPy multivariate_normal.fit": _scipy_gaussian,
    "infomeasure, Kozachenko-Leonenko": _infomeasure,
    "npeet-plus, Kozachenko-Leonenko": _npeet,
    "DADApy, nearest-neighbor density": _dadapy,
}
MARGINAL: dict[str, Callable[[Groups], Values]] = {
    "cooanalysis, spacings": _our_marginals,
    **{f"SciPy, {m}": _scipy_marginal(m) for m in ("vasicek", "van es", "ebrahimi", "correa")},
}
CONTESTANTS = JOINT | MARGINAL
