"""The library world: enumeration agrees with what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.errors import ConfigError
from cooanalysis.measures.worlds.images import Images, Output
from cooanalysis.measures.worlds.library import Library

few = settings(max_examples=8, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def world() -> Library:
    return Library(size=96)


@pytest.fixture(scope="module")
def images(world: Library) -> Images:
    return world.draw(100)


@pytest.mark.parametrize("context", [1, 5, 11])
def test_errors_are_the_posterior_variance(world: Library, images: Images, context: int) -> None:
    rng = np.random.default_rng(1)
    truth = np.stack(images.truth)
    mean = np.stack([world.conditional_mean(lr, context) for lr in images.lr])
    sample = np.stack([world.posterior_sample(lr, context, rng) for lr in images.lr])
    expected = np.mean([world.posterior_variance(lr, context) for lr in images.lr])
    assert np.mean((truth - mean) ** 2) == pytest.approx(expected, rel=0.02)
    assert np.mean((sample - mean) ** 2) == pytest.approx(expected, rel=0.02)
    assert np.mean((truth - sample) ** 2) == pytest.approx(2 * expected, rel=0.03)
    assert world.mmse(context) == pytest.approx(expected, rel=0.02)
    # Orthogonality of the error to the estimate.
    assert abs(np.mean((truth - mean) * (mean - 0.5))) < 0.02 * expected


def test_samples_of_one_image_scatter_as_the_posterior_says() -> None:
    world = Library(size=24)
    lr = world.draw(1).lr[0]
    rng = np.random.default_rng(2)
    samples = np.stack([world.posterior_sample(lr, 3, rng) for _ in range(1000)])
    mean = world.conditional_mean(lr, 3)
    np.testing.assert_allclose(samples.mean(0), mean, atol=5 * samples.std(0).max() / 1000**0.5)
    variance = ((samples - mean) ** 2).mean(0).reshape(6, 4, 6, 4).mean((1, 3))
    np.testing.assert_allclose(variance, world.posterior_variance(lr, 3), rtol=0.2)


def test_the_posterior_has_separated_peaks() -> None:
    """The mean of a family is far from all of its members: not Gaussian."""
    world = Library(size=24, std=0.003)
    lr = world.draw(1).lr[0]
    rng = np.random.default_rng(3)
    samples = np.stack([world.posterior_sample(lr, 11, rng) for _ in range(200)])
    mean = world.conditional_mean(lr, 11)
    distances = np.sqrt(((samples - mean) ** 2).mean((1, 2)))
    assert distances.min() > 5 * world.std
    # Samples are few templates plus noise.
    gaps = np.sqrt(((samples[:, None] - samples[None]) ** 2).mean((2, 3)))
    assert ((gaps < 2 * world.std) | (gaps > 5 * world.std)).all()


@few
@given(st.integers(0, 1000), st.sampled_from([2, 3, 4]))
def test_a_wider_context_knows_more_on_average(seed: int, scale: int) -> None:
    world = Library(size=12 * scale, scale=scale, tile=6 * scale, seed=seed)
    errors = [world.mmse(context) for context in (1, 5, 11)]
    assert errors[0] > errors[1] > errors[2] > 0
    # Nothing is left to see beyond the tile.
    assert world.mmse(13) == pytest.approx(errors[2])


def test_a_single_template_is_known_but_for_its_noise() -> None:
    world = Library(size=48, families=1, members=1, std=0.02, noise=0.0)
    # The LR pixel tells the mean of 16 noisy pixels exactly.
    assert world.mmse(3) == pytest.approx(0.02**2 * 15 / 16)


@few
@given(st.floats(0.0, 2.0), st.floats(0.0, 1.0))
def test_outputs_are_between_mean_and_sample(gain: float, invented: float) -> None:
    world = Library(size=48)
    images = world.draw(1)
    lr, upsampled = images.lr[0], images.upsampled[0]
    mean, sample, output = (
        world.output(lr, of, np.random.default_rng(3))
        for of in (Output(3), Output(3, 1.0, 1.0), Output(3, gain, invented))
    )
    expected = upsampled + gain * (mean - upsampled) + invented * (sample - mean)
    np.testing.assert_allclose(output, expected, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"size": 30}, {"size": 0}, {"tile": 10}, {"families": 0}, {"members": 0}, {"std": 0.0}],
)
def test_impossible_worlds(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Library(**options)  # type: ignore[arg-type]
