"""Nearest neighbors: every engine against a naive reference, exclusion, recall, k-means."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.errors import ConfigError, MissingDependencyError, NotEnoughDataError
from cooanalysis.neighbors import (
    INDEX_KINDS,
    NeighborIndex,
    Neighbors,
    available_engine,
    build_index,
    exact_search,
    faiss_engine,
    fit_kmeans,
    merge_neighbors,
    recall_at_k,
    recall_by_distance,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.neighbors.faiss_engine import (
    GPU_PART_WIDTHS,
    GPU_PARTS,
    gpu_parts,
    number_of_cells,
)
from cooanalysis.neighbors.index import (
    AUTO_EXACT_QUERIES,
    MIN_APPROXIMATE_SIZE,
    choose_kind,
    index_bytes,
)
from cooanalysis.neighbors.torch_engine import RUN
from cooanalysis.neighbors.vectors import as_source

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")

needs_torch = pytest.mark.needs("torch")
ENGINES = [
    "faiss-cpu",
    pytest.param("torch", marks=needs_torch),
    pytest.param("torch-cuda", marks=pytest.mark.gpu),
    pytest.param("faiss-gpu", marks=pytest.mark.gpu("faiss")),
]


def build(vectors: np.ndarray, engine: str = "faiss-cpu", kind: str = "exact") -> NeighborIndex:
    device = {"torch": "cpu", "torch-cuda": "cuda"}.get(engine, "auto")
    return build_index(vectors, kind=kind, engine=engine.removesuffix("-cuda"), device=device)


def gaussian(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def clustered(n: int, seed: int, dim: int = 16, width: float = 1.0) -> np.ndarray:
    """Points of 60 Gaussian clusters, the same ones for every seed."""
    centers = 3.0 * gaussian(60, dim, seed=1000)
    rng = np.random.default_rng(seed)
    return (centers[rng.integers(0, 60, n)] + width * rng.standard_normal((n, dim))).astype(
        np.float32
    )


def naive_distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    difference = queries[:, None].astype(np.float64) - vectors[None]
    return (difference**2).sum(-1)


def assert_nearest(found: Neighbors, queries: np.ndarray, vectors: np.ndarray, k: int) -> None:
    """Rows may differ where distances tie; distances may not."""
    everything = naive_distances(queries, vectors)
    assert found.index.shape == found.squared_distances.shape == (len(queries), k)
    assert found.index.dtype == np.int64
    assert found.squared_distances.dtype == np.float32
    expected = np.sort(everything, axis=1)[:, :k]
    scale = (vectors.astype(np.float64) ** 2).sum(1).max() + 1.0
    np.testing.assert_allclose(found.squared_distances, expected, rtol=1e-4, atol=1e-5 * scale)
    at_rows = np.take_along_axis(everything, found.index, 1)
    np.testing.assert_allclose(at_rows, expected, rtol=1e-4, atol=1e-5 * scale)
    assert all(len(set(row)) == k for row in found.index.tolist())
    assert (found.squared_distances >= 0).all()


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


@needs_torch
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


@needs_torch
@pytest.mark.parametrize(("n", "k"), [(5000, 3), (4096, 20), (4097, 7), (640, 5), (100, 100)])
def test_runs_are_skipped_only_where_nothing_is_lost(n: int, k: int) -> None:
    vectors = np.random.default_rng(n).integers(0, 50 * n, (n, 1)).astype(np.float32)
    vectors[-k:] = np.arange(k)[:, None]  # in the last runs, one of which is not full
    vectors[: n // 2 : RUN] = 7.0  # one in each of many runs
    queries = np.array([[0.0], [7.0], [25.0 * n]], np.float32)
    assert_nearest(build(vectors, "torch").search(queries, k), queries, vectors, k)


@needs_torch
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("k", [1, 40, 700])
def test_torch_settles_ties_as_the_compiled_loop_does(device: str, k: int) -> None:
    """Few levels, as faint patches have: thousands are equally near but for rounding."""
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


# -- Approximate indices ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, queries to tune on, and others to measure on."""
    return clustered(8000, 0), clustered(200, 1), clustered(200, 2)


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "pq"])
def test_approximate_indices_reach_the_recall_they_are_tuned_to(kind: str) -> None:
    # Overlapping clusters: where they lie apart, a query's neighbors fill one cell.
    vectors, tuning, fresh = (clustered(n, i, width=3.0) for i, n in enumerate((8000, 200, 200)))
    index = build(vectors, kind=kind)
    assert (index.kind, index.size) == (kind, 8000)
    exact = exact_search(fresh, vectors, 32).index

    def recall() -> float:
        return recall_at_k(index.search(fresh, 32).index, exact).value

    index.set_effort(1)
    lazy = recall()
    efforts = [tune_to_recall(index, vectors, tuning, 32, target) for target in (0.9, 0.98)]
    assert kind == "pq" or efforts == sorted(efforts)  # it may take more candidates instead
    assert recall() >= 0.965  # chance between the two sets of queries
    assert lazy < 0.9, "an index that needs no effort tests nothing"
    assert index.search(fresh, 32).index.min() >= 0


