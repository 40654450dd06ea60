"""Exact values of detail taken apart, distances and the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.errors import ConfigError
from cooanalysis.measures.worlds.exact import (
    least_distortion,
    plane,
    squared_wasserstein,
    taken_apart,
    transport,
)
from cooanalysis.measures.worlds.gaussian_field import GaussianField
from cooanalysis.measures.worlds.images import Output

few = settings(max_examples=8, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def world() -> GaussianField:
    return GaussianField(size=64)


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.5])
def test_a_conditional_mean_invents_nothing(world: GaussianField, gain: float) -> None:
    """A regression that sees no more than the model: the block alone, no wider LR window."""
    exact = taken_apart(world, Output(7, gain), Output(7))
    assert exact.gain == pytest.approx(gain, abs=1e-6)
    assert exact.invented == pytest.approx(0.0, abs=1e-6)
    assert exact.explained == pytest.approx(world.explained(7), abs=1e-6)
    assert exact.detail_energy == pytest.approx(gain**2 * world.explained(7))
    if gain == 1.0:
        assert exact.closed_form == pytest.approx(1.0)


def test_a_posterior_sample_invents_all_that_is_unknown(world: GaussianField) -> None:
    exact = taken_apart(world, Output(7, 1.0, 1.0), Output(7))
    assert exact.gain == pytest.approx(1.0, abs=1e-6)
    assert exact.invented == pytest.approx(1.0, abs=1e-6)
    assert exact.collapse_index == pytest.approx(0.0, abs=1e-6)
    assert exact.closed_form == pytest.approx(0.0, abs=1e-9)
    assert exact.explained < exact.known == pytest.approx(world.explained(7), abs=1e-6)


def test_without_an_anchor_less_seems_invented(world: GaussianField) -> None:
    sample = Output(7, 1.0, 1.0)
    alone = taken_apart(world, sample, lr_window=1)
    anchored = taken_apart(world, sample, Output(7), lr_window=1)
    assert alone.gain > anchored.gain
    assert alone.invented < anchored.invented


def test_wide_windows_know_more_than_a_narrow_model(world: GaussianField) -> None:
    """Neighboring blocks were made from other LR pixels, so their outputs add knowledge."""
    narrow = taken_apart(world, Output(5), Output(5), margin=4)
    assert narrow.known > world.explained(5) + 0.01
    assert narrow.gain < 1.0
    wide = taken_apart(world, Output(13), Output(13), margin=4, lr_window=7)
    assert wide.gain == pytest.approx(1.0, abs=0.02)


def test_values_agree_with_a_regression_on_many_images(world: GaussianField) -> None:
    images = world.draw(150)
    output, anchor = Output(5, 1.2, 0.5), Output(3)
    rng = np.random.default_rng(1)
    columns = []
    for of in (output, anchor):
        shown = images.details_of([world.output(lr, of, rng) for lr in images.lr])
        columns.append(_rows(shown))
    x = np.stack(images.lr).ravel()[:, None] - 0.5
    y, s = _rows(images.details), columns[0]
    seen = np.column_stack([*columns, x])
    known = seen @ np.linalg.lstsq(seen, y, rcond=None)[0]
    gain = np.sum(s * known) / np.sum(known**2)
    exact = taken_apart(world, output, anchor, lr_window=1)
    assert gain == pytest.approx(exact.gain, abs=0.02)
    invented = np.sum((s - gain * known) ** 2) / np.sum((y - known) ** 2)
    assert invented == pytest.approx(exact.invented, abs=0.01)
    alone = np.column_stack([s, x])
    left = y - alone @ np.linalg.lstsq(alone, y, rcond=None)[0]
    assert 1 - np.sum(left**2) / np.sum(y**2) == pytest.approx(exact.explained, abs=0.01)


def _rows(details: list[np.ndarray]) -> np.ndarray:
    stack = np.stack(details)
    n, h, w = stack.shape
    return stack.reshape(n, h // 4, 4, w // 4, 4).transpose(0, 1, 3, 2, 4).reshape(-1, 16)


@few
@given(st.floats(0.1, 3.0), st.floats(0.1, 3.0))
def test_wasserstein_distance_of_scaled_gaussians(a: float, b: float) -> None:
    base = np.array([[2.0, 0.5], [0.5, 1.0]])
    expected = (a - b) ** 2 * np.trace(base) / 2
    assert squared_wasserstein(a**2 * base, b**2 * base) == pytest.approx(expected, abs=1e-9)


def test_mean_and_sample_in_the_plane(world: GaussianField) -> None:
    error, distance = plane(world, Output(5), 4)
    assert error == pytest.approx(world.mmse(5))
    assert least_distortion(world, 5, 4, distance) == pytest.approx(error)
    sample_error, sample_distance = plane(world, Output(5, 1.0, 1.0), 4)
    assert sample_error == pytest.approx(2 * error)
    assert sample_distance == pytest.approx(0.0, abs=1e-6)
    # The sample's error is not the least one possible without any distance.
    assert error < least_distortion(world, 5, 4, 0.0) < 0.9 * sample_error


@few
@given(st.floats(0.0, 1.0))
def test_the_best_maps_lie_on_the_bound(t: float) -> None:
    world = GaussianField(size=32, exponent=2.0)
    truth, mean = world.patch_covariance(4), world.patch_covariance(4, Output(5))
    mixed = (1 - t) * np.eye(16) + t * transport(world, 5)
    shown = mixed @ mean @ mixed.T
    error = np.trace(truth - 2 * mixed @ mean + shown) / 16
    distance = squared_wasserstein(truth, shown) ** 0.5
    assert error == pytest.approx(least_distortion(world, 5, 4, distance), rel=1e-3)


def test_a_map_from_too_few_pixels_is_refused() -> None:
    with pytest.raises(ConfigError, match="context of 3"):
        transport(GaussianField(size=32), 3)


@few
@given(st.floats(0.5, 2.0), st.floats(0.0, 1.0), st.sampled_from([3, 5]))
def test_nothing_lies_below_the_bound(gain: float, invented: float, context: int) -> None:
    world = GaussianField(size=32)
    error, distance = plane(world, Output(context, gain, invented), 4)
    assert error >= least_distortion(world, 5, 4, distance) * (1 - 1e-9)
