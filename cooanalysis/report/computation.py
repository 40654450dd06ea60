"""How a result was computed: data, groups, search, leakage and cost, as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cooanalysis.analysis.config import AnalysisSettings
from cooanalysis.analysis.summary_record import AnalysisSummary, IndexRecall, Leakage
from cooanalysis.report.numbers import Number, count, seconds, size
from cooanalysis.report.reasons import intervals


def computed(summary: AnalysisSummary) -> list[tuple[str, str]]:
    """Facts about the computation: name and text."""
    engine, source = summary.engine, summary.dataset.lr_source
    index = f"{engine.index} index, {engine.engine}"
    if engine.effort is not None:
        index += f", effort {engine.effort}"
    return [
        (
            "LR images",
            f"{count(source.dataset)} from the data set, {count(source.made)} made here (bicubic)",
        ),
        ("Groups", grouping(summary.config)),
        ("Neighbor search", f"{index}, on {summary.device}"),
        ("Recall of the index", recall(summary.recall_at_k)),
        ("Time", seconds(summary.timings_s.get("total"))),
        ("Peak memory", size(summary.peak_rss_bytes)),
        ("Intervals", intervals(summary.resampled)),
        ("Leakage", leakage(summary.leakage)),
        ("Seed", str(summary.seed)),
    ]


def grouping(config: AnalysisSettings) -> str:
    """How groups were formed."""
    if config.grouping == "kmeans":
        return f"{config.k} members of the query's k-means cell of HR patches"
    return f"the {config.k} nearest LR patches, never from the query's own image"


def recall(found: IndexRecall | None) -> str:
    """Recall of the neighbor index, or why there is none."""
    if found is None:
        return "not available (k-means groups need no index)"
    if found.exact:
        return "1 (exact search)"
    return (
        f"recall@{found.k} {Number.of(found).text(4)}, measured against exact search on "
        f"{count(found.n_queries)} queries of this run"
    )


def leakage(found: Leakage) -> str:
    """What the search for shared content found."""
    if not found.checked:
        return "not checked"
    if not found.n_pairs:
        return "no query image has its content in another reference image"
    excluded = (
        "kept from being used as neighbors of those queries" if found.excluded else "NOT excluded"
    )
    pairs = count(found.n_pairs)
    return f"{pairs} pairs of query and reference images share content, {excluded}"


def timings(seconds_by_stage: Mapping[str, float]) -> list[tuple[str, str]]:
    """Stages and their durations, the longest first."""
    stages = {stage: value for stage, value in seconds_by_stage.items() if stage != "total"}
    longest_first = sorted(stages.items(), key=lambda item: -item[1])
    return [(stage, seconds(value)) for stage, value in longest_first]


def options(config: AnalysisSettings) -> list[tuple[str, str]]:
    """Every option with its value, as text."""
    return [
        (field.name, _text(getattr(config, field.name))) for field in dataclasses.fields(config)
    ]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
