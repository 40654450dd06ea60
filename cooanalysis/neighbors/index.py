"""Exact and approximate nearest-neighbour indices over float32 vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors.engines import available_engine, import_faiss
from cooanalysis.neighbors.vectors import (
    BLOCK_BYTES,
    RowRange,
    Vectors,
    VectorSource,
    as_source,
    blocks,
    nearest_rows,
    rerank,
)

INDEX_KINDS = ("exact", "ivf", "hnsw", "pq")
"""Exact; inverted file of 8-bit codes; navigable small-world graph; inverted file of product
codes. All but the first are approximate; all end with exact distances of the candidates."""

AUTO_EXACT_OPERATIONS = 2e11
"""``auto`` searches exactly up to this many operations (a few seconds on two cores)."""

AUTO_EXACT_QUERIES = 3000
"""``auto`` searches exactly for up to this many queries: an approximate index is built and tuned in
the time that an exact search of so many takes, however many vectors there are."""

MIN_APPROXIMATE_SIZE = 20_000
"""Below this many vectors an approximate index cannot win."""

CANDIDATES = {"exact": 1.0, "ivf": 1.25, "hnsw": 1.0, "pq": 3.0}
"""Candidates that are fetched for each neighbour wanted: coarser codes need more."""

MOST_CANDIDATES = 32.0
"""The same, for queries whose neighbours a coarse code confuses with many others."""

LATE = 0.03
"""Share of the neighbours that may be found among the last quarter of the candidates; where it is
more, others must be expected beyond. Tuning lowers it where a recall needs that."""

SPARE_CANDIDATES = 8
"""Fetched beyond those, so that rounding in an engine does not decide who comes last."""

ROUNDING = 1e-6
"""Relative error of squared distances from matrix products in single precision."""

MOST_TIES = 2**13
"""Candidates that an engine is asked for to tell equally near vectors apart. Where flat areas hold
more of them, all vectors are looked at."""

QUERIES_ALIKE = 13
"""FAISS's scan of 4-bit codes that treats every query alike, however many are asked at once."""

FAISS_GPU_LARGEST_SELECTION = 2048
"""FAISS's kernels on GPUs select no more than this: neighbours, and cells to look into."""

GPU_PARTS = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48)
"""Parts that FAISS's kernels on GPUs can encode a vector by, each with a code of eight bits; tables
for more of them would not fit into a block's shared memory."""

GPU_PART_WIDTHS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32)
"""Values that such a part may have."""


@dataclass(frozen=True)
class Neighbours:
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

    def __getitem__(self, rows: slice) -> Neighbours:
        """The neighbours of some queries."""
        return Neighbours(self.index[rows], self.squared_distances[rows])

    def put(self, rows: NDArray[np.integer], others: Neighbours) -> None:
        """Replace the neighbours of some queries, in place."""
        self.index[rows] = others.index
        self.squared_distances[rows] = others.squared_distances


class Engine(Protocol):
    """What finds candidates."""

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """(q, k) row numbers, in any order; -1 where fewer were found."""
        ...

    @property
    def max_effort(self) -> int:
        """The most that it can look at, 0 where there is nothing to set."""
        ...

    def set_effort(self, effort: int) -> None:
        """Set how much an approximate index looks at (nprobe, efSearch); exact ones ignore it."""
        ...

    def nearest_within(
        self, queries: Vectors, k: int, limits: Vectors
    ) -> tuple[NDArray[np.int64], Vectors] | None:
        """The ``k`` nearest by the distances and the order of ties of :func:`rerank`.

        Of every query at least ``k`` vectors lie within its limit, a squared distance. None where
        an engine has no such search.
        """
        ...


