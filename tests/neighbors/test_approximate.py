"""Approximate indices, tuned to a recall, and how recall is counted."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cooanalysis.neighbors import (
    INDEX_KINDS,
    Neighbors,
    exact_search,
    recall_at_k,
    recall_by_distance,
    tune_to_recall,
)
from cooanalysis.neighbors.faiss_engine import (
    number_of_cells,
)
from cooanalysis.neighbors.index import (
    AUTO_EXACT_QUERIES,
    MIN_APPROXIMATE_SIZE,
    choose_kind,
)
from tests.helpers.neighbors import (
    build,
    clustered,
    gaussian,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


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
        wanted.append(index.tail_share)
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
