"""Sentences of the report of a comparison: what was asked, captions, what the numbers rest on.

A caption has at most 60 words; what else a reader may want to know is folded away below it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cooanalysis.comparison.record import ComparisonRecord, judged
from cooanalysis.comparison.summary_record import AnchorSummary, ComparisonSummary
from cooanalysis.measures.paired import LEVEL
from cooanalysis.measures.realism import HIGHEST_AUC, RATIO_TOLERANCE
from cooanalysis.report.numbers import Number, count, images

LONGEST_CAPTION = 60
"""Words."""

_WHY: Mapping[str, str] = {
    "given": "as asked for",
    "baseline": "the baseline, which behaves like a conditional mean",
    "model": "of the models that behave like a conditional mean, the one that explains least",
    "shipped": "which comes with the package: no compared model behaves like a conditional mean",
}
"""By :attr:`AnchorSummary.chosen`."""


def title(summary: ComparisonSummary) -> str:
    """Heading of the page."""
    what = "what models know, show and make up" if taken_apart(summary) else "models compared"
    return f"{summary.dataset.title} ×{summary.scale}: {what}"


def taken_apart(summary: ComparisonSummary) -> bool:
    """Whether the run is recent enough to tell what models know, show and make up."""
    return any(measure.name == "explained" for measure in summary.measures)


def asked(summary: ComparisonSummary) -> str:
    """What was compared, in one paragraph."""
    models = [model.name for model in summary.models]
    text = (
        f"{len(models)} models ({', '.join(models)}) upscaled {images(summary.dataset.n_images)} "
        f"of {summary.dataset.title}."
    )
    if not taken_apart(summary):
        return f"{text} The run is older than the measures of what models know, show and make up."
    return (
        f"{text} The detail of each output, which is what it adds to bicubic upsampling, was taken "
        "apart: what the model knows of the ground truth, how strongly it shows that, and what it "
        f"makes up. At {count(summary.n_queries)} patches, referees compared the outputs with "
        f"clean images; how ambiguous a patch is was judged by patches of "
        f"{summary.reference.title}."
    )


def statistics(summary: ComparisonSummary) -> str:
    """What intervals and p-values are."""
    return (
        "95 % bootstrap intervals over "
        + ("images" if summary.resampled == "images" else "single patches")
        + "; differences: paired sign-flip permutation test over images, p-values adjusted "
        "for all models and measures (Benjamini-Yekutieli)"
    )


# -- what the numbers rest on ---------------------------------------------------------------


def grounds(summary: ComparisonSummary) -> list[tuple[str, str]]:
    """What the numbers rest on, as names and texts; empty for runs of older versions."""
    if not taken_apart(summary):
        return []
    rows = [("Anchor: tells what can be known", _anchor(summary))]
    if summary.domain_shift:
        shifts = "; ".join(
            f"{name} {Number.of(found).text(2)}" for name, found in summary.domain_shift.items()
        )
        rows.append(
            ("Domain shift", f"{shifts}. 1: the ground truth lies as near to patches of the "
             "reference as images held out from it do. Manifold ratios are relative to it.")
        )  # fmt: skip
    if summary.top_share is not None:
        rows.append(
            ("Weight of few patches", f"{100.0 * summary.top_share:.0f} % of the ground truth's "
             "detail energy lies in 1 % of the patches.")
        )  # fmt: skip
    if (smallest := summary.smallest_adjusted_p) is not None:
        rows.append(("Reach of the tests", _reach(summary, smallest)))
    return rows


def _anchor(summary: ComparisonSummary) -> str:
    anchor = summary.anchor
    if anchor is None:
        return (
            "None, so what a model makes up may be taken for what it knows: gain, invented and "
            "collapse index are left out, and what is invented at least is a lower bound."
        )
    text = f"{anchor.name}, {_WHY[anchor.chosen]}{_facts(anchor)}."
    for notice in summary.warnings:
        weaker = notice.facts.get("models")
        if notice.code == "anchor_explains_more" and isinstance(weaker, list) and weaker:
            text += f" It explains more than the outputs of {_list(weaker)}."
    return text


def _facts(anchor: AnchorSummary) -> str:
    parts = []
    if anchor.explained is not None:
        parts.append(f"its outputs explain {100.0 * anchor.explained:.1f} % of the detail")
    if anchor.closed_form is not None:
        parts.append(f"closed form {anchor.closed_form:.2f} (1: a conditional mean)")
    return f"; {', '.join(parts)}" if parts else ""


def _reach(summary: ComparisonSummary, smallest: float) -> str:
    here = images(summary.dataset.n_images)
    if smallest < LEVEL:
        return f"With {here} an adjusted p can be as small as {smallest:.2g}."
    needed = (
        f"; {summary.images_needed} images are needed for less than {LEVEL:g}"
        if summary.images_needed
        else ""
    )
    return (
        f"With {here} no adjusted p can be below {smallest:.2g}{needed}. So that no test is "
        "significant says nothing here; look at the paired intervals of the differences."
    )


# -- captions -------------------------------------------------------------------------------


def captions(comparison: ComparisonRecord) -> dict[str, str]:
    """Captions of the figures, with the numbers of the run."""
    summary = comparison.summary
    bars = " Lines are 95 % intervals."
    return {
        "knows_shows_makes_up": (
            "Left: the share of the ground truth's detail that the output tells (dashed: the most "
            "here). Middle: how strongly it is shown, 1 as known, above 1 sharpened. Right: what "
            "is made up, in units of what is unknown: 0 for a conditional mean, 1 for a sample; "
            f"gray bars are lower bounds.{bars}"
        ),
        "error_budget": (
            "The squared error of each model, by cause: detail that no model here knows, detail "
            "that only another one knows, known detail at a wrong gain, detail made up. The right "
            "panel leaves out the first. A tick marks the measured error; off the end of the bar, "
            "what is known was not estimated well."
        ),
        "perception_distortion": (
            "Each mark is a model: fidelity across, a score of perceived quality up. No model can "
            "have the best of both (Blau and Michaeli, CVPR 2018). Sharpening alone moves the "
            f"score, too.{_arrows(comparison)}{bars}"
        ),
        "bound": _bound_caption(comparison),
        "against_entropy": (
            "The query patches in equal parts by the entropy of their group: the more different "
            "HR patches share an LR patch, the less can be known. What models know, show and make "
            f"up in each part.{bars}"
        ),
        "by_frequency": (
            "What models know, show and make up at each frequency of the luma: the coherence of "
            "what they know with the ground truth, the transfer function from what is known to "
            "what is shown, and what is made up. Bands are 95 % intervals."
        ),
        "power_spectra": (
            "Power of the outputs over that of the ground truth; 1 is the ground truth. Right of "
            f"the dashed line (the LR Nyquist frequency, {0.5 / summary.scale:.3g} cycles per HR "
            "pixel) the LR image holds nothing. Power need not be the right detail: sharpening, "
            "noise and blocks have it, too. Bands are 95 % intervals."
        ),
        "crops": (
            f"Chosen by a rule, not by hand: the patches at which {_together(comparison)} most "
            "detail that is neither known nor made up, at most one per image."
            if taken_apart(summary)
            else "Chosen by a rule, not by hand: the most over-smoothed places, one per image."
        ),
        "maps": (
            "Orange: detail of the ground truth that the output lacks, because it is unknown and "
            "not made up, or known and damped. Violet: more is made up than is unknown. Below: the "
            "sum as a share of the image's detail."
        ),
    }


def folded(comparison: ComparisonRecord) -> dict[str, str]:
    """What stands folded away below some captions."""
    return {
        "knows_shows_makes_up": (
            "None of the three says by itself that a model is good. Sharpening changes the gain "
            "and nothing else; noise, blocks and compression count as made up. Whether a model's "
            "patches look like clean images is for the referees to say, and it is a yes only if "
            f"all agree: every manifold ratio within {RATIO_TOLERANCE:g} of 1, the areas under the "
            f"curve of the two-sample tests at most {HIGHEST_AUC:g}, both with their whole "
            "intervals. What the output of a model that samples tells is less than what the model "
            "knows; the anchor makes up for that on the right, the lower bound does without. The "
            "gray band around a gain of 1 counts as shown as it is. The lines on the left are long "
            "because images differ; models are compared image by image, see the differences below "
            "the table."
        ),
        "bound": (
            "A model right of the line shows that there is a better predictor than the one that "
            "sets it. The distance sees only means and covariances of 12x12 patches: a model near "
            "the line need not look like a clean image, and noise of the right spectrum counts as "
            "realistic. Even perfect samples of all HR images that fit lie up to 3 dB left of it."
        ),
        "by_frequency": (
            "Where next to nothing is known, the gain is next to nothing over next to nothing, and "
            "its interval is wide. The dashed line is the LR Nyquist frequency: what lies right of "
            "it is known only from what images have in common."
        ),
        "maps": (
            "A sample of all images that fit lacks nothing in total, a conditional mean all that "
            "it does not know; sharpening makes up for nothing. Noise and blocks fill a gap here "
            "like true detail does: see what the referees say. The images are those with most "
            "detail that groups of similar LR patches leave open."
        ),
    }


def _bound_caption(comparison: ComparisonRecord) -> str:
    if comparison.bound is None or comparison.bound.empty:
        return ""
    best = str(comparison.bound["predictor"].iloc[0])
    text = (
        "No model can lie right of the line (Freirich, Michaeli and Meir, NeurIPS 2021), which is "
        f"that of the best predictor known here, {best or 'none of the models'}. The way from a "
        "model to the line, its excess in dB, is error that buys no realism; wide bars are its "
        "95 % intervals."
    )
    if (comparison.bound["excess_db"] < 0.0).any():
        text += " A negative excess: the model predicts what this predictor does not."
    return text


def _arrows(comparison: ComparisonRecord) -> str:
    names = set(comparison.names)
    if not any(f"{name}-decloss" in names for name in names):
        return ""
    return " An arrow leads from a model to the same model trained with DECLoss."


def _together(comparison: ComparisonRecord) -> str:
    names = judged(comparison.summary.baseline, comparison.summary.kinds)
    return f"{names[0]} lacks" if len(names) == 1 else f"{_list(names)} together lack"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
