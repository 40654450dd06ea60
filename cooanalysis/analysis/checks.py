"""Checks of the measures themselves on clean patches, where the result is known."""

from __future__ import annotations

from cooanalysis.analysis.summary_record import Findings, Interval
from cooanalysis.runtime.notices import Fact, Notice

CLEAN_RATIO = (0.9, 1.1)
"""Where the ratio of held-out clean patches to clean patches, 1 in theory, counts as 1."""

CHANCE = 0.5
"""AUC of a classifier that cannot distinguish its two classes."""


def failed_checks(findings: Findings) -> list[Notice]:
    """The checks whose whole 95 % interval lies beyond what they should give.

    Parameters
    ----------
    findings
        See :func:`cooanalysis.analysis.summary.summarize`.

    Returns
    -------
    list of Notice
        ``clean_check_off`` for each feature space without a warning of its own, and
        ``classifier_check_off``.
    """
    found = [
        Notice("clean_check_off", {"space": space.title, **_facts(space.clean_ratio)})
        for space in findings.manifold.values()
        if space.missing is None
        and space.warning is None
        and _beyond(space.clean_ratio, *CLEAN_RATIO)
    ]
    null = findings.two_sample_auc.clean_null
    if _beyond(null, CHANCE, CHANCE):
        found.append(Notice("classifier_check_off", _facts(null)))
    return found


def _beyond(estimate: Interval, low: float, high: float) -> bool:
    if estimate.ci_low is None or estimate.ci_high is None:
        return False
    return estimate.ci_low > high or estimate.ci_high < low


def _facts(estimate: Interval) -> dict[str, Fact]:
    return {"value": estimate.value, "ci_low": estimate.ci_low, "ci_high": estimate.ci_high}
