"""Intervals over images: values against numpy, scipy and scikit-learn, and coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from cooanalysis.measures.bootstrap import (
    MIN_IMAGES,
    Estimate,
    ImageBootstrap,
    quantile_bin,
    quotient,
)

N_IMAGES, PER_IMAGE = 30, 20
IMAGE = np.repeat(np.arange(N_IMAGES), PER_IMAGE)


def clustered(seed: int, between: float = 1.0) -> np.ndarray:
    """Patches of one image share an offset of standard deviation ``between``; mean 3."""
    rng = np.random.default_rng(seed)
    offset = rng.normal(0.0, between, N_IMAGES)
    return 3.0 + offset[IMAGE] + rng.normal(size=len(IMAGE))


def naive_interval(statistic: Callable[[np.ndarray], float], n: int = 1500) -> tuple[float, float]:
    """Percentile bootstrap over images written out: rows of the images drawn, one by one."""
    rng = np.random.default_rng(99)
    values = []
    for _ in range(n):
        drawn = rng.integers(0, N_IMAGES, N_IMAGES)
        values.append(statistic((drawn[:, None] * PER_IMAGE + np.arange(PER_IMAGE)).ravel()))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def assert_like_interval(
    found: Estimate, expected: tuple[float, float], wider: float = 0.3
) -> None:
    """As wide as the percentile bootstrap's or, as that is too narrow, somewhat wider."""
    width = expected[1] - expected[0]
    assert -0.1 * width < expected[0] - found.ci_low < wider * width
    assert -0.1 * width < found.ci_high - expected[1] < wider * width


# -- Values against other libraries ----------------------------------------------------------


def test_mean_and_ratio_against_numpy() -> None:
    a, b = clustered(0), clustered(1)
    bootstrap = ImageBootstrap(IMAGE)
    assert bootstrap.mean(a).value == pytest.approx(a.mean())
    assert bootstrap.ratio(a, b).value == pytest.approx(a.sum() / b.sum())
    assert bootstrap.ratio(a, 2.0).value == pytest.approx(a.mean() / 2.0)
    assert_like_interval(bootstrap.mean(a), naive_interval(lambda rows: a[rows].mean()))
    assert_like_interval(
        bootstrap.ratio(a, b), naive_interval(lambda rows: a[rows].sum() / b[rows].sum())
    )


def test_ratio_of_means_against_numpy() -> None:
    """Two parts of the patches: how many of each an image holds must not widen the interval."""
    a = clustered(0)
    part = np.random.default_rng(1).random(len(IMAGE)) < 0.5
    found = ImageBootstrap(IMAGE).ratio_of_means(
        np.where(part, a, np.nan), np.where(part, np.nan, a)
    )
    assert found.value == pytest.approx(a[part].mean() / a[~part].mean())
    assert_like_interval(
        found, naive_interval(lambda r: a[r][part[r]].mean() / a[r][~part[r]].mean())
    )
    nothing = ImageBootstrap(IMAGE).ratio_of_means(a, np.full(len(IMAGE), np.nan))
    assert math.isnan(nothing.value) and math.isnan(nothing.ci_low)


def test_spearman_against_scipy() -> None:
    a = clustered(0)
    b = np.round(a + clustered(1), 1)  # ties
    found = ImageBootstrap(IMAGE).spearman(a, b)
    assert found.value == pytest.approx(spearmanr(a, b).statistic)
    naive = naive_interval(lambda r: spearmanr(a[r], b[r]).statistic, 600)
    assert_like_interval(found, naive, wider=0.6)  # its resamples are skewed


def test_auc_against_scikit_learn() -> None:
    labels = np.random.default_rng(2).integers(0, 2, len(IMAGE))
    scores = np.round(clustered(3) + labels, 1)  # ties count half
    found = ImageBootstrap(IMAGE).auc(scores, labels)
    assert found.value == pytest.approx(roc_auc_score(labels, scores))
    assert_like_interval(found, naive_interval(lambda r: roc_auc_score(labels[r], scores[r]), 600))


@pytest.mark.parametrize(("scores", "value"), [([0, 1, 2, 3], 1.0), ([3, 2, 1, 0], 0.0)])
def test_auc_of_perfect_order(scores: list[float], value: float) -> None:
    assert ImageBootstrap(np.zeros(4, int)).auc(scores, [0, 0, 1, 1]).value == value


def test_auc_of_equal_scores_is_a_half() -> None:
    assert ImageBootstrap(np.zeros(4, int)).auc(np.ones(4), [0, 1, 0, 1]).value == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_samples_that_are_the_same_have_an_exact_half(seed: int) -> None:
    """As the ground truth compared with itself: rounding alone distinguishes the images."""
    rng = np.random.default_rng(seed)
    scores, image = rng.random(700), np.repeat(np.arange(7), 100)
    found = ImageBootstrap(np.tile(image, 2)).auc(np.tile(scores, 2), np.repeat([0, 1], 700))
    assert found.as_dict() == pytest.approx({"value": 0.5, "ci_low": 0.5, "ci_high": 0.5})


