"""Exact and approximate nearest-neighbor indices over float32 vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors.engines import available_engine, import_faiss
from cooanalysis.neighbors.faiss_engine import FaissEngine, padded
from cooanalysis.neighbors.vectors import (
    BLOCK_BYTES,
    Vectors,
    VectorSource,
    as_source,
    blocks,
    nearest_rows,
    rerank,
)

INDEX_KINDS = ("exact", "ivf", "hnsw", "pq")
"""Exact; inverted file of 8-bit codes; hierarchical navigable small-world graph; inverted file of
product codes. All but the first are approximate; all rerank candidates by exact distances."""

AUTO_EXACT_OPERATIONS = 2e11
"""``auto`` searches exactly up to this many operations (a few seconds on two cores)."""

AUTO_EXACT_QUERIES = 3000
"""``auto`` searches exactly for up to this many queries: an approximate index is built and tuned in
the time that an exact search for that many takes, regardless of the number of vectors."""

MIN_APPROXIMATE_SIZE = 20_000
"""Below this many vectors an approximate index cannot be faster."""

CANDIDATES = {"exact": 1.0, "ivf": 1.25, "hnsw": 1.0, "pq": 3.0}
"""Candidates that are fetched per neighbor: coarser codes need more."""

MOST_CANDIDATES = 32.0
"""The same, for queries whose neighbors coarse codes confuse with many other vectors."""

TAIL_SHARE = 0.03
"""Share of the neighbors that may come from the last quarter of the candidates; where it is larger,
more neighbors must be expected beyond them. Tuning lowers it where a recall requires that."""

SPARE_CANDIDATES = 8
"""Fetched in addition, so that rounding in an engine does not decide which candidate is last."""

ROUNDING = 1e-6
"""Relative error of squared distances from matrix products in single precision."""

MOST_TIES = 2**13
"""Candidates that are fetched to break ties among equally near vectors. Where flat areas hold
more of them, all vectors are searched."""


@dataclass(frozen=True)
class Neighbors:
    """Result of a search.

    Attributes
    ----------
    index
        (n_queries, k) int64 row numbers, nearest first; -1 where fewer were found.
    squared_distances
        (n_queries, k) float32 squared Euclidean distances.
    """

    index: NDArray[np.int64]
    squared_distances: Vectors

    def __getitem__(self, rows: slice) -> Neighbors:
        """The neighbors of some queries."""
        return Neighbors(self.index[rows], self.squared_distances[rows])

    def put(self, rows: NDArray[np.integer], others: Neighbors) -> None:
        """Replace the neighbors of some queries, in place."""
        self.index[rows] = others.index
        self.squared_distances[rows] = others.squared_distances


class Engine(Protocol):
    """An engine that finds candidates."""

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """(q, k) row numbers, in any order; -1 where fewer were found."""
        ...

    @property
    def max_effort(self) -> int:
        """The largest search effort, 0 where there is nothing to set."""
        ...

    def set_effort(self, effort: int) -> None:
        """Set the search effort (nprobe, efSearch) of an approximate index; no-op if exact."""
        ...

    def nearest_within(
        self, queries: Vectors, k: int, limits: Vectors
    ) -> tuple[NDArray[np.int64], Vectors] | None:
        """The ``k`` nearest by the distances and the order of ties of :func:`rerank`.

        At least ``k`` vectors lie within the limit of each query, a squared distance. None where
        an engine has no such search.
        """
        ...


@dataclass
class NeighborIndex:
    """Nearest neighbors: an engine finds candidates, which exact distances rank.

    Attributes
    ----------
    engine, kind
        Names of the engine and of the kind of index.
    size, largest_k
        Number of indexed vectors; neighbors that one search can return at most.
    tail_share
        Share of the neighbors that may come from the last quarter of the candidates of an
        index with coarse codes, before more candidates are fetched.
    """

    engine: str
    kind: str
    size: int
    largest_k: int
    tail_share: float
    _engine: Engine
    _source: VectorSource

    def search(self, queries: Vectors, k: int) -> Neighbors:
        """Find the ``k`` nearest indexed vectors of each query.

        Raises
        ------
        ConfigError
            If the engine cannot select that many.
        """
        k = min(k, self.size)
        if k > self.largest_k:
            raise ConfigError(
                f"engine {self.engine!r} finds at most {self.largest_k} neighbors, not {k}; use "
                "a smaller k or --engine faiss-cpu"
            )
        queries = np.ascontiguousarray(queries, np.float32)
        if self.kind != "exact":
            return self._search_candidates(queries, k)
        candidates = self._engine.search(queries, self._fetched(k))
        found, tied, limits = _settled(queries, candidates, self._source, k)
        if len(tied):
            nearest = self._engine.nearest_within(queries[tied], k, limits)
            if nearest is not None:
                found.put(tied, Neighbors(*nearest))
                return found
        fetch = candidates.shape[1]
        while len(tied) and fetch < min(MOST_TIES, self.largest_k):
            fetch = min(8 * fetch, MOST_TIES, self.largest_k)
            more, still, _ = _settled(
                queries[tied], self._engine.search(queries[tied], fetch), self._source, k
            )
            found.put(tied, more)
            tied = tied[still]
        if len(tied):
            found.put(tied, Neighbors(*nearest_rows(queries[tied], self._source, k)))
        return found

    def _search_candidates(self, queries: Vectors, k: int) -> Neighbors:
        """Rank candidates, and fetch more where the last of them still include neighbors.

        The number needed differs between queries by a factor of more than ten: codes distinguish
        textures well, but not flat areas.
        """
        found = Neighbors(
            np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        )
        fetched = self._fetched(k)
        most = self._fetched(k, MOST_CANDIDATES) if self.kind == "pq" else fetched
        step = max(1, BLOCK_BYTES // (12 * fetched))  # one row number and one distance each
        for start in range(0, len(queries), step):
            rows, fetch = np.arange(start, min(start + step, len(queries))), fetched
            while len(rows):
                candidates = self._engine.search(queries[rows], fetch)
                index, distances, place = rerank(queries[rows], candidates, self._source, k)
                found.put(rows, Neighbors(index, distances))
                if fetch >= most:
                    break
                in_tail = ((index >= 0) & (place >= fetch - fetch // 4)).mean(axis=1)
                rows, fetch = rows[in_tail > self.tail_share], min(2 * fetch, most)
        return found

    def set_effort(self, effort: int) -> None:
        """Set the search effort (nprobe, efSearch) of an approximate index; no-op if exact."""
        self._engine.set_effort(effort)

    @property
    def largest_effort(self) -> int:
        """The largest search effort of an approximate index; 0 for an exact one."""
        return self._engine.max_effort

    def _fetched(self, k: int, factor: float | None = None) -> int:
        factor = CANDIDATES[self.kind] if factor is None else factor
        return min(math.ceil(k * factor) + SPARE_CANDIDATES, self.largest_k)


def build_index(
    vectors: Vectors | VectorSource,
    *,
    kind: str = "auto",
    engine: str = "auto",
    device: str = "auto",
    n_queries: int | None = None,
    memory: int | None = None,
    seed: int = 0,
) -> NeighborIndex:
    """Index vectors for Euclidean nearest-neighbor search.

    Parameters
    ----------
    vectors
        (n, dim) float32, or a source that produces any of their rows on demand.
    kind
        ``"auto"`` or one of :data:`INDEX_KINDS`. Effects: ``exact`` finds every neighbor and
        costs 2·n·dim operations per query and 4·dim bytes per vector. ``pq`` searches only the
        nearest of about sqrt(n) / 3 cells, with four bits per value: dim / 2 + 8 bytes per vector.
        ``ivf`` does so with 8-bit codes, dim + 8 bytes per vector: slower, but fewer candidates
        need exact distances. ``hnsw`` walks a graph: the fastest queries, slow to build, 4·dim
        bytes and about 0.3 kB more per vector. ``auto`` selects ``exact`` while that takes seconds
        or the queries are few, else ``pq``; on a GPU ``exact``, or an index that fits instead.
    engine, device
        See :func:`cooanalysis.neighbors.available_engine`.
    n_queries
        Expected number of queries; ``auto`` depends on it.
    memory
        Bytes that the index may take; None for no limit.
    seed
        Seed of the training sample and of k-means.

    Raises
    ------
    ConfigError
        Unknown kind, a kind that the engine does not support, vectors that are not finite, or an
        index that does not fit into ``memory``.
    """
    source = as_source(vectors)
    name = available_engine(engine, device)
    kind = choose_kind(kind, name, len(source), source.dim, n_queries, memory)
    if name == "torch":
        from cooanalysis.neighbors.torch_engine import TorchEngine

        if kind != "exact":
            raise ConfigError(
                f"index {kind!r} needs FAISS; the torch engine supports only 'exact' (use --index "
                "exact, or install faiss)"
            )
        built = TorchEngine.build(source, device)
        return NeighborIndex(built.name, kind, len(source), len(source), TAIL_SHARE, built, source)
    faiss_engine = FaissEngine.build(source, kind, name, seed)
    largest = faiss_engine.largest_k
    return NeighborIndex(name, kind, len(source), largest, TAIL_SHARE, faiss_engine, source)


def index_bytes(kind: str, n: int, dim: int) -> int:
    """Planned memory of an index in bytes: see ``kind`` of :func:`build_index`.

    Inverted lists grow by doubling, which wastes a third of them on average.
    """
    a_vector = {
        "exact": 4.0 * dim,
        "ivf": 1.34 * (padded(dim) + 8),
        "hnsw": 4.0 * dim + 300,
        "pq": 1.34 * (padded(dim) / 2 + 8),
    }
    return int(a_vector[kind] * n)


def choose_kind(
    kind: str, engine: str, n: int, dim: int, n_queries: int | None, memory: int | None = None
) -> str:
    """Resolve ``auto`` to a kind of index for ``n`` vectors and ``n_queries`` queries.

    Raises
    ------
    ConfigError
        If the kind is unknown, or does not fit into ``memory`` bytes.
    """
    if kind not in ("auto", *INDEX_KINDS):
        raise ConfigError(f"unknown index {kind!r}; choose auto, {', '.join(INDEX_KINDS)}")
    if kind == "auto":
        operations = 2.0 * n * dim * (n if n_queries is None else n_queries)
        small = n < MIN_APPROXIMATE_SIZE or operations < AUTO_EXACT_OPERATIONS
        few = n_queries is not None and n_queries <= AUTO_EXACT_QUERIES
        wanted = {"torch": ["exact"], "faiss-gpu": ["exact", "ivf", "pq"]}.get(
            engine, ["exact", "pq"] if small or few else ["pq"]
        )
        # The budget is for main memory; a GPU's engine refuses what the GPU cannot hold.
        fitting = [
            each for each in wanted
            if memory is None or engine != "faiss-cpu" or index_bytes(each, n, dim) <= memory
        ]  # fmt: skip
        if fitting:
            return fitting[0]
        kind = "pq"
    if memory is not None and engine == "faiss-cpu" and index_bytes(kind, n, dim) > memory:
        raise ConfigError(
            f"an index {kind!r} of {n:,} vectors needs {index_bytes(kind, n, dim) / 2**30:.1f} "
            f"GiB, and the memory budget leaves {memory / 2**30:.1f} GiB for it; use a larger "
            "--memory or --stride, fewer reference images or --index pq"
        )
    return kind


def exact_search(
    queries: Vectors,
    vectors: Vectors | VectorSource,
    k: int,
    engine: str = "faiss-cpu",
    *,
    ties: bool = True,
) -> Neighbors:
    """Exact neighbors without keeping an index: the reference for measuring recall.

    A source is read block by block, so that its vectors need not fit into memory. Without ``ties``
    any of several equally near vectors may be the last, which suffices to know its distance.
    """
    if engine != "faiss-cpu":
        return build_index(vectors, kind="exact", engine=engine).search(queries, k)
    faiss = import_faiss()
    source = as_source(vectors)
    queries = np.ascontiguousarray(queries, np.float32)
    k = min(k, len(source))
    wanted = min(k + SPARE_CANDIDATES, len(source))
    best = np.empty((len(queries), 0), np.int64)
    distance = np.empty((len(queries), 0), np.float32)
    for start, block in blocks(source):
        d, i = faiss.knn(queries, block, min(wanted, len(block)))
        best = np.concatenate([best, i + start], axis=1)
        distance = np.concatenate([distance, d], axis=1)
        if best.shape[1] > wanted:
            order = np.argsort(distance, axis=1, kind="stable")[:, :wanted]
            best = np.take_along_axis(best, order, 1)
            distance = np.take_along_axis(distance, order, 1)
    found, tied, _ = _settled(queries, best, source, k)
    if ties and len(tied):
        found.put(tied, Neighbors(*nearest_rows(queries[tied], source, k)))
    return found


def _settled(
    queries: Vectors, candidates: NDArray[np.int64], source: VectorSource, k: int
) -> tuple[Neighbors, NDArray[np.intp], Vectors]:
    """The ``k`` nearest candidates, and the queries for which ties may extend beyond them.

    Where even the farthest candidate is as near as the last neighbor, up to the rounding of an
    engine's distances, others that were not found may be as near (thousands of flat patches are
    equal). Which of them count must not depend on the engine or the shard: ties go to the
    smaller row number. The last result is the squared distance, as an engine computes it, within
    which such a query's neighbors lie.
    """
    found, distances, _ = rerank(queries, candidates, source, candidates.shape[1])
    tied = np.empty(0, np.intp)
    limits = np.empty(0, np.float32)
    if 0 < k <= candidates.shape[1] < len(source):
        norms = np.einsum("qd,qd->q", queries, queries)
        rounding = ROUNDING * (norms + distances[:, k - 1])
        tied = np.flatnonzero(distances[:, -1] <= distances[:, k - 1] + rounding)
        limits = (distances[:, k - 1] + 4.0 * rounding)[tied]  # so that none of them is missed
    nearest = Neighbors(found[:, :k].copy(), distances[:, :k].copy())
    return nearest, tied, limits
