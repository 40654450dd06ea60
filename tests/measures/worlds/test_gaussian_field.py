"""The Gaussian field: what is drawn agrees with the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.data.degradation import upsample
from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy import GAUSSIAN_UNIT_ENTROPY
from cooanalysis.measures.worlds.gaussian_field import GaussianField
from cooanalysis.measures.worlds.grid import square, window
from cooanalysis.measures.worlds.images import Images, Output

few = settings(max_examples=8, deadline=None, derandomize=True)
scales = st.sampled_from([2, 3, 4])


@pytest.fixture(scope="module")
def world() -> GaussianField:
    return GaussianField(size=64, exponent=2.0)


@pytest.fixture(scope="module")
def images(world: GaussianField) -> Images:
    return world.draw(200)


def block_rows(images: list[np.ndarray], scale: int) -> np.ndarray:
    """All blocks of images, less the mean gray value, one row each."""
    stack = np.stack(images) - 0.5
    n, h, w = stack.shape
    parts = stack.reshape(n, h // scale, scale, w // scale, scale)
    return parts.transpose(0, 1, 3, 2, 4).reshape(-1, scale**2)


def test_pixels_have_the_stated_deviation_and_stay_in_range(
    world: GaussianField, images: Images
) -> None:
    truth = np.stack(images.truth)
    assert truth.mean() == pytest.approx(0.5)
    assert truth.std() == pytest.approx(world.std, rel=0.02)
    assert np.mean((truth < 0) | (truth > 1)) < 1e-5
    assert np.trace(world.patch_covariance(8)) / 64 == pytest.approx(world.std**2)


def test_covariance_of_lr_image_and_blocks(world: GaussianField, images: Images) -> None:
    exact = world.joint_covariance([(world.lr, window(3)), (world.truth, square(0, 4))])
    x = np.stack(images.lr) - 0.5
    around = [np.roll(x, tuple(-offset), (1, 2)).ravel() for offset in window(3)]
    seen = np.column_stack([*around, block_rows(images.truth, 4)])
    np.testing.assert_allclose(exact, seen.T @ seen / len(seen), atol=0.04 * world.std**2)


def test_the_upsampling_is_the_package_s_bicubic(images: Images) -> None:
    ours = upsample(images.lr[0].astype(np.float32), 4)
    np.testing.assert_allclose(ours[8:-8, 8:-8], images.upsampled[0][8:-8, 8:-8], atol=1e-6)


@pytest.mark.parametrize("context", [3, 5, 9])
def test_errors_are_those_of_the_closed_form(
    world: GaussianField, images: Images, context: int
) -> None:
    rng = np.random.default_rng(1)
    truth = np.stack(images.truth)
    mean = np.stack([world.conditional_mean(lr, context) for lr in images.lr])
    sample = np.stack([world.posterior_sample(lr, context, rng) for lr in images.lr])
    assert np.mean((truth - mean) ** 2) == pytest.approx(world.mmse(context), rel=0.01)
    assert np.mean((truth - sample) ** 2) == pytest.approx(2 * world.mmse(context), rel=0.02)
    energy = np.mean(np.square(images.details))
    assert energy == pytest.approx(world.detail_energy, rel=0.01)
    explained = 1 - np.mean((truth - mean) ** 2) / energy
    assert explained == pytest.approx(world.explained(context), abs=0.01)


def test_the_error_is_orthogonal_to_every_pixel_of_the_window(
    world: GaussianField, images: Images
) -> None:
    error = block_rows(
        [
            t - world.conditional_mean(x, 5) + 0.5
            for t, x in zip(images.truth, images.lr, strict=True)
        ],
        4,
    )
    x = np.stack(images.lr) - 0.5
    for offset in window(5):
        pixel = np.roll(x, tuple(-offset), (1, 2)).ravel()
        assert np.abs(error.T @ pixel / len(pixel)).max() < 0.02 * error.std() * pixel.std()
    # Pixels outside are not used, so they still tell something.
    outside = np.roll(x, (-3, 0), (1, 2)).ravel() - np.roll(x, (-2, 0), (1, 2)).ravel()
    assert np.abs(error.T @ outside / len(outside)).max() > 0.02 * error.std() * outside.std()


def test_samples_scatter_around_the_mean_with_the_posterior_covariance(
    world: GaussianField, images: Images
) -> None:
    rng = np.random.default_rng(2)
    scatter = block_rows(
        [world.posterior_sample(x, 5, rng) - world.conditional_mean(x, 5) + 0.5 for x in images.lr],
        4,
    )
    exact = world.posterior_covariance(5)
    np.testing.assert_allclose(scatter.T @ scatter / len(scatter), exact, atol=0.03 * exact.max())
    left = block_rows(
        [
            t - world.conditional_mean(x, 5) + 0.5
            for t, x in zip(images.truth, images.lr, strict=True)
        ],
        4,
    )
    np.testing.assert_allclose(left.T @ left / len(left), exact, atol=0.03 * exact.max())


def test_a_sample_has_the_covariance_of_the_ground_truth(world: GaussianField) -> None:
    sample = world.patch_covariance(4, Output(5, invented=1.0))
    np.testing.assert_allclose(sample, world.patch_covariance(4), atol=1e-12)


def test_entropy_of_a_block_is_that_of_its_posterior(world: GaussianField) -> None:
    eigenvalues = np.linalg.eigvalsh(world.posterior_covariance(7))
    entropy = np.mean(GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(eigenvalues))
    assert world.entropy(7) == pytest.approx(entropy)
    assert world.entropy(7) < world.entropy(3)


@few
@given(scales, st.floats(1.0, 3.0), st.floats(0.0, 0.3))
def test_a_wider_context_knows_more(scale: int, exponent: float, texture: float) -> None:
    world = GaussianField(size=12 * scale, scale=scale, exponent=exponent, texture=texture)
    explained = [world.explained(context) for context in (3, 5, 7)]
    assert explained == sorted(explained)
    assert explained[-1] < 1.0
    assert np.linalg.eigvalsh(world.posterior_covariance(7)).min() > -1e-12


@few
@given(scales, st.integers(0, 5), st.integers(0, 5))
def test_everything_moves_with_the_image(scale: int, down: int, right: int) -> None:
    world = GaussianField(size=8 * scale, scale=scale)
    lr = world.draw(1).lr[0]
    moved = world.conditional_mean(np.roll(lr, (down, right), (0, 1)), 3)
    expected = np.roll(world.conditional_mean(lr, 3), (down * scale, right * scale), (0, 1))
    np.testing.assert_allclose(moved, expected, atol=1e-12)


@few
@given(st.floats(0.0, 2.0), st.floats(0.0, 1.0))
def test_outputs_are_between_mean_and_sample(gain: float, invented: float) -> None:
    world = GaussianField(size=32)
    images = world.draw(1)
    lr, upsampled = images.lr[0], images.upsampled[0]
    mean, sample, output = (
        world.output(lr, of, np.random.default_rng(3))
        for of in (Output(3), Output(3, 1.0, 1.0), Output(3, gain, invented))
    )
    expected = upsampled + gain * (mean - upsampled) + invented * (sample - mean)
    np.testing.assert_allclose(output, expected, atol=1e-12)


def test_mirrored_and_rotated_images_are_as_likely(world: GaussianField) -> None:
    covariance = world.patch_covariance(8).reshape(8, 8, 8, 8)
    rotated = np.rot90(np.rot90(covariance, axes=(0, 1)), axes=(2, 3))
    np.testing.assert_allclose(rotated, covariance, atol=1e-15)
    np.testing.assert_allclose(covariance[:, ::-1, :, ::-1], covariance, atol=1e-15)


def test_the_same_seed_draws_the_same_images() -> None:
    first, again = (GaussianField(size=32, seed=5).draw(2) for _ in range(2))
    np.testing.assert_array_equal(first.truth, again.truth)
    assert not np.array_equal(first.truth[0], first.truth[1])
    assert not np.array_equal(first.truth, GaussianField(size=32, seed=6).draw(2).truth)


def test_a_sample_with_the_seed_of_the_images_is_not_the_ground_truth() -> None:
    world = GaussianField(size=32, seed=3)
    images = world.draw(1)
    sample = world.posterior_sample(images.lr[0], 5, np.random.default_rng(3))
    assert np.mean((sample - images.truth[0]) ** 2) > world.mmse(5)


@pytest.mark.parametrize(
    "options", [{"size": 30}, {"size": 0}, {"std": 0.0}, {"noise": -1.0}, {"texture": -0.1}]
)
def test_impossible_worlds(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        GaussianField(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("context", [0, 4, 9])
def test_impossible_contexts(context: int) -> None:
    with pytest.raises(ConfigError, match="context"):
        GaussianField(size=32).mmse(context)
