"""Images that must not meet: excluded vectors never come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.errors import NotEnoughDataError
from cooanalysis.neighbors import (
    search_excluding,
)
from tests.helpers.neighbors import (
    ENGINES,
    build,
    gaussian,
    scene,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- Exclusion -------------------------------------------------------------------------------


def naive_excluding(
    queries: np.ndarray,
    vectors: np.ndarray,
    k: int,
    query_image: np.ndarray,
    reference_image: np.ndarray,
    excluded: np.ndarray,
) -> np.ndarray:
    """The definition, one query and one vector after the other: (q, k) squared distances."""
    rows = []
    for query, number in zip(queries, query_image, strict=True):
        distances = [
            float(((query.astype(np.float64) - vector) ** 2).sum())
            for vector, image in zip(vectors, reference_image, strict=True)
            if not excluded[number, image]
        ]
        rows.append(sorted(distances)[:k])
    return np.array(rows)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("k", [1, 5, 40])
def test_exclusion_equals_the_naive_loop(engine: str, k: int) -> None:
    queries, vectors, query_image, reference_image = scene(0)
    index = build(vectors, engine)
    rng = np.random.default_rng(1)
    for excluded in (np.eye(6, dtype=bool), np.zeros((6, 6), bool), rng.random((6, 6)) < 0.4):
        found = search_excluding(index, queries, k, query_image, reference_image, excluded)
        assert not excluded[query_image[:, None], reference_image[found.index]].any()
        expected = naive_excluding(queries, vectors, k, query_image, reference_image, excluded)
        np.testing.assert_allclose(found.squared_distances, expected, rtol=1e-3, atol=1e-2)
        assert all(len(set(row)) == k for row in found.index.tolist())


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "pq"])
@pytest.mark.parametrize("k", [4, 12])
def test_approximate_indices_fall_back_to_exact_search(kind: str, k: int) -> None:
    """Most images are excluded, so an approximate index runs out of usable neighbors."""
    queries, vectors, query_image, reference_image = scene(0, n=2000, images=12)
    reference_image[0] = 0  # "not found" (-1) must not be taken for row 0, which may be used
    excluded = np.ones((12, 12), bool)
    excluded[:, 0] = excluded[:, 7] = False
    index = build(vectors, kind=kind)
    index.set_effort(1)
    found = search_excluding(
        index, queries, k, query_image, reference_image, excluded, vectors=vectors
    )
    assert (found.index >= 0).all()
    assert set(np.unique(reference_image[found.index])) <= {0, 7}
    assert found.index.shape == (20, k)
    assert all(len(set(row)) == k for row in found.index.tolist())
    order = np.diff(found.squared_distances, axis=1)
    assert (order >= -1e-4).all(), "nearest first"
    if kind == "hnsw":  # its graph leads to usable neighbors, though not to the nearest
        return
    # The one cell that is visited holds nothing usable for these: exact search serves them.
    far = ~np.isin(query_image, [0, 7])
    expected = naive_excluding(queries, vectors, k, query_image, reference_image, excluded)
    np.testing.assert_allclose(found.squared_distances[far], expected[far], rtol=1e-3)


def test_without_vectors_an_index_that_runs_short_says_so() -> None:
    queries, vectors, query_image, reference_image = scene(0, n=2000)
    index = build(vectors, kind="ivf")
    index.set_effort(1)
    with pytest.raises(NotEnoughDataError, match=r"fewer than k = 8 neighbors.*--index exact"):
        search_excluding(index, queries, 8, query_image, reference_image, np.eye(6, dtype=bool))


def test_too_few_vectors_left_are_counted_in_the_message() -> None:
    queries, vectors, query_image, _ = scene(0, n=30)
    reference_image = np.repeat(np.arange(6), 5)
    index = build(vectors)
    full = search_excluding(index, queries, 25, query_image, reference_image, np.eye(6, dtype=bool))
    assert (full.index >= 0).all()
    with pytest.raises(NotEnoughDataError, match=r"only 25 reference patches .* than k = 26"):
        search_excluding(index, queries, 26, query_image, reference_image, np.eye(6, dtype=bool))


def test_images_without_queries_may_exclude_everything() -> None:
    """Only what is asked for counts: image 1 has no reference left but no query either."""
    vectors = gaussian(10, 3)
    excluded = np.array([[False], [True]])
    zeros = np.zeros(10, int)
    found = search_excluding(build(vectors), vectors, 3, zeros, zeros, excluded)
    assert (found.index[:, 0] == np.arange(10)).all()


def test_no_queries_find_nothing() -> None:
    queries, vectors, query_image, reference_image = scene(0)
    found = search_excluding(
        build(vectors), queries[:0], 7, query_image[:0], reference_image, np.eye(6, dtype=bool)
    )
    assert found.index.shape == found.squared_distances.shape == (0, 7)


@given(st.integers(0, 10**6), st.integers(1, 20))
@settings(deadline=None, max_examples=20)
def test_exclusion_does_not_depend_on_the_batch(seed: int, size: int) -> None:
    queries, vectors, query_image, reference_image = scene(seed)
    index = build(vectors)
    excluded = np.eye(6, dtype=bool)
    whole = search_excluding(index, queries, 9, query_image, reference_image, excluded).index
    for start in range(0, len(queries), size):
        rows = slice(start, start + size)
        part = search_excluding(
            index, queries[rows], 9, query_image[rows], reference_image, excluded
        )
        np.testing.assert_array_equal(part.index, whole[rows])
