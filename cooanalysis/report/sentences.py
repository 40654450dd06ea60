"""What a reader must know before believing the numbers of an analysis."""

from __future__ import annotations

from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.report.numbers import Number, count
from cooanalysis.report.reasons import reliability_reason
from cooanalysis.report.verdict import estimator_title


def caveats(summary: AnalysisSummary) -> list[str]:
    """What a reader must know before believing the numbers, most important first."""
    notes = []
    if summary.resampled == "patches":
        notes.append(
            "All intervals come from single patches, because there are too few images to resample. "
            "Patches of one image resemble each other, so the true uncertainty is larger."
        )
    doubted = [
        f"{estimator_title(name)} ({reliability_reason(entry.reliability)})"
        for name, entry in summary.entropy.items()
        if not entry.reliability.reliable
    ]
    if doubted:
        notes.append(
            "Absolute entropies are not to be trusted here for: " + "; ".join(doubted)
            + ". Rankings and correlations suffer less."
        )  # fmt: skip
    space = summary.leading_space
    if space is not None:
        check = Number.of(space.clean_ratio)
        if check.above(1.1) or check.below(0.9):
            notes.append(
                f"The clean check gives {check.text(2, '×')} instead of 1: the two halves of the "
                "clean patches differ, so small differences between ratios mean little."
            )
    null = Number.of(summary.two_sample_auc.clean_null)
    if null.above(0.5) or null.below(0.5):
        notes.append(
            f"The check of the classifier, clean against clean, gives AUC {null.text(3)} instead "
            "of 0.5, so its other scores are slightly off."
        )
    leakage = summary.leakage
    if leakage.n_pairs and not leakage.excluded:
        notes.append(
            f"{count(leakage.n_pairs)} reference images show the content of query images and "
            "were not excluded: every number here is too optimistic."
        )
    return notes


def warnings(summary: AnalysisSummary) -> list[str]:
    """Caveats, then the run's own warnings that no caveat already covers."""
    covered = ("single patches", "absolute values are not to be trusted", "NOT excluded")
    rest = [
        text[:1].upper() + text[1:]
        for text in (str(notice.facts["text"]) for notice in summary.warnings)
        if not any(part in text for part in covered)
    ]
    return [*caveats(summary), *rest]
