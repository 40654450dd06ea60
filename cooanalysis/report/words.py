"""Draft."""

from __future__ import annotations

from typing import Any


def summary_card(summary: dict[str, Any]) -> str:
    return "<div></div>"