@dataclass
class NeighborIndex:
    """Nearest neighbours: an engine finds candidates, exact distances decide among them.

    Attributes
    ----------
    engine, kind
        Names of the engine and of the kind of index.
    size, largest_k
        Number of indexed vectors; neighbours that one search can return at most.
    late
        Share of the neighbours that may be found among the last quarter of the candidates of an
        index with coarse codes, before more candidates are fetched.
    """

    engine: str
    kind: str
    size: int
    largest_k: int
    late: float
    _engine: Engine
    _source: VectorSource

    def search(self, queries: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest indexed vectors of each query.

        Raises
        ------
        ConfigError
            If the engine cannot select that many.
        """
        k = min(k, self.size)
        if k > self.largest_k:
            raise ConfigError(
                f"engine {self.engine!r} finds at most {self.largest_k} neighbours, not {k}; use "
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
                found.put(tied, Neighbours(*nearest))
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
            found.put(tied, Neighbours(*nearest_rows(queries[tied], self._source, k)))
        return found

    def _search_candidates(self, queries: Vectors, k: int) -> Neighbours:
        """Rank candidates, and fetch more where the last of them still hold neighbours.

        How many are needed differs from query to query by more than ten times: what codes tell
        apart in textures they confuse in flat areas.
        """
        found = Neighbours(
            np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        )
        fetched = self._fetched(k)
        most = self._fetched(k, MOST_CANDIDATES) if self.kind == "pq" else fetched
        step = max(1, BLOCK_BYTES // (12 * fetched))  # a row number and a distance for each
        for start in range(0, len(queries), step):
            rows, fetch = np.arange(start, min(start + step, len(queries))), fetched
            while len(rows):
                candidates = self._engine.search(queries[rows], fetch)
                index, distances, place = rerank(queries[rows], candidates, self._source, k)
                found.put(rows, Neighbours(index, distances))
                if fetch >= most:
                    break
                late = ((index >= 0) & (place >= fetch - fetch // 4)).mean(axis=1)
                rows, fetch = rows[late > self.late], min(2 * fetch, most)
        return found

    def set_effort(self, effort: int) -> None:
        """Set how much an approximate index looks at (nprobe, efSearch); exact ones ignore it."""
        self._engine.set_effort(effort)

    @property
    def largest_effort(self) -> int:
        """The most that an approximate index can look at; 0 for an exact one."""
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
    """Index vectors for Euclidean nearest-neighbour search.

    Parameters
    ----------
    vectors
        (n, dim) float32, or a source that makes any rows of them when they are needed.
    kind
        ``"auto"`` or one of :data:`INDEX_KINDS`. Effects: ``exact`` finds every neighbour and
        costs 2·n·dim operations a query and 4·dim bytes a vector. ``pq`` looks only into the
        nearest of about sqrt(n) / 3 cells, at four bits for each value: dim / 2 + 8 bytes a vector.
        ``ivf`` does so at 8-bit codes, dim + 8 bytes a vector: slower, but fewer candidates need
        their exact distance. ``hnsw`` walks a graph: the fastest queries, slow to build, 4·dim
        bytes and about 0.3 kB more a vector. ``auto`` takes ``exact`` while that costs seconds or
        the queries are few, else ``pq``; on a GPU ``exact``, and what fits into its place.
    engine, device
        See :func:`cooanalysis.neighbors.available_engine`.
    n_queries
        How many queries will be asked; lets ``auto`` choose.
    memory
        Bytes that the index may take; None for any number.
    seed
        Seed of the training sample and of k-means.

    Raises
    ------
    ConfigError
        Unknown kind, a kind that the engine does not offer, vectors that are not finite, or an
        index that does not fit into ``memory``.
    """
    source = as_source(vectors)
    name = available_engine(engine, device)
    kind = choose_kind(kind, name, len(source), source.dim, n_queries, memory)
    if name == "torch":
        from cooanalysis.neighbors.torch_engine import TorchEngine

        if kind != "exact":
            raise ConfigError(
                f"index {kind!r} needs FAISS; the torch engine offers only 'exact' (use --index "
                "exact, or install faiss)"
            )
        built = TorchEngine.build(source, device)
        return NeighborIndex(built.name, kind, len(source), len(source), LATE, built, source)
    largest = len(source)
    if name == "faiss-gpu":
        largest = min(largest, FAISS_GPU_LARGEST_SELECTION)
    faiss_engine = _build_faiss(source, kind, name, seed)
    return NeighborIndex(name, kind, len(source), largest, LATE, faiss_engine, source)


def index_bytes(kind: str, n: int, dim: int) -> int:
    """Memory of an index in bytes, as planned: see ``kind`` of :func:`build_index`.

    Inverted lists grow by doubling, which wastes a third of them on average.
    """
    a_vector = {
        "exact": 4.0 * dim,
        "ivf": 1.34 * (_padded(dim) + 8),
        "hnsw": 4.0 * dim + 300,
        "pq": 1.34 * (_padded(dim) / 2 + 8),
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
        # The memory of a GPU is its own matter; what it cannot hold, its engine refuses.
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
) -> Neighbours:
    """Exact neighbours without keeping an index: the reference that recall is measured against.

    A source is read block by block, so that its vectors need not fit into memory. Without ``ties``
    any of several equally near vectors may be the last: enough to know how far it is.
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
        found.put(tied, Neighbours(*nearest_rows(queries[tied], source, k)))
    return found


def _settled(
    queries: Vectors, candidates: NDArray[np.int64], source: VectorSource, k: int
) -> tuple[Neighbours, NDArray[np.intp], Vectors]:
    """The ``k`` nearest candidates, and the queries for which that does not settle the matter.

    Where even the farthest candidate is as near as the last neighbour, up to the rounding of an
    engine's distances, others that were not found may be as near (flat patches are equal by the
    thousand). Which of them count must not depend on the engine or the shard: ties go to the
    smaller row number. The last result is the squared distance, as an engine computes it, within
    which such a query's neighbours lie.
    """
    found, distances, _ = rerank(queries, candidates, source, candidates.shape[1])
    tied = np.empty(0, np.intp)
    limits = np.empty(0, np.float32)
    if 0 < k <= candidates.shape[1] < len(source):
        norms = np.einsum("qd,qd->q", queries, queries)
        rounding = ROUNDING * (norms + distances[:, k - 1])
        tied = np.flatnonzero(distances[:, -1] <= distances[:, k - 1] + rounding)
        limits = (distances[:, k - 1] + 4.0 * rounding)[tied]  # so that none of them is missed
    nearest = Neighbours(found[:, :k].copy(), distances[:, :k].copy())
    return nearest, tied, limits


@dataclass
class FaissEngine:
    """A FAISS index, on the CPU or on GPUs, that finds candidates."""

    on_gpu: bool
    effort_name: str | None
    max_effort: int
    _index: Any
    _axes: Vectors | None = None  # what vectors are turned onto before they are encoded

    def add(self, vectors: Vectors) -> None:
        """Index more vectors."""
        self._index.add(_on_axes(vectors, self._axes))

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """See :class:`Engine`."""
        turned = _on_axes(queries, self._axes)
        step = max(1, BLOCK_BYTES // self._table_bytes())
        parts = [
            self._index.search(turned[start : start + step], k)[1]
            for start in range(0, max(1, len(turned)), step)
        ]
        return np.concatenate(parts)

    def nearest_within(self, queries: Vectors, k: int, limits: Vectors) -> None:
        """FAISS has no such search. See :class:`Engine`."""

    def _table_bytes(self) -> int:
        """What FAISS takes for a query beside its answer: tables of a cell's distances to codes."""
        if self._index.__class__.__name__ != "IndexIVFPQFastScan":
            return 4 * self._index.d
        return 5 * 16 * self._index.d * self._index.nprobe

    def set_effort(self, effort: int) -> None:
        """See :class:`Engine`."""
        if self.effort_name is not None:
            faiss = import_faiss()
            space = faiss.GpuParameterSpace() if self.on_gpu else faiss.ParameterSpace()
            space.set_index_parameter(self._index, self.effort_name, min(effort, self.max_effort))


def _build_faiss(source: VectorSource, kind: str, engine: str, seed: int) -> FaissEngine:
    if kind == "exact":
        return _build_flat(source, engine)
    if kind == "hnsw":
        return _build_graph(source, engine)
    return _build_inverted(source, kind, engine, seed)


def _build_flat(source: VectorSource, engine: str) -> FaissEngine:
    faiss = import_faiss()
    empty = faiss.IndexFlatL2(source.dim)
    if engine == "faiss-gpu":
        return FaissEngine(True, None, 0, _over_shards(source, _copies_on_gpus(empty)))
    built = FaissEngine(False, None, 0, empty)
    for _, block in blocks(source):
        built.add(block)
    return built


def _build_graph(source: VectorSource, engine: str) -> FaissEngine:
    if engine == "faiss-gpu":
        raise ConfigError(
            "index 'hnsw' runs on the CPU only; use --engine faiss-cpu or --index ivf"
        )
    index = import_faiss().IndexHNSWFlat(source.dim, 32)
    index.hnsw.efConstruction = 80
    built = FaissEngine(False, "efSearch", len(source), index)
    for _, block in blocks(source):
        built.add(block)
    built.set_effort(256)
    return built


def _build_inverted(source: VectorSource, kind: str, engine: str, seed: int) -> FaissEngine:
    faiss = import_faiss()
    on_gpu = engine == "faiss-gpu"
    n = len(source)
    cells = number_of_cells(n, "ivf" if on_gpu else kind)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(n, size=min(n, 48 * cells), replace=False)
    sample = source.rows(np.sort(chosen))
    if not np.isfinite(sample).all():
        raise ConfigError("vectors must be finite, but hold NaN or infinite values")
    axes = _principal_axes(sample)
    # Codes of four bits have sixteen values to learn, those of eight 256; fewer vectors are shown
    # again.
    least = 16
    if kind == "pq" and on_gpu:  # where FAISS has no index of 4-bit codes
        parts, width = gpu_parts(axes.shape[1])
        axes = _dealt(axes, parts, width)
        quantizer = faiss.IndexFlatL2(parts * width)
        index = faiss.IndexIVFPQ(quantizer, parts * width, cells, parts, 8)
        least = 256
    else:
        axes = _widened(axes, _padded(axes.shape[1]))
        dim = axes.shape[1]
        quantizer = faiss.IndexFlatL2(dim)
        if kind == "ivf":
            eight_bits = faiss.ScalarQuantizer.QT_8bit
            index = faiss.IndexIVFScalarQuantizer(quantizer, dim, cells, eight_bits)
        else:
            index = faiss.IndexIVFPQFastScan(quantizer, dim, cells, dim, 4)
            index.by_residual = True
            index.implem = QUERIES_ALIKE
    index.own_fields = True
    quantizer.this.disown()
    index.cp.seed = seed + 1
    index.cp.niter = 10
    if kind == "pq":
        index.pq.cp.min_points_per_centroid = 1  # or it complains on the terminal
    shown = sample if len(sample) >= least else np.resize(sample, (least, source.dim))
    index.train(_on_axes(shown, axes))
    most = min(cells, FAISS_GPU_LARGEST_SELECTION) if on_gpu else cells
    built = FaissEngine(on_gpu, "nprobe", most, _on_gpus(index) if on_gpu else index, axes)
    for _, block in blocks(source):
        built.add(block)
    built.set_effort(max(64, cells // 32))
    return built


def _gpu_options() -> Any:
    """FAISS's own kernels, whose limits this module keeps, also where it was built with cuVS."""
    options = import_faiss().GpuMultipleClonerOptions()
    options.shard = True
    options.use_cuvs = False
    return options


def _on_gpus(index: Any) -> Any:
    """A trained index of inverted lists, without vectors yet, on all GPUs that FAISS finds."""
    return import_faiss().index_cpu_to_all_gpus(index, co=_gpu_options())


def _copies_on_gpus(index: Any) -> list[Any]:
    """An empty index on each GPU that FAISS finds."""
    faiss = import_faiss()
    options = _gpu_options()
    return [
        faiss.index_cpu_to_gpus_list(index, options, [gpu]) for gpu in range(faiss.get_num_gpus())
    ]


def _over_shards(source: VectorSource, empty: list[Any]) -> Any:
    """One flat index over several, each of which gets an equal range of the vectors.

    FAISS's own sharding of a flat index takes all vectors in one call, so all would be in memory.
    """
    ends = [len(source) * i // len(empty) for i in range(len(empty) + 1)]
    for index, start, stop in zip(empty, ends, ends[1:], strict=False):
        for _, block in blocks(RowRange(source, start, stop)):
            index.add(block)
    if len(empty) == 1:
        return empty[0]
    shards = import_faiss().IndexShards(source.dim, True, True)  # in threads, successive rows
    for index in empty:
        shards.add_shard(index)
    return shards


def gpu_parts(dim: int) -> tuple[int, int]:
    """Parts, and values of each, by which FAISS on a GPU encodes ``dim`` values or a few more.

    Raises
    ------
    ConfigError
        If there are more values than its kernels can encode.
    """
    parts = max((each for each in GPU_PARTS if 2 * each <= dim), default=GPU_PARTS[0])
    width = next((each for each in GPU_PART_WIDTHS if parts * each >= dim), None)
    if width is None:
        raise ConfigError(
            f"FAISS on a GPU has no index 'pq' for {dim} values; use --index ivf or a smaller "
            "--patch-width"
        )
    return parts, width


def _principal_axes(sample: Vectors) -> Vectors:
    """(dim, m) axes that vectors are turned onto before they are encoded, the largest first.

    Without those on which the vectors do not vary (patches without their mean have one). A turn
    changes no distance.
    """
    # In single precision the axis without variance would not be told from the others.
    centered = sample.astype(np.float64)
    centered -= centered.mean(axis=0)
    values, axes = np.linalg.eigh(centered.T @ centered)
    axes = axes[:, values > 1e-9 * max(values[-1], 1e-30)][:, ::-1]
    if axes.shape[1] == 0:  # all vectors are equal
        axes = np.eye(len(values))[:, :1]
    return axes.astype(np.float32)


def _widened(axes: Vectors, width: int) -> Vectors:
    """The axes and zeros."""
    return np.ascontiguousarray(np.pad(axes, [(0, 0), (0, width - axes.shape[1])]))


def _dealt(axes: Vectors, parts: int, width: int) -> Vectors:
    """The axes in the order of parts of equal width, of which each gets large and small ones."""
    order = np.arange(parts * width).reshape(width, parts)
    order[1::2] = order[1::2, ::-1]
    return np.ascontiguousarray(_widened(axes, parts * width)[:, order.T.ravel()])


def number_of_cells(n: int, kind: str) -> int:
    """Cells of an inverted file: sqrt(n), at least 39 vectors each, and a third of that for 4-bit
    codes.

    Every vector is compared with every cell when it is added, and every query with the vectors of
    the cells that it looks into. Before 4-bit codes are looked through, FAISS makes a query's table
    for the cell, which takes as long as some 9,000 of them: fewer and longer lists are faster.
    """
    cells = math.isqrt(n) // 3 if kind == "pq" else math.isqrt(n)
    return max(1, min(cells, n // 39))


def _padded(dim: int) -> int:
    """FAISS's fast kernels for codes work on eight values at a time."""
    return -(-dim // 8) * 8


def _on_axes(vectors: Vectors, axes: Vectors | None) -> Vectors:
    turned = vectors if axes is None else vectors @ axes
    return np.ascontiguousarray(turned, np.float32)
