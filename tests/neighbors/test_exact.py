"""Exact search: every engine finds what a naive loop finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.neighbors import (
    build_index,
    exact_search,
    recall_at_k,
)
from cooanalysis.neighbors.torch_engine import RUN
from tests.helpers.neighbors import (
    ENGINES,
    assert_nearest,
    build,
    clustered,
    gaussian,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- Exact engines ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("n", "dim", "k"), [(1, 3, 1), (50, 1, 7), (400, 25, 32), (300, 75, 300)])
def test_exact_engines_equal_the_naive_reference(engine: str, n: int, dim: int, k: int) -> None:
    vectors, queries = gaussian(n, dim), gaussian(40, dim, seed=1)
    assert_nearest(build(vectors, engine).search(queries, k), queries, vectors, k)


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_engines_agree_with_faiss_on_the_cpu(engine: str) -> None:
    vectors, queries = clustered(3000, 0), clustered(200, 1)
    found, expected = build(vectors, engine).search(queries, 32), exact_search(queries, vectors, 32)
    # Neighbors 1e-6 apart may change places, nothing else may.
    assert (found.index == expected.index).mean() > 0.999
    assert recall_at_k(found.index, expected.index).value > 0.9999
    np.testing.assert_allclose(
        found.squared_distances, expected.squared_distances, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_vectors_find_themselves_and_duplicates_tie(engine: str) -> None:
    vectors = np.repeat(gaussian(30, 8), 3, axis=0)
    found = build(vectors, engine).search(vectors, 3)
    np.testing.assert_allclose(found.squared_distances, 0.0, atol=1e-4)
    assert (found.index // 3 == np.arange(90)[:, None] // 3).all()
    assert (np.diff(np.sort(found.index, axis=1)) == 1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_no_more_neighbors_than_vectors_and_no_queries(engine: str) -> None:
    index = build(gaussian(5, 3), engine)
    assert (index.size, index.kind) == (5, "exact")
    found = index.search(gaussian(2, 3, seed=1), 9)
    np.testing.assert_array_equal(np.sort(found.index, axis=1), [np.arange(5)] * 2)
    assert index.search(np.empty((0, 3), np.float32), 4).index.shape == (0, 4)


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_do_not_change_neighbors(engine: str) -> None:
    vectors, queries = clustered(2000, 0), clustered(100, 1)
    index = build(vectors, engine)
    whole = index.search(queries, 10)
    for size in (1, 7, 64):
        parts = [index.search(queries[i : i + size], 10) for i in range(0, 100, size)]
        np.testing.assert_array_equal(np.concatenate([p.index for p in parts]), whole.index)


@pytest.mark.needs("torch")
def test_tiles_do_not_change_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small tiles of the distance matrix, merged, against one large one."""
    from cooanalysis.neighbors import torch_engine

    vectors, queries = clustered(2000, 0), clustered(100, 1)
    index: Any = build(vectors, "torch")
    whole = index.search(queries, 10)
    index._engine._tile_bytes = 4 * 2048 * 9  # nine queries a tile
    tiled = index.search(queries, 10)
    np.testing.assert_array_equal(tiled.index, whole.index)
    monkeypatch.setattr(torch_engine, "TILE_RUNS", 5)
    np.testing.assert_array_equal(index.search(queries, 10).index, whole.index)


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("n", "k"), [(5000, 3), (4096, 20), (4097, 7), (640, 5), (100, 100)])
def test_runs_are_skipped_only_where_nothing_is_lost(n: int, k: int) -> None:
    vectors = np.random.default_rng(n).integers(0, 50 * n, (n, 1)).astype(np.float32)
    vectors[-k:] = np.arange(k)[:, None]  # in the last runs, one of which is not full
    vectors[: n // 2 : RUN] = 7.0  # one in each of many runs
    queries = np.array([[0.0], [7.0], [25.0 * n]], np.float32)
    assert_nearest(build(vectors, "torch").search(queries, k), queries, vectors, k)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("k", [1, 40, 700])
def test_torch_settles_ties_as_the_compiled_loop_does(device: str, k: int) -> None:
    """Few distinct values, as in faint patches: thousands are equally near but for rounding."""
    from cooanalysis.neighbors import vectors

    rng = np.random.default_rng(k)
    levels = (0.02 * rng.integers(-3, 4, (5000, 9))).astype(np.float32)
    levels[1000:3000] = 0.0
    queries = np.concatenate([levels[:40], levels[1000:1002], levels[:3] + np.float32(0.3)])
    index: Any = build_index(levels, kind="exact", engine="torch", device=device)
    found = index.search(queries, k)
    rows, distances = vectors.nearest_rows(queries, vectors.as_source(levels), k)
    np.testing.assert_array_equal(found.squared_distances, distances)
    np.testing.assert_array_equal(found.index, rows)
    index._engine._tile_bytes = 12 * RUN * 9 * 5
    limits = np.full(len(queries), 100.0, np.float32)  # all vectors, a few runs at a time
    within = index._engine.nearest_within(queries, k, limits)
    np.testing.assert_array_equal(within[0], rows)
    np.testing.assert_array_equal(within[1], distances)


@given(st.floats(-30, 30), st.floats(0.1, 10), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_shift_scale_and_order_do_not_change_neighbors(
    shift: float, scale: float, seed: int
) -> None:
    vectors, queries = gaussian(80, 4), gaussian(10, 4, seed=1)
    order = np.random.default_rng(seed).permutation(80)
    plain = exact_search(queries, vectors, 5)
    moved = exact_search(scale * queries + shift, (scale * vectors + shift)[order], 5)
    agree = (order[moved.index] == plain.index).mean()
    assert agree > 0.95  # rounding may swap near ties after a large shift
    scaled = moved.squared_distances / scale**2
    np.testing.assert_allclose(scaled, plain.squared_distances, rtol=0.01, atol=0.02)


def test_any_float_layout_is_taken() -> None:
    vectors, queries = gaussian(50, 6), gaussian(5, 6, seed=1)
    expected = build(vectors).search(queries, 3).index
    awkward = build(np.asfortranarray(vectors, dtype=np.float64))
    np.testing.assert_array_equal(awkward.search(np.asfortranarray(queries), 3).index, expected)
