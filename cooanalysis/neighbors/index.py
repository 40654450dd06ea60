"""Exact and approximate nearest-neighbour indices over float32 vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors.engines import available_engine, import_faiss

INDEX_KINDS = ("exact", "ivf", "hnsw", "pq")
"""Exact; inverted file; navigable small-world graph; inverted file with product quantiser."""

AUTO_EXACT_OPERATIONS = 5e10
"""``auto`` searches exactly up to this many multiply-adds (a few seconds on two cores)."""

MIN_APPROXIMATE_SIZE = 20_000
"""Below this many vectors an approximate index cannot win."""

Vectors = NDArray[np.float32]


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


class NeighborIndex(Protocol):
    """What every engine offers.

    Attributes
    ----------
    engine, kind
        Names of the engine and of the kind of index.
    size
        Number of indexed vectors.
    """

    engine: str
    kind: str
    size: int

    def search(self, queries: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest indexed vectors of each query."""
        ...

    def set_effort(self, effort: int) -> None:
        """Set how much an approximate index looks at (nprobe, efSearch); exact ones ignore it."""
        ...


@dataclass
class FaissIndex:
    """A FAISS index, on the CPU or on GPUs."""

    engine: str
    kind: str
    size: int
    effort_name: str | None
    max_effort: int
    _index: Any
    _resources: Any = None  # GPU memory pools must outlive the index

    def search(self, queries: Vectors, k: int) -> Neighbours:
        k = min(k, self.size)
        distances, index = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        return Neighbours(index, np.maximum(distances, 0.0))

    def set_effort(self, effort: int) -> None:
        if self.effort_name is not None:
            faiss = import_faiss()
            space = (
                faiss.GpuParameterSpace() if self.engine == "faiss-gpu" else faiss.ParameterSpace()
            )
            space.set_index_parameter(self._index, self.effort_name, min(effort, self.max_effort))


def build_index(
    vectors: Vectors,
    *,
    kind: str = "auto",
    engine: str = "auto",
    device: str = "auto",
    n_queries: int | None = None,
    seed: int = 0,
) -> NeighborIndex:
    """Index vectors for Euclidean nearest-neighbour search.

    Parameters
    ----------
    vectors
        (n, dim) float32.
    kind
        ``"auto"`` or one of :data:`INDEX_KINDS`. Effects: ``exact`` finds every neighbour and
        costs 2·n·dim operations a query. ``ivf`` looks only into the nearest of about 4·sqrt(n)
        cells; memory as exact. ``hnsw`` walks a graph: the fastest queries, slow to build,
        about 1.3 kB more a vector. ``pq`` is ``ivf`` on compressed vectors, refined with the exact
        distances of the best candidates. ``auto`` takes ``exact`` while that costs seconds, else
        ``ivf``.
    engine, device
        See :func:`cooanalysis.neighbors.available_engine`.
    n_queries
        How many queries will be asked; lets ``auto`` choose.
    seed
        Seed of the training sample and of k-means.

    Raises
    ------
    ConfigError
        Unknown kind, a kind that the engine does not offer, or vectors that are not finite.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or not len(vectors):
        raise ConfigError(f"vectors must have shape (n > 0, dim), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ConfigError("vectors must be finite, but hold NaN or infinite values")
    name = available_engine(engine, device)
    kind = choose_kind(kind, name, len(vectors), vectors.shape[1], n_queries)
    if name == "torch":
        from cooanalysis.neighbors.torch_engine import TorchIndex

        if kind != "exact":
            raise ConfigError(
                f"index {kind!r} needs FAISS; the torch engine offers only 'exact' (use --index "
                "exact, or install faiss)"
            )
        return TorchIndex.build(vectors, device)
    return _build_faiss(vectors, kind, name, seed)


def choose_kind(kind: str, engine: str, n: int, dim: int, n_queries: int | None) -> str:
    """Resolve ``auto`` to a kind of index for ``n`` vectors and ``n_queries`` queries."""
    if kind not in ("auto", *INDEX_KINDS):
        raise ConfigError(f"unknown index {kind!r}; choose auto, {', '.join(INDEX_KINDS)}")
    if kind != "auto":
        return kind
    operations = 2.0 * n * dim * (n if n_queries is None else n_queries)
    small = n < MIN_APPROXIMATE_SIZE or operations < AUTO_EXACT_OPERATIONS
    return "exact" if small or engine != "faiss-cpu" else "ivf"


def exact_search(
    queries: Vectors, vectors: Vectors, k: int, engine: str = "faiss-cpu"
) -> Neighbours:
    """Exact neighbours without keeping an index: the reference that recall is measured against."""
    if engine != "faiss-cpu":
        return build_index(vectors, kind="exact", engine=engine).search(queries, k)
    distances, index = import_faiss().knn(
        np.ascontiguousarray(queries, np.float32),
        np.ascontiguousarray(vectors, np.float32),
        min(k, len(vectors)),
    )
    return Neighbours(index.astype(np.int64), np.maximum(distances, 0.0))


def _build_faiss(vectors: Vectors, kind: str, engine: str, seed: int) -> FaissIndex:
    faiss = import_faiss()
    n, dim = vectors.shape
    effort_name: str | None = None
    max_effort = 0
    if kind == "exact":
        index = faiss.IndexFlatL2(dim)
    elif kind == "hnsw":
        if engine == "faiss-gpu":
            raise ConfigError(
                "index 'hnsw' runs on the CPU only; use --engine faiss-cpu or --index ivf"
            )
        index = faiss.IndexHNSWFlat(dim, 32)
        index.hnsw.efConstruction = 80
        effort_name, max_effort = "efSearch", n
    else:
        cells = number_of_cells(n)
        quantizer = faiss.IndexFlatL2(dim)
        if kind == "ivf":
            inner = faiss.IndexIVFFlat(quantizer, dim, cells)
        else:
            # The largest number of sub-quantisers that divides dim and leaves >= 2 values each.
            pieces = max((m for m in range(1, dim // 2 + 1) if dim % m == 0), default=1)
            bits = 8 if n >= 40 * 256 else 4
            inner = faiss.IndexIVFPQ(quantizer, dim, cells, pieces, bits)
        inner.own_fields = True
        quantizer.this.disown()
        inner.cp.seed = seed + 1
        inner.cp.niter = 10
        effort_name, max_effort = "nprobe", cells
        index = inner
        rng = np.random.default_rng(seed)
        chosen = rng.choice(n, size=min(n, 48 * cells), replace=False)
        index.train(vectors[np.sort(chosen)])
        if kind == "pq":
            index = faiss.IndexRefineFlat(inner)
            inner.this.disown()
            index.own_fields = True
            index.k_factor = 8
            effort_name = "nprobe"
    resources = None
    if engine == "faiss-gpu":
        options = faiss.GpuMultipleClonerOptions()
        options.shard = True
        if faiss.get_num_gpus() > 1:
            index = faiss.index_cpu_to_all_gpus(index, co=options)
        else:
            resources = faiss.StandardGpuResources()
            index = faiss.index_cpu_to_gpu(resources, 0, index)
    index.add(vectors)
    built = FaissIndex(engine, kind, n, effort_name, max_effort, index, resources)
    built.set_effort(max(64, max_effort // 32) if kind != "hnsw" else 256)
    return built


def number_of_cells(n: int) -> int:
    """Cells of an inverted file: about 4·sqrt(n), a power of two, at least 39 vectors each."""
    wanted = 2 ** round(np.log2(4.0 * np.sqrt(n)))
    return int(max(1, min(wanted, n // 39)))
