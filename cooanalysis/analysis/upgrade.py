"""Summaries of analyses that older versions wrote, brought to the present schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    return replaced(new, _CHANGES) | {"schema_version": 2}


def replaced(plain: Plain, changes: Mapping[str, Callable[[Any], Any]]) -> Plain:
    """A mapping after changes of the parts that it has."""
    return {key: changes[key](part) if key in changes else part for key, part in plain.items()}


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
    """Warnings in words, kept verbatim."""
    if not isinstance(old, list):
        return old
    return [{"code": "legacy", "facts": {"text": text}} for text in old]


def _estimator(old: Plain) -> Plain:
    return replaced(old, {"reliability": lambda part: changed(part, _reliability)})


def _reliability(old: Plain) -> Plain:
    new = {key: value for key, value in old.items() if key != "trusted"}
    reliable = old.get("trusted", True)
    if reliable:
        code = "bias_within_tolerance"
    else:
        # The two other reasons leave no estimate, and a run with too few members stops early.
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


def _ceiling(old: Plain) -> Plain:
    return {"half_k_db": None} | checked_ceiling(old)


def _deciles(old: Any) -> Any:
    if not isinstance(old, list):
        return old
    return [changed(row, lambda part: {"by_chance": None} | part) for row in old]


def _two_sample(old: Plain) -> Plain:
    return dict.fromkeys(("center", "bicubic", "clean_null"), _NOTHING) | old


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "entropy": lambda part: each(part, _estimator),
    "psnr_ceiling_db": lambda part: changed(part, _ceiling),
    "detail_energy_by_decile": _deciles,
    "manifold": lambda part: each(part, _space),
    "two_sample_auc": lambda part: changed(part, _two_sample),
    "engine": lambda part: changed(part, lambda engine: {"workers": None} | engine),
    "config": settings,
    "warnings": legacy_notices,
}
"""How each part of a version 1 summary becomes one of version 2."""