def test_tuning_finds_a_small_effort_and_says_when_there_is_none(
    cloud: tuple[np.ndarray, ...],
) -> None:
    vectors, tuning, _ = cloud
    index = build(vectors, kind="ivf")
    effort = tune_to_recall(index, vectors, tuning, 32, 0.99)
    exact = exact_search(tuning, vectors, 32)
    index.set_effort(effort - 1)
    assert recall_by_distance(index.search(tuning, 32), exact).ci_low < 0.99
    # Visiting every cell is exact, whatever is asked for.
    assert tune_to_recall(index, vectors, tuning, 32, 2.0) >= number_of_cells(8000, index.kind)
    np.testing.assert_array_equal(index.search(tuning, 32).index, exact.index)


def test_axes_without_variance_are_not_encoded() -> None:
    # Patches without their mean vary along one axis less than they have values.
    vectors = gaussian(20_000, 25)
    vectors = (vectors - vectors.mean(axis=1, keepdims=True)).astype(np.float32)
    index: Any = build(vectors, kind="pq")
    assert index._engine._index.d == 24


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "pq"])
def test_one_seed_one_index(kind: str) -> None:
    vectors, queries = clustered(2000, 0), clustered(50, 1)
    for index in (first := build(vectors, kind=kind), second := build(vectors, kind=kind)):
        index.set_effort(2)
    np.testing.assert_array_equal(first.search(queries, 8).index, second.search(queries, 8).index)


def test_codes_that_confuse_vectors_are_made_up_for_by_candidates(
    cloud: tuple[np.ndarray, ...],
) -> None:
    vectors, tuning, fresh = cloud
    index = build(vectors, kind="pq")
    exact = exact_search(fresh, vectors, 32)
    wanted = []
    for target in (0.9, 0.999):
        tune_to_recall(index, vectors, tuning, 32, target)
        wanted.append(index.late)
    assert wanted[0] >= wanted[1]
    assert recall_by_distance(index.search(fresh, 32), exact).value >= 0.995


@pytest.mark.parametrize("kind", ["ivf", "pq"])
def test_what_a_query_finds_does_not_depend_on_its_company(kind: str) -> None:
    vectors, queries = clustered(30_000, 0), clustered(700, 1)
    index = build(vectors, kind=kind)
    index.set_effort(6)
    together = index.search(queries, 40)
    for size in (1, 23, 300):
        parts = [index.search(queries[a : a + size], 40) for a in range(0, 90, size)]
        rows = np.concatenate([part.index for part in parts])
        np.testing.assert_array_equal(rows, together.index[: len(rows)])


@pytest.mark.parametrize("n", [1, 5, 15, 16, 60])
def test_few_vectors_are_no_obstacle_to_any_kind(n: int) -> None:
    vectors = gaussian(n, 6)
    for kind in INDEX_KINDS:
        index = build(vectors, kind=kind)
        index.set_effort(10**9)  # more than there is
        assert index.search(vectors, 1).index[:, 0].tolist() == list(range(n)), kind


def test_auto_is_exact_until_that_costs_seconds() -> None:
    assert choose_kind("auto", "faiss-cpu", MIN_APPROXIMATE_SIZE - 1, 25, 10**9) == "exact"
    assert choose_kind("auto", "faiss-cpu", 900_000, 25, 4000) == "exact"
    assert choose_kind("auto", "faiss-cpu", 900_000, 25, 5000) == "pq"
    assert choose_kind("auto", "faiss-cpu", 900_000, 25, None) == "pq"
    # Few queries take less time than an index.
    assert choose_kind("auto", "faiss-cpu", 10**8, 25, AUTO_EXACT_QUERIES) == "exact"
    assert choose_kind("auto", "faiss-cpu", 10**8, 25, AUTO_EXACT_QUERIES + 1) == "pq"
    # On a GPU exact search is fast enough.
    assert choose_kind("auto", "torch", 900_000, 25, 5000) == "exact"
    assert choose_kind("pq", "faiss-cpu", 10, 25, 1) == "pq"


