"""What :func:`cooanalysis.analyze` and :func:`cooanalysis.compare` return: records with plots,
reports and files on top.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cooanalysis.analysis import files as analysis_files
from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.comparison import files as comparison_files
from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.runtime.run_directory import FIGURES_FOLDER, REPORT_FILE, write_whole

if TYPE_CHECKING:
    from cooanalysis.plots import Plots
    from cooanalysis.report.explorer import Explorer

TABLES_FOLDER = "tables"


class Result(AnalysisRecord):
    """The outcome of :func:`cooanalysis.analyze`.

    Its data are the attributes of :class:`~cooanalysis.analysis.record.AnalysisRecord`.
    """

    @cached_property
    def plot(self) -> Plots[AnalysisRecord]:
        """Figures of this result: ``result.plot.entropy_vs_center_distance()`` and so on."""
        from cooanalysis.plots import Plots

        return Plots(self)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run directory: whole or not at all.

        Parameters
        ----------
        directory
            Where to write. It must not exist, unless it is a run directory and ``overwrite``.

        Raises
        ------
        RunDirectoryError
            If the directory holds something else or cannot be written.
        """
        from cooanalysis.plots import save_figures
        from cooanalysis.report.analysis import write_report

        def fill(building: Path) -> None:
            analysis_files.write_files(self, building)
            drawn = save_figures(self, building / FIGURES_FOLDER)
            pictures = {path.stem: path.read_bytes() for path in drawn if path.suffix == ".png"}
            write_report(self, building / REPORT_FILE, pictures)

        return write_whole(Path(directory), fill, overwrite=overwrite)

    def explore(self) -> Explorer:
        """An interactive view for notebooks: point at a patch, see its group, center and ground
        truth.

        Raises
        ------
        CooError
            If the run is from a version that kept no images of patches.
        """
        from cooanalysis.report.analysis import explore

        return explore(self)

    def _repr_html_(self) -> str:
        from cooanalysis.report.card import summary_card

        return summary_card(self.summary)

    def __repr__(self) -> str:
        from cooanalysis.report.numbers import Number

        s = self.summary
        return (
            f"<Result {s.dataset.name} x{s.scale}: {s.n_queries} queries, "
            f"PSNR ceiling {Number.of(s.psnr_ceiling_db).plain(2, ' dB')}>"
        )


class Comparison(ComparisonRecord):
    """The outcome of :func:`cooanalysis.compare`.

    Its data are the attributes of :class:`~cooanalysis.comparison.record.ComparisonRecord`.
    """

    @cached_property
    def plot(self) -> Plots[ComparisonRecord]:
        """Figures: ``comparison.plot.perception_distortion()`` and so on."""
        from cooanalysis.plots import Plots

        return Plots(self)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run directory: whole or not at all.

        Raises
        ------
        RunDirectoryError
            If the directory holds something else or cannot be written.
        """
        from cooanalysis.plots import save_figures
        from cooanalysis.report.comparison import write_report
        from cooanalysis.report.tables import write_tables

        def fill(building: Path) -> None:
            comparison_files.write_files(self, building)
            write_tables(self, building / TABLES_FOLDER)
            drawn = save_figures(self, building / FIGURES_FOLDER)
            pictures = {path.stem: path.read_bytes() for path in drawn if path.suffix == ".png"}
            write_report(self, building / REPORT_FILE, pictures)

        return write_whole(Path(directory), fill, overwrite=overwrite)

    def explore(self) -> Explorer:
        """An interactive view for notebooks: point at a patch, see what every model outputs.

        Raises
        ------
        CooError
            If the comparison is from a version that kept no images of patches.
        """
        from cooanalysis.report.comparison import explore

        return explore(self)

    def _repr_html_(self) -> str:
        from cooanalysis.report.comparison import card

        return card(self)

    def __repr__(self) -> str:
        return (
            f"<Comparison on {self.summary.dataset.name} x{self.summary.scale}: "
            f"{', '.join(self.names)}>"
        )


def summary_schema(kind: Literal["analysis", "comparison"] = "analysis") -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``summary.json``, generated from its record.

    Parameters
    ----------
    kind
        Whose run directory it is in.

    Examples
    --------
    >>> summary_schema()["title"]
    'AnalysisSummary'
    >>> summary_schema("comparison")["properties"]["scale"]["enum"]
    [2, 3, 4, 8]
    """
    record = ComparisonSummary if kind == "comparison" else AnalysisSummary
    parts = msgspec.json.schema(record)["$defs"]
    for part in parts.values():
        # Fields have descriptions of their own.
        text, _, _ = inspect.cleandoc(part["description"]).partition("\n\nAttributes\n")
        part["description"] = " ".join(text.split())
    whole = parts.pop(record.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole | {"$defs": parts}


def load(directory: str | Path) -> Result:
    """Read the run directory of an analysis back.

    Raises
    ------
    RunDirectoryError
        If it is not a complete run directory, or was written by a newer version.
    """
    return Result(**vars(analysis_files.read_files(Path(directory))))


def load_comparison(directory: str | Path) -> Comparison:
    """Read the run directory of a comparison back.

    Raises
    ------
    RunDirectoryError
        If it is not one, or is damaged.
    """
    return Comparison(**vars(comparison_files.read_files(Path(directory))))
