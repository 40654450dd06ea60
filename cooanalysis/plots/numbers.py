"""Numbers of a record as figures draw them: values, intervals, error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.analysis.summary_record import Interval

Floats = NDArray[np.float64]


def value_of(estimate: Interval) -> float:
    """The value of an estimate, NaN where it has none."""
    return _or_nan(estimate.value)


def has_value(estimate: Interval) -> bool:
    """Whether an estimate has a finite value."""
    return math.isfinite(value_of(estimate))


def interval_text(estimate: Interval, form: str) -> str:
    """``0.912 (0.905–0.918)``, the value alone without an interval, or ``not available``."""
    if not has_value(estimate):
        return "not available"
    ends = ends_of(estimate)
    text = f"{estimate.value:{form}}"
    return f"{text} ({ends[0]:{form}}–{ends[1]:{form}})" if len(ends) == 2 else text


def ends_of(estimate: Interval) -> list[float]:
    """The finite ends of the interval of an estimate."""
    return [end for end in map(_or_nan, (estimate.ci_low, estimate.ci_high)) if math.isfinite(end)]


def bars_of(estimates: Sequence[Interval], factor: float = 1.0) -> Floats:
    """(2, n) lengths of the error bars of estimates; see :func:`bar_lengths`."""
    return bar_lengths(
        [value_of(estimate) for estimate in estimates],
        [_or_nan(estimate.ci_low) for estimate in estimates],
        [_or_nan(estimate.ci_high) for estimate in estimates],
        factor,
    )


def bar_lengths(value: ArrayLike, low: ArrayLike, high: ArrayLike, factor: float = 1.0) -> Floats:
    """Lengths of error bars below and above values.

    Parameters
    ----------
    value, low, high
        (n,): values and ends of their intervals.
    factor
        What values are multiplied by before they are drawn.

    Returns
    -------
    numpy.ndarray
        (2, n); 0 where an end or the value is missing.
    """
    middle, below, above = (np.asarray(part, np.float64) for part in (value, low, high))
    # A percentile interval need not contain its own estimate; a bar cannot be negative.
    lengths = np.maximum(0.0, np.stack([middle - below, above - middle]))
    return factor * np.where(np.isfinite(lengths), lengths, 0.0)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
