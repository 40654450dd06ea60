"""All figures by name: those of an analysis, those of a comparison, and those that users add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from matplotlib.figure import Figure

from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.errors import ConfigError
from cooanalysis.plots.plot import Plot, always_there
from cooanalysis.plots.style import png_bytes, save_figure
from cooanalysis.runtime.registry import Registry

R = TypeVar("R", AnalysisRecord, ComparisonRecord)

ANALYSIS_FIGURES: Registry[Plot[AnalysisRecord]] = Registry(
    "figure of an analysis",
    "cooanalysis.analysis_figures",
    {
        name: f"cooanalysis.plots.analysis.{name}:FIGURE"
        for name in (
            "entropy_vs_center_distance",
            "detail_energy",
            "manifold_distances",
            "psnr_ceiling",
            "entropy_maps",
            "example_groups",
        )
    },
)
"""Figures of an analysis, in the order of the report."""

COMPARISON_FIGURES: Registry[Plot[ComparisonRecord]] = Registry(
    "figure of a comparison",
    "cooanalysis.comparison_figures",
    {
        name: f"cooanalysis.plots.comparison.{name}:FIGURE"
        for name in (
            "knows_shows_makes_up",
            "error_budget",
            "perception_distortion",
            "bound",
            "against_entropy",
            "by_frequency",
            "power_spectra",
            "crops",
            "maps",
        )
    },
)
"""Figures of a comparison, in the order of the report."""


def figures_of(record: R) -> Registry[Plot[R]]:
    """The figures of a kind of record: of an analysis or of a comparison."""
    figures: Any = COMPARISON_FIGURES if isinstance(record, ComparisonRecord) else ANALYSIS_FIGURES
    return figures


def register_figure(
    name: str,
    draw: Callable[[Any, Figure | None], Figure],
    *,
    of: Literal["analysis", "comparison"] = "analysis",
    title: str | None = None,
    caption: Callable[[Any], str] | None = None,
    missing: Callable[[Any], str | None] | None = None,
    replace: bool = False,
) -> None:
    """Add a figure for as long as this process runs.

    It is written with each run, has its section in the report, and can be drawn as
    ``result.plot.NAME()``. Packages instead announce a :class:`~cooanalysis.plots.Plot` in the
    entry-point group ``cooanalysis.analysis_figures`` or ``cooanalysis.comparison_figures``.

    Parameters
    ----------
    name
        Name of the files and of the method.
    draw
        From a record, and the figure to draw into or None, to the figure; see
        :class:`~cooanalysis.plots.Plot`.
    of
        What it is a figure of.
    title
        Heading in the report; the name unless given.
    caption
        From a record to the paragraph below the figure.
    missing
        From a record to the reason why there is nothing to show; None where there is something.
    replace
        Take the place of a figure of the same name.

    Raises
    ------
    ConfigError
        If the name is not an identifier, or is taken and ``replace`` is False.
    """
    if not name.isidentifier():
        raise ConfigError(f"a figure is called by its name, which must be an identifier: {name!r}")
    heading = name.replace("_", " ").capitalize() if title is None else title
    plot = Plot(draw, heading, missing or always_there, caption)
    figures: Any = {"analysis": ANALYSIS_FIGURES, "comparison": COMPARISON_FIGURES}[of]
    figures.register(name, plot, replace=replace)


class Plots(Generic[R]):
    """Figures of one record: ``result.plot.detail_energy()`` and so on.

    Parameters
    ----------
    record
        Of an analysis or of a comparison.
    """

    def __init__(self, record: R) -> None:
        self._record: R = record

    def __getattr__(self, name: str) -> Callable[..., Figure]:
        figures = figures_of(self._record)
        if name not in figures:
            raise AttributeError(f"no figure is called {name!r}; there are {', '.join(figures)}")
        chosen = figures[name]

        def plot(fig: Figure | None = None) -> Figure:
            return chosen(self._record, fig)

        plot.__name__ = name
        plot.__doc__ = chosen.draw.__doc__
        return plot

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *figures_of(self._record)]

    def all(self) -> dict[str, Figure]:
        """Every figure, by name."""
        return {name: plot(self._record) for name, plot in figures_of(self._record).items()}


def unavailable(record: R) -> dict[str, str]:
    """Figures that would show nothing, each with the reason.

    Returns
    -------
    dict
        Name of the figure to one sentence.
    """
    reasons = {name: plot.missing(record) for name, plot in figures_of(record).items()}
    return {name: reason for name, reason in reasons.items() if reason}


def _drawn(record: R) -> Iterator[tuple[str, Figure]]:
    """All figures that have something to show, one after another."""
    skip = unavailable(record)
    for name, plot in figures_of(record).items():
        if name not in skip:
            yield name, plot(record)


def png_figures(record: R) -> dict[str, bytes]:
    """PNG files of all figures that have something to show, by name."""
    return {name: png_bytes(fig) for name, fig in _drawn(record)}


def save_figures(record: R, folder: str | Path) -> list[Path]:
    """Write all figures that have something to show as PNG (150 dpi) and PDF.

    Parameters
    ----------
    record
        Of an analysis or of a comparison.
    folder
        Where to write; created if needed.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the report, PNG before PDF. They contain no dates: the same
        record gives the same bytes.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, fig in _drawn(record):
        for kind in ("png", "pdf"):
            path = target / f"{name}.{kind}"
            with path.open("wb") as file:
                save_figure(fig, file, kind)
            paths.append(path)
    return paths