def test_missing_values_leave_their_patch_out() -> None:
    a, b = clustered(0), clustered(1)
    labels = (b > 3).astype(int)
    a[::7], b[::5] = np.nan, np.inf
    both = np.isfinite(a) & np.isfinite(b)
    bootstrap = ImageBootstrap(IMAGE)
    assert bootstrap.mean(a).value == pytest.approx(np.nanmean(a))
    assert bootstrap.ratio(a, b).value == pytest.approx(a[both].sum() / b[both].sum())
    assert bootstrap.spearman(a, b).value == pytest.approx(spearmanr(a[both], b[both]).statistic)
    seen = np.isfinite(a)
    assert bootstrap.auc(a, labels).value == pytest.approx(roc_auc_score(labels[seen], a[seen]))


# -- Intervals -------------------------------------------------------------------------------


def test_intervals_cover_the_true_value_as_often_as_they_say() -> None:
    """300 known worlds. Drawing patches instead of images would miss the value half the time."""
    by_image, by_patch = 0, 0
    for seed in range(300):
        values = clustered(seed)
        found = ImageBootstrap(IMAGE, n_resamples=400, seed=seed).mean(values)
        by_image += found.ci_low <= 3.0 <= found.ci_high
        by_patch += abs(values.mean() - 3.0) < 1.96 * values.std() / math.sqrt(len(values))
    assert 0.92 <= by_image / 300 <= 0.99
    assert by_patch / 300 < 0.7, "the test does not know clustered patches from independent ones"


def test_width_for_independent_patches_is_that_of_the_textbook() -> None:
    values = clustered(0, between=0.0)
    found = ImageBootstrap(IMAGE, n_resamples=4000).mean(values)
    textbook = 2 * 1.96 * values.std() / math.sqrt(len(values))
    assert found.ci_high - found.ci_low == pytest.approx(textbook, rel=0.25)


def test_few_images_fall_back_to_patches_and_say_so() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    few = ImageBootstrap(np.arange(2000) % (MIN_IMAGES - 1))
    enough = ImageBootstrap(np.arange(2000) % MIN_IMAGES)
    assert not few.by_image
    assert enough.by_image
    found = few.mean(values)
    textbook = 2 * 1.96 * values.std() / math.sqrt(2000)
    assert found.ci_high - found.ci_low == pytest.approx(textbook, rel=0.1)


def test_image_numbers_may_have_gaps() -> None:
    values = clustered(0)
    assert ImageBootstrap(IMAGE * 1000 + 7).mean(values) == ImageBootstrap(IMAGE).mean(values)


def test_one_seed_gives_one_result() -> None:
    values = np.exp(2.0 * clustered(0))
    bootstrap = ImageBootstrap(IMAGE, seed=4)
    assert bootstrap.mean(values) == ImageBootstrap(IMAGE, seed=4).mean(values)
    assert bootstrap.mean(values) != ImageBootstrap(IMAGE, seed=5).mean(values)


def test_functions_of_several_sums() -> None:
    a, b = clustered(0), clustered(1)
    bootstrap = ImageBootstrap(IMAGE)
    found = bootstrap.of_sums([a, b, np.ones(len(a))], lambda s: s[..., 0] * s[..., 1] / s[..., 2])
    assert found.value == pytest.approx(a.sum() * b.sum() / len(a))
    assert found.ci_low < found.value < found.ci_high
    assert bootstrap.of_sums([a, b], quotient) == bootstrap.ratio(a, b)


def test_what_cannot_be_negative_has_no_negative_interval() -> None:
    values = np.where(IMAGE == 3, 1.0, 1e-3)
    found = ImageBootstrap(IMAGE).mean(values)
    assert 0 < found.ci_low < found.value < found.ci_high
    assert ImageBootstrap(IMAGE).mean(np.where(IMAGE == 0, -1e-9, values)).ci_low < 0


def test_percentiles_of_resamples_are_expanded_for_few_images() -> None:
    resamples = np.random.default_rng(0).normal(size=1000)
    few, many = (
        ImageBootstrap(np.arange(n)).percentiles(0.0, resamples).ci_high for n in (8, 4000)
    )
    assert many == pytest.approx(np.percentile(resamples, 97.5), rel=0.01)
    assert few > 1.15 * many
    assert ImageBootstrap(np.arange(8)).percentiles(9.0, resamples).ci_high == 9.0
    lost = np.where(np.arange(1000) < 600, np.nan, resamples)
    assert math.isnan(ImageBootstrap(np.arange(8)).percentiles(0.0, lost).ci_low)


