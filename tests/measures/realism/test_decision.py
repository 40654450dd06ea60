"""Votes of referees, and the decision that they lead to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cooanalysis.measures.bootstrap import Estimate
from cooanalysis.measures.realism import auc_vote, judge_realism, ratio_vote


def interval(low, high):
    return Estimate((low + high) / 2, low, high)


CLEAN, NULL = interval(0.98, 1.03), interval(0.48, 0.53)
NAN = Estimate(1.0, math.nan, math.nan)


@pytest.mark.parametrize(
    ("low", "high", "vote"),
    [
        (0.98, 1.03, "like"),
        (0.95, 1.05, "like"),
        (0.94, 1.03, "undecided"),
        (0.98, 1.06, "undecided"),
        (0.5, 2.0, "undecided"),
        (1.06, 1.20, "unlike"),
        (0.70, 0.94, "unlike"),
    ],
)
def test_a_ratio_is_like_clean_images_only_with_its_whole_interval(low, high, vote):
    assert ratio_vote(interval(low, high)) == vote


@pytest.mark.parametrize(
    ("low", "high", "vote"),
    [(0.48, 0.53, "like"), (0.58, 0.63, "undecided"), (0.61, 0.7, "unlike"), (0.4, 0.6, "like")],
)
def test_a_two_sample_test_votes_by_its_interval(low, high, vote):
    assert auc_vote(interval(low, high)) == vote


def test_a_test_that_misses_a_known_flaw_says_nothing():
    assert auc_vote(NULL, control=interval(0.52, 0.66)) == "undecided"
    assert auc_vote(NULL, control=interval(0.72, 0.78)) == "like"
    assert auc_vote(interval(0.7, 0.8), control=interval(0.52, 0.66)) == "unlike"


def test_no_interval_no_vote():
    assert ratio_vote(NAN) == "undecided"
    assert auc_vote(NAN) == "undecided"
    assert judge_realism({"a": NAN}, {"b": NULL}).decision == "undecided"
    assert auc_vote(NULL, control=NAN) == "undecided"


def test_all_referees_must_agree():
    found = judge_realism({"a": CLEAN, "b": CLEAN}, {"c": NULL, "d": NULL})
    assert found.decision == "like"
    assert found.contradicted_by == ()


def test_nearest_neighbor_passes_in_one_space_and_is_rejected_all_the_same():
    found = judge_realism({"a": CLEAN, "b": interval(2.0, 2.2)}, {"c": interval(0.99, 1.0)})
    assert found.decision == "unlike"
    assert found.contradicted_by == ("a",)
    assert found.saying("unlike") == ("b", "c")


def test_smoother_than_clean_is_unlike():
    assert judge_realism({"a": interval(0.7, 0.8)}, {"c": NULL}).decision == "unlike"


@pytest.mark.parametrize(("ratios", "areas"), [({}, {"c": NULL}), ({"a": CLEAN}, {}), ({}, {})])
def test_one_kind_of_referee_is_not_enough(ratios, areas):
    assert judge_realism(ratios, areas).decision == "undecided"


@given(st.floats(0, 3), st.floats(0, 2), st.floats(0, 1), st.floats(0, 0.5))
def test_one_more_referee_never_makes_outputs_like_clean_images(low, width, area, spread):
    ratio, auc = interval(low, low + width), interval(area, area + spread)
    fewer = judge_realism({"a": CLEAN}, {"c": auc})
    more = judge_realism({"a": CLEAN, "b": ratio}, {"c": auc})
    order = ["unlike", "undecided", "like"]
    assert order.index(more.decision) <= order.index(fewer.decision)
    assert (more.decision == "like") == (set(more.votes.values()) == {"like"})
