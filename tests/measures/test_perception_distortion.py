"""Distance to the perception-distortion bound: closed forms, the theorem itself, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError, ImageError
from cooanalysis.measures.perception_distortion import (
    PATCH,
    Bound,
    Gaussian,
    PatchSums,
    Placed,
    excess_db,
    lowest_mse,
    patch_sums,
    squared_errors,
    wasserstein,
)
from cooanalysis.measures.worlds.gaussian_field import GaussianField
from cooanalysis.measures.worlds.grid import square
from cooanalysis.measures.worlds.images import Output

Floats = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def covariance(rng: np.random.Generator, dim: int, rank: int | None = None) -> Floats:
    factor = rng.standard_normal((dim, rank or dim))
    return factor @ factor.T


def square_root(sigma: Floats) -> Floats:
    """Of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(sigma)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def gelbrich(a: Floats, b: Floats) -> float:
    """Squared distance of two centered Gaussians by the textbook formula."""
    root = square_root(a)
    return float(np.trace(a) + np.trace(b) - 2.0 * np.trace(square_root(root @ b @ root)))


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


def whole(sums: PatchSums) -> Gaussian:
    """The Gaussian of all patches."""
    mean = sums.first.sum(0) / sums.count.sum()
    return Gaussian.of(mean, sums.second.sum(0) / sums.count.sum() - np.outer(mean, mean))


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
        values = np.moveaxis(values, 2, 0)
        spots = [(y, x) for y in range(0, 13, 3) for x in range(0, 18, 3)]
        return np.array([values[:, y : y + 5, x : x + 5].ravel() / 255.0 for y, x in spots])

    vectors = cut(image) - 0.5
    np.testing.assert_array_equal(found.count, [5 * 6, 2 * 6])
    np.testing.assert_allclose(found.first[0], vectors.sum(0), atol=1e-4)
    np.testing.assert_allclose(found.second[0], vectors.T @ vectors, atol=1e-4)
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
    distances = [wasserstein(whole(part), whole(sums[0])) / 4.0 for part in sums[1:]]
    assert distances[0] - distances[1] <= np.sqrt(moved) + 1e-6


SIDE, DIM, N, IMAGES = 4, 16, 60_000, 15


class GaussianPatches:
    """A world of independent Gaussian patches y = mean + residual, both with known covariances."""

    def __init__(self, known: Floats, unknown: Floats) -> None:
        rng = np.random.default_rng(0)
        self.known, self.unknown, self.total = known, unknown, known + unknown

        def draw(sigma: Floats) -> Floats:
            return rng.standard_normal((N, DIM)) @ Gaussian.of(np.zeros(DIM), sigma).factor.T

        self.mean = draw(known)
        self.truth, self.sample = self.mean + draw(unknown), self.mean + draw(unknown)
        root = square_root(known)
        back = np.linalg.pinv(root)
        self.transport = back @ square_root(root @ self.total @ root) @ back
        """The optimal map from the distribution of the mean to that of the truth."""
        self.best_mse = float(np.trace(unknown)) / DIM
        self.best_distance = np.sqrt(gelbrich(known, self.total) / DIM)
        self.bound = Bound.of(self.sums(self.truth), self.sums(self.mean), self.errors(self.mean))

    @staticmethod
    def images(vectors: Floats) -> list[Floats]:
        """Rows of patches side by side."""
        rows = vectors.reshape(IMAGES, -1, SIDE, SIDE)
        return [row.transpose(1, 0, 2).reshape(SIDE, -1) for row in rows]

    def sums(self, vectors: Floats) -> PatchSums:
        return patch_sums(self.images(vectors), patch=SIDE, step=SIDE)

    def errors(self, vectors: Floats) -> Floats:
        return squared_errors(self.images(vectors), self.images(self.truth), patch=SIDE, step=SIDE)

    def place(self, vectors: Floats) -> Placed:
        return self.bound.place(self.sums(vectors), self.errors(vectors))


