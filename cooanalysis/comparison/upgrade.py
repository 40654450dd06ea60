"""Summaries of comparisons that older versions wrote, brought to the present schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cooanalysis.analysis.upgrade import (
    Plain,
    changed,
    checked_ceiling,
    legacy_notices,
    replaced,
    settings,
)

_NOT_MEASURED: Plain = {
    "cached_outputs": 0, "skipped": [], "peak_rss_bytes": None, "anchor": None, "top_share": None,
    "domain_shift": {}, "smallest_adjusted_p": None, "images_needed": None,
}  # fmt: skip
"""What version 1 did not write."""

_OVER_IMAGES = (
    "95 % bootstrap intervals over images; differences: paired sign-flip permutation test over "
    "images, p-values adjusted for all models and measures (Benjamini-Yekutieli)"
)
"""What version 1 wrote in words where whole images were resampled."""


def upgrade(old: Plain) -> Plain:
    """The summary of a comparison of any older version in the present schema.

    Parts that are not what they should be are passed on as they are, for validation to name them.

    Parameters
    ----------
    old
        Plain values, as read from ``summary.json``; they are not changed.
    """
    if old["schema_version"] > 1:
        return old
    new = _NOT_MEASURED | old
    if "statistics" in new:
        new["resampled"] = "images" if new.pop("statistics") == _OVER_IMAGES else "patches"
    return replaced(new, _CHANGES) | {"schema_version": 2}


def _config(old: Plain) -> Plain:
    return replaced(old, {"analysis": settings})


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "psnr_ceiling_db": lambda part: changed(part, checked_ceiling),
    "config": lambda part: changed(part, _config),
    "warnings": legacy_notices,
}
"""How each part of a version 1 summary becomes one of version 2."""
