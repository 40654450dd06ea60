"""Figures of analyses and comparisons: pure functions from plain records.

One file per figure in :mod:`cooanalysis.plots.analysis` and :mod:`cooanalysis.plots.comparison`,
one style for all in :mod:`cooanalysis.plots.style`. :func:`register_figure` adds a figure.
"""

from cooanalysis.plots.plot import Plot
from cooanalysis.plots.registry import (
    ANALYSIS_FIGURES,
    COMPARISON_FIGURES,
    Plots,
    figures_of,
    png_figures,
    register_figure,
    save_figures,
    unavailable,
)

__all__ = [
    "ANALYSIS_FIGURES",
    "COMPARISON_FIGURES",
    "Plot",
    "Plots",
    "figures_of",
    "png_figures",
    "register_figure",
    "save_figures",
    "unavailable",
]
