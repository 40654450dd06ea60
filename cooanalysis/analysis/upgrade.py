"""Summaries of analyses that older versions wrote, brought to the present schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Plain = dict[str, Any]

_NOTHING = {"value": None, "ci_low": None, "ci_high": None}
_CONFIG = {"colour": "color", "normalise": "normalize"}
_OVER_IMAGES = "95 % bootstrap interval over images"
"""What version 1 wrote in words where whole images were resampled."""


def upgrade(old: Plain) -> Plain:
    """The summary of an analysis of any older version in the present schema.

    Parts that are not what they should be are passed on as they are, for validation to name them.

    Parameters
    ----------
    old
        Plain values, as read from ``summary.json``; they are not changed.
    """
    if old["schema_version"] > 1:
        return old
    new = _NEWER_PARTS | old
    if "uncertainty" in new:
        new["resampled"] = "images" if new.pop("uncertainty") == _OVER_IMAGES else "patches"
    new["entropy"] = each(new.get("entropy"), _estimator)
    new["psnr_ceiling_db"] = changed(
        new.get("psnr_ceiling_db"), lambda part: {"half_k_db": None} | checked_ceiling(part)
    )
    rows = new.get("detail_energy_by_decile")
    if isinstance(rows, list):
        new["detail_energy_by_decile"] = [
            changed(row, lambda part: {"by_chance": None} | part) for row in rows
        ]
    new["manifold"] = each(new.get("manifold"), _space)
    new["two_sample_auc"] = changed(
        new.get("two_sample_auc"),
        lambda part: dict.fromkeys(("center", "bicubic", "clean_null"), _NOTHING) | part,
    )
    new["engine"] = changed(new.get("engine"), lambda part: {"workers": None} | part)
    new["config"] = settings(new.get("config"))
    return new | {"schema_version": 2, "warnings": legacy_notices(new.get("warnings"))}


_NEWER_PARTS: Plain = {"detail_energy_by_chance": _NOTHING, "peak_rss_bytes": None, "skipped": []}
"""What the first releases did not write."""


def changed(part: Any, change: Callable[[Plain], Plain]) -> Any:
    """A part of a summary after a change; what is not a mapping stays as it is."""
    return change(part) if isinstance(part, dict) else part


def each(part: Any, change: Callable[[Plain], Plain]) -> Any:
    """A mapping whose values are changed; see :func:`changed`."""
    return changed(part, lambda p: {key: changed(value, change) for key, value in p.items()})


def checked_ceiling(old: Plain) -> Plain:
    """A PSNR ceiling: the verdict in words becomes a code."""
    new = {key: value for key, value in old.items() if key not in ("trusted", "reason")}
    reliable = old.get("trusted", True)
    code = "center_clearly_below" if reliable else "center_not_clearly_below"
    return new | {"reliable": reliable, "reason": code}


def settings(old: Any) -> Any:
    """The options of an analysis under the names that they have now."""
    return changed(old, lambda part: {_CONFIG.get(key, key): part[key] for key in part})


def legacy_notices(old: Any) -> Any:
    """Warnings in words, kept word by word."""
    if not isinstance(old, list):
        return old
    return [{"code": "legacy", "facts": {"text": text}} for text in old]


def _estimator(old: Plain) -> Plain:
    return old | {"reliability": changed(old.get("reliability"), _reliability)}


def _reliability(old: Plain) -> Plain:
    new = {key: value for key, value in old.items() if key != "trusted"}
    reliable = old.get("trusted", True)
    if reliable:
        code = "bias_within_tolerance"
    else:
        # The two other reasons leave no estimate, and no run gets far with too few members.
        measured = old.get("bias") is not None
        code = "bias_beyond_tolerance" if measured else "singular_covariance"
    return new | {"reliable": reliable, "reason": code}


def _space(old: Plain) -> Plain:
    names = ("center_ratio", "bicubic_ratio", "clean_ratio")
    quartiles = [f"{name}_by_quartile" for name in names[:2]]
    if "missing" not in old:
        return {"missing": None, "warning": None} | old
    empty = dict.fromkeys(names, _NOTHING) | dict.fromkeys(quartiles, [_NOTHING] * 4)
    return {"title": "", "warning": None} | empty | old
