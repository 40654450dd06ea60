"""Arguments of :func:`cooanalysis.compare`, from which ``coo-compare`` is built too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cooanalysis.analysis.arguments import RunArguments
from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.comparison.config import CompareConfig, ComparedOptions, CompareOptions
from cooanalysis.runtime.options import about_like, like, option


@dataclass(frozen=True, kw_only=True)
class CompareArguments(RunArguments, CompareOptions, ComparedOptions):
    """Everything that :func:`cooanalysis.compare` takes."""

    dataset: str | Path = field(kw_only=False, metadata=about_like(AnalysisConfig, "dataset"))
    models: Mapping[str, str | Path | Callable[..., Any]] | Iterable[str] = field(
        kw_only=False, metadata=about_like(CompareConfig, "models")
    )
    reference: str | Path | None = like(AnalysisConfig, "reference")
    metrics: str | Iterable[str] = like(CompareConfig, "metrics", "auto")
    cache: str | Path | bool = option(
        True,
        panel="Models and metrics",
        help="Folder in which outputs of checkpoints are kept.",
        otherwise="the user's cache folder",
        values="folder",
    )
