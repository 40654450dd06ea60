"""Potential-HR groups: finding the members of the group of each query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.grouping import Grouping, make_grouping
from cooanalysis.analysis.load import (
    excluded_images,
    load_images,
    reference_patches,
    sample_queries,
)
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.workers import Job, Workers
from cooanalysis.data.leakage import Leak, duplicate_images, shared_patches
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.neighbors import Recall
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.out_of_memory import in_batches
from cooanalysis.runtime.progress import Progress, Stopwatch
from cooanalysis.runtime.run_directory import Arrays, Checkpoints

SEARCH_SHARD = 20_000
"""Queries per search, and per checkpoint."""


@dataclass(frozen=True)
class Groups:
    """Potential-HR groups: images, patches and the members of every query's group.

    Attributes
    ----------
    run
        The context that all steps share.
    reference, queries
        Patches.
    grouping, recall
        How members were found, and how well (None for k-means cells).
    members, distance
        (q, k) rows of the reference patches; (q,) LR feature distance of the farthest.
    leaks, excluded
        Images that show the same content; (query images, reference images) that must not be
        combined.
    """

    run: Context
    reference: ReferencePatches
    queries: QueryPatches
    grouping: Grouping
    recall: Recall | None
    members: NDArray[np.int64]
    distance: NDArray[np.float32]
    leaks: list[Leak]
    excluded: NDArray[np.bool_]


def load_and_group(
    plan: Plan, progress: Progress, checkpoints: Checkpoints, workers: Workers | None = None
) -> Groups:
    """Load the images and find the groups.

    Parameters
    ----------
    plan
        The plan of the analysis.
    progress, checkpoints, workers
        See :class:`cooanalysis.analysis.context.Context`.

    Raises
    ------
    NotEnoughDataError, ImageError
        See :func:`cooanalysis.analysis.run.run_analysis`.
    """
    config = plan.config
    clock = Stopwatch()
    with clock.time("load"):
        stores = load_images(
            config, plan.queries, plan.reference, progress, in_files=workers is not None
        )
    run = Context(config, *stores, progress, checkpoints, clock, workers=workers)
    for notice in plan.notices:
        run.note(notice)
    if run.skipped:
        run.note(Notice("images_skipped", {"n_files": len(run.skipped)}))
    with clock.time("leakage"):
        leaks = duplicate_images(run.queries, run.reference)
        if run.same_reference:
            leaks = [leak for leak in leaks if leak.query != leak.reference]
    with clock.time("patches"):
        reference = reference_patches(run)
        queries = sample_queries(run)
    with clock.time("index"):
        progress.start("building the index", 1)
        if workers is not None:
            workers.begin(_job(plan, run, reference))
        grouping = make_grouping(run, reference, len(queries))
        recall = grouping.tune(queries)
        progress.advance()
    if recall is not None and recall.ci_high < config.recall:
        run.note(
            Notice(
                "recall_below_target",
                {"index": grouping.kind, "recall": recall.value, "target": config.recall},
            )
        )
    members, distance, leaks = find_groups(run, grouping, reference, queries, leaks)
    excluded = excluded_images(run, leaks)
    queries, members, distance = drop_small_groups(run, queries, members, distance)
    if leaks:
        if config.exclude_leaks:
            run.note(Notice("leaks_excluded", {"n_pairs": len(leaks)}))
        else:
            run.note(Notice("leaks_included", {"n_pairs": len(leaks)}))
    return Groups(run, reference, queries, grouping, recall, members, distance, leaks, excluded)


def _job(plan: Plan, run: Context, reference: ReferencePatches) -> Job:
    """The information that workers need for their part of an analysis."""
    digests = [store.mapped.digest for store in (run.queries, run.reference) if store.mapped]
    return Job(
        key=plan.fingerprint(),
        config=plan.config,
        queries=plan.queries,
        reference=plan.reference,
        same_reference=run.same_reference,
        digests=(digests[0], digests[-1]),
        basis=reference.basis,
        subspace_dim=reference.subspace_dim,
    )


def find_groups(
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    queries: QueryPatches,
    leaks: list[Leak],
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Leak]]:
    """Members of every query's group, the distance of the farthest, and all leaks found.

    Nearest neighbors reveal shared regions that thumbnails do not; where they do (and leaks
    are excluded), the affected queries are searched again without those images.
    """
    with run.clock.time("search"):
        members, distance = find_members(
            run, "search", grouping, queries, excluded_images(run, leaks)
        )
    if not grouping.ranked:
        return members, distance, leaks
    with run.clock.time("leakage"):
        known = {(leak.query, leak.reference) for leak in leaks}
        found = shared_patches(
            run.queries,
            queries.patches,
            queries.std if run.config.normalize else queries.features.std(1),
            run.reference,
            reference.patches[members[:, 0]],
        )
        new = [leak for leak in found if (leak.query, leak.reference) not in known]
    if new and run.config.exclude_leaks:
        leaks = [*leaks, *new]
        with run.clock.time("search"):
            rows = np.isin(queries.patches.image, [leak.query for leak in new])
            members[rows], distance[rows] = find_members(
                run, "search-again", grouping, queries[rows], excluded_images(run, leaks)
            )
    else:
        leaks = [*leaks, *new]
    return members, distance, leaks


def find_members(
    run: Context,
    name: str,
    grouping: Grouping,
    queries: QueryPatches,
    excluded: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """:meth:`Grouping.members` in shards, each kept as a checkpoint."""
    run.progress.start("finding potential-HR groups", len(queries))
    parts: list[Arrays] = []
    for number, start in enumerate(range(0, len(queries), SEARCH_SHARD)):
        shard = queries[slice(start, start + SEARCH_SHARD)]

        def compute(shard: QueryPatches = shard) -> Arrays:
            def found(rows: slice) -> Arrays:
                index, distance = grouping.members(shard[rows], excluded)
                return {"index": index.astype(np.int32), "distance": distance}

            return in_batches(
                found, len(shard), "searching_neighbors", run.note, grouping.fall_back
            )

        parts.append(run.checkpoints.load_or_compute(f"{name}-{number:05d}", compute))
        run.progress.advance(len(shard))
    index = np.concatenate([part["index"] for part in parts]).astype(np.int64)
    return index, np.concatenate([part["distance"] for part in parts])


def drop_small_groups(
    run: Context, queries: QueryPatches, members: NDArray[np.int64], distance: NDArray[np.float32]
) -> tuple[QueryPatches, NDArray[np.int64], NDArray[np.float32]]:
    """Leave out queries whose k-means cell has too few usable members."""
    full = members[:, 0] >= 0
    if not full.any():
        raise NotEnoughDataError(
            f"no k-means cell has k = {run.config.k} members outside the query's own image; "
            "use fewer clusters, a smaller k or a larger reference set"
        )
    if not full.all():
        run.note(
            Notice(
                "queries_left_out",
                {"n_left_out": int((~full).sum()), "n_queries": len(full), "k": run.config.k},
            )
        )
    return queries[full], members[full], distance[full]