@pytest.mark.parametrize(("chosen", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_faiss_do_not_spin_unless_asked_to(chosen: str | None, expected: str) -> None:
    """Where they spin they take the cores of BLAS, and exact search several times as long."""
    code = (
        "import os; from cooanalysis.neighbors.engines import import_faiss; import_faiss(); "
        "print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    if chosen is not None:
        environment["OMP_WAIT_POLICY"] = chosen
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == expected


@given(st.integers(1, 10**8), st.sampled_from(["ivf", "pq"]))
def test_cells_hold_enough_vectors_to_be_trained(n: int, kind: str) -> None:
    cells = number_of_cells(n, kind)
    assert cells >= 1
    assert cells == 1 or n / cells >= 39
    assert cells <= 6 * np.sqrt(n)


# -- Recall ----------------------------------------------------------------------------------


def test_recall_counts_what_was_found_in_any_order() -> None:
    exact = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    found = np.array([[4, 3, 2, 1], [5, 6, -1, 99]])
    recall = recall_at_k(found, exact)
    assert (recall.value, recall.n_queries) == (0.75, 2)
    assert recall.ci_low == pytest.approx(0.75 - 1.96 * 0.25 / np.sqrt(2))
    assert recall.ci_high == 1.0  # a share


def test_recall_counts_what_is_equally_near() -> None:
    distances = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 2.0]], np.float32)
    exact = Neighbors(np.array([[1, 2, 3], [1, 2, 3]]), distances)
    farther = np.array([[0.0, 1.0, 1.0], [0.0, 2.5, np.inf]], np.float32)
    found = Neighbors(np.array([[1, 8, 9], [1, 7, -1]]), farther)
    recall = recall_by_distance(found, exact)
    assert recall.value == pytest.approx((1.0 + 1.0 / 3.0) / 2.0)
    assert recall_at_k(found.index, exact.index).value == pytest.approx(1.0 / 3.0)


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


def scene(seed: int, n: int = 300, q: int = 20, images: int = 6) -> tuple[np.ndarray, ...]:
    """Each image is a tight cluster, and queries lie in the cluster of their own image: what is
    excluded is just what is nearest."""
    rng = np.random.default_rng(seed)
    centers = 10.0 * rng.standard_normal((images, 5))
    reference_image, query_image = rng.integers(0, images, n), rng.integers(0, images, q)
    vectors = (centers[reference_image] + rng.standard_normal((n, 5))).astype(np.float32)
    queries = (centers[query_image] + rng.standard_normal((q, 5))).astype(np.float32)
    return queries, vectors, query_image, reference_image


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


# -- k-means ---------------------------------------------------------------------------------


