"""Checks of the measures themselves on clean patches, where the result is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cooanalysis.runtime.notices import Notice

CLEAN_RATIO = (0.9, 1.1)
"""Where the ratio of held-out clean patches to clean patches, 1 in theory, counts as 1."""

CHANCE = 0.5
"""AUC of a classifier that cannot distinguish its two classes."""


def failed_checks(summary: Mapping[str, Any]) -> list[Notice]:
    """The checks whose whole 95 % interval lies beyond what they should give.

    Parameters
    ----------
    summary
        See :func:`cooanalysis.analysis.summary.summarize`.

    Returns
    -------
    list of Notice
        ``clean_check_off`` for each feature space without a warning of its own, and
        ``classifier_check_off``.
    """
    found = [
        Notice("clean_check_off", {"space": space["title"], **_facts(space["clean_ratio"])})
        for space in summary["manifold"].values()
        if "missing" not in space
        and not space["warning"]
        and _beyond(space["clean_ratio"], *CLEAN_RATIO)
    ]
    null = summary["two_sample_auc"].get("clean_null")
    if null is not None and _beyond(null, CHANCE, CHANCE):
        found.append(Notice("classifier_check_off", _facts(null)))
    return found


def _beyond(estimate: Mapping[str, Any], low: float, high: float) -> bool:
    if estimate["ci_low"] is None or estimate["ci_high"] is None:
        return False
    return bool(estimate["ci_low"] > high or estimate["ci_high"] < low)


def _facts(estimate: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(estimate[name]) for name in ("value", "ci_low", "ci_high")}
