"""From a plan to potential-HR groups: the steps that analyses and comparisons share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.leakage import Leak, duplicate_images
from cooanalysis.neighbors import Recall
from cooanalysis.progress import Progress, Stopwatch
from cooanalysis.rundir import Checkpoints
from cooanalysis.study.context import Context
from cooanalysis.study.groups import Grouping, drop_small_groups, find_groups
from cooanalysis.study.inputs import (
    QueryPatches,
    ReferencePatches,
    excluded_images,
    load_images,
    reference_patches,
    sample_queries,
)
from cooanalysis.study.plan import Study


@dataclass(frozen=True)
class Prepared:
    """Images, patches and the members of every query's group.

    Attributes
    ----------
    run
        What all steps share.
    reference, queries
        Patches.
    grouping, recall
        How members were found, and how well (None for k-means cells).
    members, distance
        (q, k) rows of the reference patches; (q,) distance of the farthest in LR features.
    leaks, excluded
        Images that show the same content; (query images, reference images) that must not meet.
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


def prepare(study: Study, progress: Progress, checkpoints: Checkpoints) -> Prepared:
    """Load the images and find the groups.

    Raises
    ------
    NotEnoughDataError, ImageError
        See :meth:`cooanalysis.study.Study.run`.
    """
    config = study.config
    clock = Stopwatch()
    with clock.time("load"):
        stores = load_images(config, study.queries, study.reference, progress)
    run = Context(config, *stores, progress, checkpoints, clock, list(study.notes))
    if run.skipped:
        run.warnings.append(
            f"{len(run.skipped)} image files were skipped; the summary lists them with the reason"
        )
    with clock.time("leakage"):
        leaks = duplicate_images(run.queries, run.reference)
        if run.same_reference:
            leaks = [leak for leak in leaks if leak.query != leak.reference]
    with clock.time("patches"):
        reference = reference_patches(run)
        queries = sample_queries(run)
    with clock.time("index"):
        progress.start("building the index", 1)
        grouping = Grouping(run, reference, len(queries))
        recall = grouping.tune(queries)
        progress.advance()
    if recall is not None and recall.ci_high < config.recall:
        run.warnings.append(
            f"the {grouping.index.kind if grouping.index else ''} index finds only "
            f"{recall.value:.3f} of the exact neighbours instead of {config.recall}; use --index "
            "exact or ivf"
        )
    members, distance, leaks = find_groups(run, grouping, reference, queries, leaks)
    excluded = excluded_images(run, leaks)
    queries, members, distance = drop_small_groups(run, queries, members, distance)
    if leaks:
        what = (
            "and were kept from serving those queries"
            if config.exclude_leaks
            else "and were NOT excluded: results are too optimistic"
        )
        run.warnings.append(
            f"{len(leaks)} pairs of query and reference images show the same content {what}"
        )
    return Prepared(run, reference, queries, grouping, recall, members, distance, leaks, excluded)
