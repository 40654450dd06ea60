"""Distance to the perception-distortion bound: closed forms, the theorem itself, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from cooanalysis.errors import ConfigError, ImageError
from cooanalysis.measures.perception_distortion import (
    Bound,
    Gaussian,
    excess_db,
    lowest_mse,
    patch_sums,
    squared_errors,
    wasserstein,
)

Floats = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def covariance(rng: np.random.Generator, dim: int, rank: int | None = None) -> Floats:
    factor = rng.standard_normal((dim, rank or dim))
    return factor @ factor.T


def gelbrich(a: Floats, b: Floats) -> float:
    """Squared distance of two centered Gaussians by the textbook formula."""
    root = sqrtm(a).real
    return float(np.trace(a) + np.trace(b) - 2.0 * np.trace(sqrtm(root @ b @ root).real))


# -- Wasserstein distance -------------------------------------------------------------------


@given(SEEDS, st.integers(1, 6))
def test_the_distance_is_gelbrichs(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = covariance(rng, dim), covariance(rng, dim)
    move = rng.standard_normal(dim)
    found = wasserstein(Gaussian.of(np.zeros(dim), a), Gaussian.of(move, b))
    assert found**2 == pytest.approx(gelbrich(a, b) + move @ move, rel=1e-5, abs=1e-6)


@given(SEEDS, st.floats(0.0, 3.0))
def test_scaling_moves_by_the_missing_or_added_standard_deviation(seed: int, gain: float) -> None:
    sigma = covariance(np.random.default_rng(seed), 5, rank=3)  # singular
    a, b = Gaussian.of(np.zeros(5), sigma), Gaussian.of(np.zeros(5), gain**2 * sigma)
    expected = abs(1.0 - gain) * np.sqrt(np.trace(sigma))
    assert wasserstein(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_commuting_covariances_differ_by_their_standard_deviations() -> None:
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    a = Gaussian.of(np.zeros(3), axes @ np.diag([4.0, 1.0, 0.0]) @ axes.T)
    b = Gaussian.of(np.zeros(3), axes @ np.diag([1.0, 1.0, 9.0]) @ axes.T)
    assert wasserstein(a, b) == pytest.approx(np.sqrt(1.0 + 0.0 + 9.0))


def test_one_dimension() -> None:
    a, b = Gaussian.of([1.0], [[4.0]]), Gaussian.of([4.0], [[36.0]])
    assert wasserstein(a, b) == pytest.approx(5.0)  # means 3 apart, deviations 4


@pytest.mark.parametrize("rank", [0, 1, 4])
def test_equal_gaussians_are_at_no_distance(rank: int) -> None:
    """The usual formula would lose half of the digits here."""
    rng = np.random.default_rng(rank)
    sigma = covariance(rng, 4, rank) if rank else np.zeros((4, 4))
    a = Gaussian.of(rng.standard_normal(4), sigma)
    assert wasserstein(a, a) < 1e-14 * (1.0 + np.trace(sigma))


@given(SEEDS)
def test_it_is_a_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (Gaussian.of(rng.standard_normal(4), covariance(rng, 4, rank)) for rank in (4, 2, 3))
    assert wasserstein(a, b) == pytest.approx(wasserstein(b, a))
    assert wasserstein(a, c) <= wasserstein(a, b) + wasserstein(b, c) + 1e-9


# -- the formula ----------------------------------------------------------------------------


def test_the_bound_falls_from_perfect_realism_to_the_smallest_error() -> None:
    found = lowest_mse([0.0, 0.1, 0.5, 2.0], best_mse=1.0, best_distance=0.5)
    np.testing.assert_allclose(found, [1.25, 1.16, 1.0, 1.0])


def test_excess() -> None:
    assert excess_db(2.5, 0.0, 1.0, 0.5) == pytest.approx(10.0 * np.log10(2.0))
    assert excess_db(0.5, 0.5, 1.0, 0.5) == pytest.approx(10.0 * np.log10(0.5))  # not clipped
    assert np.isnan(excess_db(0.0, 0.0, 1.0, 0.5))


# -- patches --------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_sums_are_those_of_the_patches(channels: int) -> None:
    rng = np.random.default_rng(channels)
    image, other = rng.integers(0, 256, (2, 17, 22, channels), np.uint8)
    found = patch_sums([image, image[:9]], patch=5, step=3)

    def cut(values: NDArray[np.uint8]) -> Floats:
        spots = [(y, x) for y in range(0, 13, 3) for x in range(0, 18, 3)]
        return np.array([values[y : y + 5, x : x + 5].ravel() / 255.0 for y, x in spots])

    vectors = cut(image) - 0.5
    np.testing.assert_array_equal(found.count, [5 * 6, 2 * 6])
    np.testing.assert_allclose(found.first[0], vectors.sum(0), atol=1e-5)
    np.testing.assert_allclose(found.second[0], vectors.T @ vectors, atol=1e-5)
    error = squared_errors([other], [image], patch=5, step=3)
    expected = ((cut(other) - cut(image)) ** 2).mean(1).sum()
    assert error[0] == pytest.approx(expected, rel=1e-5)


def test_images_that_cannot_be_used() -> None:
    small = np.zeros((11, 40), np.uint8)
    with pytest.raises(ImageError, match="40x11 pixels holds no patch of 12x12"):
        patch_sums([small])
    with pytest.raises(ImageError, match="int64"):
        patch_sums([np.zeros((20, 20), np.int64)])
    with pytest.raises(ImageError, match="1 outputs for 2"):
        squared_errors([small], [small, small])
    with pytest.raises(ImageError, match="output 1 has shape"):
        squared_errors([small, small[:5]], [small, small])


def test_other_images_than_the_ground_truth() -> None:
    truth = patch_sums([np.zeros((20, 20))] * 2)
    with pytest.raises(ConfigError, match="same images"):
        Bound.of(truth, truth, np.zeros(2)).place(patch_sums([np.zeros((30, 20))] * 2), np.zeros(2))


# -- the theorem ----------------------------------------------------------------------------


@given(SEEDS, st.floats(0.0, 2.0), st.floats(0.0, 0.2))
def test_no_output_comes_nearer_to_the_truth_than_it_moved(
    seed: int, gain: float, noise: float
) -> None:
    """Exact for any images, not on average: distances of patches obey the triangle inequality."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.0, 1.0, (2, 16, 20))
    best = truth + 0.1 * rng.standard_normal(truth.shape)
    output = 0.5 + gain * (best - 0.5) + noise * rng.standard_normal(truth.shape)
    sums = [patch_sums(list(images), patch=4, step=3) for images in (truth, best, output)]
    moved = squared_errors(list(output), list(best), patch=4, step=3).sum() / sums[0].count.sum()
    bound = Bound.of(sums[0], sums[1], squared_errors(list(best), list(truth), patch=4, step=3))
    placed = bound.place(sums[2], np.zeros(2))
    assert bound.distance[0] - placed.wasserstein <= np.sqrt(moved) + 1e-6


