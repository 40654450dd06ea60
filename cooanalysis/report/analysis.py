"""The report as one self-contained HTML page: no network, images embedded."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.measures.entropy import entropy_power, estimator_title
from cooanalysis.metrics.decibels import decibels
from cooanalysis.plots import ANALYSIS_FIGURES, Plot, png_figures, unavailable
from cooanalysis.report import captions as texts
from cooanalysis.report.card import tiles
from cooanalysis.report.computation import computed, options, timings
from cooanalysis.report.explorer import Explorer, explorer_data, explorer_page, models_shown
from cooanalysis.report.notices import warnings
from cooanalysis.report.numbers import NOT_AVAILABLE, Number, count
from cooanalysis.report.pages import Script, environment, without_surrogates
from cooanalysis.report.reasons import reliability_reason, signed
from cooanalysis.report.verdict import question, verdict

R = TypeVar("R")

LISTED = 50
"""Rows of a list (skipped files, leaks) that are shown; the summary holds them all."""


def render_report(result: AnalysisRecord, figures: Mapping[str, bytes] | None = None) -> str:
    """Return the report of a run as HTML.

    Parameters
    ----------
    result
        The run.
    figures
        PNG files by figure name, as :func:`cooanalysis.plots.png_figures` makes them; they
        are drawn if not given. A figure that is missing is left out with the reason.

    Returns
    -------
    str
        One self-contained page. Text that comes from files (names, reasons) is
        escaped.
    """
    if figures is None:
        figures = png_figures(result)
    summary = result.summary
    missing, gaps = unavailable(result), paired_gaps(result)
    captions = {
        "entropy_vs_center_distance": texts.entropy_caption(summary, share_below_bound(result)),
        "detail_energy": texts.detail_caption(summary),
        "manifold_distances": texts.manifold_caption(summary),
        "psnr_ceiling": texts.ceiling_caption(summary, gaps),
        "entropy_maps": texts.maps_caption(summary),
        "example_groups": texts.examples_caption(),
    }
    sections = [
        figure_section(name, plot, result, figures, missing, captions)
        | {"alt": texts.alt_text(name, summary)}
        for name, plot in ANALYSIS_FIGURES.items()
    ]
    page = (
        environment()
        .get_template("template.html")
        .render(
            summary=summary,
            question=question(summary),
            warnings=warnings(summary),
            tiles=tiles(summary),
            not_available=NOT_AVAILABLE,
            script=Script.read("explorer.js"),
            explorer=_explorer_data(result),
            explorer_models=models_shown(result.explored),
            verdict=verdict(summary, gaps),
            sections=sections,
            estimators=_estimator_rows(summary),
            deciles=_decile_rows(summary),
            distances=_distance_rows(summary),
            pairs=_pair_rows(summary),
            computed=computed(summary),
            timings=timings(summary.timings_s),
            options=options(summary.config),
            listed=LISTED,
        )
    )
    return without_surrogates(page)


def figure_section(
    name: str,
    plot: Plot[R],
    record: R,
    figures: Mapping[str, bytes],
    missing: Mapping[str, str],
    captions: Mapping[str, str],
) -> dict[str, Any]:
    """A section of a report with a figure, or with the reason why there is none.

    Parameters
    ----------
    name, plot, record
        What the figure shows.
    figures, missing
        PNG files and reasons, by name of the figure.
    captions
        Those that the report writes; a figure without one brings its own.
    """
    caption = captions.get(name)
    if caption is None and plot.caption is not None and name not in missing:
        caption = plot.caption(record)
    return {
        "name": name,
        "heading": plot.title,
        "caption": caption or "",
        "png": base64.b64encode(figures[name]).decode("ascii") if name in figures else None,
        "missing": missing.get(name, "The figure was not drawn."),
    }


def write_report(
    result: AnalysisRecord, path: str | Path, figures: Mapping[str, bytes] | None = None
) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    result, figures
        As in :func:`render_report`.
    path
        The HTML file.

    Returns
    -------
    pathlib.Path
        The file.
    """
    target = Path(path)
    target.write_text(render_report(result, figures), encoding="utf-8")
    return target


