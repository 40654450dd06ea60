"""The report of a comparison: one self-contained HTML page, and a card for notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.measures.paired import LEVEL
from cooanalysis.plots import COMPARISON_FIGURES, unavailable
from cooanalysis.report.analysis import LISTED, figure_section
from cooanalysis.report.comparison_text import (
    asked,
    captions,
    folded,
    grounds,
    statistics,
    title,
)
from cooanalysis.report.computation import grouping, options, timings
from cooanalysis.report.explorer import Explorer, explorer_data, explorer_page, models_shown
from cooanalysis.report.notices import details, warnings
from cooanalysis.report.numbers import Number, count, seconds, size
from cooanalysis.report.pages import Script, data_url, environment, without_surrogates
from cooanalysis.report.tables import DASH, budgets, differences, headline, referees


def render_report(comparison: ComparisonRecord, figures: Mapping[str, bytes]) -> str:
    """Return the report of a comparison as HTML.

    Parameters
    ----------
    comparison
        The comparison.
    figures
        PNG files by the names of :data:`cooanalysis.plots.COMPARISON_FIGURES`. A figure that is
        missing is left out with the reason.

    Returns
    -------
    str
        One self-contained page. Text that comes from files or from the names of models is
        escaped, and the page's security policy allows no script but its own.
    """
    summary = comparison.summary
    pictures = _pictures(comparison)
    page = (
        environment()
        .get_template("comparison.html")
        .render(
            summary=summary,
            warnings=warnings(summary),
            statistics=statistics(summary),
            options=options(summary.config.analysis),
            title=title(summary),
            asked=asked(summary),
            level=LEVEL,
            table=_table(comparison),
            differences=_plain_table(differences(comparison)),
            grounds=grounds(summary),
            referees=_plain_table(referees(comparison)),
            budgets=_plain_table(budgets(comparison)),
            pictures=pictures,
            shown=_shown_first(list(comparison.crops[0].pictures) if pictures else []),
            sections=_sections(comparison, figures),
            computed=_computed(summary),
            timings=timings(summary.timings_s),
            listed=LISTED,
            script=Script.read("comparison.js", "explorer.js"),
            explorer=_explorer_data(comparison),
            explorer_models=models_shown(comparison.explored),
        )
    )
    return without_surrogates(page)


def write_report(
    comparison: ComparisonRecord, path: str | Path, figures: Mapping[str, bytes]
) -> Path:
    """Write the report of a comparison; see :func:`render_report`."""
    target = Path(path)
    target.write_text(render_report(comparison, figures), encoding="utf-8")
    return target


def explore(comparison: ComparisonRecord) -> Explorer:
    """The explorer of a comparison alone."""
    data = _explorer_data(comparison)
    return explorer_page(comparison.explored, title(comparison.summary), data)


def card(comparison: ComparisonRecord) -> str:
    """Return a small HTML fragment, the table and the verdicts, for notebooks."""
    summary = comparison.summary
    shown, best = headline(comparison)
    cell = "padding:2px 12px 2px 0;text-align:left;border:0;background:none;white-space:nowrap"
    head = "".join(f'<th scope="col" style="{cell}">{escape(str(c))}</th>' for c in shown.columns)
    rows = []
    for place, values in enumerate(shown.to_dict("records")):
        cells = "".join(
            f'<td style="{cell}{";font-weight:bold" if (place, key) in best else ""}">'
            f"{escape(str(value))}</td>"
            for key, value in values.items()
        )
        rows.append(f'<tr style="background:none">{cells}</tr>')
    verdicts = "".join(
        f"<li><b>{escape(model.name)}</b>: {escape(' '.join(model.verdict))}</li>"
        for model in summary.models
    )
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4;'
        "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 14px;"
        'overflow-x:auto">'
        f'<div style="font-weight:bold;margin-bottom:6px">{escape(title(summary))}</div>'
        '<table style="font-size:inherit;border-collapse:collapse;border:0;margin:0">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        '<div style="opacity:.75;margin-top:4px">± half of the 95 % interval</div>'
        f'<ul style="margin:6px 0 0 1.2em;padding:0">{verdicts}</ul>'
        f"{details(warnings(summary))}</div>"
    )


# -- parts of the page ----------------------------------------------------------------------


def _sections(comparison: ComparisonRecord, figures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    missing, written, more = unavailable(comparison), captions(comparison), folded(comparison)
    return [
        figure_section(name, plot, comparison, figures, missing, written)
        | {"more": more.get(name, "")}
        for name, plot in COMPARISON_FIGURES.items()
    ]


def _table(comparison: ComparisonRecord) -> dict[str, Any]:
    """The main table: texts, and the numbers by which they are sorted."""
    shown, best = headline(comparison)
    numbers = comparison.table().to_numpy(np.float64)
    rows = []
    for place, texts in enumerate(shown.itertuples(index=False)):
        cells: list[dict[str, Any]] = [{"text": texts[0]}]
        for column, text in enumerate(texts[1:]):
            key = shown.columns[column + 1]
            # What is not shown is not sorted by, either.
            value = math.nan if text == DASH else float(numbers[place, column])
            cells.append({"text": text, "value": repr(value), "best": (place, key) in best})
        rows.append(cells)
    return {"columns": list(shown.columns), "rows": rows}


def _plain_table(frame: Any) -> dict[str, Any]:
    return {"columns": list(frame.columns), "rows": frame.to_numpy().tolist()}


def _pictures(comparison: ComparisonRecord) -> list[dict[str, Any]]:
    """The crops in the form that the script reads."""
    return [
        {
            "image": without_surrogates(crop.image),
            "left": crop.left,
            "top": crop.top,
            "width": crop.pictures["hr"].shape[1],
            "height": crop.pictures["hr"].shape[0],
            # Pairs, because a JavaScript object would put names that are numbers first.
            "pictures": [[name, data_url(picture)] for name, picture in crop.pictures.items()],
        }
        for crop in comparison.crops
    ]


def _explorer_data(comparison: ComparisonRecord) -> dict[str, Any] | None:
    maps = comparison.maps
    first = maps[maps["model"] == comparison.names[0]]
    return explorer_data(
        comparison.explored,
        first,
        scale=comparison.summary.scale,
        patch_width=comparison.summary.config.analysis.patch_width,
    )


def _shown_first(names: list[str]) -> tuple[str, str]:
    """What the view shows first: a model and the same one trained with DECLoss, or a model and
    the ground truth."""
    for name in names:
        if f"{name}-decloss" in names:
            return name, f"{name}-decloss"
    models = [name for name in names if name not in ("bicubic", "hr")]
    return (models or ["bicubic"])[0], "hr"


def _ceiling(summary: ComparisonSummary) -> str:
    ceiling = summary.psnr_ceiling_db
    doubt = "" if ceiling.reliable else ", which is unreliable"
    return Number.of(ceiling).text(2, " dB") + doubt


def _computed(summary: ComparisonSummary) -> list[tuple[str, str]]:
    return [
        ("Groups", grouping(summary.config.analysis)),
        ("Query patches", count(summary.n_queries)),
        ("PSNR ceiling", _ceiling(summary)),
        ("Outputs taken from the cache", count(summary.cached_outputs)),
        ("Time", seconds(summary.timings_s.get("total"))),
        ("Peak memory", size(summary.peak_rss_bytes)),
        ("Seed", str(summary.seed)),
    ]
