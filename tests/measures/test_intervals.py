"""Intervals of functions of sums: coverage with few images, limits, bounds, equivariance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri

from cooanalysis.measures.bootstrap import quotient
from cooanalysis.measures.intervals import (
    MANY,
    NOT_NEGATIVE,
    WIDEST,
    draws,
    expanded_level,
    gradient,
    interval,
    student,
)

Floats = NDArray[np.float64]


def invented(sums: Floats) -> Floats:
    output, product, known, truth = np.moveaxis(sums, -1, 0)
    return np.asarray((output - product**2 / known) / (truth - known))


def means(sigma: float, seed: int, n: int, repetitions: int) -> Floats:
    """(repetitions, n, 2) lognormal values of mean 1 and the number of patches."""
    values = np.random.default_rng(seed).lognormal(-(sigma**2) / 2, sigma, (repetitions, n))
    return np.stack([values, np.ones_like(values)], -1)


def energies(sigma: float, seed: int, n: int, repetitions: int) -> Floats:
    """(repetitions, n, 4) sums of :func:`invented`; its true value is 0.1."""
    rng = np.random.default_rng(seed)
    known, unknown, made_up = rng.lognormal(-(sigma**2) / 2, sigma, (3, repetitions, n))
    made_up *= 0.1 * unknown
    return np.stack([1.44 * known + made_up, 1.2 * known, known, known + unknown], -1)


def student_limits(table: Floats) -> tuple[float, float]:
    """Student's t interval of the mean of the first column."""
    reach = student(len(table)) * table[:, 0].std(ddof=1) / math.sqrt(len(table))
    return table[:, 0].mean() - reach, table[:, 0].mean() + reach


# -- Coverage --------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "wanted"), [(5, 0.90), (8, 0.93)])
@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("kind", ["mean", "invented"])
def test_few_skewed_images_are_covered(kind: str, sigma: float, n: int, wanted: float) -> None:
    """The percentile bootstrap covers 70 to 85 % of these."""
    tables, measure, value = (
        (means(sigma, 0, n, 400), quotient, 1.0)
        if kind == "mean"
        else (energies(sigma, 0, n, 400), invented, 0.1)
    )
    covered = old = 0
    for table in tables:
        low, high = interval(table, measure, bounds=NOT_NEGATIVE)
        covered += low <= value <= high
        resamples = measure(draws(n, 1000, 0) @ table)
        old += np.percentile(resamples, 2.5) <= value <= np.percentile(resamples, 97.5)
    # Two standard errors of a share of 400.
    assert covered / 400 > wanted - 2 * math.sqrt(wanted * (1 - wanted) / 400)
    assert old / 400 < wanted - 3 * math.sqrt(wanted * (1 - wanted) / 400), "too easy a world"


def test_a_normal_mean_of_many_images_has_the_interval_of_student() -> None:
    rng = np.random.default_rng(0)
    table = np.stack([rng.normal(3.0, 1.0, 200), np.ones(200)], -1)
    low, high = student_limits(table)
    found = interval(table, quotient)
    width = high - low
    assert found[0] == pytest.approx(low, abs=0.1 * width)
    assert found[1] == pytest.approx(high, abs=0.1 * width)


def test_the_longer_tail_gets_the_longer_side() -> None:
    table = np.stack([np.exp(ndtri((np.arange(20) + 0.5) / 20)), np.ones(20)], -1)
    value = float(table[:, 0].mean())
    low, high = interval(table, quotient)
    assert high - value > 1.3 * (value - low)
    below, above = interval(table, lambda sums: -quotient(sums))
    assert (below, above) == pytest.approx((-high, -low))


# -- Limits ----------------------------------------------------------------------------------

TABLES = st.integers(2, 12).flatmap(
    lambda n: st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(1e-3, 1e3)), min_size=n, max_size=n)
)


@given(TABLES)
@settings(max_examples=60, deadline=None)
def test_an_interval_is_finite_and_contains_its_value(rows: list[tuple[float, float]]) -> None:
    table = np.array(rows)
    value = float(quotient(table.sum(axis=0)))
    low, high = interval(table, quotient, bounds=NOT_NEGATIVE, n_resamples=200)
    assert 0.0 <= low <= value <= high < np.inf
    # Neither narrower than Student's t nor more than WIDEST times as wide.
    plain = interval(table, quotient, n_resamples=200)
    n = len(table)
    without = quotient(table.sum(axis=0) - table)
    reach = student(n) * math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    for side in (value - plain[0], plain[1] - value):
        assert (
            reach * (1 - 1e-6) - 1e-9 * value <= side <= WIDEST * reach * (1 + 1e-6) + 1e-9 * value
        )


