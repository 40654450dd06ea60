"""Sentences and tables of reports: the numbers in them are those of the record, unit included."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cooanalysis.analysis.summary_record import Interval
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.report import verdict
from cooanalysis.report.analysis import paired_gaps
from cooanalysis.report.comparison import asked, captions, render_report, statistics
from cooanalysis.report.numbers import Number
from cooanalysis.results import Comparison, Result
from tests.helpers.fake_comparison import KINDS, fake_comparison
from tests.helpers.fake_result import edited, fake_result


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result()


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return fake_comparison()


def written(estimate: Interval, digits: int, unit: str = "", factor: float = 1.0) -> str:
    """``0.91 (0.90–0.92)``, however the text around it is."""
    return Number.of(estimate).text(digits, unit, factor)


# -- one run -------------------------------------------------------------------------------------


def test_numbers_are_written_with_the_digits_that_they_deserve(result: Result) -> None:
    summary = result.summary
    assert Number(1.23456, 1.2, 1.3).text(3) == "1.235 (1.200–1.300)"
    rank = summary.spearman_entropy_center_distance
    assert re.search(r"rank correlation 0\.\d{3} \(0\.\d{3}–0\.\d{3}\)[.:]",
                     verdict.relationship(summary))  # fmt: skip
    assert written(rank, 3) in verdict.relationship(summary)


def test_a_claim_needs_an_interval_strictly_beyond_its_limit() -> None:
    number = Number(1.5, 1.0, 2.0)
    assert (number.above(0.999), number.above(1.0)) == (True, False)
    assert (number.below(2.001), number.below(2.0)) == (True, False)
    assert not Number(1.5).above(0.0) and not Number(1.5).below(9.0)


def test_a_gap_that_may_be_nothing_is_not_a_gap(result: Result) -> None:
    gaps = paired_gaps(result)
    assert set(gaps) == {"center", "bicubic"}
    groups = result.groups
    floor = groups["mmse_floor"].to_numpy()
    unit = groups["lr_std"].to_numpy() ** 2
    bootstrap = ImageBootstrap(
        np.unique(groups["image"].to_numpy(str), return_inverse=True)[1], seed=result.summary.seed
    )
    for name, error in (
        ("center", groups["center_error"].to_numpy() ** 2 * unit),
        ("bicubic", groups["truth_energy"].to_numpy() * unit),
    ):
        ratio = bootstrap.ratio(error, floor)
        assert gaps[name].value == pytest.approx(10 * np.log10(ratio.value))
        assert gaps[name].low == pytest.approx(10 * np.log10(ratio.ci_low))
        assert gaps[name].high == pytest.approx(10 * np.log10(ratio.ci_high))
    # Errors of 0 leave a ratio whose logarithm is not a number.
    assert paired_gaps(replace(result, groups=groups.assign(center_error=0.0))).keys() == {
        "bicubic"
    }
    assert paired_gaps(replace(result, groups=groups.drop(columns="lr_std"))) == {}
    one = groups["image"] == groups["image"].iloc[0]
    sometimes = groups.assign(center_error=groups["center_error"].where(one, 0.0))
    assert "center" not in paired_gaps(replace(result, groups=sometimes))


# -- a comparison --------------------------------------------------------------------------------


def test_what_was_compared(comparison: Comparison) -> None:
    text = asked(comparison.summary)
    assert text.startswith(f"5 models ({', '.join(KINDS)}) upscaled 12 images of Fake images. At ")
    assert "1,000 patches" in text.replace("\N{NARROW NO-BREAK SPACE}", ",").replace(
        "\N{NO-BREAK SPACE}", ","
    )
    assert "(found in Fake images)" in text


@pytest.mark.parametrize(("drawn", "said"), [("images", "images"), ("patches", "single patches")])
def test_what_was_resampled(comparison: Comparison, drawn: str, said: str) -> None:
    summary = edited(comparison.summary, lambda s: s.update(resampled=drawn))
    assert statistics(summary).startswith(f"95 % bootstrap intervals over {said}; differences:")


def test_captions_hold_the_numbers_of_the_run(comparison: Comparison) -> None:
    texts = captions(comparison)
    assert set(texts) == {"perception_distortion", "collapse_manifold", "against_entropy",
                          "power_spectra", "crops", "maps"}  # fmt: skip
    assert "the LR Nyquist frequency, 0.125 cycles per HR pixel" in texts["power_spectra"]
    assert "31.00 dB (30.00–32.00)" in texts["maps"] or "31.00 (30.00–32.00) dB" in texts["maps"]
    assert "unreliable" not in texts["maps"]
    assert (
        "manifold ratio (sparsity); within 0.1 of 1 counts as clean" in texts["collapse_manifold"]
        or "manifold ratio (sparsity); within" in texts["collapse_manifold"]
    )
    # The baseline is bicubic, so its over-smoothing decides.
    assert "patches at which bicubic loses most of" in texts["crops"]
    for name in ("perception_distortion", "collapse_manifold"):
        assert "An arrow leads from a model to the same model trained with DECLoss." in texts[name]


def test_an_unreliable_ceiling_is_called_so(comparison: Comparison) -> None:
    summary = edited(comparison.summary, lambda s: s["psnr_ceiling_db"].update(reliable=False))
    assert "which is unreliable" in captions(replace(comparison, summary=summary))["maps"]


def test_with_the_ground_truth_as_baseline_the_others_decide(comparison: Comparison) -> None:
    summary = edited(comparison.summary, lambda s: s.update(baseline="hr"))
    text = captions(replace(comparison, summary=summary))["crops"]
    assert "net, net-decloss and gan together lose most of" in text


def test_the_page_starts_with_a_model_and_the_same_with_decloss(comparison: Comparison) -> None:
    page = render_report(comparison, {})
    assert 'data-left="net" data-right="net-decloss"' in page
    alone = fake_comparison(kinds={"bicubic": "bicubic", "gan": "checkpoint", "hr": "hr"})
    assert 'data-left="gan" data-right="hr"' in render_report(alone, {})
    assert 'data-left="bicubic" data-right="hr"' in render_report(
        fake_comparison(kinds={"bicubic": "bicubic", "hr": "hr"}), {}
    )


def test_the_page_lists_what_was_computed(comparison: Comparison) -> None:
    page = render_report(comparison, {})
    for part in ("31.00", "30.00", "32.00", "Fake images ×4: which model over-smooths"):
        assert part in page
    assert page.count("made up made up") + page.count("made up") >= len(KINDS)
