"""What an analysis found, in sentences: every claim is one that the intervals support.

All functions are pure: they take the summary of a run and return plain text, which is escaped
where it enters a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.report.numbers import Number, count, images
from cooanalysis.report.reasons import ceiling_reason

STRONG = 0.5
"""A rank correlation whose whole interval lies above this is called a relationship that holds."""


def patch(summary: AnalysisSummary) -> str:
    """Size of an LR patch, such as ``5×5``."""
    width = summary.config.patch_width
    return f"{width}×{width}"


def question(summary: AnalysisSummary) -> str:
    """State in one sentence the question and the data."""
    data, reference, config = summary.dataset, summary.reference, summary.config
    whose = (
        "from the other images of the same set ("
        if reference.same_as_dataset
        else f"from {reference.title} ({images(reference.n_images)}, "
    )
    how = (
        "in the same cluster"
        if config.grouping == "kmeans"
        else "whose low-resolution (LR) patch looks most alike"
    )
    return (
        f"At scale ×{summary.scale}, how many different high-resolution (HR) patches could "
        f"stand behind one {patch(summary)}-pixel LR patch of {data.title} "
        f"({images(data.n_images)})? For each of {count(summary.n_queries)} query "
        f"patches we took the {config.k} HR patches {how}, {whose}"
        f"{count(summary.n_reference_patches)} patches)."
    )


def verdict(summary: AnalysisSummary, gaps: Mapping[str, Number] | None = None) -> list[str]:
    """The outcome in four sentences; ``gaps`` as in :func:`ceiling`."""
    return [relationship(summary), detail(summary), manifold(summary), ceiling(summary, gaps)]


def relationship(summary: AnalysisSummary) -> str:
    """Say whether centers lie the farther from their group the higher its entropy is."""
    number = Number.of(summary.spearman_entropy_center_distance)
    shown = f"rank correlation {number.text(3)}"
    if number.value is None:
        return "Whether the center moves away with rising entropy could not be measured."
    if number.low is None:
        return f"Entropy and center distance: {shown}, without an interval, so nothing is claimed."
    if number.above(STRONG):
        return (
            "The relationship holds: the more ambiguous a low-resolution patch is, the farther the "
            f"average of its group lies from the real patches behind it: {shown}."
        )
    if number.above(0.0):
        return (
            "The relationship holds weakly: the average of a group tends to lie farther from the "
            f"real patches behind it where the patch is more ambiguous: {shown}."
        )
    if number.below(0.0):
        return (
            "The relationship does not hold here: the average of a group lies nearer to the real "
            f"patches where these are more ambiguous: {shown}."
        )
    return (
        "No relationship between entropy and center distance can be distinguished from chance: "
        f"{shown}."
    )


def detail(summary: AnalysisSummary) -> str:
    """Say how much detail the center keeps, and whether less where entropy is higher."""
    number = Number.of(summary.detail_energy)
    if number.value is None:
        return "How much detail the average of a group keeps could not be measured."
    text = (
        f"The average of a group keeps {number.text(1, ' %', 100.0)} of the detail energy of the "
        "ground truth"
    )
    chance = Number.of(summary.detail_energy_by_chance)
    if chance.value is not None:
        text += f" ({chance.plain(1, ' %', 100.0)} by chance, because it averages a finite group)"
    rows = summary.detail_energy_by_decile
    if len(rows) < 2:
        return text + "."
    first, last = Number.of(rows[0].retained), Number.of(rows[-1].retained)
    most, least = "the most certain tenth of the patches", "the most ambiguous"
    low, high = (number.plain(1, " %", 100.0) for number in (first, last))
    ends = f"from {low} for {most} to {high} for {least}"
    if last.high is not None and first.above(last.high):
        return f"{text}, falling {ends}."
    if first.high is not None and last.above(first.high):
        return f"{text}, rising {ends}."
    return (
        f"{text}: {low} for {most} and {high} for {least}, but their intervals do not exclude that "
        "they are equal."
    )


def manifold(summary: AnalysisSummary) -> str:
    """Say how far centers lie from the clean patches, in a space that detects blur."""
    space = summary.leading_space
    if space is None:
        return (
            "How far the average of a group lies from clean patches could not be measured reliably."
        )
    center, bicubic = Number.of(space.center_ratio), Number.of(space.bicubic_ratio)
    if center.high is None:
        return "How far the average of a group lies from clean patches could not be measured."
    where = f" (in {space.title}, our calibrated ratio)"
    if center.above(1.0):
        text = (
            f"Center patches lie {center.text(2, '×')} as far from clean patches as clean patches "
            "themselves do"
        )
    elif center.below(1.0):
        text = (
            f"Center patches lie nearer to clean patches than clean patches themselves do, "
            f"{center.text(2, '×')}, which says nothing about their sharpness"
        )
    else:
        text = (
            "Center patches cannot be distinguished from clean patches by their distance, "
            f"{center.text(2, '×')}"
        )
    if bicubic.above(center.high):
        text += f"; plain bicubic upsampling {bicubic.text(2, '×')}"
    return text + where + "."


def ceiling(summary: AnalysisSummary, gaps: Mapping[str, Number] | None = None) -> str:
    """Say what the PSNR ceiling is and how near the center comes.

    Parameters
    ----------
    summary
        The summary.
    gaps
        How far the ceiling lies above ``center`` (and ``bicubic``) on the same patches, in dB.
    """
    found = summary.psnr_ceiling_db
    top, center = Number.of(found), Number.of(summary.psnr_center_db)
    if top.value is None:
        return "The PSNR ceiling was not computed."
    if not found.reliable:
        return (
            f"The PSNR ceiling for methods that see only a {patch(summary)} LR patch could not be "
            f"established: the estimate of {top.text(2, ' dB')} is unreliable, because "
            f"{ceiling_reason(found.reason)}."
        )
    text = (
        f"By our estimate no method that sees only a {patch(summary)} LR patch can exceed "
        f"{top.text(2, ' dB')} PSNR on these patches, judged with this reference set"
    )
    if center.value is None:
        return text + "."
    if top.high is not None and center.above(top.high):
        return (
            f"The average of a group reaches {center.text(2, ' dB')}, above the estimated ceiling "
            f"of {top.text(2, ' dB')}, so the ceiling is unreliable here."
        )
    gap = (gaps or {}).get("center")
    if gap is not None and gap.above(0.0):
        return text + f"; the average of a group stays {gap.text(2, ' dB')} below that."
    return text + f"; the average of a group reaches {center.text(2, ' dB')}."
