"""One run of a study: the steps in their order, and where the result came from."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cooanalysis.data.leakage import Leak
from cooanalysis.environment import peak_rss_bytes, versions
from cooanalysis.progress import Progress
from cooanalysis.result import SCHEMA_VERSION, Result
from cooanalysis.rundir import Checkpoints
from cooanalysis.stats import MIN_IMAGES
from cooanalysis.study.ceiling import mmse_floors
from cooanalysis.study.cleanness import manifold_distances
from cooanalysis.study.context import Context
from cooanalysis.study.explore import MeasuredGroups, explore
from cooanalysis.study.grouping import Grouping
from cooanalysis.study.groups import (
    estimator_reliability,
    group_table,
    measure_groups,
)
from cooanalysis.study.inputs import (
    ReferencePatches,
)
from cooanalysis.study.pictures import dense_maps, entropy_maps, example_groups
from cooanalysis.study.plan import Study
from cooanalysis.study.prepare import prepare
from cooanalysis.summary import Measured, entropy_column, jsonable, summarise

if TYPE_CHECKING:
    from cooanalysis.cluster import Cluster


def run_study(
    study: Study, progress: Progress, checkpoints: Checkpoints, cluster: Cluster | None = None
) -> Result:
    """Do the whole analysis; see :meth:`cooanalysis.study.Study.run`."""
    started = time.perf_counter()
    found = prepare(study, progress, checkpoints, cluster)
    run, reference, queries = found.run, found.reference, found.queries
    members, grouping, leaks = found.members, found.grouping, found.leaks
    config, clock = study.config, run.clock
    measures = measure_groups(run, "groups", reference, queries, members)
    table = group_table(run, queries, found.distance, measures)
    with clock.time("ceiling"):
        table |= mmse_floors(run, reference, queries, members)
    manifold, tests = manifold_distances(
        run, queries, measures["center_patch"], found.excluded, table
    )
    with clock.time("maps"):
        dense = dense_maps(run, grouping, reference, table, found.excluded)
        maps, images = entropy_maps(run, dense)
    with clock.time("pictures"):
        groups = MeasuredGroups(queries, members, measures)
        explored = explore(run, reference, groups, [each.groups for each in dense])
    with clock.time("summary"):
        examples = example_groups(run, reference, queries, members, measures)
        leading = table[entropy_column(config.estimators[0])]
        reliability = estimator_reliability(run, reference, members, leading)
        dims = (reference.subspace_dim, run.reference.patch_dim)
        summary = summarise(
            Measured(config, table, manifold, tests, reliability, found.recall, *dims)
        )
    _warn(run, summary)
    clock.seconds["total"] = time.perf_counter() - started
    summary |= jsonable(_provenance(study, run, grouping, reference, leaks))
    names = np.array(run.queries.names, dtype=object)
    frame = pd.DataFrame(table | {"image": names[table["image"]]})
    return Result(summary, frame, maps, tuple(examples), images, explored)


def _warn(run: Context, summary: dict[str, Any]) -> None:
    """What a reader must know before trusting the numbers."""
    n_images = len(run.queries.names)
    if n_images < MIN_IMAGES:
        run.warnings.append(
            f"only {n_images} images: intervals come from single patches, which resemble each "
            "other, and are too narrow"
        )
    ceiling = summary["psnr_ceiling_db"]
    if ceiling["value"] is not None and not ceiling["trusted"]:
        run.warnings.append(f"the PSNR ceiling is not to be trusted here: {ceiling['reason']}")


def _provenance(
    study: Study,
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    leaks: list[Leak],
) -> dict[str, Any]:
    """Where the result came from: data, engine, leakage, timings, configuration, versions."""
    sources = run.queries.lr_sources
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": study.fingerprint(),
        "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "dataset": {
            "name": study.queries.name,
            "title": study.queries.title,
            "n_images": len(run.queries.names),
            "lr_source": {kind: sources.count(kind) for kind in ("dataset", "made")},
        },
        "reference": {
            "name": study.reference.name,
            "title": study.reference.title,
            "n_images": len(run.reference.names),
            "same_as_dataset": run.same_reference,
        },
        "scale": run.config.scale,
        "n_reference_patches": len(reference.patches),
        "engine": {
            "engine": grouping.engine,
            "index": grouping.kind,
            "effort": grouping.effort,
            "grouping": run.config.grouping,
            "workers": len(run.cluster.workers) if run.cluster is not None else None,
        },
        "leakage": {
            "checked": True,
            "excluded": run.config.exclude_leaks,
            "n_pairs": len(leaks),
            "pairs": [
                {
                    "query": run.queries.names[leak.query],
                    "reference": run.reference.names[leak.reference],
                    "kind": leak.kind,
                    "similarity": leak.similarity,
                }
                for leak in leaks
            ],
        },
        "skipped": [
            {"name": item.name, "path": str(item.path), "reason": item.reason}
            for item in run.skipped
        ],
        "warnings": run.warnings,
        "timings_s": dict(run.clock.seconds),
        "peak_rss_bytes": peak_rss_bytes(),
        "config": run.config.as_dict(),
        "versions": versions(),
        "seed": run.config.seed,
        "device": "cpu" if "cpu" in grouping.engine else "cuda",
    }