SIDE, DIM, N, IMAGES = 4, 16, 15_000, 15


class GaussianPatches:
    """A world of independent Gaussian patches y = mean + residual, both with known covariances."""

    def __init__(self, known: Floats, unknown: Floats) -> None:
        rng = np.random.default_rng(0)
        self.known, self.unknown, self.total = known, unknown, known + unknown

        def draw(sigma: Floats) -> Floats:
            return rng.standard_normal((N, DIM)) @ Gaussian.of(np.zeros(DIM), sigma).factor.T

        self.mean = draw(known)
        self.truth, self.sample = self.mean + draw(unknown), self.mean + draw(unknown)
        root = sqrtm(known).real
        back = np.linalg.pinv(root)
        self.transport = back @ sqrtm(root @ self.total @ root).real @ back
        """The optimal map from the distribution of the mean to that of the truth."""
        self.best_mse = float(np.trace(unknown)) / DIM
        self.best_distance = np.sqrt(gelbrich(known, self.total) / DIM)
        self.bound = Bound.of(self.sums(self.truth), self.sums(self.mean), self.errors(self.mean))

    @staticmethod
    def images(vectors: Floats) -> list[Floats]:
        """Rows of patches side by side."""
        rows = vectors.reshape(IMAGES, -1, SIDE, SIDE)
        return [row.transpose(1, 0, 2).reshape(SIDE, -1) for row in rows]

    def sums(self, vectors: Floats):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return patch_sums(self.images(vectors), patch=SIDE, step=SIDE)

    def errors(self, vectors: Floats) -> Floats:
        return squared_errors(self.images(vectors), self.images(self.truth), patch=SIDE, step=SIDE)

    def place(self, vectors: Floats):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return self.bound.place(self.sums(vectors), self.errors(vectors))
