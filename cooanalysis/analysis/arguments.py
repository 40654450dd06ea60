"""Arguments of :func:`cooanalysis.analyze`, from which ``coo-analyze`` is built too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cooanalysis.analysis.config import AnalysisConfig, AnalysisOptions
from cooanalysis.runtime.options import about_like, like, option


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """Where data are found, which workers compute, where results go; none changes a result."""

    data_root: str | Path | None = option(
        None,
        panel="Data",
        help="Folder that holds the data sets.",
        otherwise="the environment variable COO_DATA_HOME, then the user's cache",
        values="folder",
    )
    download: bool = option(True, panel="Data", help="Download a named data set that is not found.")
    workers: int | None = option(
        None,
        panel="Search and resources",
        help="Number of worker processes to start on this machine.",
        otherwise="one process that uses all cores",
    )
    cluster: str | None = option(
        None,
        panel="Search and resources",
        help="Address of a Dask scheduler, or its scheduler file, whose workers do the heavy "
        "parts.",
    )
    out: str | Path | None = option(
        None,
        panel="Output",
        help="Run directory to write. A finished run of the same configuration and data is loaded "
        "instead of repeated; an interrupted one resumes.",
        flags=("--out", "-o"),
        otherwise="no files",
        values="folder",
    )
    overwrite: bool = option(
        False, panel="Output", help="Replace a run directory of another configuration."
    )
    progress: bool = option(
        False, panel="Output", help="Draw progress bars on standard error.", command=False
    )


@dataclass(frozen=True, kw_only=True)
class AnalyzeArguments(RunArguments, AnalysisOptions):
    """Everything that :func:`cooanalysis.analyze` takes."""

    dataset: str | Path = field(kw_only=False, metadata=about_like(AnalysisConfig, "dataset"))
    reference: str | Path | None = like(AnalysisConfig, "reference")
