"""Candidates for the neighbor search: different methods on the same vectors and queries.

Every function gathers the vectors itself, searches once for a few queries so that code is compiled,
and returns seconds per stage; the neighbors go to a file. An array of the vectors is
made outside the timing for methods that need one; ours makes vectors while it builds and searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.real_patches import RealPatches, real_patches

TUNING_QUERIES = 256
WARM_UP = 3000

Indices = NDArray[np.integer[Any]]


def ours(found: str, k: int, recall: float, patches: dict[str, Any]) -> dict[str, Any]:
    """Our default: index chosen automatically, tuned to the recall as in an analysis."""
    from cooanalysis.analysis.groups import SEARCH_SHARD
    from cooanalysis.neighbors import build_index, tune_to_recall

    here = real_patches(**patches)
    _warm_up(lambda few: build_index(few, kind="pq").search(few, k), here)
    clock = Clock()
    index = build_index(here.reference, n_queries=len(here.queries))
    clock.stage("build")
    effort = None
    if index.kind != "exact":
        effort = tune_to_recall(index, here.reference, _few(here.queries), k, recall)
    clock.stage("tune")
    parts = [
        index.search(here.queries[start : start + SEARCH_SHARD], k).index
        for start in range(0, len(here.queries), SEARCH_SHARD)
    ]
    clock.stage("search")
    return _result(found, np.concatenate(parts), clock, kind=index.kind, effort=effort)


def ours_exact(found: str, k: int, recall: float, patches: dict[str, Any]) -> dict[str, Any]:
    """Our exact search, which never holds all vectors in memory."""
    from cooanalysis.neighbors import exact_search

    here = real_patches(**patches)
    _warm_up(lambda few: exact_search(few, few, k), here)
    clock = Clock()
    index = exact_search(here.queries, here.reference, k).index
    clock.stage("search")
    return _result(found, index, clock, kind="exact")


def faiss_exact(found: str, k: int, recall: float, patches: dict[str, Any]) -> dict[str, Any]:
    """FAISS's exact search over an array in memory, by matrix products."""
    from cooanalysis.neighbors.engines import import_faiss

    faiss = import_faiss()
    here = real_patches(**patches)
    vectors = here.array()
    clock = Clock()
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    clock.stage("build")
    neighbors = index.search(here.queries, k)[1]
    clock.stage("search")
    return _result(found, neighbors, clock, kind="IndexFlatL2")


def sklearn_brute(found: str, k: int, recall: float, patches: dict[str, Any]) -> dict[str, Any]:
    """scikit-learn's brute force over an array in memory."""
    from sklearn.neighbors import NearestNeighbors

    here = real_patches(**patches)
    vectors = here.array()
    clock = Clock()
    model = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(vectors)
    clock.stage("build")
    neighbors = model.kneighbors(here.queries, return_distance=False)
    clock.stage("search")
    return _result(found, neighbors, clock, kind="brute")


def pynndescent(found: str, k: int, recall: float, patches: dict[str, Any]) -> dict[str, Any]:
    """pynndescent's graph; its ``epsilon`` is raised until it reaches the recall on some queries.

    Its other parameters are its defaults.
    """
    from pynndescent import NNDescent

    from cooanalysis.neighbors import exact_search, recall_at_k

    here = real_patches(**patches)
    vectors = here.array()

    def build(some: NDArray[np.float32]) -> Any:
        index = NNDescent(some, random_state=0)
        index.prepare()
        return index

    _warm_up(lambda few: build(few).query(few, k), here)
    clock = Clock()
    index = build(vectors)
    clock.stage("build")
    sample = _few(here.queries)
    exact = exact_search(sample, vectors, k).index
    for epsilon in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0):
        if recall_at_k(index.query(sample, k, epsilon)[0], exact).value >= recall:
            break
    clock.stage("tune")
    neighbors = index.query(here.queries, k, epsilon)[0]
    clock.stage("search")
    return _result(found, neighbors, clock, kind="NNDescent", effort=epsilon)


class Clock:
    """Seconds between the ends of stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        """Record the end of a stage."""
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _few(queries: NDArray[np.float32]) -> NDArray[np.float32]:
    chosen = np.random.default_rng(3).permutation(len(queries))[:TUNING_QUERIES]
    return queries[chosen]


def _warm_up(search: Callable[[NDArray[np.float32]], object], here: RealPatches) -> None:
    search(here.reference.rows(slice(0, WARM_UP)))


def _result(found: str, neighbors: Indices, clock: Clock, **more: Any) -> dict[str, Any]:
    np.save(Path(found), neighbors.astype(np.int64))
    return {"seconds": clock.seconds, **more}
