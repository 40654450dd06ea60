"""The paired test against brute force and SciPy; what few images can show."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, permutation_test

from cooanalysis.measures.bootstrap import quotient
from cooanalysis.measures.paired import (
    FLIPS,
    images_needed,
    smallest_adjusted_p,
    smallest_p,
    swap_p,
)

Floats = NDArray[np.float64]


def invented(sums: Floats) -> Floats:
    output, product_, known, truth = np.moveaxis(sums, -1, 0)
    return np.asarray((output - product_**2 / known) / (truth - known))


def alike(seed: int, n: int, sigma: float = 1.0) -> tuple[Floats, Floats]:
    """Sums of two models that differ by chance: the same ground truth, exchangeable outputs."""
    rng = np.random.default_rng(seed)
    known, unknown = rng.lognormal(0.0, sigma, (2, n))
    found = []
    for _ in range(2):
        gain, share = rng.normal(1.0, 0.3, n), rng.lognormal(-2.0, sigma, n)
        found.append(
            np.stack([gain**2 * known + share * unknown, gain * known, known, known + unknown], -1)
        )
    return found[0], found[1]


def test_every_swap_is_made_when_there_are_few() -> None:
    first, second = alike(0, 7)
    observed = abs(invented(first.sum(axis=0)) - invented(second.sum(axis=0)))
    extreme = 0
    for swapped in product([False, True], repeat=7):
        chosen = np.array(swapped)[:, None]
        one, other = np.where(chosen, second, first), np.where(chosen, first, second)
        difference = abs(invented(one.sum(axis=0)) - invented(other.sum(axis=0)))
        extreme += difference >= observed * (1 - 1e-9)
    assert swap_p(first, second, invented) == extreme / 2**7
    assert swap_p(second, first, invented) == extreme / 2**7


@pytest.mark.parametrize("n", [6, 13, 25])
def test_means_against_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.4, 1.0, n), rng.normal(size=n)
    tables = [np.stack([values, np.ones(n)], -1) for values in (first, second)]
    expected = permutation_test(
        (first, second), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=FLIPS, random_state=0,
    ).pvalue  # fmt: skip
    found = swap_p(tables[0], tables[1], quotient)
    # Beyond 2^13 swaps both draw 9,999 of them: four standard errors of each.
    assert found == pytest.approx(expected, abs=1e-12 if n <= 13 else 0.025)


def test_a_difference_in_every_image_has_the_smallest_p() -> None:
    first, _ = alike(0, 9)
    second = first + [1.0, 0.0, 0.0, 0.0]
    assert swap_p(first, second, invented) == smallest_p(9) == 2 / 2**9
    many = np.vstack([first] * 4)
    assert swap_p(many, many + [1.0, 0, 0, 0], invented) == smallest_p(36) == 1 / (FLIPS + 1)


def test_where_there_is_no_difference_or_no_test() -> None:
    first, second = alike(0, 9)
    assert swap_p(first, first, invented) == 1.0
    # Images in which both are equal are of no use: two of nine are left.
    assert swap_p(first, np.vstack([second[:2], first[2:]]), invented) in (0.5, 1.0)
    assert math.isnan(swap_p(first[:1], second[:1], invented))
    assert math.isnan(swap_p(first * np.nan, second, invented))
    # + 1 + 2 - 3 is nothing at all, up to rounding.
    values = np.array([0.1, 0.2, -0.3])
    one, other = (np.stack([v, np.ones(3)], -1) for v in (values, np.zeros(3)))
    assert swap_p(one, other, quotient) == 1.0


@pytest.mark.parametrize("n", [6, 20])
def test_false_alarms_of_a_measure_that_is_not_linear(n: int) -> None:
    """Exchangeable models, 400 comparisons: at most 5 %, and 99.9 % of binomial draws below 34."""
    alarms = sum(
        swap_p(*alike(seed, n), invented, flips=499, seed=seed) <= 0.05 for seed in range(400)
    )
    assert alarms <= 34
    assert alarms >= 4, "a test that never rejects shows nothing"


@given(st.integers(2, 40), st.integers(1, 200))
def test_the_best_case_is_that_of_the_adjustment(n: int, n_tests: int) -> None:
    p = np.full(n_tests, smallest_p(n))
    assert smallest_adjusted_p(n, n_tests) == pytest.approx(
        false_discovery_control(p, method="by").min()
    )


@pytest.mark.parametrize("n_tests", [1, 2, 11, 120, 1000])
def test_images_needed_are_just_enough(n_tests: int) -> None:
    needed = images_needed(n_tests)
    assert needed is not None
    assert smallest_adjusted_p(needed, n_tests) < 0.05 <= smallest_adjusted_p(needed - 1, n_tests)


def test_known_numbers_of_images() -> None:
    assert [images_needed(m) for m in (1, 2, 60)] == [6, 6, 8]
    assert smallest_p(1) == smallest_adjusted_p(1, 3) == 1.0
    assert images_needed(1000, flips=99) is None, "p cannot fall below 1 / 100"
    assert smallest_p(5000) == 1e-4
