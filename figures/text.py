"""Numbers and lists as captions write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.report.sentences import Number


def as_number(row: Any) -> Number:
    """A row with ``value``, ``ci_low`` and ``ci_high`` as words take it."""
    return Number.of({key: float(row[key]) for key in ("value", "ci_low", "ci_high")})


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def intervals(bootstrap: ImageBootstrap) -> str:
    """What the intervals of a bootstrap are, in words."""
    return (
        "95 % intervals over images"
        if bootstrap.by_image
        else "95 % intervals over single patches (too few images)"
    )
