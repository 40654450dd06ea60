"""The parts as functions of sums: exact small cases, where nothing can be said, the budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cooanalysis.measures.detail import (
    SUMS,
    closed_form,
    collapse_index,
    detail_energy,
    error_budget,
    explained,
    gain,
    invented,
    unknown_energy,
)
from cooanalysis.measures.detail.parts import INVENTED, products, sums_of

VECTORS = arrays(np.float64, 12, elements=st.floats(-10, 10, width=32))


def sums(y: object, s: object, c: object, c0: object | None = None) -> dict[str, float]:
    """The sums of vectors: ground truth, output, known, alone."""
    vectors = [np.asarray(v, np.float32) for v in (y, s, c, c if c0 is None else c0)]
    return dict(zip(SUMS, sums_of(products(*vectors)).tolist(), strict=True))


def of(found: dict[str, float], *names: str) -> list[float]:
    return [found[name] for name in names]


def test_by_hand() -> None:
    """y = (3, 4), c = (3, 0), s = (4.5, 2): half as much again is shown, and (0, 2) made up."""
    found = sums([3, 4], [4.5, 2], [3, 0], [1, 0])
    assert found == {
        "truth_energy": 25, "output_energy": 24.25, "output_truth": 21.5,
        "known_energy": 9, "known_truth": 9, "known_output": 13.5,
        "alone_energy": 1, "alone_truth": 3, "alone_output": 4.5,
    }  # fmt: skip
    assert gain(9, 13.5) == 1.5
    assert invented(*of(found, *INVENTED)) == 4 / 16
    assert collapse_index(*of(found, *INVENTED)) == 12 / 16
    assert explained(25, 9, 9) == 9 / 25
    assert explained(25, 1, 3) == 5 / 25
    assert unknown_energy(25, 1, 3) == 20
    assert detail_energy(25, 24.25) == 0.97
    assert closed_form(25, 24.25, 21.5) == 0.75 / 3.5
    budget = error_budget(*of(found, *SUMS[:6]), best_unknown=10.0)
    assert (budget.unknown, budget.known_to_others) == (10.0, 6.0)
    assert (budget.wrong_gain, budget.made_up) == (0.25 * 9, 4.0)
    assert budget.total == pytest.approx(1.5**2 + 2**2)
    # What is made up, (0, 2), is half of what is unknown, (0, 4): guessed, which lowers the error.
    assert budget.remainder == -2 * 2 * 4


def test_a_better_one_elsewhere_cannot_be_worse() -> None:
    """The smallest unknown of all models includes the model's own."""
    budget = error_budget(25, 24.25, 21.5, 9, 9, 13.5, best_unknown=100.0)
    assert (budget.unknown, budget.known_to_others) == (16.0, 0.0)


def test_of_the_ground_truth_nothing_is_left_to_make_up() -> None:
    found = sums([3, 4], [3, 4], [3, 4])
    assert gain(*of(found, "known_energy", "known_output")) == 1.0
    assert np.isnan(invented(*of(found, *INVENTED)))
    assert np.isnan(closed_form(*of(found, *SUMS[:3])))
    assert error_budget(*of(found, *SUMS[:6])).total == 0.0


def test_next_to_nothing_unknown_says_nothing_either() -> None:
    """A ratio to what is below the rounding of images would be anything."""
    assert np.isnan(invented(1.0, 1.0, 0.9995, 0.9995, 0.9))
    assert np.isfinite(invented(1.0, 1.0, 0.99, 0.99, 0.9))


def test_of_no_output_everything_is_damped() -> None:
    found = sums([3, 4], [0, 0], [3, 0])
    assert gain(*of(found, "known_energy", "known_output")) == 0.0
    assert invented(*of(found, *INVENTED)) == 0.0
    assert closed_form(*of(found, *SUMS[:3])) == 1.0
    assert error_budget(*of(found, *SUMS[:6])).wrong_gain == 9.0


def test_where_nothing_is_known_there_is_no_gain() -> None:
    found = sums([3, 4], [1, 0], [0, 0])
    assert np.isnan(gain(*of(found, "known_energy", "known_output")))
    assert explained(25, 0, 0) == 0.0
    assert invented(*of(found, *INVENTED)) == 1 / 25
    budget = error_budget(*of(found, *SUMS[:6]))
    assert (budget.wrong_gain, budget.made_up) == (0.0, 1.0)
    assert budget.total == pytest.approx(20.0)


def test_without_detail_there_are_no_shares() -> None:
    for value in (detail_energy(0, 1), explained(0, 1, 1), invented(0, 1, 1, 1, 1)):
        assert np.isnan(value)


def test_arrays_are_taken_one_by_one() -> None:
    rng = np.random.default_rng(0)
    tables = [sums(*rng.normal(size=(4, 9))) for _ in range(3)]
    joint = [np.array([table[name] for table in tables]) for name in INVENTED]
    each = [float(invented(*of(table, *INVENTED))) for table in tables]
    assert invented(*joint).tolist() == each
    with_nan = invented(*(np.append(values, np.nan) for values in joint))
    assert with_nan[:3].tolist() == each and np.isnan(with_nan[3])


@settings(max_examples=50, deadline=None)
@given(VECTORS, VECTORS, VECTORS)
def test_the_budget_closes_and_its_parts_are_not_negative(
    y: np.ndarray, s: np.ndarray, c: np.ndarray
) -> None:
    found = sums(y, s, c)
    budget = error_budget(*of(found, *SUMS[:6]))
    assert budget.total == pytest.approx(float(np.sum((y - s) ** 2)), rel=1e-3, abs=1e-2)
    assert min(budget.unknown, budget.wrong_gain, budget.made_up) >= 0.0


@settings(max_examples=50, deadline=None)
@given(VECTORS, VECTORS, VECTORS, st.floats(0.25, 4.0))
def test_what_scaling_the_output_does(
    y: np.ndarray, s: np.ndarray, c: np.ndarray, factor: float
) -> None:
    """The gain follows it, what is made up its square; what is explained stays."""
    plain, scaled = sums(y, s, c), sums(y, factor * s, c)
    one, other = (gain(*of(f, "known_energy", "known_output")) for f in (plain, scaled))
    assert other == pytest.approx(factor * one, rel=1e-3, abs=1e-3, nan_ok=True)
    one, other = (invented(*of(f, *INVENTED)) for f in (plain, scaled))
    assert other == pytest.approx(factor**2 * one, rel=1e-2, abs=1e-2, nan_ok=True)
    names = ("truth_energy", "known_energy", "known_truth")
    assert explained(*of(plain, *names)) == pytest.approx(
        explained(*of(scaled, *names)), nan_ok=True
    )
