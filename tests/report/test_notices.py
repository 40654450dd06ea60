"""Warnings: every code is declared, documented, and becomes a sentence where it is shown."""

from __future__ import annotations

import ast
import re
import warnings as python_warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import cooanalysis
from cooanalysis.analysis.checks import failed_checks
from cooanalysis.analysis.summary_record import AnalysisSummary, Interval
from cooanalysis.cli.common import notices_as_lines
from cooanalysis.report.notices import (
    KINDS,
    QUOTED,
    details,
    notices,
    reference_table,
    sentence,
    warnings,
)
from cooanalysis.runtime.notices import Notice, NoticeWarning
from tests.helpers import ROOT
from tests.helpers.fake_result import fake_result

PACKAGE = Path(cooanalysis.__file__).parent
PAGE = ROOT / "docs" / "warnings.md"

FACTS: dict[str, dict[str, Any]] = {
    "few_images": {"n_images": 3, "needed": 5, "compared": False},
    "leaks_included": {"n_pairs": 7},
    "entropy_unreliable": {
        "estimator": "copula", "bias": -0.125, "tolerance": 0.02, "n": 64, "d": 24,
    },
    "ceiling_unreliable": {"ceiling_db": 27.25},
    "clean_check_off": {"space": "subbands", "value": 1.3, "ci_low": 1.2, "ci_high": 1.4},
    "classifier_check_off": {"value": 0.6, "ci_low": 0.55, "ci_high": 0.65},
    "dataset_incomplete": {"dataset": "Set5", "folder": "/a/b", "n_images": 3, "expected": 5},
    "images_skipped": {"n_files": 2},
    "leaks_excluded": {"n_pairs": 7},
    "recall_below_target": {"index": "hnsw", "recall": 0.8125, "target": 0.98},
    "queries_left_out": {"n_left_out": 12, "n_queries": 400, "k": 64},
    "fewer_queries": {"n_queries": 400, "wanted": 2500},
    "feature_space_missing": {"space": "deep", "reason": "download weights"},
    "anchor_missing": {},
    "anchor_not_a_mean": {"anchor": "gan", "closed_form": 0.625},
    "anchor_explains_more": {"anchor": "net", "models": ["a", "b"], "explained": 0.3125},
    "critic_missing": {"reason": "install torch"},
    "two_sample_test_left_out": {"n_images": 1},
    "tiles_blended": {"model": "gan", "image": "baby", "tile": 40, "blended_over": 20},
    "half_precision_failed": {"model": "gan", "image": "baby"},
    "smaller_tiles": {"model": "gan", "image": "baby", "tile": 130, "smaller_tile": 65},
    "out_of_memory_smaller_batches": {"step": "measuring_groups", "batch_size": 75},
    "gpu_out_of_memory": {"step": "searching_neighbors", "engine": "faiss-cpu"},
    "groups_on_cpu": {"needed_bytes": 3 * 2**30, "free_bytes": 2**30},
}  # fmt: skip
"""Facts of every code, as the program reports them."""

