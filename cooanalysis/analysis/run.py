"""One analysis: the steps in their order, and where the result came from."""

from __future__ import annotations

import datetime as dt
import time

import msgspec
import numpy as np
import pandas as pd

from cooanalysis.analysis.ceiling import mmse_floors
from cooanalysis.analysis.checks import failed_checks
from cooanalysis.analysis.clean_manifold import manifold_distances
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.explore import MeasuredGroups, explore
from cooanalysis.analysis.grouping import Grouping
from cooanalysis.analysis.groups import load_and_group
from cooanalysis.analysis.maps import dense_maps, entropy_maps, example_groups
from cooanalysis.analysis.measure import estimator_reliability, group_table, measure_groups
from cooanalysis.analysis.patches import ReferencePatches
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.record import AnalysisRecord
from cooanalysis.analysis.summary import (
    Measured,
    entropy_column,
    skipped_files,
    summarize,
    validated,
)
from cooanalysis.analysis.summary_record import (
    AnalysisSummary,
    DatasetInfo,
    EngineInfo,
    Findings,
    Leakage,
    LeakedPair,
    LrSource,
    ReferenceInfo,
)
from cooanalysis.analysis.workers import Workers
from cooanalysis.data.leakage import Leak
from cooanalysis.measures.bootstrap import MIN_IMAGES
from cooanalysis.runtime.environment import peak_rss_bytes, versions
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.progress import Progress, Silent
from cooanalysis.runtime.run_directory import SCHEMA_VERSION, Checkpoints


def run_analysis(
    plan: Plan,
    *,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
    workers: Workers | None = None,
) -> AnalysisRecord:
    """Do the analysis.

    Parameters
    ----------
    plan
        What to compute, and on which images.
    progress
        Where to report; silent by default.
    checkpoints
        Where finished pieces are kept; see
        :func:`cooanalysis.runtime.run_directory.checkpoints`.
    workers
        Workers that search and measure; see :func:`cooanalysis.cluster.open_cluster`.

    Raises
    ------
    NotEnoughDataError
        If the images hold too few patches.
    ImageError
        With ``strict``, at the first image that cannot be used.
    """
    started = time.perf_counter()
    found = load_and_group(plan, progress or Silent(), checkpoints or Checkpoints(), workers)
    run, reference, queries = found.run, found.reference, found.queries
    members, grouping, leaks = found.members, found.grouping, found.leaks
    config, clock = plan.config, run.clock
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
        findings = summarize(
            Measured(config, table, manifold, tests, reliability, found.recall, *dims)
        )
    _warn(run, findings)
    clock.seconds["total"] = time.perf_counter() - started
    summary = _summary(findings, plan, run, grouping, reference, leaks)
    names = np.array(run.queries.names, dtype=object)
    frame = pd.DataFrame(table | {"image": names[table["image"]]})
    return AnalysisRecord(summary, frame, maps, tuple(examples), images, explored)


def _warn(run: Context, findings: Findings) -> None:
    """What a reader must know before using the numbers."""
    n_images = len(run.queries.names)
    if n_images < MIN_IMAGES:
        run.note(
            Notice("few_images", {"n_images": n_images, "needed": MIN_IMAGES, "compared": False})
        )
    ceiling = findings.psnr_ceiling_db
    if ceiling.value is not None and not ceiling.reliable:
        run.note(Notice("ceiling_unreliable", {"ceiling_db": ceiling.value}))
    for notice in failed_checks(findings):
        run.note(notice)


def _summary(
    findings: Findings,
    plan: Plan,
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    leaks: list[Leak],
) -> AnalysisSummary:
    """The findings, and where they came from: data, engine, timings, configuration, versions."""
    sources = run.queries.lr_sources
    summary = AnalysisSummary(
        **msgspec.structs.asdict(findings),
        schema_version=SCHEMA_VERSION,
        fingerprint=plan.fingerprint(),
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        dataset=DatasetInfo(
            name=plan.queries.name,
            title=plan.queries.title,
            n_images=len(run.queries.names),
            lr_source=LrSource(dataset=sources.count("dataset"), made=sources.count("made")),
        ),
        reference=ReferenceInfo(
            name=plan.reference.name,
            title=plan.reference.title,
            n_images=len(run.reference.names),
            same_as_dataset=run.same_reference,
        ),
        scale=run.config.scale,
        n_reference_patches=len(reference.patches),
        engine=EngineInfo(
            engine=grouping.engine,
            index=grouping.kind,
            effort=grouping.effort,
            grouping=run.config.grouping,
            workers=len(run.workers.workers) if run.workers is not None else None,
        ),
        leakage=Leakage(
            checked=True,
            excluded=run.config.exclude_leaks,
            n_pairs=len(leaks),
            pairs=tuple(
                LeakedPair(
                    query=run.queries.names[leak.query],
                    reference=run.reference.names[leak.reference],
                    kind=leak.kind,
                    similarity=leak.similarity,
                )
                for leak in leaks
            ),
        ),
        skipped=skipped_files(run.skipped),
        warnings=tuple(run.warnings),
        timings_s=dict(run.clock.seconds),
        peak_rss_bytes=peak_rss_bytes(),
        config=run.config,
        versions=versions(),
        seed=run.config.seed,
        device="cpu" if "cpu" in grouping.engine else "cuda",
    )
    return validated(summary)
