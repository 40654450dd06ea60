"""Global grouping: k-means cells of patches, with FAISS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors.engines import import_faiss
from cooanalysis.neighbors.images import ImageNumbers
from cooanalysis.neighbors.index import exact_search
from cooanalysis.neighbors.vectors import Vectors, VectorSource, as_source, blocks

_PER_CELL = 256
"""Training vectors per k-means cell, FAISS's own limit."""


@dataclass(frozen=True)
class KMeansCells:
    """k-means cells and the vectors in each of them.

    Attributes
    ----------
    centroids
        (n_cells, dim).
    assignment
        (n,) cell of every training vector.
    """

    centroids: Vectors
    assignment: NDArray[np.int64]

    def assign(self, vectors: Vectors) -> NDArray[np.int64]:
        """Cell of each vector: (n,)."""
        return exact_search(vectors, self.centroids, 1).index[:, 0]

    def members(
        self,
        cells: NDArray[np.integer],
        k: int,
        keys: NDArray[np.integer],
        query_image: NDArray[np.integer],
        reference_image: NDArray[np.integer] | ImageNumbers,
        excluded: NDArray[np.bool_],
        seed: int = 0,
    ) -> NDArray[np.int64]:
        """Draw ``k`` members of each query's cell, none from an excluded image.

        Parameters
        ----------
        cells
            (q,) cell of each query.
        k
            Members per query.
        keys
            (q, m) integers that identify each query: with the seed they determine the
            draw, so that neither order nor batching changes it.
        query_image, reference_image, excluded
            See :func:`cooanalysis.neighbors.search_excluding`.
        seed
            Seed of the draws.

        Returns
        -------
        numpy.ndarray
            (q, k) row numbers, drawn without replacement; a row of -1 where the cell has
            fewer than ``k`` allowed members.
        """
        order = np.argsort(self.assignment, kind="stable")
        bounds = np.searchsorted(self.assignment[order], np.arange(len(self.centroids) + 1))
        drawn = np.full((len(cells), k), -1, np.int64)
        for row, (cell, image) in enumerate(zip(cells, query_image, strict=True)):
            candidates = order[bounds[cell] : bounds[cell + 1]]
            if excluded[image].any():
                candidates = candidates[~excluded[image, reference_image[candidates]]]
            if len(candidates) >= k:
                rng = np.random.default_rng([seed, *keys[row].tolist()])
                drawn[row] = rng.choice(candidates, size=k, replace=False)
        return drawn


def fit_kmeans(
    vectors: Vectors | VectorSource, n_cells: int, *, seed: int = 0, n_iter: int = 15
) -> KMeansCells:
    """Run FAISS k-means (Lloyd's algorithm on a bounded sample) and assign every vector.

    Parameters
    ----------
    vectors
        (n, dim) float32, or a source that produces any of their rows on demand.
    n_cells
        Number of cells, at most n / 2.
    seed, n_iter
        Seed of the training sample and of the initialization; number of iterations.

    Raises
    ------
    ConfigError
        If there are too few vectors for that many cells.
    """
    if not 1 <= n_cells <= max(1, len(vectors) // 2):
        raise ConfigError(
            f"clusters must be between 1 and half the number of reference patches "
            f"({len(vectors) // 2}), got {n_cells}"
        )
    faiss = import_faiss()
    source = as_source(vectors)
    rng = np.random.default_rng(seed)
    size = min(len(source), _PER_CELL * n_cells)
    sample = source.rows(np.sort(rng.choice(len(source), size=size, replace=False)))
    kmeans = faiss.Kmeans(
        source.dim,
        n_cells,
        niter=n_iter,
        seed=seed + 1,
        max_points_per_centroid=_PER_CELL,
        min_points_per_centroid=1,
    )
    kmeans.train(np.ascontiguousarray(sample, np.float32))
    centroids = np.asarray(kmeans.centroids, np.float32)
    assignment = [exact_search(block, centroids, 1).index[:, 0] for _, block in blocks(source)]
    return KMeansCells(centroids, np.concatenate(assignment))
