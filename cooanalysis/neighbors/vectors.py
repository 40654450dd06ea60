"""The source of the indexed vectors: an array, or an object that produces any of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.compiled import njit, prange

Vectors = NDArray[np.float32]

BLOCK_BYTES = 2**26
"""Vectors are produced this many bytes at a time; twice that is in use at once."""


CACHE_BYTES = 2**22
"""Candidates are gathered and compared this many bytes at a time, to fit a core's caches."""


class VectorSource(Protocol):
    """Vectors that need not be in memory.

    Attributes
    ----------
    dim
        Values in a vector.
    """

    @property
    def dim(self) -> int:
        """Values in a vector."""
        ...

    def __len__(self) -> int:
        """Number of vectors."""
        ...

    def rows(self, which: slice | NDArray[np.integer]) -> Vectors:
        """The vectors with these numbers: (n, dim) float32, the same at every call."""
        ...


@dataclass(frozen=True)
class ArrayVectors:
    """Vectors in memory."""

    array: Vectors

    @property
    def dim(self) -> int:
        """Values in a vector."""
        return self.array.shape[1]

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, which: slice | NDArray[np.integer]) -> Vectors:
        """See :class:`VectorSource`."""
        return self.array[which]


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of another source."""

    source: VectorSource
    chosen: NDArray[np.integer]

    @property
    def dim(self) -> int:
        """Values in a vector."""
        return self.source.dim

    def __len__(self) -> int:
        return len(self.chosen)

    def rows(self, which: slice | NDArray[np.integer]) -> Vectors:
        """See :class:`VectorSource`."""
        return self.source.rows(self.chosen[which])


def as_source(vectors: Vectors | VectorSource) -> VectorSource:
    """Wrap an array; a source is returned as it is.

    Raises
    ------
    ConfigError
        If an array is not two-dimensional, or there are no vectors.
    """
    if isinstance(vectors, np.ndarray):
        if vectors.ndim != 2:
            raise ConfigError(f"vectors must have shape (n > 0, dim), got {vectors.shape}")
        vectors = ArrayVectors(np.ascontiguousarray(vectors, np.float32))
    if not len(vectors):
        raise ConfigError(f"vectors must have shape (n > 0, dim), got (0, {vectors.dim})")
    return vectors


def blocks(source: VectorSource) -> Iterator[tuple[int, Vectors]]:
    """All vectors in their order, as (number of the first, block).

    Raises
    ------
    ConfigError
        At a block that holds values that are not finite: they have no neighbors.
    """
    step = max(1, BLOCK_BYTES // (4 * source.dim))
    for start in range(0, len(source), step):
        block = np.ascontiguousarray(source.rows(slice(start, start + step)), np.float32)
        if not np.isfinite(block).all():
            raise ConfigError("vectors must be finite, but hold NaN or infinite values")
        yield start, block


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of another source: a shard of it."""

    source: VectorSource
    start: int
    stop: int

    @property
    def dim(self) -> int:
        """Values in a vector."""
        return self.source.dim

    def __len__(self) -> int:
        return self.stop - self.start

    def rows(self, which: slice | NDArray[np.integer]) -> Vectors:
        """See :class:`VectorSource`."""
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            return self.source.rows(slice(start + self.start, stop + self.start, step))
        return self.source.rows(which + self.start)


def rerank(
    queries: Vectors, candidates: NDArray[np.int64], source: VectorSource, k: int
) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int32]]:
    """The ``k`` nearest of each query's candidates, by distances that depend only on the vectors.

    Engines compute distances with matrix products or from compressed vectors, so theirs
    depend on batches, threads and codes. Here every distance is one sum of squared differences
    in a fixed order, and ties go to the smaller row number.

    Parameters
    ----------
    queries
        (q, dim) float32.
    candidates
        (q, m) row numbers, distinct for each query; -1 where an engine found fewer.
    source
        The vectors.
    k
        Number of neighbors, at most m.

    Returns
    -------
    tuple of numpy.ndarray
        (q, k) row numbers, nearest first, -1 where there were fewer; (q, k) squared distances,
        infinite there; (q, k) int32 places among the candidates.
    """
    found = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k), np.float32)
    places = np.empty((len(queries), k), np.int32)
    width = candidates.shape[1]
    step = max(1, CACHE_BYTES // (4 * source.dim * max(1, width)))
    for start in range(0, len(queries), step):
        part = candidates[start : start + step]
        gathered = np.ascontiguousarray(source.rows(np.maximum(part.ravel(), 0)), np.float32)
        _rerank(
            np.ascontiguousarray(queries[start : start + step], np.float32),
            np.ascontiguousarray(part, np.int64),
            gathered.reshape(*part.shape, source.dim),
            found[start : start + step],
            distances[start : start + step],
            places[start : start + step],
        )
    return found, distances, places


@njit(parallel=True, cache=True)
def _rerank(queries, candidates, vectors, found, distances, places):  # type: ignore[no-untyped-def]
    count, dim = candidates.shape[1], queries.shape[1]
    k = found.shape[1]
    for q in prange(len(queries)):
        by_row = np.argsort(candidates[q])
        squared = np.empty(count, np.float32)
        for place in range(count):
            m = by_row[place]
            if candidates[q, m] < 0:
                squared[place] = np.inf
                continue
            total = np.float32(0.0)
            for j in range(dim):
                difference = vectors[q, m, j] - queries[q, j]
                total += difference * difference
            squared[place] = total
        # A stable sort keeps ties in the order of their rows.
        order = np.argsort(squared, kind="mergesort")
        for place in range(k):
            chosen = by_row[order[place]]
            found[q, place] = candidates[q, chosen]
            distances[q, place] = squared[order[place]]
            places[q, place] = chosen


def nearest_rows(
    queries: Vectors, source: VectorSource, k: int
) -> tuple[NDArray[np.int64], Vectors]:
    """The ``k`` nearest rows by the distances and the order of ties of :func:`rerank`.

    Scans every vector, many times slower than an engine; for the few queries whose
    neighbors tie beyond the candidates that an engine found.

    Returns
    -------
    tuple of numpy.ndarray
        (q, k) row numbers and squared distances, as of :func:`rerank`.
    """
    found = np.full((len(queries), k), -1, np.int64)
    distances = np.full((len(queries), k), np.inf, np.float32)
    queries = np.ascontiguousarray(queries, np.float32)
    for start, block in blocks(source):
        _scan(queries, block, start, found, distances)
        if (distances == 0.0).all():  # none can be nearer, and later rows come after these
            break
    return found, distances


@njit(parallel=True, cache=True)
def _scan(queries, block, start, found, distances):  # type: ignore[no-untyped-def]
    dim, k = queries.shape[1], found.shape[1]
    for q in prange(len(queries)):
        for m in range(len(block)):
            total = np.float32(0.0)
            for j in range(dim):
                difference = block[m, j] - queries[q, j]
                total += difference * difference
            if not total < distances[q, k - 1]:  # rows come in order, so ties stay behind
                continue
            place = k - 1
            while place > 0 and total < distances[q, place - 1]:
                distances[q, place] = distances[q, place - 1]
                found[q, place] = found[q, place - 1]
                place -= 1
            distances[q, place] = total
            found[q, place] = start + m
