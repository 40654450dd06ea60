"""Shards and ties."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.neighbors import (
    Neighbors,
    build_index,
    exact_search,
    merge_neighbors,
    search_excluding,
)
from cooanalysis.neighbors.vectors import as_source
from tests.helpers.neighbors import (
    ENGINES,
    build,
    gaussian,
    scene,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- Shards and ties -------------------------------------------------------------------------


def canonical(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """Nearest first, ties to the smaller row, by distances summed in a fixed order."""
    rows = []
    for query in queries:
        squares = np.zeros(len(vectors), np.float32)
        for j in range(vectors.shape[1]):
            squares += (vectors[:, j] - query[j]) ** 2
        rows.append(np.argsort(squares, kind="stable")[:k])
    return np.array(rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_go_to_the_smaller_row_in_every_engine(engine: str) -> None:
    """Flat patches are equal by the thousand; engines take any of them."""
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 2, (3000, 6)).astype(np.float32)
    vectors[500:1500] = 0.0
    queries = np.concatenate([np.zeros((2, 6), np.float32), vectors[:20], gaussian(20, 6)])
    for k in (1, 40, 150):
        expected = canonical(queries, vectors, k)
        np.testing.assert_array_equal(build(vectors, engine).search(queries, k).index, expected)
    np.testing.assert_array_equal(exact_search(queries, vectors, 40).index, expected[:, :40])


@pytest.mark.parametrize("n_shards", [1, 2, 5])
def test_shards_together_find_what_the_whole_does(n_shards: int) -> None:
    from cooanalysis.neighbors.images import RangeImages, as_images
    from cooanalysis.neighbors.vectors import RowRange

    queries, vectors, query_image, reference_image = scene(3)
    vectors[20:200] = vectors[10]  # ties across shards
    excluded = np.eye(6, dtype=bool)
    whole = search_excluding(
        build(vectors), queries, 30, query_image, reference_image, excluded, vectors=vectors
    )
    bounds = np.linspace(0, len(vectors), n_shards + 1).astype(int)
    parts = []
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        source = RowRange(as_source(vectors), start, stop)
        images = RangeImages(as_images(reference_image), start, stop)
        found = search_excluding(
            build_index(source), queries, 30, query_image, images, excluded,
            vectors=source, partial=True,
        )  # fmt: skip
        rows = np.where(found.index >= 0, found.index + start, -1)
        parts.append(Neighbors(rows, found.squared_distances))
    merged = merge_neighbors(parts, 30)
    np.testing.assert_array_equal(merged.index, whole.index)
    np.testing.assert_array_equal(merged.squared_distances, whole.squared_distances)


def test_a_shard_gives_what_it_has() -> None:
    vectors, queries = gaussian(12, 3), gaussian(2, 3, seed=1)
    images, excluded = np.repeat([0, 1], 6), np.array([[True, False], [True, True]])
    found = search_excluding(
        build(vectors), queries, 9, np.array([0, 1]), images, excluded, vectors=vectors,
        partial=True,
    )  # fmt: skip
    assert sorted(found.index[0, :6].tolist()) == list(range(6, 12))
    assert (found.index[0, 6:] == -1).all() and (found.index[1] == -1).all()
    assert np.isinf(found.squared_distances[found.index < 0]).all()