def test_no_interval_where_there_is_nothing_to_resample() -> None:
    bootstrap = ImageBootstrap(IMAGE)
    for found in (
        bootstrap.mean(np.full(len(IMAGE), np.nan)),
        bootstrap.ratio(IMAGE, 0.0),
        bootstrap.auc(clustered(0), np.ones(len(IMAGE))),
    ):
        assert not math.isfinite(found.value)
        assert math.isnan(found.ci_low) and math.isnan(found.ci_high)


def test_no_interval_where_all_hinges_on_one_image() -> None:
    values = np.ones(len(IMAGE))
    bootstrap = ImageBootstrap(IMAGE)
    one = bootstrap.mean(np.where(IMAGE == 3, values, np.nan))
    assert one.value == 1.0
    assert math.isnan(one.ci_low) and math.isnan(one.ci_high)
    two = bootstrap.mean(np.where((IMAGE == 3) | (IMAGE == 7), values, np.nan))
    assert two == Estimate(1.0, 1.0, 1.0)
    lone = np.where(IMAGE == 3, 0.0, np.where(IMAGE == 4, 1.0, np.nan))
    found = bootstrap.auc(lone, IMAGE == 4)
    assert found.value == 1.0
    assert math.isnan(found.ci_low) and math.isnan(found.ci_high)


@pytest.mark.parametrize("n", [10, 37, 1234, 4999, 300_000])
def test_rank_correlation_with_a_constant_is_not_a_number(n: int) -> None:
    """Rounding must not turn 0/0 into a correlation of 2."""
    values = np.random.default_rng(n).random(n)
    bootstrap = ImageBootstrap(np.arange(n) % 7)
    assert math.isnan(bootstrap.spearman(np.full(n, 0.3), values).value)
    assert math.isnan(bootstrap.spearman(values, np.full(n, 0.3)).value)
    assert math.isnan(bootstrap.spearman(np.full(n, 0.3), np.full(n, 2.0)).value)


# -- Properties ------------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.floats(-90, -50), st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_shift_scale_and_rank(seed: int, shift: float, scale: float) -> None:
    a, b = clustered(seed), clustered(seed + 1)
    bootstrap = ImageBootstrap(IMAGE, n_resamples=50)
    # Some values are negative before and after, so that no bound is in the way.
    a[0] = min(a[0], -1.0)
    plain, moved = bootstrap.mean(a), bootstrap.mean(scale * a + shift)
    for field in ("value", "ci_low", "ci_high"):
        expected = scale * getattr(plain, field) + shift
        assert getattr(moved, field) == pytest.approx(expected, abs=1e-6)
    larger = bootstrap.mean(scale * np.exp(a))
    assert larger.ci_low == pytest.approx(scale * bootstrap.mean(np.exp(a)).ci_low)
    # Ranks know no monotone map.
    assert bootstrap.spearman(np.exp(a), scale * b) == bootstrap.spearman(a, b)
    assert bootstrap.spearman(a, -b).value == pytest.approx(-bootstrap.spearman(a, b).value)


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_order_of_patches_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, order = clustered(seed), clustered(seed + 1), rng.permutation(len(IMAGE))
    labels = (b > 3).astype(int)
    plain = ImageBootstrap(IMAGE, n_resamples=50)
    mixed = ImageBootstrap(IMAGE[order], n_resamples=50)
    for found, expected in (
        (mixed.mean(a[order]), plain.mean(a)),
        (mixed.ratio(a[order], b[order]), plain.ratio(a, b)),
        (mixed.spearman(a[order], b[order]), plain.spearman(a, b)),
        (mixed.auc(a[order], labels[order]), plain.auc(a, labels)),
    ):
        np.testing.assert_allclose(
            list(found.as_dict().values()), list(expected.as_dict().values())
        )


def test_transform_keeps_the_interval_in_order() -> None:
    estimate = Estimate(2.0, 1.0, 4.0)
    assert estimate.transform(lambda v: 10 * v) == Estimate(20.0, 10.0, 40.0)
    assert estimate.transform(lambda v: -v) == Estimate(-2.0, -4.0, -1.0)
    assert estimate.as_dict() == {"value": 2.0, "ci_low": 1.0, "ci_high": 4.0}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 12))
def test_quantile_bins_are_equally_filled_and_ordered(values: list[float], n_bins: int) -> None:
    bins = quantile_bin(values, n_bins)
    sizes = np.bincount(bins, minlength=n_bins)
    assert len(sizes) == n_bins
    assert sizes.max() - sizes.min() <= 1
    order = np.argsort(values, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()


def test_quantile_bins_of_minus_infinity() -> None:
    """Groups without a density have entropy -inf: they belong into the lowest bin."""
    np.testing.assert_array_equal(quantile_bin([0.0, -np.inf, 1.0, 2.0], 2), [0, 0, 1, 1])
