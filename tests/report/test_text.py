"""Sentences and tables of reports: the numbers in them are those of the record, unit included."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cooanalysis.analysis.summary_record import Interval
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.measures.realism import HIGHEST_AUC, RATIO_TOLERANCE
from cooanalysis.plots import COMPARISON_FIGURES
from cooanalysis.report import verdict
from cooanalysis.report.analysis import paired_gaps
from cooanalysis.report.captions import alt_text, ceiling_caption
from cooanalysis.report.card import tiles
from cooanalysis.report.comparison import render_report
from cooanalysis.report.comparison_text import (
    LONGEST_CAPTION,
    asked,
    captions,
    folded,
    grounds,
    statistics,
    title,
)
from cooanalysis.report.numbers import Number, size
from cooanalysis.report.pages import data_url
from cooanalysis.report.reasons import reliability_reason
from cooanalysis.report.tables import latex
from cooanalysis.results import Comparison, Result
from tests.helpers.fake_comparison import KINDS, fake_comparison, older
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
    center = paired_gaps(replace(result, groups=sometimes))["center"]
    assert np.isfinite([center.low, center.high]).all()
    assert center.high - center.low > 10, "errors in one image say little about others"


# -- a comparison --------------------------------------------------------------------------------


def test_what_was_compared(comparison: Comparison) -> None:
    text = asked(comparison.summary)
    assert text.startswith(f"5 models ({', '.join(KINDS)}) upscaled 12 images of Fake images. The ")
    assert "1,000 patches" in text and "what it makes up" in text
    assert text.endswith("was judged by patches of Fake images.")
    assert "know" not in title(older(comparison).summary)
    assert asked(older(comparison).summary).endswith("what models know, show and make up.")


@pytest.mark.parametrize(("drawn", "said"), [("images", "images"), ("patches", "single patches")])
def test_what_was_resampled(comparison: Comparison, drawn: str, said: str) -> None:
    summary = edited(comparison.summary, lambda s: s.update(resampled=drawn))
    assert statistics(summary).startswith(f"95 % bootstrap intervals over {said}; differences:")


def test_captions_hold_the_numbers_of_the_run(comparison: Comparison) -> None:
    texts = captions(comparison)
    assert set(texts) == set(COMPARISON_FIGURES.builtin)
    assert "the LR Nyquist frequency, 0.125 cycles per HR pixel" in texts["power_spectra"]
    assert "An arrow leads from a model to the same" in texts["perception_distortion"]
    # The baseline is bicubic, so its over-smoothing decides.
    assert "patches at which bicubic lacks most detail" in texts["crops"]
    assert "best predictor known here, bicubic." in texts["bound"]
    more = folded(comparison)
    assert set(more) < set(texts)
    assert f"within {RATIO_TOLERANCE:g} of 1" in more["knows_shows_makes_up"]
    assert f"at most {HIGHEST_AUC:g}" in more["knows_shows_makes_up"]


def test_captions_are_short(comparison: Comparison) -> None:
    bound = comparison.bound
    assert bound is not None
    passed = replace(comparison, bound=bound.assign(excess_db=-0.1))
    assert "A negative excess" in captions(passed)["bound"]
    for text in captions(passed).values():
        assert len(text.split()) <= LONGEST_CAPTION, text


def test_no_caption_credits_sharpness_or_noise(comparison: Comparison) -> None:
    """Where one of them is named, it is to say that it proves nothing."""
    texts = [*captions(comparison).values(), *folded(comparison).values(),
             asked(comparison.summary)]  # fmt: skip
    sentences = [s for text in texts for s in re.split(r"(?<=[.;]) ", text)]
    named = [s for s in sentences if re.search("sharpen|noise|block|compression", s, re.I)]
    assert len(named) >= 4
    for sentence in named:
        assert not re.search(r"\b(better|good|best|improve|succeed)", sentence), sentence
    assert not re.search("over-smooth|the center", " ".join(texts))


def test_with_the_ground_truth_as_baseline_the_others_decide(comparison: Comparison) -> None:
    summary = edited(comparison.summary, lambda s: s.update(baseline="hr"))
    text = captions(replace(comparison, summary=summary))["crops"]
    assert "net, net-decloss and gan together lack most" in text


# -- what the numbers rest on ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "said"),
    [("given", "as asked for"), ("baseline", "the baseline, which behaves like"),
     ("model", "the one that explains least"), ("shipped", "which comes with the package")],
)  # fmt: skip
def test_the_anchor_and_why_it_is(comparison: Comparison, chosen: str, said: str) -> None:
    summary = edited(comparison.summary, lambda s: s["anchor"].update(chosen=chosen))
    text = grounds(summary)[0][1]
    assert text.startswith("net, ") and said in text
    assert "explain 20.0 % of the detail" in text and "closed form 0.98" in text


def test_an_anchor_that_explains_more_is_said_to(comparison: Comparison) -> None:
    facts = {"anchor": "net", "models": ["gan", "net-decloss"], "explained": 0.2}
    notice = {"code": "anchor_explains_more", "facts": facts}
    summary = edited(comparison.summary, lambda s: s.update(warnings=[notice]))
    assert grounds(summary)[0][1].endswith("more than the outputs of gan and net-decloss.")
    assert "explains more" not in grounds(comparison.summary)[0][1]


def test_without_an_anchor_it_is_said_what_is_left_out(comparison: Comparison) -> None:
    summary = edited(comparison.summary, lambda s: s.update(anchor=None))
    assert grounds(summary)[0][1].startswith("None, so what a model makes up may be taken for")


def test_domain_shift_and_weight_of_few_patches(comparison: Comparison) -> None:
    rows = dict(grounds(comparison.summary))
    assert rows["Domain shift"].startswith("sparsity 1.36 (1.20–1.50). ")
    assert rows["Weight of few patches"].startswith("30 % of the ground truth's")
    assert grounds(older(comparison).summary) == []


def test_how_far_tests_reach(comparison: Comparison) -> None:
    def few(summary: dict[str, Any]) -> None:
        summary["dataset"]["n_images"] = 5
        summary.update(smallest_adjusted_p=0.42, images_needed=11)

    assert dict(grounds(comparison.summary))["Reach of the tests"] == (
        "With 12 images an adjusted p can be as small as 0.011."
    )
    text = dict(grounds(edited(comparison.summary, few)))["Reach of the tests"]
    assert text.startswith("With 5 images no adjusted p can be below 0.42; 11 images are needed")
    assert "says nothing here" in text


def test_an_unreliable_ceiling_is_called_so(comparison: Comparison) -> None:
    summary = edited(comparison.summary, lambda s: s["psnr_ceiling_db"].update(reliable=False))
    assert "which is unreliable" in render_report(replace(comparison, summary=summary), {})
    assert "which is unreliable" not in render_report(comparison, {})


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
    for part in ("31.00", "30.00", "32.00", "Fake images ×4: what models know, show and make up"):
        assert part in page
    assert page.count("made up made up") + page.count("made up") >= len(KINDS)


# -- gaps to the ceiling, reasons, files ---------------------------------------------------------


def test_gaps_to_the_ceiling_are_in_decibels(result: Result) -> None:
    gaps = {"center": Number(1.5, 1.25, 1.75), "bicubic": Number(2.5, 2.25, 2.75)}

    def reliable(summary: dict[str, Any]) -> None:
        summary["psnr_ceiling_db"] |= {
            "value": 30.0, "ci_low": 29.0, "ci_high": 31.0, "reliable": True, "half_k_db": 29.5,
        }  # fmt: skip
        summary["psnr_center_db"] = {"value": 28.5, "ci_low": 28.0, "ci_high": 29.0}

    summary = edited(result.summary, reliable)
    assert verdict.ceiling(summary, gaps).endswith(
        f"can exceed {Number(30.0, 29.0, 31.0).text(2, ' dB')} PSNR on these patches, judged with "
        f"this reference set; the average of a group stays {gaps['center'].text(2, ' dB')} below "
        "that."
    )
    assert verdict.ceiling(summary).endswith(
        f"the average of a group reaches {Number(28.5, 28.0, 29.0).text(2, ' dB')}."
    )
    text = ceiling_caption(summary, gaps)
    assert "With only the nearer half of each group it would be 29.50 dB" in text
    assert (
        f"the ceiling lies {gaps['center'].text(2, ' dB')} above the center and "
        f"{gaps['bicubic'].text(2, ' dB')} above bicubic"
    ) in text
    assert "above bicubic" not in ceiling_caption(summary, {"center": gaps["center"]})


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("bias_within_tolerance", "bias +0.0123 nats per dimension on Gaussian groups of n = 128, "
                                  "d = 24, within the tolerance of "),
        ("too_few_members", "groups of n = 128, d = 24 are too small for this estimator"),
        ("singular_covariance", "the covariance is singular"),
    ],
)  # fmt: skip
def test_reasons_of_estimators(result: Result, reason: str, said: str) -> None:
    def because(summary: dict[str, Any]) -> None:
        for entry in summary["entropy"].values():
            entry["reliability"] |= {"bias": 0.0123, "reason": reason, "n": 128, "d": 24}

    for entry in edited(result.summary, because).entropy.values():
        assert reliability_reason(entry.reliability).startswith(said)


def test_each_figure_is_described_for_those_who_cannot_see_it(result: Result) -> None:
    starts = {
        "entropy_vs_center_distance": "Density plot: distance of the center against entropy. ",
        "detail_energy": "Bar and line chart: detail energy kept by the center, by entropy decile.",
        "manifold_distances": "Dot plot: distance of center and bicubic patches to clean patches. ",
        "psnr_ceiling": "Dot plot: PSNR of bicubic, center and ceiling. ",
        "entropy_maps": "Images with their entropy laid over in color.",
        "example_groups": "Rows of patches: LR patch, members, center, ground truth and bicubic.",
        "of_mine": "of mine.",
    }
    for name, start in starts.items():
        assert alt_text(name, result.summary).startswith(start)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images_of_a_page_have_the_kind_that_they_say(kind: str) -> None:
    picture = np.full((8, 8, 1), 100, np.uint8)
    start, data = data_url(picture, kind).split(",")
    assert start == f"data:image/{kind};base64"
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert opened.format == kind.upper() and opened.size == (8, 8)


def test_a_bracket_is_not_an_argument_of_latex() -> None:
    frame = pd.DataFrame({"model": ["[x]", "*x", "x"], "PSNR": ["1", "2", "3"]})
    text = latex(frame, set())
    assert "{}[x]" in text and "{}*x" in text and "{}x" not in text


@pytest.mark.parametrize(
    ("n_bytes", "said"), [(3 * 2**30, "3.0 GiB"), (2**30, "1.0 GiB"), (512 * 2**20, "512 MiB")]
)
def test_memory_is_written_in_its_unit(n_bytes: int, said: str) -> None:
    assert size(n_bytes).replace("\N{NO-BREAK SPACE}", " ") == said


def test_headline_numbers_have_their_labels(result: Result) -> None:
    assert [tile.label for tile in tiles(result.summary)] == [
        "Entropy against center distance",
        "Detail kept by the center",
        "Center to clean patches",
        "PSNR ceiling",
        "Mean entropy of a group",
    ]