@pytest.fixture(scope="module")
def patches() -> GaussianPatches:
    rng = np.random.default_rng(1)
    scale = 0.03**2 / DIM
    return GaussianPatches(scale * covariance(rng, DIM), 0.5 * scale * covariance(rng, DIM))


def within_db(found: float, exact: float) -> bool:
    return abs(10.0 * np.log10(found / exact)) < 0.05


def test_the_bound_of_a_gaussian_world(patches: GaussianPatches) -> None:
    assert within_db(patches.bound.best.mse, patches.best_mse)
    assert within_db(patches.bound.best.wasserstein**2, patches.best_distance**2)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.7, 1.0])
def test_optimal_transport_of_the_mean_moves_along_the_bound(
    patches: GaussianPatches, t: float
) -> None:
    moved = patches.mean + t * (patches.mean @ patches.transport - patches.mean)
    placed = patches.place(moved)
    assert within_db(placed.mse, patches.best_mse + (t * patches.best_distance) ** 2)
    assert placed.wasserstein == pytest.approx((1.0 - t) * patches.best_distance, abs=2e-4)
    assert abs(placed.excess.value) < 0.05


@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_posterior_samples_lie_above_the_bound(patches: GaussianPatches, t: float) -> None:
    """D = D* (1 + t²), though P*² < D*: known and unknown directions mix in this world."""
    placed = patches.place(patches.mean + t * (patches.sample - patches.mean))
    mixed = patches.known + t**2 * patches.unknown
    distance = np.sqrt(max(gelbrich(mixed, patches.total), 0.0) / DIM)
    mse = patches.best_mse * (1.0 + t**2)
    lowest = float(lowest_mse(distance, patches.best_mse, patches.best_distance))
    assert within_db(placed.mse, mse)
    assert placed.wasserstein == pytest.approx(distance, abs=2e-4)
    assert placed.excess.value == pytest.approx(10.0 * np.log10(mse / lowest), abs=0.05)
    assert t == 0.0 or 0.2 < placed.excess.value < 10.0 * np.log10(2.0)


def test_samples_reach_the_bound_where_all_is_known_or_nothing() -> None:
    weights = 1e-5 * np.arange(1.0, DIM + 1.0)
    half = np.arange(DIM) < DIM // 2
    world = GaussianPatches(np.diag(weights * half), np.diag(weights * ~half))
    for t in (0.5, 1.0):
        placed = world.place(world.mean + t * (world.sample - world.mean))
        assert placed.mse == pytest.approx((1.0 + t**2) * world.best_mse, rel=0.012)
        assert abs(placed.excess.value) < 0.05


def exactly(world: GaussianField, output: Output) -> tuple[float, float]:
    """Error and distance of 12x12 patches that begin anywhere within an LR pixel."""
    image, block = world.image_of(output), square(0, PATCH)
    places = [block + phase for phase in square(0, world.scale)]
    truth, shown = (
        np.mean([world.covariance(field, at) for at in places], axis=0)
        for field in (world.truth, image)
    )
    shared = np.mean([np.trace(world.covariance(image, at, world.truth, at)) for at in places])
    mse = (np.trace(truth) + np.trace(shown) - 2.0 * shared) / PATCH**2
    return float(mse), float(np.sqrt(max(0.0, gelbrich(truth, shown)) / PATCH**2))


def test_outputs_of_a_gaussian_field() -> None:
    """Mean, posterior sample and what lies between: D and D(P) within 0.05 dB of the exact ones."""
    world, context = GaussianField(size=96, scale=4), 5
    rng = np.random.default_rng(1)
    images = world.draw(120, rng)
    truth = patch_sums(images.truth)
    means = [world.conditional_mean(lr, context) for lr in images.lr]
    bound = Bound.of(truth, patch_sums(means), squared_errors(means, images.truth))
    best = exactly(world, Output(context))
    assert within_db(bound.best.mse, best[0])
    assert within_db(bound.best.wasserstein, best[1])
    for output in (Output(context, invented=0.5), Output(context, invented=1.0),
                   Output(context, gain=1.5)):  # fmt: skip
        shown = [world.output(lr, output, rng) for lr in images.lr]
        placed = bound.place(patch_sums(shown), squared_errors(shown, images.truth))
        mse, distance = exactly(world, output)
        assert within_db(placed.mse, mse)
        found = lowest_mse(placed.wasserstein, bound.best.mse, bound.best.wasserstein)
        assert within_db(float(found), float(lowest_mse(distance, *best)))
        assert placed.excess.value == pytest.approx(excess_db(mse, distance, *best), abs=0.05)


