"""The interface of the modules of figures, and their inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

import cooanalysis as coo

SHIPPED = {
    "l1": "edsr-small-x4-l1",
    "l1-decloss": "edsr-small-x4-l1-decloss",
    "ragan": "edsr-small-x4-ragan",
    "ragan-decloss": "edsr-small-x4-ragan-decloss",
}
"""The shipped models by their names in figures."""


class MissingData(Exception):
    """Data for a figure are missing; the message says which and how to get them."""


@dataclass(frozen=True)
class Data:
    """All that a figure is drawn from.

    Attributes
    ----------
    frames
        Tidy tables by name; each is written as ``<figure>.<name>.csv``.
    arrays
        Images and other arrays by name; written together as ``<figure>.npz``.
    facts
        Numbers and text for the caption; written as ``<figure>.json``.
    tables
        Tables of text by name, each with its bold cells as (row, column); written as
        ``<figure>.<name>.md`` and ``.tex``.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, tuple[pd.DataFrame, Collection[tuple[int, str]]]] = field(
        default_factory=dict
    )


class FigureModule(Protocol):
    """A module of a figure."""

    TITLE: str

    def data(self, inputs: Inputs) -> Data:
        """Compute or read the data of the figure.

        Raises
        ------
        MissingData
            If they are not available here.
        """

    def draw(self, data: Data) -> Figure | None:
        """Draw the figure; None if there are only tables."""

    def caption(self, data: Data) -> str:
        """Describe the figure, with the numbers of the run, for readers new to the paper."""


@dataclass(frozen=True)
class Inputs:
    """The runs behind the figures; each is computed once and kept in ``runs``.

    Attributes
    ----------
    dataset, reference
        Data sets of all runs, unless overridden.
    data_root
        Folder of the data sets; None for ``COO_DATA_HOME``.
    runs
        Folder of the run directories.
    queries
        Number of query patches per run.
    seed
        Seed of all random numbers.
    """

    dataset: str
    reference: str | None
    data_root: Path | None
    runs: Path
    queries: int = 3000
    seed: int = 0

    def analysis(self, **options: Any) -> coo.Result:
        """An analysis of the data set, or the one that was kept."""
        options = {"queries": self.queries, "seed": self.seed} | options
        return coo.analyze(
            self.dataset, reference=self.reference, data_root=self.data_root,
            out=self._folder("analyze", options), **options,
        )  # fmt: skip

    @cached_property
    def comparison(self) -> coo.Comparison:
        """The comparison of the shipped models, bicubic and ground truth on the data set."""
        options: dict[str, Any] = {"queries": self.queries, "seed": self.seed}
        return coo.compare(
            self.dataset, {"hr": "hr", "bicubic": "bicubic"} | SHIPPED, baseline="l1",
            reference=self.reference, data_root=self.data_root, strata=10,
            out=self._folder("compare", options), **options,
        )  # fmt: skip

    def _folder(self, kind: str, options: Mapping[str, Any]) -> Path:
        words = [self.dataset, self.reference, kind, dict(sorted(options.items()))]
        digest = hashlib.sha256(json.dumps(words, default=list).encode()).hexdigest()[:10]
        return self.runs / f"{Path(self.dataset).name}-{kind}-{digest}"


def generator(seed: int) -> np.random.Generator:
    """Random numbers of a figure, the same in each run."""
    return np.random.default_rng(seed)