def test_kmeans_cells_do_not_mix_far_clusters() -> None:
    """With five times as many cells as clusters, so that no cluster starts without one."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 80)
    vectors = (50.0 * np.eye(5)[truth] + rng.standard_normal((400, 5))).astype(np.float32)
    cells = fit_kmeans(vectors, 25, seed=3)
    for cell in range(25):
        inside = cells.assignment == cell
        assert len(np.unique(truth[inside])) == 1
        np.testing.assert_allclose(cells.centroids[cell], vectors[inside].mean(0), atol=1e-3)


def test_every_vector_lies_in_the_cell_of_its_nearest_centroid() -> None:
    vectors = clustered(3000, 0)
    cells = fit_kmeans(vectors, 40)
    assert cells.centroids.shape == (40, 16)
    distances = naive_distances(vectors, cells.centroids)
    at = distances[np.arange(3000), cells.assignment]
    np.testing.assert_allclose(at, distances.min(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(cells.assign(vectors), cells.assignment)
    # Better than random cells by far.
    random = naive_distances(vectors, vectors[:40]).min(1).mean()
    assert at.mean() < 0.9 * random


def test_kmeans_with_one_seed() -> None:
    vectors = clustered(1000, 0)
    first, second, other = (fit_kmeans(vectors, 20, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.assignment, second.assignment)
    assert not np.array_equal(first.assignment, other.assignment)


def test_members_come_from_the_cell_and_not_from_excluded_images() -> None:
    vectors = clustered(3000, 0)
    cells = fit_kmeans(vectors, 10)
    rng = np.random.default_rng(0)
    reference_image, query_image = rng.integers(0, 6, 3000), rng.integers(0, 6, 50)
    queries = cells.assign(clustered(50, 1))
    keys = np.arange(50)[:, None]
    excluded = np.eye(6, dtype=bool)
    drawn = cells.members(queries, 16, keys, query_image, reference_image, excluded)
    full = drawn[:, 0] >= 0
    assert full.mean() > 0.9
    assert (drawn[~full] == -1).all()
    assert all(len(set(row)) == 16 for row in drawn[full].tolist())
    assert (cells.assignment[drawn[full]] == queries[full, None]).all()
    assert (reference_image[drawn[full]] != query_image[full, None]).all()
    # Neither order nor batching changes a draw; the seed does.
    rows = rng.permutation(50)[:20]
    again = cells.members(
        queries[rows], 16, keys[rows], query_image[rows], reference_image, excluded
    )
    np.testing.assert_array_equal(again, drawn[rows])
    other = cells.members(queries, 16, keys, query_image, reference_image, excluded, seed=1)
    assert not np.array_equal(other[full], drawn[full])


def test_a_cell_with_too_few_members_is_marked_not_filled_up() -> None:
    vectors = np.repeat([[0.0], [100.0]], [30, 5], axis=0).astype(np.float32)
    vectors += gaussian(35, 1) * 0.1
    cells = fit_kmeans(vectors, 2)
    queries = cells.assign(np.array([[0.0], [100.0]], np.float32))
    zeros = np.zeros(35, int)
    drawn = cells.members(
        queries, 10, np.arange(2)[:, None], np.zeros(2, int), zeros, np.zeros((1, 1), bool)
    )
    assert (drawn[0] >= 0).all() and (drawn[0] < 30).all()
    assert (drawn[1] == -1).all()


@pytest.mark.parametrize("n_cells", [0, -1, 51])
def test_kmeans_refuses_too_many_cells(n_cells: int) -> None:
    with pytest.raises(ConfigError, match=rf"between 1 and half .*\(50\), got {n_cells}$"):
        fit_kmeans(gaussian(100, 3), n_cells)


# -- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        ("annoy", "auto", "unknown engine 'annoy'; choose auto, faiss-cpu, faiss-gpu, torch"),
        ("auto", "tpu", "unknown device 'tpu'; choose auto, cpu or cuda"),
        ("faiss-gpu", "cpu", "engine 'faiss-gpu' cannot run on device 'cpu'"),
        ("faiss-cpu", "cuda", "engine 'faiss-cpu' cannot run on device 'cuda'"),
    ],
)
def test_engines_that_make_no_sense(engine: str, device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        available_engine(engine, device)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("faiss_gpu_count", "torch_cuda_available"):
        monkeypatch.setattr(f"cooanalysis.neighbors.engines.{name}", lambda: 0)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        ("faiss-gpu", "auto", "the installed FAISS finds no GPU; .*--engine auto"),
        ("auto", "cuda", "neither FAISS nor torch finds a GPU here; .*--device cpu"),
        pytest.param(
            "torch", "cuda", "finds no CUDA GPU here; use --device cpu", marks=needs_torch
        ),
    ],
)
def test_without_a_gpu_the_message_says_what_to_do(engine: str, device: str, message: str) -> None:
    with pytest.raises(MissingDependencyError, match=message):
        available_engine(engine, device)
    assert available_engine("auto", "auto") == "faiss-cpu"


@pytest.mark.parametrize(
    ("faiss_gpus", "cuda", "device", "engine"),
    [
        (1, True, "auto", "faiss-gpu"),
        (0, True, "auto", "torch"),
        (0, True, "cuda", "torch"),
        (1, True, "cpu", "faiss-cpu"),
    ],
)
def test_auto_takes_the_fastest_there_is(
    faiss_gpus: int, cuda: bool, device: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.neighbors import engines

    monkeypatch.setattr(engines, "faiss_gpu_count", lambda: faiss_gpus)
    monkeypatch.setattr(engines, "torch_cuda_available", lambda: cuda)
    assert available_engine("auto", device) == engine


def test_without_faiss_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_faiss(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "faiss":
            raise ImportError("No module named 'faiss'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_faiss)
    for call in (
        lambda: available_engine("faiss-cpu"),
        lambda: available_engine("auto", "cpu"),
        lambda: build_index(gaussian(9, 2), engine="faiss-cpu"),
        lambda: exact_search(gaussian(9, 2), gaussian(9, 2), 1),
        lambda: fit_kmeans(gaussian(9, 2), 2),
    ):
        with pytest.raises(MissingDependencyError, match=r"pip install 'cooanalysis\[cpu\]'"):
            call()


def test_vectors_and_kinds_that_cannot_be_indexed() -> None:
    with pytest.raises(ConfigError, match=r"vectors must have shape .*, got \(5,\)"):
        build(np.zeros(5))
    with pytest.raises(ConfigError, match=r"vectors must have shape .*, got \(0, 5\)"):
        build(np.zeros((0, 5)))
    with pytest.raises(ConfigError, match="unknown index 'lsh'; choose auto, exact, ivf, hnsw, pq"):
        build(np.zeros((9, 5)), kind="lsh")


@needs_torch
def test_torch_searches_only_exactly() -> None:
    with pytest.raises(ConfigError, match="index 'ivf' needs FAISS; the torch engine offers only"):
        build(gaussian(9, 2), "torch", kind="ivf")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    """FAISS finds no neighbor for them: a search that waits for enough would never end."""
    vectors = gaussian(30, 3)
    broken = np.where(np.arange(30)[:, None] == 7, np.float32(bad), vectors)
    with pytest.raises(ConfigError, match="vectors must be finite"):
        build(broken)
    zeros = np.zeros(30, int)
    with pytest.raises(ConfigError, match="queries must be finite"):
        search_excluding(build(vectors), broken, 3, zeros, zeros, np.zeros((1, 1), bool))


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


# -- FAISS on GPUs, as far as it goes without one ----------------------------------------------


@pytest.fixture(params=[1, 3])
def pretended_gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Indices stay on the CPU where they would be copied to so many GPUs."""
    import faiss

    count: int = request.param
    monkeypatch.setattr("cooanalysis.neighbors.engines.faiss_gpu_count", lambda: count)
    monkeypatch.setattr(faiss, "GpuParameterSpace", faiss.ParameterSpace, raising=False)

    def copies(index: Any) -> list[Any]:
        return [faiss.clone_index(index) for _ in range(count)]

    def sharded(index: Any) -> Any:
        shards = faiss.IndexShards(index.d, True, False)
        for each in copies(index):
            shards.add_shard(each)
        return shards

    monkeypatch.setattr(faiss_engine, "_copies_on_gpus", copies)
    monkeypatch.setattr(faiss_engine, "_on_gpus", sharded if count > 1 else lambda index: index)
    return count