def test_a_predictor_that_can_be_improved_is_passed(patches: GaussianPatches) -> None:
    damped = 0.3 * patches.mean
    bound = Bound.of(patches.sums(patches.truth), patches.sums(damped), patches.errors(damped))
    placed = bound.place(patches.sums(patches.mean), patches.errors(patches.mean))
    assert placed.excess.ci_high < 0.0
    mixture = 0.5 * (damped + patches.mean)
    assert patches.errors(mixture).sum() < patches.errors(damped).sum()


def test_the_ground_truth_has_no_excess(patches: GaussianPatches) -> None:
    placed = patches.place(patches.truth)
    assert (placed.mse, np.isnan(placed.excess.value)) == (0.0, True)
    assert placed.wasserstein < 1e-9


def test_flat_images_have_singular_covariances() -> None:
    truth = [np.full((20, 20), level) for level in (0.2, 0.8)]
    output = [np.full((20, 20), 0.5) for _ in truth]
    sums, errors = patch_sums(output), squared_errors(output, truth)
    placed = Bound.of(patch_sums(truth), sums, errors).place(sums, errors)
    assert placed.mse == pytest.approx(0.09)
    assert placed.wasserstein == pytest.approx(0.3)
    assert placed.excess.value == 0.0


# -- intervals ------------------------------------------------------------------------------


def noisy_images(n: int, seed: int) -> tuple[list[Floats], list[Floats], list[Floats]]:
    """Ground truth, predictor, and an output with noise, of images that differ in contrast."""
    rng = np.random.default_rng(seed)
    contrast = 0.03 * np.exp(0.4 * rng.standard_normal(n))
    truth, best, output = [], [], []
    for level in contrast:
        known, unknown, noise = level * rng.standard_normal((3, 20, 20))
        truth.append(known + unknown)
        best.append(known)
        output.append(known + 0.5 * noise)
    return truth, best, output


def placed_noisy(n: int, seed: int) -> Placed:
    truth, best, output = noisy_images(n, seed)
    options = {"patch": 2, "step": 1}
    bound = Bound.of(
        patch_sums(truth, **options), patch_sums(best, **options),
        squared_errors(best, truth, **options),
    )  # fmt: skip
    return bound.place(patch_sums(output, **options), squared_errors(output, truth, **options))


def test_a_single_image_has_no_interval() -> None:
    placed = placed_noisy(1, 0)
    assert np.isfinite(placed.excess.value)
    assert np.isnan([placed.excess.ci_low, placed.excess.ci_high]).all()


@pytest.mark.parametrize("n", [8, 30])
def test_intervals_hold_the_excess_of_endless_images(n: int) -> None:
    """White worlds: P* = (√2 − 1) c, P = (√2 − √1.25) c, D* = c², D = 1.25 c² at contrast c."""
    lowest = 1.0 + (np.sqrt(1.25) - 1.0) ** 2
    exact = 10.0 * np.log10(1.25 / lowest)
    found = [placed_noisy(n, seed).excess for seed in range(40)]
    inside = np.mean([e.ci_low <= exact <= e.ci_high for e in found])
    assert inside > 0.84  # 0.95 ± 0.034 expected
    if n == 30:
        widths = [e.ci_high - e.ci_low for e in found]
        spread = np.std([e.value for e in found])
        assert 2.0 < np.mean(widths) / spread < 6.5  # about 4 for a normal distribution
