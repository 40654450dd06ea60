"""FAISS's indices, on the CPU and on GPUs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors.engines import import_faiss
from cooanalysis.neighbors.vectors import BLOCK_BYTES, RowRange, Vectors, VectorSource, blocks

QUERIES_ALIKE = 13
"""FAISS's scan of 4-bit codes that treats every query alike, whatever the batch size."""

GPU_LARGEST_SELECTION = 2048
"""The most that FAISS's GPU kernels can select: neighbors, and cells to search."""

GPU_PARTS = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48)
"""Numbers of parts that FAISS's GPU kernels can split a vector into, each with an 8-bit code;
tables for more parts would not fit into a block's shared memory (``isSupportedPQCodeLength`` and
``verifyPQSettings_`` in FAISS's sources)."""

GPU_PART_WIDTHS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32)
"""Numbers of values that such a part may have (``isSupportedNoPrecomputedSubDimSize`` there)."""


@dataclass
class FaissEngine:
    """A FAISS index that finds candidates.

    Attributes
    ----------
    on_gpu
        Whether it is on a GPU.
    effort_name, max_effort
        FAISS's name of the search effort, None where there is nothing to set; its maximum.
    """

    on_gpu: bool
    effort_name: str | None
    max_effort: int
    _index: Any
    _axes: Vectors | None = None  # vectors are rotated onto these before they are encoded

    @classmethod
    def build(cls, source: VectorSource, kind: str, engine: str, seed: int = 0) -> FaissEngine:
        """Index vectors; see :func:`cooanalysis.neighbors.build_index`."""
        if kind == "exact":
            return _build_flat(source, engine)
        if kind == "hnsw":
            return _build_graph(source, engine)
        return _build_inverted(source, kind, engine, seed)

    @property
    def largest_k(self) -> int:
        """Neighbors that one search can return at most."""
        size = int(self._index.ntotal)
        return min(size, GPU_LARGEST_SELECTION) if self.on_gpu else size

    def fill(self, source: VectorSource) -> FaissEngine:
        """Index all vectors of a source; returns itself."""
        for _, block in blocks(source):
            self._index.add(_on_axes(block, self._axes))
        return self

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        turned = _on_axes(queries, self._axes)
        step = max(1, BLOCK_BYTES // self._table_bytes())
        parts = [
            self._index.search(turned[start : start + step], k)[1]
            for start in range(0, max(1, len(turned)), step)
        ]
        return np.concatenate(parts)

    def nearest_within(self, queries: Vectors, k: int, limits: Vectors) -> None:
        """FAISS has no such search. See :class:`cooanalysis.neighbors.index.Engine`."""

    def _table_bytes(self) -> int:
        """Memory per query in addition to the result: tables of a cell's distances to codes."""
        if self._index.__class__.__name__ != "IndexIVFPQFastScan":
            return 4 * self._index.d
        return 5 * 16 * self._index.d * self._index.nprobe

    def set_effort(self, effort: int) -> None:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        if self.effort_name is not None:
            faiss = import_faiss()
            space = faiss.GpuParameterSpace() if self.on_gpu else faiss.ParameterSpace()
            space.set_index_parameter(self._index, self.effort_name, min(effort, self.max_effort))


def _build_flat(source: VectorSource, engine: str) -> FaissEngine:
    empty = import_faiss().IndexFlatL2(source.dim)
    on_gpu = engine == "faiss-gpu"
    shards = _copies_on_gpus(empty) if on_gpu else [empty]
    return FaissEngine(on_gpu, None, 0, _over_shards(source, shards))


def _build_graph(source: VectorSource, engine: str) -> FaissEngine:
    if engine == "faiss-gpu":
        raise ConfigError(
            "index 'hnsw' runs on the CPU only; use --engine faiss-cpu or --index ivf"
        )
    index = import_faiss().IndexHNSWFlat(source.dim, 32)
    index.hnsw.efConstruction = 80
    built = FaissEngine(False, "efSearch", len(source), index).fill(source)
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
    # On a GPU, FAISS has no 4-bit codes per axis, but 8-bit codes for several axes.
    in_parts = kind == "pq" and on_gpu
    if in_parts:
        parts, width = gpu_parts(axes.shape[1])
        axes = _dealt(axes, parts, width)
    else:
        axes = _widened(axes, padded(axes.shape[1]))
    dim = axes.shape[1]
    quantizer = faiss.IndexFlatL2(dim)
    if in_parts:
        index = faiss.IndexIVFPQ(quantizer, dim, cells, parts, 8)
    elif kind == "pq":
        index = faiss.IndexIVFPQFastScan(quantizer, dim, cells, dim, 4)
        index.by_residual = True
        index.implem = QUERIES_ALIKE
    else:
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(quantizer, dim, cells, eight_bits)
    index.own_fields = True
    quantizer.this.disown()
    index.cp.seed = seed + 1
    index.cp.niter = 10
    if kind == "pq":
        index.pq.cp.min_points_per_centroid = 1  # otherwise it warns on the terminal
    # 8-bit codes have 256 values to learn, 4-bit codes 16; where vectors are few, they are
    # repeated.
    least = 2**8 if in_parts else 2**4
    shown = sample if len(sample) >= least else np.resize(sample, (least, source.dim))
    index.train(_on_axes(shown, axes))
    most = min(cells, GPU_LARGEST_SELECTION) if on_gpu else cells
    index = _on_gpus(index) if on_gpu else index
    built = FaissEngine(on_gpu, "nprobe", most, index, axes).fill(source)
    built.set_effort(max(64, cells // 32))
    return built


def _gpu_options() -> Any:
    """FAISS's own kernels, whose limits this module respects, even where it was built with cuVS."""
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
    """Number of parts, and values in each, with which FAISS on a GPU encodes at least ``dim``
    values.

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
    """(dim, m) axes that vectors are rotated onto before they are encoded, the largest first.

    Without those along which the vectors do not vary (patches without their mean have one). A
    rotation changes no distance.
    """
    # In single precision the axis without variance could not be distinguished from the others.
    centered = sample.astype(np.float64)
    centered -= centered.mean(axis=0)
    values, axes = np.linalg.eigh(centered.T @ centered)
    axes = axes[:, values > 1e-9 * max(values[-1], 1e-30)][:, ::-1]
    if axes.shape[1] == 0:  # all vectors are equal
        axes = np.eye(len(values))[:, :1]
    return axes.astype(np.float32)


def _widened(axes: Vectors, width: int) -> Vectors:
    """The axes, padded with zeros."""
    return np.ascontiguousarray(np.pad(axes, [(0, 0), (0, width - axes.shape[1])]))


def _dealt(axes: Vectors, parts: int, width: int) -> Vectors:
    """The axes, reordered into parts of equal width that each get large and small ones."""
    order = np.arange(parts * width).reshape(width, parts)
    order[1::2] = order[1::2, ::-1]
    return np.ascontiguousarray(_widened(axes, parts * width)[:, order.T.ravel()])


def number_of_cells(n: int, kind: str) -> int:
    """Cells of an inverted file: sqrt(n), with at least 39 vectors each, and a third of that for
    4-bit codes.

    Every vector is compared with every cell when it is added, and every query with the vectors of
    the cells that it probes. Before 4-bit codes are scanned, FAISS computes a query's table
    for the cell, which takes as long as scanning some 9,000 of them: fewer, longer lists are
    faster.
    """
    cells = math.isqrt(n) // 3 if kind == "pq" else math.isqrt(n)
    return max(1, min(cells, n // 39))


def padded(dim: int) -> int:
    """FAISS's fast kernels for codes work on eight values at a time."""
    return -(-dim // 8) * 8


def _on_axes(vectors: Vectors, axes: Vectors | None) -> Vectors:
    turned = vectors if axes is None else vectors @ axes
    return np.ascontiguousarray(turned, np.float32)
