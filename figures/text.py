"""Numbers and lists as captions write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.report.numbers import Number


def as_number(row: Any, keys: tuple[str, str, str] = ("value", "ci_low", "ci_high")) -> Number:
    """A row of a frame, or a fact, with a value and the ends of its interval as a number."""
    value, low, high = (None if row[key] is None else float(row[key]) for key in keys)
    return Number.finite(value, low, high)


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def intervals(bootstrap: ImageBootstrap) -> str:
    """A description of the intervals of a bootstrap."""
    return (
        "95 % intervals over images"
        if bootstrap.by_image
        else "95 % intervals over single patches (too few images)"
    )
