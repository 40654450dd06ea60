"""Draft."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cooanalysis.result import Result


def render_report(result: Result, figures: Mapping[str, bytes] | None = None) -> str:
    return "<!doctype html><title>report</title>"


def write_report(
    result: Result, path: str | Path, figures: Mapping[str, bytes] | None = None
) -> Path:
    target = Path(path)
    target.write_text(render_report(result, figures), encoding="utf-8")
    return target
