"""The protocol between an analysis and workers that share its work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.data import Dataset
from cooanalysis.data.patches import Patches
from cooanalysis.neighbors import Neighbors
from cooanalysis.runtime.run_directory import Arrays


@dataclass(frozen=True)
class Job:
    """The information that every task of an analysis needs.

    Attributes
    ----------
    key
        Identifies the analysis.
    config
        The configuration.
    queries, reference
        The data sets, with the same paths on every machine.
    same_reference
        Whether both are the same.
    digests
        Digests of the decoded images, as the client sees them.
    basis, subspace_dim
        Principal axes of the details, see
        :class:`~cooanalysis.analysis.patches.ReferencePatches`.
    """

    key: str
    config: AnalysisConfig
    queries: Dataset
    reference: Dataset
    same_reference: bool
    digests: tuple[str, str]
    basis: NDArray[np.float32]
    subspace_dim: int


@dataclass(frozen=True)
class Shard:
    """A range of the reference patches, and how it is indexed."""

    start: int
    stop: int
    kind: str
    effort: int | None = None
    tail_share: float | None = None


class Workers(Protocol):
    """Processes or machines that search and measure for one analysis at a time.

    Attributes
    ----------
    workers
        One name per worker.
    engine
        Library that they use for searching.
    """

    workers: list[str]
    engine: str

    @property
    def memory(self) -> int | None:
        """Bytes that all workers together may use for indices; None if there is no limit."""
        ...

    def begin(self, job: Job) -> None:
        """Announce the analysis that the next calls belong to."""
        ...

    def shards(self, n: int, kind: str) -> list[Shard]:
        """Divide ``n`` reference patches among the workers, indexed as ``kind``."""
        ...

    def tune(self, shards: Sequence[Shard], patches: Patches, k: int, target: float) -> list[Shard]:
        """Shards with the search effort at which each reaches the recall ``target``."""
        ...

    def search(
        self,
        shards: Sequence[Shard],
        patches: Patches,
        k: int,
        excluded: NDArray[np.bool_] | None,
    ) -> Neighbors:
        """The ``k`` nearest reference patches of some query patches.

        Parameters
        ----------
        shards
            The reference patches.
        patches
            The query patches.
        k
            Neighbors per query.
        excluded
            See :func:`cooanalysis.neighbors.search_excluding`; None searches exactly, without
            indices and without exclusion.
        """
        ...

    def measure(
        self, groups: dict[str, tuple[Patches, NDArray[np.int64]]], methods: tuple[str, ...]
    ) -> Iterator[tuple[str, Arrays]]:
        """Measure groups; pieces are yielded in the order of completion.

        Parameters
        ----------
        groups
            Query patches and members of each piece, by its name.
        methods
            Entropy estimators.
        """
        ...
