"""Whether outputs look like clean images: every referee votes, and all must agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cooanalysis.measures.bootstrap import Estimate

Vote = Literal["like", "unlike", "undecided"]

RATIO_TOLERANCE = 0.05
"""A manifold ratio within this of 1 is that of clean images: above it artifacts, below it
smoothing toward what all clean patches share."""

HIGHEST_AUC = 0.6
"""Area under the curve up to which a two-sample test takes outputs for clean images. Measured (see
``experiments/realism``): independent patches of the ground truth stay below it, and the ground
truth with two 8-bit values of noise, or with JPEG artifacts, does not."""


@dataclass(frozen=True)
class Realism:
    """What the referees say of a model's outputs.

    Attributes
    ----------
    decision
        ``like`` clean images if every referee says so, ``unlike`` if any says that, otherwise
        ``undecided``.
    votes
        By name of the referee.
    """

    decision: Vote
    votes: Mapping[str, Vote]

    def saying(self, vote: Vote) -> tuple[str, ...]:
        """Names of the referees that say so."""
        return tuple(name for name, own in self.votes.items() if own == vote)

    @property
    def contradicted_by(self) -> tuple[str, ...]:
        """Referees that take outputs for clean images which another one rejects."""
        return self.saying("like") if self.decision == "unlike" else ()


def ratio_vote(ratio: Estimate, *, tolerance: float = RATIO_TOLERANCE) -> Vote:
    """``like`` if the whole interval is within the tolerance of 1, ``unlike`` if none of it is.

    A ratio well below 1 is unlike clean images, too: patches with the texture wiped out lie nearer
    to the clean manifold than clean patches do. An interval of NaN decides nothing.
    """
    low, high = 1.0 - tolerance, 1.0 + tolerance
    if low <= ratio.ci_low and ratio.ci_high <= high:
        return "like"
    return "unlike" if ratio.ci_low > high or ratio.ci_high < low else "undecided"


def auc_vote(
    auc: Estimate, *, control: Estimate | None = None, highest: float = HIGHEST_AUC
) -> Vote:
    """``like`` if the whole interval is at most ``highest``, ``unlike`` if none of it is.

    Parameters
    ----------
    auc
        Area under the curve of a two-sample test of outputs and ground truth.
    control
        The same for ground truth with a known flaw. Where the test misses that too, it has too few
        patches to find anything, and does not vote ``like``.
    highest
        The threshold.
    """
    if auc.ci_low > highest:
        return "unlike"
    detects = control is None or control.ci_low > highest
    return "like" if auc.ci_high <= highest and detects else "undecided"


def judge_realism(
    ratios: Mapping[str, Estimate],
    areas: Mapping[str, Estimate],
    *,
    controls: Mapping[str, Estimate] | None = None,
    tolerance: float = RATIO_TOLERANCE,
    highest_auc: float = HIGHEST_AUC,
) -> Realism:
    """Decide whether outputs look like clean images.

    Parameters
    ----------
    ratios
        Manifold ratio by feature space: distance of outputs over that of the ground truth.
    areas
        Area under the curve by two-sample test. At least one of each kind is needed for ``like``.
    controls
        By two-sample test, see :func:`auc_vote`; a test without one is taken to find flaws.
    tolerance, highest_auc
        See :func:`ratio_vote` and :func:`auc_vote`.

    Examples
    --------
    >>> near, far = Estimate(1.01, 0.99, 1.03), Estimate(0.99, 0.98, 1.0)
    >>> found = judge_realism({"subbands": near}, {"boosting": far})
    >>> found.decision, found.contradicted_by
    ('unlike', ('subbands',))
    """
    controls = controls or {}
    votes = {name: ratio_vote(ratio, tolerance=tolerance) for name, ratio in ratios.items()}
    votes |= {
        name: auc_vote(auc, control=controls.get(name), highest=highest_auc)
        for name, auc in areas.items()
    }
    if "unlike" in votes.values():
        return Realism("unlike", votes)
    agreed = bool(ratios) and bool(areas) and set(votes.values()) == {"like"}
    return Realism("like" if agreed else "undecided", votes)