@pytest.mark.parametrize("n", [5, 8, 30])
def test_bounds_are_respected_and_matter_only_near_them(n: int) -> None:
    far = means(0.1, 2, n, 1)[0] + [99.0, 0.0]
    assert interval(far, quotient, bounds=NOT_NEGATIVE) == interval(far, quotient)
    near = np.stack([np.r_[1.0, np.full(n - 1, 1e-3)], np.ones(n)], -1)
    assert interval(near, quotient)[0] < 0
    low, high = interval(near, quotient, bounds=NOT_NEGATIVE)
    assert 0 < low < near[:, 0].mean() < high
    # A measure that is 1 minus another has the mirrored interval.
    mirrored = interval(near, lambda sums: 1.0 - quotient(sums), bounds=(-np.inf, 1.0))
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low))


def test_at_a_bound_or_past_it() -> None:
    nothing = np.stack([np.zeros(6), np.ones(6)], -1)
    assert interval(nothing, quotient, bounds=NOT_NEGATIVE) == (0.0, 0.0)
    # Noise of an estimate can lead past a bound; the interval still contains the value.
    past = np.stack([np.array([-1.0, 0.5, -0.2, 0.1, -0.3]), np.ones(5)], -1)
    low, high = interval(past, quotient, bounds=NOT_NEGATIVE)
    assert low < -0.18 < high


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
@settings(max_examples=20, deadline=None)
def test_units_do_not_matter(factor: float, other: float) -> None:
    table = energies(0.5, 3, 9, 1)[0]
    plain = interval(table, invented, bounds=NOT_NEGATIVE)
    assert interval(table * factor, invented, bounds=NOT_NEGATIVE) == pytest.approx(plain, rel=1e-5)
    pair = table[:, :2] * [factor, other]
    assert interval(pair, quotient) == pytest.approx(
        tuple(v * factor / other for v in interval(table[:, :2], quotient)), rel=1e-5
    )


def test_clusters_without_anything_do_not_count() -> None:
    table = energies(0.5, 3, 9, 1)[0]
    padded = np.insert(table, [0, 4, 9], 0.0, axis=0)
    assert interval(padded, invented) == interval(table, invented)


def test_no_interval_where_there_is_none() -> None:
    table = energies(0.5, 3, 9, 1)[0]
    for rows in (table[:1], table[:0], table * np.nan, table * [1.0, 1.0, 0.0, 1.0]):
        assert all(math.isnan(end) for end in interval(rows, invented))
    # All that is in the denominator is of one image.
    lone = np.stack([np.ones(8), np.r_[1.0, np.zeros(7)]], -1)
    assert all(math.isnan(end) for end in interval(lone, quotient))


def test_very_many_clusters_need_no_resamples() -> None:
    table = means(0.5, 4, MANY + 1, 1)[0]
    assert interval(table, quotient) == pytest.approx(student_limits(table), rel=1e-6)


# -- Parts -----------------------------------------------------------------------------------


def test_gradient_against_calculus() -> None:
    sums = np.array([[3.0, 2.0, 4.0, 9.0], [300.0, 2e-3, 1e-3, 9e3]])
    output, product, known, truth = sums.T
    unknown = truth - known
    by_hand = np.stack(
        [
            1 / unknown,
            -2 * product / known / unknown,
            (product / known) ** 2 / unknown + (output - product**2 / known) / unknown**2,
            -(output - product**2 / known) / unknown**2,
        ],
        axis=-1,
    )
    np.testing.assert_allclose(gradient(invented, sums, np.abs(sums)), by_hand, rtol=1e-6)


def test_expanded_levels_are_those_of_hesterberg() -> None:
    """Where 0.025 is wanted, 0.0159 for n = 20, and 0.0010 for n = 5."""
    assert expanded_level(20) == pytest.approx(0.0159, abs=1e-4)
    assert expanded_level(10**6) == pytest.approx(0.025, abs=1e-5)
    assert expanded_level(5) == 0.005, "but not beyond what 1,000 resamples can tell"
    levels = [expanded_level(n, power=1.0) for n in range(2, 200)]
    assert levels == sorted(levels) and all(
        level <= expanded_level(n) for n, level in enumerate(levels, 2)
    )


def test_draws_are_those_of_the_bootstrap() -> None:
    found = draws(7, 4000, 1)
    assert (found.sum(axis=1) == 7).all()
    assert found.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)
    assert found.var(axis=0) == pytest.approx(np.full(7, 6 / 7), abs=0.08)
    assert draws(7, 4000, 1) is found and not np.array_equal(draws(7, 4000, 2), found)
