"""Local regression: windows, moments, symmetries, the limit of strong shrinkage, prediction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.measures.detail.regression import (
    STRENGTHS,
    Image,
    Moments,
    Ridge,
    View,
    columns_of,
    moments_of,
    predict,
    symmetrized,
    unfold,
)

SCALE = 2
VIEWS = [View(SCALE, 0), View(SCALE, 0), View(1, 2, center=True)]
SYMMETRIES: list[Callable[[Image], Image]] = [
    lambda image, k=k, flip=flip: np.rot90(image.T if flip else image, k).copy()  # type: ignore[misc]
    for k in range(4)
    for flip in (False, True)
]


def images(seed: int = 0, height: int = 12, width: int = 9) -> list[Image]:
    """Output, anchor, LR image and ground truth; the last is a noisy mixture of the others."""
    rng = np.random.default_rng(seed)
    lr = rng.normal(size=(height, width)).astype(np.float32)
    shape = (height * SCALE, width * SCALE)
    output, anchor, noise = (rng.normal(size=shape).astype(np.float32) for _ in range(3))
    large = np.kron(lr - np.roll(lr, 1, 0), np.ones((SCALE, SCALE))).astype(np.float32)
    return [output, anchor, lr, 0.5 * output + 0.3 * anchor + 0.2 * large + 0.3 * noise]


def moments(seed: int = 0, **shape: int) -> Moments:
    *versions, target = images(seed, **shape)
    return symmetrized(moments_of(versions, VIEWS, target, SCALE, 1), VIEWS, SCALE)


def test_windows_by_hand() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert View(2, 0).windows(image)[1, 0].tolist() == [[8, 9], [12, 13]]
    # Mirrored at the borders, with the border pixels repeated.
    assert View(1, 1).windows(image)[0, 0].tolist() == [[0, 0, 1], [0, 0, 1], [4, 4, 5]]
    assert View(1, 1).windows(image, stride=2).shape == (2, 2, 3, 3)
    row = unfold([image, image[:2, :2]], [View(2, 0), View(1, 1, center=True)])
    assert row.shape == (4, 4 + 9)
    assert row[:, 4:].mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-6)


def test_moments_are_sums_of_products() -> None:
    *versions, target = images()
    found = moments_of(versions, VIEWS, target, SCALE, 1)
    features = unfold(versions, VIEWS)
    blocks = target.reshape(12, SCALE, 9, SCALE).transpose(0, 2, 1, 3).reshape(108, -1)
    assert found.features == pytest.approx(features.T @ features, rel=1e-4, abs=1e-3)
    assert found.cross == pytest.approx(features.T @ blocks, rel=1e-4, abs=1e-3)
    weights = np.random.default_rng(1).normal(size=found.cross.shape)
    error = np.sum((blocks - features @ weights) ** 2)
    assert found.error(weights) == pytest.approx(float(error), rel=1e-4)


def test_folds_add_up_and_can_be_taken_out() -> None:
    one, other = moments(0), moments(1)
    both = one + other
    assert both.energy == pytest.approx(one.energy + other.energy)
    assert (both - other).cross == pytest.approx(one.cross)
    inside = np.concatenate(columns_of(VIEWS)[1:])
    assert one.only(inside).features.shape == (29, 29)
    assert one.only(inside).cross == pytest.approx(one.cross[4:])


@pytest.mark.parametrize("change", SYMMETRIES)
def test_mirrored_and_rotated_data_give_the_same_moments(change: Callable[[Image], Image]) -> None:
    *versions, target = [change(image) for image in images(height=9)]
    turned = symmetrized(moments_of(versions, VIEWS, target, SCALE, 1), VIEWS, SCALE)
    plain = moments(height=9)
    assert turned.features == pytest.approx(plain.features, rel=1e-4, abs=1e-3)
    assert turned.cross == pytest.approx(plain.cross, rel=1e-4, abs=1e-3)


@settings(max_examples=16, deadline=None)
@given(st.sampled_from(SYMMETRIES), st.integers(0, 3))
def test_the_prediction_turns_with_the_images(change: Callable[[Image], Image], seed: int) -> None:
    weights = Ridge(moments(), VIEWS, SCALE).weights(1e-4)
    *versions, _ = images(seed)
    (plain,) = predict(versions, VIEWS, [weights], SCALE)
    (turned,) = predict([change(image) for image in versions], VIEWS, [weights], SCALE)
    assert turned == pytest.approx(change(plain), abs=1e-4)


def test_weights_of_data_that_are_not_symmetrized_do_not_turn() -> None:
    """The control: equivariance comes from averaging, not from the windows."""
    *versions, target = images()
    weights = Ridge(moments_of(versions, VIEWS, target, SCALE, 1), VIEWS, SCALE).weights(1e-4)
    (plain,) = predict(versions, VIEWS, [weights], SCALE)
    (turned,) = predict([SYMMETRIES[2](image) for image in versions], VIEWS, [weights], SCALE)
    assert np.abs(turned - SYMMETRIES[2](plain)).max() > 0.01


def test_the_prediction_is_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    *versions, _ = images(height=23)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(33, 4)) for _ in range(2)]
    found = predict(versions, VIEWS, weights, SCALE)
    for own, image in zip(weights, found, strict=True):
        direct = unfold(versions, VIEWS) @ own
        direct = direct.reshape(23, 9, SCALE, SCALE).transpose(0, 2, 1, 3).reshape(46, 18)
        assert image == pytest.approx(direct, abs=1e-4)
    # Large images are done by bands of rows, whose windows reach beyond them.
    monkeypatch.setattr("cooanalysis.measures.detail.regression._ROWS", 36)
    for banded, whole in zip(predict(versions, VIEWS, weights, SCALE), found, strict=True):
        assert banded == pytest.approx(whole, abs=1e-5)


def test_without_shrinkage_it_is_least_squares() -> None:
    found = moments(height=30)
    weights = Ridge(found, VIEWS, SCALE).weights(STRENGTHS[0])
    # The centered LR window is singular: only the errors can be compared.
    direct = np.asarray(np.linalg.lstsq(found.features, found.cross, rcond=1e-8)[0], np.float64)
    assert found.error(weights) == pytest.approx(found.error(direct), rel=1e-5)


def test_strong_shrinkage_leaves_a_combination_of_the_blocks() -> None:
    """One factor for the whole output and one for the anchor: those of least squares."""
    *versions, target = images()
    weights = Ridge(moments(), VIEWS, SCALE).weights(1e9)
    pair = np.stack([versions[0].ravel(), versions[1].ravel()], axis=1).astype(np.float64)
    factors = np.linalg.lstsq(pair, target.ravel().astype(np.float64), rcond=None)[0]
    wanted = np.zeros((33, 4))
    wanted[np.arange(4), np.arange(4)] = factors[0]
    wanted[4 + np.arange(4), np.arange(4)] = factors[1]
    assert weights == pytest.approx(wanted, abs=1e-4)


def test_versions_that_are_the_same_share_their_factor() -> None:
    output, _, lr, target = images()
    same = [output, output, lr]
    found = symmetrized(moments_of(same, VIEWS, target, SCALE, 1), VIEWS, SCALE)
    weights = Ridge(found, VIEWS, SCALE).weights(1e9)
    assert weights[0, 0] == pytest.approx(weights[4, 0])
    assert np.isfinite(Ridge(found, VIEWS, SCALE).weights(1e-7)).all()


def test_without_versions_it_shrinks_toward_zero() -> None:
    *_, lr, target = images()
    found = symmetrized(moments_of([lr], VIEWS[2:], target, SCALE, 1), VIEWS[2:], SCALE)
    assert np.abs(Ridge(found, VIEWS[2:], SCALE).weights(1e9)).max() < 1e-6


def test_images_without_any_detail() -> None:
    zero = [np.zeros_like(image) for image in images()]
    found = symmetrized(moments_of(zero[:3], VIEWS, zero[3], SCALE, 1), VIEWS, SCALE)
    assert np.isfinite(Ridge(found, VIEWS, SCALE).weights(1e-7)).all()
