"""Shared by several figures: sizes, marks, intervals in words, and the outputs of models.

Colors, fonts and helpers of :mod:`cooanalysis.plots.analysis` are used as they are, so that a
figure of the argument looks like one of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.data import Dataset
from cooanalysis.errors import ConfigError, ModelError
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap
from cooanalysis.plots import analysis as plotting
from cooanalysis.report.sentences import Number
from figures.contract import SHIPPED, Inputs, MissingData

if TYPE_CHECKING:
    from cooanalysis.models.sources import Source
    from cooanalysis.results import Comparison

SINGLE, DOUBLE = 3.35, 7.0
"""Inches: one and two columns of a page."""

MODELS: Mapping[str, Mapping[str, Any]] = {
    "bicubic": {"color": plotting.GRAY, "marker": "D", "ls": ":"},
    "l1": {"color": plotting.BLUE, "marker": "o", "ls": "-"},
    "l1-decloss": {"color": plotting.BLUE, "marker": "o", "ls": "--", "markerfacecolor": "white"},
    "ragan": {"color": plotting.VERMILLION, "marker": "s", "ls": "-"},
    "ragan-decloss": {
        "color": plotting.VERMILLION, "marker": "s", "ls": "--", "markerfacecolor": "white",
    },
}  # fmt: skip
"""Marks of the models, as in the figures of a comparison."""

Look = Mapping[str, Any]
"""Keywords of matplotlib: color, marker, line."""

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


# -- look -----------------------------------------------------------------------------------


def publication() -> AbstractContextManager[None]:
    """The style of :mod:`cooanalysis.plots.analysis`, a little smaller, for printed columns."""
    small: Any = {"axes.titlesize": 8.0, "axes.labelsize": 7.5, "font.size": 7.5,
                  "legend.fontsize": 7.0, "xtick.labelsize": 7.0, "ytick.labelsize": 7.0,
                  "axes.titleweight": "normal"}  # fmt: skip
    return mpl.rc_context(dict(plotting.STYLE) | small)


def canvas(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches."""
    return plotting.new_figure(None, width, height)


def laid_out(fig: Figure) -> Figure:
    """Compute the layout once and freeze it."""
    return plotting.laid_out(fig)


def letter(ax: Axes, name: str, title: str = "") -> None:
    """Name a panel: a bold letter before its title."""
    ax.set_title(title)
    ax.text(0.0, 1.0, name, transform=ax.transAxes, ha="right", va="bottom", fontweight="bold",
            fontsize=9.0)  # fmt: skip
    # Space for the letter, whose width does not depend on a label.
    ax.texts[-1].set_position((-0.02, 1.015))


def errorbars(frame: Any, factor: float = 1.0) -> Floats:
    """(2, n) lengths of the bars of a frame with ``value``, ``ci_low`` and ``ci_high``."""
    value = frame["value"].to_numpy(np.float64)
    low = value - frame["ci_low"].to_numpy(np.float64)
    high = frame["ci_high"].to_numpy(np.float64) - value
    # A percentile interval need not contain its own estimate; a bar cannot be negative.
    return factor * np.nan_to_num(np.maximum(0.0, np.stack([low, high])))


def handle(label: str, **look: Any) -> Line2D:
    """A line of a legend."""
    return Line2D([], [], label=label, **look)


# -- numbers --------------------------------------------------------------------------------


def number(row: Any) -> Number:
    """A row with ``value``, ``ci_low`` and ``ci_high`` as a :class:`Number`."""
    return Number.of({key: float(row[key]) for key in ("value", "ci_low", "ci_high")})


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def intervals(bootstrap: ImageBootstrap) -> str:
    """A description of the intervals of a bootstrap."""
    return (
        "95 % intervals over images"
        if bootstrap.by_image
        else "95 % intervals over single patches (too few images)"
    )


def binned_medians(
    x: ArrayLike, y: ArrayLike, n_bins: int, bootstrap: ImageBootstrap
) -> list[tuple[float, Estimate]]:
    """Median of ``y`` in bins of equally many values of ``x``, each with its interval.

    Returns
    -------
    list of (float, Estimate)
        Median of ``x`` and of ``y``, by bin.
    """
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    # The resamples of the bootstrap as weights of patches, so that whole images are drawn.
    weights = bootstrap.weights
    found = []
    for rows in np.array_split(np.argsort(first, kind="stable"), n_bins):
        ordered = rows[np.argsort(second[rows], kind="stable")]
        filled = np.cumsum(weights[:, ordered], axis=1)
        total = filled[:, -1]
        place = (filled < total[:, None] / 2.0).sum(axis=1).clip(max=len(ordered) - 1)
        medians = np.where(total > 0, second[ordered][place], np.nan)
        middle = float(np.median(second[ordered]))
        found.append((float(np.median(first[rows])), bootstrap.interval(middle, medians)))
    return found


# -- outputs of models ----------------------------------------------------------------------


def comparison(inputs: Inputs) -> Comparison:
    """The comparison of the shipped models.

    Raises
    ------
    MissingData
        If they cannot run here.
    """
    try:
        return inputs.comparison
    except ImportError as error:
        raise MissingData(
            f"the outputs of the shipped models are needed ({error}); install "
            "`pip install '.[models]'`"
        ) from error


def open_models(
    dataset: Dataset, *, scale: int, names: Sequence[str] = tuple(SHIPPED)
) -> list[Source]:
    """The shipped models, loaded.

    Raises
    ------
    MissingData
        If they cannot run here.
    """
    try:
        # Imported here, so that figures without models do not need torch.
        from cooanalysis.models.sources import open_source

        return [open_source(name, SHIPPED[name], dataset.pairs, scale=scale) for name in names]
    except (ImportError, ModelError, ConfigError) as error:
        raise MissingData(
            f"the outputs of the shipped models are needed ({error}); install what "
            "models need with `pip install '.[models]'`"
        ) from error


def outputs(
    run: Context, dataset: Dataset, sources: Sequence[Source], images: Iterable[int]
) -> dict[str, dict[int, Image]]:
    """Outputs of models for some images of the query store, by name and number.

    Outputs are kept in the same cache as those of a comparison, so nothing is upscaled twice.
    """
    from cooanalysis.comparison.cache import OutputCache, default_folder
    from cooanalysis.comparison.images import usable_pairs

    wanted, cache = set(images), OutputCache(default_folder())
    found: dict[str, dict[int, Image]] = {source.name: {} for source in sources}
    for place, pair in enumerate(usable_pairs(run, dataset)):
        if place in wanted:
            for source in sources:
                found[source.name][place] = cache.output(source, pair, lambda line: None)
    return found