def explore(result: AnalysisRecord) -> Explorer:
    """The explorer of a run alone; see :meth:`cooanalysis.Result.explore`."""
    summary = result.summary
    title = f"{summary.dataset.title} ×{summary.scale}: groups, centers, ground truth"
    return explorer_page(result.explored, title, _explorer_data(result))


def _explorer_data(result: AnalysisRecord) -> dict[str, Any] | None:
    return explorer_data(
        result.explored,
        result.maps,
        scale=result.summary.scale,
        patch_width=result.summary.config.patch_width,
    )


def paired_gaps(result: AnalysisRecord) -> dict[str, Number]:
    """How many dB the ceiling lies above the center and above bicubic, on the same patches.

    Images differ far more than methods do, so the intervals of single PSNRs overlap; the
    difference on the same images is known much better.

    Returns
    -------
    dict
        ``center`` and ``bicubic``; empty where columns or numbers are missing.
    """
    groups = result.groups
    needed = ("image", "lr_std", "mmse_floor", "center_error", "truth_energy")
    if not len(groups) or any(name not in groups for name in needed):
        return {}
    column = {name: groups[name].to_numpy(np.float64) for name in needed[1:]}
    names = groups["image"].astype(str).to_numpy()
    bootstrap = ImageBootstrap(np.unique(names, return_inverse=True)[1], seed=result.summary.seed)
    unit = column["lr_std"] ** 2
    errors = {
        "center": column["center_error"] ** 2 * unit,
        "bicubic": column["truth_energy"] * unit,
    }
    gaps = {}
    for name, error in errors.items():
        ratio = bootstrap.ratio(error, column["mmse_floor"])
        if ratio.value > 0 and ratio.ci_low > 0:
            gap = ratio.transform(lambda value: float(decibels(value)))
            gaps[name] = Number.of(gap)
    return gaps


def share_below_bound(result: AnalysisRecord) -> dict[str, float]:
    """Share of the query patches whose distance lies below the bound that their entropy sets."""
    shares = {}
    if "center_rms_subspace" not in result.groups:
        return {}
    distance = result.groups["center_rms_subspace"].to_numpy(np.float64)
    for name in result.summary.entropy:
        if entropy_column(name) not in result.groups:
            continue
        entropy = result.groups[entropy_column(name)].to_numpy(np.float64)
        valid = np.isfinite(entropy) & np.isfinite(distance)
        if valid.any():
            bound = entropy_power(entropy[valid])
            shares[name] = float(np.mean(distance[valid] ** 2 < bound))
    return shares


def _estimator_rows(summary: AnalysisSummary) -> list[dict[str, str]]:
    return [
        {
            "name": estimator_title(name),
            "mean": Number.of(entry.mean).text(2),
            "unit": entry.unit,
            "subspace": entry.subspace,
            "absolute": Number.of(entry.absolute_mean).text(2),
            "spearman": Number.of(entry.spearman_center_distance).text(3),
            "bias": signed(Number.finite(entry.reliability.bias), 4),
            "reliable": "yes" if entry.reliability.reliable else "no",
            "reason": reliability_reason(entry.reliability),
        }
        for name, entry in summary.entropy.items()
    ]


def _decile_rows(summary: AnalysisSummary) -> list[dict[str, str]]:
    return [
        {
            "decile": str(row.decile),
            "low": Number.finite(row.entropy_low).plain(2),
            "high": Number.finite(row.entropy_high).plain(2),
            "retained": Number.of(row.retained).text(2, " %", 100.0),
            "n": count(row.n),
        }
        for row in summary.detail_energy_by_decile
    ]


def _distance_rows(summary: AnalysisSummary) -> list[dict[str, str | None]]:
    return [
        {
            "title": space.title or name,
            "missing": space.missing,
            "warning": space.warning,
            "clean": Number.of(space.clean_ratio).text(2),
            "center": Number.of(space.center_ratio).text(2),
            "bicubic": Number.of(space.bicubic_ratio).text(2),
        }
        for name, space in summary.manifold.items()
    ]


def _pair_rows(summary: AnalysisSummary) -> list[dict[str, str]]:
    return [
        {
            "query": pair.query,
            "reference": pair.reference,
            "kind": pair.kind,
            "similarity": Number.finite(pair.similarity).plain(3),
        }
        for pair in summary.leakage.pairs
    ]
