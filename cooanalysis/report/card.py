"""Headline numbers of an analysis: tiles of the report, and a card for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from cooanalysis.analysis.summary_record import NOT_AVAILABLE, AnalysisSummary
from cooanalysis.measures.entropy.registry import estimator_title
from cooanalysis.report.notices import details, warnings
from cooanalysis.report.numbers import Estimated, Number, count
from cooanalysis.report.verdict import patch


@dataclass(frozen=True)
class Tile:
    """A headline number.

    Attributes
    ----------
    label, value, interval, note
        What it is, the number with unit, its 95 % interval (or nothing) and what it means.
    """

    label: str
    value: str
    interval: str
    note: str


def tiles(summary: AnalysisSummary) -> list[Tile]:
    """The headline numbers."""
    out = []

    def add(
        label: str, estimate: Estimated, digits: int, unit: str, note: str, factor: float = 1.0
    ) -> None:
        number = Number.of(estimate)
        out.append(
            Tile(label, number.plain(digits, unit, factor), number.interval(digits, factor), note)
        )

    space, leading = summary.leading_space, summary.leading_estimator
    entropy, ceiling = summary.entropy[leading], summary.psnr_ceiling_db
    add(
        "Entropy against center distance", summary.spearman_entropy_center_distance, 3, "",
        "rank correlation; 1 = center distance strictly rises with entropy",
    )  # fmt: skip
    add(
        "Detail kept by the center", summary.detail_energy, 1, " %",
        "of the detail energy of the ground truth; 100 % = as much", 100.0,
    )  # fmt: skip
    add(
        "Center to clean patches", NOT_AVAILABLE if space is None else space.center_ratio, 2, "×",
        "of the distance between clean patches; 1 = like a clean patch",
    )  # fmt: skip
    add(
        "PSNR ceiling", ceiling, 2, " dB",
        f"for anything that sees only {patch(summary)} LR pixels"
        + ("" if ceiling.reliable else "; unreliable"),
    )  # fmt: skip
    add(
        "Mean entropy of a group", entropy.mean, 2, " nats",
        f"per dimension, {estimator_title(leading)}"
        + ("" if entropy.reliability.reliable else "; unreliable"),
    )  # fmt: skip
    return out


def summary_card(summary: AnalysisSummary) -> str:
    """Return a small HTML fragment with the headline numbers, for notebooks.

    Styles are inline, so that nothing else on the page changes.

    Parameters
    ----------
    summary
        The summary of a run.

    Returns
    -------
    str
        HTML; all text from files is escaped.
    """
    cell = "padding:2px 14px 2px 0;text-align:left;vertical-align:baseline;border:0;background:none"
    rows = "".join(
        f'<tr style="background:none"><th scope="row" style="{cell};font-weight:normal">'
        f'{escape(tile.label)}</th><td style="{cell};font-weight:bold;white-space:nowrap">'
        f'{escape(tile.value)}</td><td style="{cell};opacity:.75;white-space:nowrap">'
        f'{escape(tile.interval)}</td><td style="{cell};opacity:.75">{escape(tile.note)}</td></tr>'
        for tile in tiles(summary)
    )
    title = (
        f"{summary.dataset.title} ×{summary.scale}: {count(summary.n_queries)} queries, "
        f"{count(summary.n_reference_patches)} reference patches"
    )
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4;'
        "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 14px;"
        f'max-width:62em"><div style="font-weight:bold;margin-bottom:6px">{escape(title)}</div>'
        '<table style="font-size:inherit;border-collapse:collapse;border:0;margin:0">'
        f"{rows}</table>"
        '<div style="opacity:.75;margin-top:4px">third column: 95 % intervals</div>'
        f"{details(warnings(summary))}</div>"
    )
