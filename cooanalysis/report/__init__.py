"""The report of a run: a self-contained HTML page and a small card for notebooks."""

from __future__ import annotations

from cooanalysis.report.analysis import render_report, write_report
from cooanalysis.report.card import summary_card

__all__ = ["render_report", "summary_card", "write_report"]
