"""Centers and what is measured around them: closed forms, symmetries, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cooanalysis.errors import ConfigError
from cooanalysis.measures.center import (
    center,
    center_min_distance,
    center_rms_distance,
    detail_energy_retained,
    energy_by_chance,
)
from cooanalysis.measures.entropy import entropy, entropy_power

groups = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(1, 6)),
    elements=st.floats(-10, 10, width=32),
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- Known answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 8, 128])
@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_rms_distance_of_gaussian_groups(rng: np.random.Generator, k: int, sigma: float) -> None:
    """The center is fitted to the k members, which takes one degree of freedom in k."""
    members = rng.normal(5.0, sigma, (2000, k, 20))
    mean_square = (center_rms_distance(members) ** 2).mean()
    assert mean_square == pytest.approx(sigma**2 * (1 - 1 / k), rel=0.02)


def test_sphere_has_an_empty_shell_around_its_center(rng: np.random.Generator) -> None:
    """Pairs of antipodes: the center is exactly that of the sphere, no member is near it."""
    half = rng.normal(size=(50, 30))
    half *= 2.0 / np.linalg.norm(half, axis=1, keepdims=True)
    members = np.concatenate([half, -half]) + 7.0
    np.testing.assert_allclose(center(members), 7.0)
    assert center_min_distance(members) == pytest.approx(2.0 / math.sqrt(30))
    assert center_rms_distance(members) == pytest.approx(2.0 / math.sqrt(30))


def test_center_of_steps_at_random_phase_is_a_ramp() -> None:
    """The over-smoothing problem in one dimension: every member is sharp, their mean is not.

    With the phases in the middle between the d samples, the ramp is met exactly and the
    variance of a 0/1 step is x(1 - x), whose mean over x = i/d is (d² - 1) / (6d²).
    """
    d = 64
    x, phase = np.arange(d) / d, (np.arange(d) + 0.5) / d
    steps = (phase[:, None] < x).astype(float)
    np.testing.assert_allclose(center(steps), x)
    assert center_rms_distance(steps) ** 2 == pytest.approx((d * d - 1) / (6 * d * d))


def test_min_distance_finds_the_nearest_member() -> None:
    members = np.array([[[-3.0, 0.0], [-1.0, 0.0], [4.0, 0.0]], [[2.0, 2.0]] * 3])
    np.testing.assert_allclose(center_min_distance(members), [1.0 / math.sqrt(2), 0.0])


def test_rms_distance_is_at_least_the_root_of_the_entropy_power(rng: np.random.Generator) -> None:
    """Of all distributions with one variance the Gaussian has the largest entropy."""
    gaussian = rng.normal(0.0, 2.0, (300, 256, 2))
    uniform = rng.uniform(-1.0, 1.0, (300, 256, 2))
    ratios = [
        (np.sqrt(entropy_power(entropy(members, "copula"))) / center_rms_distance(members)).mean()
        for members in (gaussian, uniform)
    ]
    assert ratios[0] == pytest.approx(1.0, abs=0.02)
    assert ratios[1] == pytest.approx(math.sqrt(6 / (math.pi * math.e)), abs=0.02)


def test_float32_stays_float32_and_whole_numbers_become_floats() -> None:
    assert center(np.zeros((3, 2), np.float32)).dtype == np.float32
    assert center_rms_distance(np.zeros((3, 2), np.float32)).dtype == np.float32
    assert center(np.array([[0], [1]], np.uint8)) == 0.5


# -- Properties ------------------------------------------------------------------------------


@given(groups, st.floats(-10, 10), st.floats(0.01, 10))
def test_shift_moves_the_center_and_scale_stretches_everything(
    members: np.ndarray, shift: float, scale: float
) -> None:
    moved = scale * members + shift
    np.testing.assert_allclose(center(moved), scale * center(members) + shift, atol=1e-9)
    for distance in (center_rms_distance, center_min_distance):
        np.testing.assert_allclose(distance(moved), scale * distance(members), atol=1e-9)


@given(groups, st.randoms(use_true_random=False))
def test_order_of_members_does_not_matter(members: np.ndarray, random: object) -> None:
    order = list(range(members.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    for measure in (center, center_rms_distance, center_min_distance):
        np.testing.assert_allclose(measure(members[:, order]), measure(members), atol=1e-9)


@given(groups, st.floats(-5, 5))
def test_center_minimizes_the_squared_error(members: np.ndarray, offset: float) -> None:
    """Huygens: any other estimate costs exactly its squared distance to the center."""
    estimate = center(members) + offset
    error = ((members - estimate[:, None]) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(error, center_rms_distance(members) ** 2 + offset**2, atol=1e-8)


@given(groups)
def test_min_distance_is_never_above_rms_distance(members: np.ndarray) -> None:
    assert (center_min_distance(members) <= center_rms_distance(members) + 1e-12).all()


@given(groups)
def test_groups_are_measured_one_by_one(members: np.ndarray) -> None:
    for measure in (center, center_rms_distance, center_min_distance):
        single = np.stack([measure(group) for group in members])
        np.testing.assert_allclose(measure(members), single, atol=1e-12)


# -- Detail energy and collapse --------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
def test_detail_energy_is_quadratic_and_blind_to_what_the_detail_is(
    rng: np.random.Generator, factor: float
) -> None:
    truth = rng.normal(size=(10, 16))
    assert detail_energy_retained(factor * truth, truth) == pytest.approx(factor**2)
    assert detail_energy_retained(-factor * truth[::-1], truth) == pytest.approx(factor**2)


def test_no_detail_at_all_is_not_a_number() -> None:
    assert math.isnan(detail_energy_retained(np.ones(3), np.zeros(3)))


def test_sums_of_single_precision_do_not_drift() -> None:
    truth = np.full((1000, 1000), 0.1, np.float32)
    assert detail_energy_retained(truth, truth.astype(np.float64)) == pytest.approx(1.0, abs=1e-9)


# -- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [center, center_rms_distance, center_min_distance])
@pytest.mark.parametrize("shape", [(5,), (0, 4), (5, 0), ()])
def test_members_of_the_wrong_shape(measure: object, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        measure(np.zeros(shape))  # type: ignore[operator]
    assert str(caught.value) == f"members must have shape (..., k, dim), got {shape}"


def test_shapes_that_do_not_match() -> None:
    a, b = np.zeros((3, 4)), np.zeros((2, 4))
    with pytest.raises(ConfigError, match=r"estimate and truth .* got \(3, 4\) and \(2, 4\)"):
        detail_energy_retained(a, b)


def test_the_energy_that_a_center_has_by_chance() -> None:
    """Details with nothing in common: all of the center's energy is chance, at any group size."""
    rng = np.random.default_rng(0)
    for k in (2, 5, 64):
        groups = rng.laplace(size=(20_000, k, 2))
        found = energy_by_chance(center_rms_distance(groups), k).mean()
        assert found == pytest.approx((center(groups) ** 2).mean(), rel=0.03)
        assert found == pytest.approx(2.0 / k, rel=0.03)  # the variance of a Laplace is 2
    with pytest.raises(ConfigError, match="at least 2"):
        energy_by_chance(1.0, 1)
