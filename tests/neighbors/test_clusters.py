"""k-means cells."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors import (
    fit_kmeans,
)
from tests.helpers.neighbors import (
    clustered,
    gaussian,
    naive_distances,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


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
