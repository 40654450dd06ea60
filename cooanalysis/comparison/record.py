"""What a comparison finds, as plain data: tables, crops, headline numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.record import Explored
from cooanalysis.comparison.summary_record import ComparisonSummary

if TYPE_CHECKING:
    import pandas as pd

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Crop:
    """One place in the outputs of all models.

    Attributes
    ----------
    image
        Name of the image.
    top, left
        Corner in HR pixels.
    pictures
        (h, w, 3) uint8 by name: ``bicubic``, the models, ``hr``.
    """

    image: str
    top: int
    left: int
    pictures: Mapping[str, Image]


@dataclass(frozen=True)
class ComparisonRecord:
    """Everything that a comparison finds.

    Attributes
    ----------
    summary
        Headline numbers, verdicts in words, configuration, provenance.
    totals
        One row per model and measure; see :func:`cooanalysis.comparison.statistics.totals`.
    models
        One row per model and image: the metrics, and ``psnr_y`` and so on, by name.
    patches
        One row per model and query patch.
    strata
        One row per model, entropy quantile and measure.
    spectra
        One row per model and frequency: mean radial power of the luma (8-bit values squared), and
        its ratio to that of the ground truth with its interval.
    maps
        One row per model and patch of the densely measured images.
    bands
        One row per model, frequency band and detail measure; None in runs of older versions.
    crops
        The most over-smoothed places in the outputs of all models.
    images
        HR images behind the maps: name to (height, width, channels) uint8.
    explored
        Patches that the report lets its reader point at; None in runs of older versions.
    bound
        One row per model: its place in the perception-distortion plane, see
        :func:`cooanalysis.comparison.bound.bound_table`; None in runs of older versions.
    """

    summary: ComparisonSummary
    totals: pd.DataFrame
    models: pd.DataFrame
    patches: pd.DataFrame
    strata: pd.DataFrame
    spectra: pd.DataFrame
    maps: pd.DataFrame
    crops: tuple[Crop, ...]
    images: dict[str, NDArray[np.uint8]]
    explored: Explored | None = None
    bands: pd.DataFrame | None = None
    bound: pd.DataFrame | None = None

    @property
    def names(self) -> list[str]:
        """Names of the models, in the order in which they were given."""
        return [model.name for model in self.summary.models]

    @property
    def fingerprint(self) -> str:
        """Identifies configuration, data and models."""
        return self.summary.fingerprint

    def table(self) -> pd.DataFrame:
        """The values of the totals: one row per model, one column per measure."""
        wide = self.totals.pivot(index="model", columns="measure", values="value")
        order = [measure.name for measure in self.summary.measures]
        return wide.loc[self.names, order]


def judged(baseline: str, kinds: Mapping[str, str]) -> list[str]:
    """Models whose over-smoothing decides where crops are cut.

    The baseline does, unless it is the ground truth, which loses nothing; then all others together.

    Parameters
    ----------
    baseline
        Its name.
    kinds
        Kind of every model (see :class:`cooanalysis.models.sources.Source`), by name.
    """
    if kinds[baseline] != "hr":
        return [baseline]
    others = [name for name, kind in kinds.items() if kind not in ("hr", "bicubic")]
    return others or list(kinds)
