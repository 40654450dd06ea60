"""The potential-HR groups that models are compared on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.grouping import Grouping
from cooanalysis.analysis.groups import drop_small_groups, find_members, load_and_group
from cooanalysis.analysis.load import describe
from cooanalysis.analysis.measure import measure_groups
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.workers import Workers
from cooanalysis.data.patches import PatchStore
from cooanalysis.runtime.progress import Progress, Silent
from cooanalysis.runtime.run_directory import Arrays, Checkpoints

CENTERS_BYTES = 2**28
"""Centers are kept for the next model only if they take less memory than this."""
_BATCH = 1024


@dataclass(frozen=True)
class QueryGroups:
    """Query patches with their potential-HR groups.

    Attributes
    ----------
    run
        Images, configuration and warnings.
    queries, reference
        The query patches and the reference patches that groups consist of.
    members
        (q, k) rows of ``reference``.
    excluded
        (n_query_images, n_reference_images): True where a reference image provides no neighbors.
    measures
        Measures of each group (center, spread, entropy): one (q, …) array per name.
    grouping
        Finds the groups of other patches.
    """

    run: Context
    queries: QueryPatches
    reference: ReferencePatches
    members: NDArray[np.int64]
    excluded: NDArray[np.bool_]
    measures: Arrays
    grouping: Grouping

    @property
    def store(self) -> PatchStore:
        """The query images."""
        return self.run.queries

    @property
    def image(self) -> NDArray[np.int32]:
        """(q,) image number of each query."""
        return self.queries.patches.image

    @property
    def entropy(self) -> NDArray[np.float64]:
        """(q,) entropy of each group by the first estimator, nats per dimension."""
        return self.measures[f"entropy_{self.run.config.estimators[0]}"]

    def centers(self, rows: slice) -> NDArray[np.float32]:
        """(n, values) centers of the groups of some queries, in units of the LR contrast."""
        kept = self._centers
        return self._gather_centers(rows) if kept is None else kept[rows]

    @cached_property
    def _centers(self) -> NDArray[np.float32] | None:
        """All centers, which every model is compared with; None if they do not fit in memory."""
        if len(self.queries) * self.run.reference.patch_dim * 4 > CENTERS_BYTES:
            return None
        starts = range(0, len(self.queries), _BATCH)
        return np.concatenate([self._gather_centers(slice(s, s + _BATCH)) for s in starts])

    def _gather_centers(self, rows: slice) -> NDArray[np.float32]:
        return self.reference.moments(self.members[rows]).center


def find_query_groups(
    config: AnalysisConfig,
    *,
    data_root: str | Path | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> QueryGroups:
    """Load the images and find the groups, as :func:`cooanalysis.analyze` does.

    Only the first estimator of the configuration is computed.

    Raises
    ------
    CooError
        As :func:`cooanalysis.analyze`.
    """
    plan = Plan.make(config, data_root=data_root, download=download)
    return groups_of(plan, progress or Silent(), Checkpoints())


def groups_of(
    plan: Plan, progress: Progress, checkpoints: Checkpoints, workers: Workers | None = None
) -> QueryGroups:
    """:func:`find_query_groups` of a plan, with progress and checkpoints.

    Parameters
    ----------
    plan
        Configuration and images.
    progress, checkpoints, workers
        See :class:`cooanalysis.analysis.context.Context`.
    """
    found = load_and_group(plan, progress, checkpoints, workers)
    run, reference, queries = found.run, found.reference, found.queries
    methods = plan.config.estimators[:1]
    measures = measure_groups(run, "groups", reference, queries, found.members, methods)
    return QueryGroups(
        run, queries, reference, found.members, found.excluded, measures, found.grouping
    )


def dense_groups(groups: QueryGroups, image: int, step: int) -> QueryGroups:
    """Groups of all patches on a grid of one query image.

    Parameters
    ----------
    groups
        Groups of the data set.
    image
        Number of the image.
    step
        Spacing of the patches in LR pixels.
    """
    run = groups.run
    queries = describe(run, run.queries.grid(step, [image]))
    members, distance = find_members(run, f"map-{image}", groups.grouping, queries, groups.excluded)
    queries, members, _ = drop_small_groups(run, queries, members, distance)
    method = run.config.estimators[:1]
    measures = measure_groups(
        run, f"map-groups-{image}", groups.reference, queries, members, method
    )
    return dataclasses.replace(groups, queries=queries, members=members, measures=measures)
