"""Vectors, engines and naive references for tests of the search."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.neighbors import (
    NeighborIndex,
    Neighbors,
    build_index,
)

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


def scene(seed: int, n: int = 300, q: int = 20, images: int = 6) -> tuple[np.ndarray, ...]:
    """Each image is a tight cluster, and queries lie in the cluster of their own image: what is
    excluded is just what is nearest."""
    rng = np.random.default_rng(seed)
    centers = 10.0 * rng.standard_normal((images, 5))
    reference_image, query_image = rng.integers(0, images, n), rng.integers(0, images, q)
    vectors = (centers[reference_image] + rng.standard_normal((n, 5))).astype(np.float32)
    queries = (centers[query_image] + rng.standard_normal((q, 5))).astype(np.float32)
    return queries, vectors, query_image, reference_image
