"""Sentences for the codes that a summary holds."""

from __future__ import annotations

from cooanalysis.analysis.summary_record import (
    CeilingCode,
    EstimatorReliability,
    Resampled,
)
from cooanalysis.measures.entropy import TOLERANCE
from cooanalysis.report.numbers import Number

_CEILING: dict[CeilingCode, str] = {
    "center_clearly_below": "the center stays clearly below it",
    "center_not_clearly_below": (
        "the center of the groups does not stay clearly below it, which happens when groups mix LR "
        "patches that differ; use a larger reference set, a smaller stride or a smaller k"
    ),
}

_INTERVALS: dict[Resampled, str] = {
    "images": "95 % bootstrap interval over images",
    "patches": "95 % bootstrap interval over single patches (too few images)",
}


def ceiling_reason(code: CeilingCode) -> str:
    """Why a PSNR ceiling is reliable, or not."""
    return _CEILING[code]


def reliability_reason(found: EstimatorReliability) -> str:
    """Why an estimator's absolute values are reliable, or not."""
    sizes = f"n = {found.n}, d = {found.d}"
    if found.reason == "singular_covariance":
        return "the covariance is singular: such groups lie in a hyperplane and have no density"
    if found.reason == "too_few_members":
        return f"groups of {sizes} are too small for this estimator"
    where = "within" if found.reason == "bias_within_tolerance" else "beyond"
    bias = signed(Number.finite(found.bias), 4)
    return (
        f"bias {bias} nats per dimension on Gaussian groups of {sizes}, {where} the tolerance of "
        f"{TOLERANCE:g}"
    )


def signed(number: Number, digits: int) -> str:
    """A number with its sign, without its interval.

    Examples
    --------
    >>> signed(Number(0.25), 2), signed(Number(-0.25), 2)
    ('+0.25', '−0.25')
    """
    return ("+" if (number.value or 0.0) > 0 else "") + number.plain(digits)


def intervals(resampled: Resampled) -> str:
    """What the intervals are."""
    return _INTERVALS[resampled]
