"""Numbers of a record as figures draw them: values, intervals, error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def value_of(estimate: Any) -> float:
    """The value of an estimate, NaN where it has none.

    Parameters
    ----------
    estimate
        ``value``, ``ci_low`` and ``ci_high``, or None.
    """
    return _number(estimate, "value")


def has_value(estimate: Any) -> bool:
    """Whether an estimate has a finite value."""
    return math.isfinite(value_of(estimate))


def interval_text(estimate: Any, form: str) -> str:
    """``0.912 (0.905–0.918)``, the value alone without an interval, or ``not available``."""
    value, low, high = (_number(estimate, key) for key in ("value", "ci_low", "ci_high"))
    if not math.isfinite(value):
        return "not available"
    if math.isnan(low) or math.isnan(high):
        return f"{value:{form}}"
    return f"{value:{form}} ({low:{form}}–{high:{form}})"


def ends_of(estimate: Any) -> list[float]:
    """The finite ends of the interval of an estimate."""
    ends = [_number(estimate, key) for key in ("ci_low", "ci_high")]
    return [end for end in ends if math.isfinite(end)]


def bars_of(estimates: Sequence[Any], factor: float = 1.0) -> Floats:
    """(2, n) lengths of the error bars of estimates; see :func:`bar_lengths`."""
    value, low, high = (
        [_number(estimate, key) for estimate in estimates] for key in ("value", "ci_low", "ci_high")
    )
    return bar_lengths(value, low, high, factor)


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


def _number(estimate: Any, key: str) -> float:
    found = estimate.get(key) if isinstance(estimate, Mapping) else None
    return math.nan if found is None else float(found)
