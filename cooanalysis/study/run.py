"""One run of a study: the steps in their order, and where the result came from."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import numpy as np
import pandas as pd

from cooanalysis.data.leakage import Leak, duplicate_images
from cooanalysis.environment import peak_rss_bytes, versions
from cooanalysis.progress import Progress, Stopwatch
from cooanalysis.result import SCHEMA_VERSION, Result
from cooanalysis.rundir import Checkpoints
from cooanalysis.stats import MIN_IMAGES
from cooanalysis.study.ceiling import mmse_floors
from cooanalysis.study.cleanness import manifold_distances
from cooanalysis.study.context import Context
from cooanalysis.study.groups import (
    Grouping,
    drop_small_groups,
    estimator_reliability,
    find_groups,
    group_table,
    measure_groups,
)
from cooanalysis.study.inputs import (
    ReferencePatches,
    excluded_images,
    load_images,
    reference_patches,
    sample_queries,
)
from cooanalysis.study.pictures import entropy_maps, example_groups
from cooanalysis.study.plan import Study
from cooanalysis.summary import Measured, entropy_column, jsonable, summarise


def run_study(study: Study, progress: Progress, checkpoints: Checkpoints) -> Result:
    """Do the whole analysis; see :meth:`cooanalysis.study.Study.run`."""
    started = time.perf_counter()
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
    measures = measure_groups(run, "groups", reference, queries, members)
    table = group_table(run, queries, distance, measures)
    with clock.time("ceiling"):
        table |= mmse_floors(run, reference, queries, members)
    manifold, tests = manifold_distances(run, queries, measures["center_patch"], excluded, table)
    with clock.time("maps"):
        maps, images = entropy_maps(run, grouping, reference, table, excluded)
    with clock.time("summary"):
        examples = example_groups(run, reference, queries, members, measures)
        leading = table[entropy_column(config.estimators[0])]
        reliability = estimator_reliability(run, reference, members, leading)
        dims = (reference.projected.shape[1], run.reference.patch_dim)
        summary = summarise(Measured(config, table, manifold, tests, reliability, recall, *dims))
    _warn(run, summary, leaks)
    clock.seconds["total"] = time.perf_counter() - started
    summary |= jsonable(_provenance(study, run, grouping, reference, leaks))
    names = np.array(run.queries.names, dtype=object)
    groups = pd.DataFrame(table | {"image": names[table["image"]]})
    return Result(summary, groups, maps, tuple(examples), images)


def _warn(run: Context, summary: dict[str, Any], leaks: list[Leak]) -> None:
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
    if leaks:
        what = (
            "and were kept from serving those queries"
            if run.config.exclude_leaks
            else "and were NOT excluded: results are too optimistic"
        )
        run.warnings.append(
            f"{len(leaks)} pairs of query and reference images show the same content {what}"
        )


def _provenance(
    study: Study,
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    leaks: list[Leak],
) -> dict[str, Any]:
    """Where the result came from: data, engine, leakage, timings, configuration, versions."""
    sources = run.queries.lr_sources
    index = grouping.index
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
            "engine": index.engine if index is not None else "faiss-cpu",
            "index": index.kind if index is not None else "k-means cells",
            "effort": grouping.effort,
            "grouping": run.config.grouping,
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
        "device": "cpu" if index is None or "cpu" in index.engine else "cuda",
    }
