"""Cross-fitting: no image has a part in its own estimate, and nothing is fitted to chance."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.measures.detail.known import FOLDS, KnownDetail, _regions
from cooanalysis.measures.detail.regression import Floats, Image

SCALE = 2


def drawn(n: int, side: int = 8, seed: int = 0) -> tuple[list[Image], list[Image], list[Image]]:
    """Ground truth, output and LR images that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    large = [rng.normal(size=(2 * side, 2 * side)).astype(np.float32) for _ in range(2 * n)]
    return large[:n], large[n:], [rng.normal(size=(side, side)).astype(np.float32)
                                  for _ in range(n)]  # fmt: skip


def estimates(truth: list[Image], output: list[Image], lr: list[Image], **options: int) -> Floats:
    found = KnownDetail.fit(truth, [output], lr, subsets=[(0,)], scale=SCALE, **options)
    return np.array([found.images(number)[0] for number in range(len(lr))], np.float64)


def share_explained(truth: list[Image], known: Floats) -> float:
    return float(1 - np.sum((truth - known) ** 2) / np.sum(np.square(truth)))


def test_what_a_leak_would_explain() -> None:
    """Few windows and unrelated images: least squares explains much of its own, and the estimate
    nothing."""
    truth, output, lr = drawn(6, side=4)
    known = estimates(truth, output, lr)
    assert share_explained(truth, known) < 0.02
    from cooanalysis.measures.detail.regression import View, unfold

    views = [View(SCALE, 0), View(1, 2, center=True)]
    features = np.concatenate([unfold(pair, views) for pair in zip(output, lr, strict=True)])
    blocks = np.concatenate([View(SCALE, 0).windows(y).reshape(16, 4) for y in truth])
    fitted = features @ np.linalg.lstsq(features, blocks, rcond=None)[0]
    assert 1 - np.sum((blocks - fitted) ** 2) / np.sum(blocks**2) > 0.15


@pytest.mark.parametrize("n", [2, 3, 7])
def test_an_image_has_no_part_in_its_own_estimate(n: int) -> None:
    """Without a choice of strength the own ground truth does not matter; that of others does."""
    truth, output, lr = drawn(n)
    truth = [0.5 * y + s for y, s in zip(truth, output, strict=True)]
    plain = KnownDetail.fit(truth, [output], lr, subsets=[(0,)], scale=SCALE)
    changed = [truth[0] + np.float32(0.1) * output[0], *truth[1:]]
    other = KnownDetail.fit(changed, [output], lr, subsets=[(0,)], scale=SCALE)
    assert plain.strengths == other.strengths
    assert other.images(0)[0] == pytest.approx(plain.images(0)[0], abs=1e-5)
    moved = [np.abs(other.images(i)[0] - plain.images(i)[0]).max() for i in range(1, n)]
    assert max(moved) > 1e-3


def test_folds_hold_whole_images_with_all_their_channels() -> None:
    regions = _regions([8] * 21, channels=3, seed=0)
    folds = np.array([region.fold for region in regions]).reshape(7, 3)
    assert (folds == folds[:, :1]).all()
    assert sorted(np.bincount(folds[:, 0])) == [1, 1, 1, 2, 2]
    assert {(region.top, region.bottom) for region in regions} == {(0, 8)}
    assert [region.image for region in regions] == list(range(21))


def test_channels_in_different_folds_would_leak() -> None:
    """The control: equal channels taken for images know each other's ground truth."""
    truth, output, lr = drawn(3, side=3)
    many = [[image for image in images for _ in range(3)] for images in (truth, output, lr)]
    together = share_explained(many[0], estimates(*many, channels=3))
    apart = share_explained(many[0], estimates(*many, channels=1))
    assert together < 0.01 < 0.06 < apart


def test_a_single_image_is_cut_into_bands() -> None:
    regions = _regions([23, 23, 23], channels=3, seed=0)
    assert len(regions) == 3 * FOLDS
    for plane in range(3):
        own = [region for region in regions if region.image == plane]
        assert [region.fold for region in own] == list(range(FOLDS))
        assert own[0].top == 0 and own[-1].bottom == 23
        assert all(a.bottom == b.top for a, b in zip(own[:-1], own[1:], strict=True))
    assert len(_regions([3], channels=1, seed=0)) == 3


def test_a_band_has_no_part_in_its_own_estimate() -> None:
    truth, output, lr = drawn(1, side=20)
    truth = [0.5 * truth[0] + output[0]]
    changed = truth[0].copy()
    changed[:8] += np.float32(0.1) * output[0][:8]  # the first of five bands
    one, other = (estimates([y], output, lr)[0] for y in (truth[0], changed))
    assert other[:8] == pytest.approx(one[:8], abs=1e-5)
    assert np.abs(other[8:] - one[8:]).max() > 1e-3


def test_the_order_of_images_and_the_seed_matter_little() -> None:
    truth, output, lr = drawn(12)
    truth = [0.5 * y + s for y, s in zip(truth, output, strict=True)]
    found = [share_explained(truth, estimates(truth, output, lr, seed=seed)) for seed in range(3)]
    assert np.ptp(found) < 0.01 and min(found) == pytest.approx(0.8, abs=0.02)


def test_what_adds_nothing_to_the_anchor_is_left_out() -> None:
    """Output = anchor + noise, whose chance agreement with the ground truth must not count."""
    noise, unknown, lr = drawn(10)
    anchor = drawn(10, seed=1)[0]
    truth = [a + 2 * u for a, u in zip(anchor, unknown, strict=True)]
    output = [a + 2 * r for a, r in zip(anchor, noise, strict=True)]
    found = KnownDetail.fit(truth, [output, anchor], lr, subsets=[(0, 1)], scale=SCALE)
    without = KnownDetail.fit(truth, [anchor], lr, subsets=[(0,)], scale=SCALE)
    for number in range(10):
        assert found.images(number)[0] == pytest.approx(without.images(number)[0], abs=1e-5)


def test_what_adds_to_the_anchor_counts() -> None:
    more, unknown, lr = drawn(10)
    anchor = drawn(10, seed=1)[0]
    truth = [a + 0.3 * m + u for a, m, u in zip(anchor, more, unknown, strict=True)]
    output = [a + 0.3 * m for a, m in zip(anchor, more, strict=True)]
    found = KnownDetail.fit(truth, [output, anchor], lr, subsets=[(0, 1)], scale=SCALE)
    known = np.array([found.images(number)[0] for number in range(10)])
    assert np.corrcoef(known.ravel(), np.ravel(output))[0, 1] > 0.99


@pytest.mark.parametrize("contrasts", [(1, 1, 1, 1, 30), (1, 8), (1, 5, 25)])
def test_one_image_of_strong_detail_hides_no_knowledge(contrasts: tuple[int, ...]) -> None:
    """A model that knows more than the anchor everywhere does not make that up."""
    known, more, rest = (drawn(len(contrasts), 24, seed)[0] for seed in range(3))
    lr = drawn(len(contrasts), 24)[2]

    def scaled(*parts: list[Image]) -> list[Image]:
        return [
            np.float32(c) * sum(images, np.float32(0))
            for c, *images in zip(contrasts, *parts, strict=True)
        ]

    truth, output, anchor = scaled(known, more, rest), scaled(known, more), scaled(known)
    fitted = KnownDetail.fit(truth, [output, anchor], lr, subsets=[(0, 1)], scale=SCALE)
    left = [np.sum((s - fitted.images(i)[0]) ** 2) for i, s in enumerate(output)]
    assert np.sum(left) < 0.02 * np.sum(np.square(output))
