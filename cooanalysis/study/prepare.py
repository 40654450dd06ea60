"""From a plan to potential-HR groups: the steps that analyses and comparisons share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.leakage import Leak, duplicate_images
from cooanalysis.neighbors import Recall
from cooanalysis.progress import Progress, Stopwatch
from cooanalysis.rundir import Checkpoints
from cooanalysis.study.context import Context
from cooanalysis.study.grouping import Grouping, make_grouping
from cooanalysis.study.groups import drop_small_groups, find_groups
from cooanalysis.study.inputs import (
    QueryPatches,
    ReferencePatches,
    excluded_images,
    load_images,
    reference_patches,
    sample_queries,
)
from cooanalysis.study.plan import Study

if TYPE_CHECKING:
    from cooanalysis.cluster import Cluster
    from cooanalysis.cluster.tasks import Job


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


def prepare(
    study: Study, progress: Progress, checkpoints: Checkpoints, cluster: Cluster | None = None
) -> Prepared:
    """Load the images and find the groups.

    Parameters
    ----------
    study
        What is asked.
    progress, checkpoints, cluster
        See :class:`cooanalysis.study.context.Context`.

    Raises
    ------
    NotEnoughDataError, ImageError
        See :meth:`cooanalysis.study.Study.run`.
    """
    config = study.config
    clock = Stopwatch()
    with clock.time("load"):
        stores = load_images(
            config, study.queries, study.reference, progress, in_files=cluster is not None
        )
    run = Context(config, *stores, progress, checkpoints, clock, list(study.notes), cluster=cluster)
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
        if cluster is not None:
            cluster.begin(_job(study, run, reference))
        grouping = make_grouping(run, reference, len(queries))
        recall = grouping.tune(queries)
        progress.advance()
    if recall is not None and recall.ci_high < config.recall:
        run.warnings.append(
            f"the {grouping.kind} index finds only "
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


def _job(study: Study, run: Context, reference: ReferencePatches) -> Job:
    """What workers must know to do their part of a study."""
    from cooanalysis.cluster.tasks import Job

    digests = [store.mapped.digest for store in (run.queries, run.reference) if store.mapped]
    return Job(
        key=study.fingerprint(),
        config=study.config,
        queries=study.queries,
        reference=study.reference,
        same_reference=run.same_reference,
        digests=(digests[0], digests[-1]),
        basis=reference.basis,
        subspace_dim=reference.subspace_dim,
    )
