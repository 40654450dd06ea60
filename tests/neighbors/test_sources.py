"""Vectors that do not lie in memory, and what an index takes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors import (
    INDEX_KINDS,
    exact_search,
)
from cooanalysis.neighbors.faiss_engine import (
    number_of_cells,
)
from cooanalysis.neighbors.index import (
    choose_kind,
    index_bytes,
)
from cooanalysis.neighbors.vectors import as_source
from tests.helpers.neighbors import (
    ENGINES,
    build,
    clustered,
    gaussian,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- Vectors that do not lie in memory -------------------------------------------------------


class Made:
    """Rows are made whenever they are asked for; counts the largest request."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.largest = 0

    @property
    def dim(self) -> int:
        return int(self.array.shape[1])

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, which: slice | np.ndarray) -> np.ndarray:
        rows = self.array[which].copy()
        self.largest = max(self.largest, len(rows))
        return rows


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", INDEX_KINDS)
def test_a_source_is_indexed_block_by_block(
    engine: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.neighbors import vectors as blocks_of

    if kind != "exact" and engine.startswith("torch") or (kind, engine) == ("hnsw", "faiss-gpu"):
        pytest.skip(f"{engine} has no {kind}")
    array, queries = clustered(3000, 0), clustered(40, 1)
    whole = build(array, engine, kind)
    monkeypatch.setattr(blocks_of, "BLOCK_BYTES", 4 * 16 * 700)
    monkeypatch.setattr(blocks_of, "CACHE_BYTES", 4 * 16 * 700)
    source = Made(array)
    parts = build(source, engine, kind)  # type: ignore[arg-type]
    for index in (whole, parts):
        index.set_effort(10**6)
    found, expected = parts.search(queries, 20), whole.search(queries, 20)
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.squared_distances, expected.squared_distances)
    assert kind != "exact" or source.largest <= 700
    scanned = exact_search(queries, source, 20)  # type: ignore[arg-type]
    np.testing.assert_array_equal(scanned.index, exact_search(queries, array, 20).index)


def test_distances_decide_ties_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from cooanalysis.neighbors.vectors import rerank

    array = np.repeat(gaussian(4, 3), 3, axis=0)
    candidates = np.array([[11, 2, -1, 0, 1, 9, 10]])
    found, distances, place = rerank(array[:1], candidates, as_source(array), 7)
    assert found[0].tolist() == [0, 1, 2, 9, 10, 11, -1]
    assert (distances[0, :3] == 0).all() and np.isinf(distances[0, -1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", INDEX_KINDS)
def test_vectors_that_are_not_finite_are_refused(bad: float, kind: str) -> None:
    array = gaussian(200, 4)
    array[150, 2] = bad
    with pytest.raises(ConfigError, match="finite"):
        build(array, kind=kind)


# -- Memory ----------------------------------------------------------------------------------


def test_auto_takes_what_fits_into_memory() -> None:
    n, dim = 30_000_000, 25
    sizes = {kind: index_bytes(kind, n, dim) for kind in INDEX_KINDS}
    assert sizes["pq"] < sizes["ivf"] < sizes["exact"] < sizes["hnsw"]
    assert choose_kind("auto", "faiss-cpu", n, dim, 10_000, sizes["exact"]) == "pq"
    # Too little for what would be fast enough: the next that fits.
    assert choose_kind("auto", "faiss-cpu", n, dim, 10, sizes["exact"]) == "exact"
    assert choose_kind("auto", "faiss-cpu", n, dim, 10, sizes["exact"] - 1) == "pq"
    with pytest.raises(ConfigError, match="--memory"):
        choose_kind("auto", "faiss-cpu", n, dim, 10_000, sizes["pq"] - 1)
    with pytest.raises(ConfigError, match="'hnsw'"):
        choose_kind("hnsw", "faiss-cpu", n, dim, 10_000, sizes["exact"])


@pytest.mark.parametrize("kind", ["exact", "ivf", "pq"])
def test_an_index_takes_what_was_planned(kind: str) -> None:
    """By its serialized size; inverted lists have room to grow beside it."""
    import faiss

    n, dim = 40_000, 25
    vectors = clustered(n, 0, dim)
    index: Any = build(vectors, kind=kind)
    written = faiss.serialize_index(index._engine._index).nbytes
    centroids = 4 * 32 * number_of_cells(n, kind)
    assert written - centroids < 1.1 * index_bytes(kind, n, dim)
    assert written > 0.6 * index_bytes(kind, n, dim)
