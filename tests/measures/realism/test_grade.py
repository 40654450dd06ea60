"""The separation of two samples, in worlds where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.measures.realism import separation

IMAGE = np.tile(np.arange(40), 100)
BOOTSTRAP = ImageBootstrap(IMAGE, n_resamples=200)
LABELS = np.repeat([0, 1], 2000)


def probabilities(distance, spread=1.0):
    odds = spread * np.random.default_rng(0).standard_normal(4000) + distance * LABELS
    return 1.0 / (1.0 + np.exp(-odds))


@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0, 6.0])
def test_it_is_the_distance_of_normal_log_odds(distance):
    found = separation(probabilities(distance), LABELS, BOOTSTRAP)
    assert found.value == pytest.approx(distance, abs=0.12)
    assert found.ci_low < found.value < found.ci_high
    assert found.ci_high - found.ci_low < 0.5


def test_it_grades_where_the_area_under_the_curve_saturates():
    far, farther = (separation(probabilities(d), LABELS, BOOTSTRAP) for d in (7.0, 9.0))
    assert far.ci_high < farther.ci_low


def test_scale_of_log_odds_does_not_count():
    small, large = (
        separation(probabilities(s, spread=s), LABELS, BOOTSTRAP).value for s in (0.5, 2.0)
    )
    assert small == pytest.approx(large, rel=1e-6)


def test_certain_scores_are_finite_and_missing_ones_left_out():
    scores = np.where(LABELS == 1, 1.0, 0.0) * 0.98 + 0.01 * np.random.default_rng(0).random(4000)
    scores[:10], scores[-10:] = 0.0, 1.0
    scores[50:60] = np.nan
    assert np.isfinite(separation(scores, LABELS, BOOTSTRAP).value)


def test_nothing_to_estimate_from():
    assert np.isnan(separation(np.full(4000, np.nan), LABELS, BOOTSTRAP).value)


def test_a_classifier_that_scores_all_alike_distinguishes_nothing():
    found = separation(np.full(4000, 0.5), LABELS, BOOTSTRAP)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, 0.0, 0.0)
