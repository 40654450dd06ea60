"""Captions, headings and descriptions of the figures of an analysis."""

from __future__ import annotations

from collections.abc import Mapping

from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.measures.entropy.registry import estimator_title
from cooanalysis.report.numbers import Number
from cooanalysis.report.verdict import (
    STRONG,
    ceiling,
    detail,
    manifold,
    patch,
    relationship,
)


def entropy_caption(
    summary: AnalysisSummary, below_bound: Mapping[str, float] | None = None
) -> str:
    """Explain the figure of entropy against center distance.

    Parameters
    ----------
    summary
        The summary.
    below_bound
        Share of the query patches below the bound, per estimator.
    """
    number = Number.of(summary.spearman_entropy_center_distance)
    shares = below_bound or {}
    below = ", ".join(
        f"{estimator_title(name)} {100 * share:.1f} %"
        for name, share in shares.items()
        if share >= 0.0005
    )
    text = (
        "Each panel holds the query patches; dark cells hold many (the few noted as outside have "
        "members that are nearly equal, and lie far to the left). Right means more ambiguous: "
        "many different real patches share the same LR patch. Up means that their average lies "
        "farther from them. "
    )
    if number.above(STRONG):
        text += "The cloud rises: ambiguity drives the average away from the real patches. "
    text += (
        "Nothing can lie below the dashed line: for any distribution the distance is at least the "
        "square root of its entropy power. A group far above it spreads in few "
        "directions only, or falls into clusters. "
    )
    if below:
        text += f"Patches found below it nevertheless (estimates that are too high): {below}. "
    return text + (
        "The panels differ only in how the entropy is estimated; the Gaussian fit is itself "
        "computed from the spread, so the others are the independent check. Spearman's rank "
        "correlation is that of the distance over the whole patch, with its 95 % interval."
    )


def detail_caption(summary: AnalysisSummary) -> str:
    """Explain the detail figure."""
    number = Number.of(summary.detail_energy)
    lost = "" if number.value is None or number.value > 1 else (
        f" Averaged over all, {100 * (1 - number.value):.1f} % of the energy is gone: that is the "
        "blur one sees."
    )  # fmt: skip
    return (
        "Detail is what an HR patch holds beyond bicubic upsampling of its LR patch. A model "
        "trained with L1 or L2 outputs the average of all HR patches that fit, and details "
        "that disagree cancel. Bars: what is left, by entropy of the patch in ten equal parts. "
        "Dotted line: what the average of as many details would keep that have nothing in common."
        + lost
    )


def manifold_caption(summary: AnalysisSummary) -> str:
    """Explain the figure of calibrated distances."""
    text = (
        "Distance to the nearest clean patches, divided by the same distance of clean patches that "
        "were held out: 1 means as close as a real sharp patch, more means that hardly any clean "
        "image has such a patch. The black diamonds check the measurement itself. "
    )
    space = summary.leading_space
    if space is not None:
        quartiles = [Number.of(ratio) for ratio in space.center_ratio_by_quartile]
        first, last = quartiles[0], quartiles[-1]
        if first.high is not None and last.above(first.high):
            text += (
                f"The center's ratio grows from {first.plain(2)} for the quarter of lowest entropy "
                f"to {last.plain(2)} for the highest. "
            )
    if any(space.warning for space in summary.manifold.values()):
        text += (
            "The hatched space is a warning, not a result: in plain pixels blurred patches lie "
            "near everything, so blur looks cleaner than clean. Do not use it to rank models. "
        )
    return text + auc_sentence(summary)


def auc_sentence(summary: AnalysisSummary) -> str:
    """Say whether a classifier distinguishes centers from clean patches."""
    tests = summary.two_sample_auc
    center, null = Number.of(tests.center), Number.of(tests.clean_null)
    if center.value is None:
        return "The two-sample test is not available."
    scores = f"AUC {center.text(3)}, for clean against clean {null.text(3)}"
    if null.high is not None and center.above(max(0.5, null.high)):
        return (
            f"A classifier agrees that centers are not clean patches: {scores}; 0.5 is chance, "
            "1 certain."
        )
    return f"A classifier does not distinguish centers from clean patches: {scores}; 0.5 is chance."


def ceiling_caption(summary: AnalysisSummary, gaps: Mapping[str, Number] | None = None) -> str:
    """Explain what the ceiling is and what it is not.

    Parameters
    ----------
    summary
        The summary.
    gaps
        How far the ceiling lies above ``center`` and ``bicubic`` on the same patches, in dB.
    """
    found, numbers = summary.psnr_ceiling_db, ""
    if found.half_k_db is not None:
        numbers = (
            f"With only the nearer half of each group it would be {found.half_k_db:.2f} dB: the "
            "difference shows how much the width of the groups matters. "
        )
    center, bicubic = ((gaps or {}).get(name) for name in ("center", "bicubic"))
    if center is not None and center.value is not None:
        numbers += (
            f"On the same patches the ceiling lies {center.text(2, ' dB')} above the center"
            + (f" and {bicubic.text(2, ' dB')} above bicubic" if bicubic is not None else "")
            + "; compare these differences, because the intervals in the plot mostly show how much "
            "images differ. "
        )
    return (
        f"Where many HR patches share one LR patch, even the best estimate has an error. Its size "
        f"follows from the entropy, and with it the highest PSNR that any method can reach that "
        f"sees only {patch(summary)} LR pixels. It is an estimate with this reference set, in "
        "which the members of a group resemble the query's LR patch without being equal to it; a "
        "denser reference set, or a method that sees a larger neighborhood, can lie above it. "
        "PSNR is that of the mean squared error over all query patches (not of whole images, not "
        "the mean of their PSNRs), so do not compare it with benchmark tables. "
        f"{numbers}Method: {found.method}."
    )


def maps_caption(summary: AnalysisSummary) -> str:
    """Explain the entropy maps."""
    text = (
        "Left the image, right how ambiguous each place is once it is downsampled "
        f"×{summary.scale}: bright where many different details would fit, dark where the "
        "LR patch settles them."
    )
    if summary.config.normalize:
        text += (
            " Entropy is relative to the contrast of the patch, so a flat area with faint texture "
            "can be bright."
        )
    return text


def examples_caption() -> str:
    """Explain the example groups."""
    return (
        "Each row is one query. All members look (nearly) the same when downsampled to the LR "
        "patch, yet differ. Their average, the center, is smoother than any of them. "
        "Top: most ambiguous; bottom: least. Members are brought to the query's "
        "brightness and contrast; within a row all images share one gray scale."
    )


_ALT_TEXTS = {
    "entropy_vs_center_distance": "Density plot: distance of the center against entropy",
    "detail_energy": "Bar and line chart: detail energy kept by the center, by entropy decile",
    "manifold_distances": "Dot plot: distance of center and bicubic patches to clean patches",
    "psnr_ceiling": "Dot plot: PSNR of bicubic, center and ceiling",
    "entropy_maps": "Images with their entropy laid over in color",
    "example_groups": "Rows of patches: LR patch, members, center, ground truth and bicubic",
}

_FINDINGS = {
    "entropy_vs_center_distance": relationship,
    "detail_energy": detail,
    "manifold_distances": manifold,
    "psnr_ceiling": ceiling,
}


def alt_text(name: str, summary: AnalysisSummary) -> str:
    """Describe a figure with the run's numbers, for those who cannot see it."""
    text = _ALT_TEXTS.get(name, name.replace("_", " ")) + "."
    return f"{text} {_FINDINGS[name](summary)}" if name in _FINDINGS else text