@pytest.mark.parametrize("n", [100, 3000])
@pytest.mark.parametrize("kind", ["exact", "ivf", "pq"])
def test_vectors_are_spread_over_gpus(
    pretended_gpus: int, kind: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.neighbors import vectors as blocks_of

    array, queries = clustered(n, 0), clustered(40, 1)
    expected = exact_search(queries, array, 20)
    monkeypatch.setattr(blocks_of, "BLOCK_BYTES", 4 * 16 * 700)
    found = build(array, "faiss-gpu", kind)
    found.set_effort(10**6)
    assert found.engine == "faiss-gpu"
    answer = found.search(queries, 20)
    if kind == "exact":
        np.testing.assert_array_equal(answer.index, expected.index)
        np.testing.assert_array_equal(answer.squared_distances, expected.squared_distances)
    else:
        assert recall_at_k(answer.index, expected.index).value >= 0.98


def test_more_gpus_than_vectors() -> None:
    import faiss

    array = gaussian(2, 4)
    spread = faiss_engine._over_shards(as_source(array), [faiss.IndexFlatL2(4) for _ in range(5)])
    assert spread.search(array, 2)[1][:, 0].tolist() == [0, 1]


def test_gpus_look_into_no_more_cells_than_their_kernels_select(
    pretended_gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = clustered(4000, 0)
    assert build(array, "faiss-gpu", "ivf").largest_effort == number_of_cells(4000, "ivf") > 32
    monkeypatch.setattr(faiss_engine, "GPU_LARGEST_SELECTION", 32)
    limited = build(array, "faiss-gpu", "ivf")
    assert limited.largest_effort == 32
    with pytest.raises(ConfigError, match="at most 32 neighbors, not 40; .*--engine faiss-cpu"):
        limited.search(array[:3], 40)


@given(st.integers(1, max(GPU_PARTS) * max(GPU_PART_WIDTHS)))
def test_parts_of_codes_are_those_that_gpus_can_encode(dim: int) -> None:
    parts, width = gpu_parts(dim)
    assert parts in GPU_PARTS and width in GPU_PART_WIDTHS
    assert parts * width >= dim
    assert 4 * 2**8 * parts <= 48 * 1024  # bytes of shared memory that every GPU has


def test_the_widest_vectors_have_no_codes_on_a_gpu() -> None:
    with pytest.raises(ConfigError, match=r"no index 'pq' for 1537 values; use --index ivf"):
        gpu_parts(1537)


def test_parts_get_large_axes_and_small_ones() -> None:
    axes = np.eye(6, dtype=np.float32)[:, :5]  # the sixth of six values is a zero that was added
    dealt = faiss_engine._dealt(axes, 2, 3)
    assert [np.flatnonzero(column).tolist() for column in dealt.T] == [[0], [3], [4], [1], [2], []]


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
    from cooanalysis.neighbors.vectors import RowRange, as_source

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