SHOWN = {
    "few_images": ("3 images", "at least 5", "single patches", "too narrow"),
    "leaks_included": ("7 pairs", "same content", "not excluded", "too optimistic"),
    "entropy_unreliable": ("copula", "unreliable", "-0.1250", "0.02", "n = 64", "d = 24",
                           "Rankings"),
    "ceiling_unreliable": ("27.25 dB", "unreliable", "mix LR patches", "larger reference set"),
    "clean_check_off": ("subbands", "1.30 (1.20 to 1.40)", "instead of 1", "halves"),
    "classifier_check_off": ("clean against clean", "0.600 (0.550 to 0.650)", "0.5"),
    "dataset_incomplete": ("/a/b", "3 of the 5 images of Set5", "not comparable"),
    "images_skipped": ("2 image files", "summary", "reason"),
    "leaks_excluded": ("7 pairs", "same content", "not used as neighbors"),
    "recall_below_target": ("hnsw", "0.812", "0.98", "--index exact"),
    "queries_left_out": ("12 of 400", "k-means", "k = 64", "left out"),
    "fewer_queries": ("400", "2,500", "all of them are used"),
    "feature_space_missing": ("deep", "left out", "download weights"),
    "anchor_missing": ("no anchor", "conditional mean", "lower bound"),
    "anchor_not_a_mean": ("gan", "conditional mean", "0.62 instead of 1"),
    "anchor_explains_more": ("net", "31.2 %", "a and b", "wrong guess", "lower bound"),
    "critic_missing": ("critic", "left out", "install torch"),
    "two_sample_test_left_out": ("1 image.", "at least two", "left out"),
    "tiles_blended": ("gan", "baby", "40 pixels", "20 pixels", "differs"),
    "half_precision_failed": ("gan", "baby", "NaN", "single precision"),
    "smaller_tiles": ("gan", "baby", "130 pixels", "65 pixels"),
    "out_of_memory_smaller_batches": ("measuring groups", "batches of 75"),
    "gpu_out_of_memory": ("GPU", "neighbors", "faiss-cpu", "more slowly"),
    "groups_on_cpu": ("3.0 GiB", "1.0 GiB", "CPU"),
}  # fmt: skip
"""What the sentence of each code must say."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of ``Notice`` in the package, with its place."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notice":
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def reported() -> Iterator[tuple[str, str, ast.expr | None]]:
    """Place, code and facts of every notice that the package makes with a literal code."""
    for place, call in calls():
        first = call.args[0]
        if isinstance(first, ast.Constant):
            yield place, str(first.value), call.args[1] if len(call.args) > 1 else None


def test_every_code_is_a_literal_that_this_test_can_see() -> None:
    others = [place for place, call in calls() if not isinstance(call.args[0], ast.Constant)]
    # It adds the name of the model to a notice.
    assert {place.partition(":")[0] for place in others} == {"models/sources.py"}


def test_every_code_has_a_kind_and_every_kind_is_used() -> None:
    used = {code for _, code, _ in reported()}
    assert used - set(QUOTED) == set(KINDS)
    assert set(FACTS) == set(SHOWN) == set(KINDS)


def test_codes_are_reported_with_the_facts_that_are_declared() -> None:
    checked = 0
    for place, code, facts in reported():
        if code in QUOTED or not isinstance(facts, ast.Dict):
            continue
        named = {key.value for key in facts.keys if isinstance(key, ast.Constant)}
        whole = None not in facts.keys  # no **more
        assert named == set(KINDS[code].facts) if whole else named < set(KINDS[code].facts), place
        checked += 1
    assert checked >= len(KINDS) - 1


@pytest.mark.parametrize("code", KINDS)
def test_the_sentence_of_a_code_states_its_facts(code: str) -> None:
    kind = KINDS[code]
    assert set(FACTS[code]) == set(kind.facts)
    text = sentence(Notice(code, FACTS[code]))
    for part in SHOWN[code]:
        assert part in text
    assert not text[0].islower() and code not in text
    assert all((kind.meaning, kind.affects, kind.advice))


def test_sentences_that_depend_on_their_facts() -> None:
    def text(code: str, **other: Any) -> str:
        return sentence(Notice(code, FACTS[code] | other))

    assert "Tests" in text("few_images", compared=True)
    assert "Tests" not in text("few_images")
    assert "1 image," in text("few_images", n_images=1)
    assert "no estimate" in text("entropy_unreliable", bias=None)
    assert "groups were measured on the CPU" in text("gpu_out_of_memory", step="measuring_groups")
    assert "counting stars" in text("out_of_memory_smaller_batches", step="counting stars")


def warned(*found: Notice) -> AnalysisSummary:
    """A summary with these notices."""
    return replace(fake_result().summary, warnings=found)


def test_what_another_version_wrote_is_shown_and_never_an_error() -> None:
    older = Notice("legacy", {"text": "only 3 images: intervals are too narrow"})
    newer = Notice("sun_spots", {"n": 3, "where": "north"})
    other_facts = Notice("images_skipped", {"count": "many"})
    none = Notice("images_skipped")
    assert warnings(warned(older, newer, other_facts, none)) == [
        "images_skipped (count: many)",
        "images_skipped",
        "Only 3 images: intervals are too narrow",
        "sun_spots (n: 3, where: north)",
    ]
    assert sentence(Notice("text", {"text": "as it is"})) == "As it is"
    assert warnings(warned()) == []


def test_the_most_important_come_first() -> None:
    codes = ["sun_spots", "images_skipped", "legacy", "few_images"]
    found = notices(warned(*map(Notice, codes)))
    assert [notice.code for notice in found] == [
        "few_images", "images_skipped", "sun_spots", "legacy",
    ]  # fmt: skip


def test_details_are_escaped_and_counted() -> None:
    assert details([]) == ""
    one, two = details(["<b>"]), details(["a", "b"])
    assert "1 warning<" in one and "&lt;b&gt;" in one and "<b>" not in one
    assert "2 warnings<" in two and two.count("<li>") == 2


def test_the_page_holds_the_table_of_codes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(r"<!-- codes: from here -->\n(.*)\n<!-- codes: to here -->", text, re.S)
    assert found is not None
    assert found[1] == reference_table(), "put the output of reference_table() there"
    assert all(f"`{code}`" in text for code in (*KINDS, *QUOTED))


# -- checks of the measures -----------------------------------------------------------------------


def estimate(value: float, low: float | None, high: float | None) -> Interval:
    return Interval(value=value, ci_low=low, ci_high=high)


def checked(**changes: Any) -> list[str]:
    """Codes of the checks where one feature space is as given, and another is missing."""
    summary = fake_result(spaces=("subbands",), missing_spaces=("deep",)).summary
    spaces = dict(summary.manifold)
    spaces["subbands"] = replace(spaces["subbands"], **{"warning": None} | changes)
    fine = replace(summary.two_sample_auc, clean_null=estimate(0.5, 0.45, 0.55))
    found = failed_checks(replace(summary, manifold=spaces, two_sample_auc=fine))
    return [notice.code for notice in found]


@pytest.mark.parametrize(
    ("interval", "off"),
    [
        ((0.95, 1.15), False), ((1.0, 1.1), False), ((1.11, 1.2), True), ((0.8, 0.89), True),
        ((0.5, 0.95), False), ((None, None), False),
    ],
)  # fmt: skip
def test_the_clean_check(interval: tuple[float | None, float | None], off: bool) -> None:
    found = checked(clean_ratio=estimate(1.0, *interval))
    assert found == (["clean_check_off"] if off else [])
    # A space with a warning of its own is known to be misleading.
    assert checked(clean_ratio=estimate(1.0, *interval), warning="misleading") == []


@pytest.mark.parametrize(
    ("interval", "off"),
    [((0.45, 0.55), False), ((0.51, 0.6), True), ((0.4, 0.49), True), ((None, None), False)],
)
def test_the_check_of_the_classifier(
    interval: tuple[float | None, float | None], off: bool
) -> None:
    summary = fake_result().summary
    auc = replace(summary.two_sample_auc, clean_null=estimate(0.5, *interval))
    found = failed_checks(replace(summary, manifold={}, two_sample_auc=auc))
    facts = {"value": 0.5, "ci_low": interval[0], "ci_high": interval[1]}
    assert found == ([Notice("classifier_check_off", facts)] if off else [])
    assert all(set(notice.facts) == set(KINDS[notice.code].facts) for notice in found)


# -- Python warnings ------------------------------------------------------------------------------


def test_a_command_shows_python_warnings_as_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    notice = Notice("dataset_incomplete", FACTS["dataset_incomplete"])
    with notices_as_lines("coo-train"):
        python_warnings.simplefilter("always")
        python_warnings.warn(NoticeWarning(notice), stacklevel=1)
    assert capsys.readouterr().err == f"coo-train: warning: {sentence(notice)}\n"
    with notices_as_lines("coo-train", quiet=True):
        python_warnings.simplefilter("always")
        python_warnings.warn(NoticeWarning(notice), stacklevel=1)
    assert capsys.readouterr().err == ""


def test_other_python_warnings_stay_as_they_are() -> None:
    with pytest.warns(UserWarning, match="something else"), notices_as_lines("coo-train"):
        python_warnings.warn("something else", stacklevel=1)


def test_a_python_warning_reads_as_code_and_facts() -> None:
    found = NoticeWarning(Notice("images_skipped", {"n_files": 2}))
    assert str(found) == "images_skipped (n_files: 2)"
