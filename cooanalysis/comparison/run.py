"""One comparison: the steps in their order."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from cooanalysis.analysis.ceiling import mmse_floors
from cooanalysis.analysis.explore import MeasuredGroups, explore
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.record import Explored
from cooanalysis.analysis.summary import skipped_files, validated
from cooanalysis.analysis.summary_record import Interval, finite
from cooanalysis.analysis.workers import Workers
from cooanalysis.comparison.bound import bound_table
from cooanalysis.comparison.cache import OutputCache
from cooanalysis.comparison.config import CompareConfig
from cooanalysis.comparison.crops import cut_crops, find_places, oversmoothing
from cooanalysis.comparison.files import KIND
from cooanalysis.comparison.groups import QueryGroups, dense_groups, groups_of
from cooanalysis.comparison.images import ImageMeasures, measure_images
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.comparison.patches import CleanPatches, measure_patches, scores_of
from cooanalysis.comparison.record import ComparisonRecord, judged
from cooanalysis.comparison.statistics import Measure, auc, ceiling_db, measures, strata, totals
from cooanalysis.comparison.summary_record import (
    ComparedDataset,
    ComparedReference,
    ComparisonSummary,
    MeasuredValue,
    MeasureInfo,
    ModelSummary,
)
from cooanalysis.comparison.verdict import verdict
from cooanalysis.measures.bootstrap import MIN_IMAGES, Estimate, ImageBootstrap
from cooanalysis.metrics import Metric
from cooanalysis.models.sources import Source
from cooanalysis.runtime.environment import peak_rss_bytes, versions
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.progress import Progress
from cooanalysis.runtime.run_directory import SCHEMA_VERSION, Arrays, Checkpoints

MAP_PATCHES = 1500


def run_comparison(
    config: CompareConfig,
    plan: Plan,
    sources: Sequence[Source],
    metrics: Sequence[Metric],
    *,
    cache: OutputCache,
    fingerprint: str,
    progress: Progress,
    checkpoints: Checkpoints,
    workers: Workers | None = None,
) -> ComparisonRecord:
    """Do the whole comparison; see :func:`cooanalysis.compare`."""
    started = time.perf_counter()
    groups = groups_of(plan, progress, checkpoints, workers)
    run, seed = groups.run, config.analysis.seed
    floors = mmse_floors(run, groups.reference, groups.queries, groups.members)["mmse_floor"]
    images = measure_images(run, plan.queries, sources, metrics, cache)
    reused = cache.reused  # of what follows everything is
    clean = CleanPatches.fit(groups, config.analysis.features)
    maps = _map_groups(groups, config.analysis.map_images)
    found: dict[str, Arrays] = {}
    progress.start("comparing patches", len(sources))
    for source in sources:
        found[source.name] = measure_patches(
            clean, maps, source.name, images.outputs[source.name]
        )  # fmt: skip
        progress.advance()
    wanted = measures(metrics, list(clean.manifolds))
    models = _model_table(run.queries.names, sources, metrics, images)
    patches = _patch_table(groups, clean, floors, found)
    with run.clock.time("statistics"):
        progress.start("testing differences", 4)
        table = totals(wanted, models, patches, baseline=config.baseline, seed=seed)
        progress.advance()
        split = strata(wanted, patches, n_strata=config.strata, seed=seed)
        progress.advance()
        bound = bound_table(
            {s.name: images.outputs[s.name] for s in sources if s.kind != "hr"},
            [groups.store.hr_image(number) for number in range(len(groups.store.names))],
        )
        progress.advance()
        areas = auc({name: scores_of(arrays) for name, arrays in found.items()}, seed)
        progress.advance()
    deciding = judged(config.baseline, {source.name: source.kind for source in sources})
    score = np.sum([oversmoothing(groups, found[name]) for name in deciding], axis=0)
    places = find_places(groups, score, config.crops)
    crops = cut_crops(groups, plan.queries, places, sources, cache)
    with run.clock.time("pictures"):
        explored = _explored(groups, maps, sources, images)
    lead = f"manifold_{next(iter(clean.manifolds), '')}"
    if (n_images := len(run.queries.names)) < MIN_IMAGES:
        run.note(
            Notice("few_images", {"n_images": n_images, "needed": MIN_IMAGES, "compared": True})
        )
    ceiling = ceiling_db(patches[patches["model"] == sources[0].name], seed)
    if ceiling.value is not None and not ceiling.reliable:
        run.note(Notice("ceiling_unreliable", {"ceiling_db": ceiling.value}))
    run.clock.seconds["total"] = time.perf_counter() - started
    summary = ComparisonSummary(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint,
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        dataset=ComparedDataset(
            name=plan.queries.name, title=plan.queries.title, n_images=len(run.queries.names)
        ),
        reference=ComparedReference(name=plan.reference.name, title=plan.reference.title),
        scale=run.config.scale,
        n_queries=len(groups.queries),
        baseline=config.baseline,
        lead=lead,
        measures=tuple(
            MeasureInfo(
                name=measure.name,
                title=measure.title,
                unit=measure.unit,
                direction=measure.direction,
                digits=measure.digits,
            )
            for measure in wanted
        ),
        models=tuple(
            _model_summary(source, table, wanted, areas[source.name], config.baseline, lead)
            for source in sources
        ),
        psnr_ceiling_db=ceiling,
        protocol=(
            f"PSNR and SSIM on BT.601 luma (not rounded, as BasicSR), {run.config.scale} border "
            "pixels cut off; a gray image stands for R = G = B"
        ),
        resampled="images" if len(run.queries.names) >= MIN_IMAGES else "patches",
        cached_outputs=reused,
        skipped=skipped_files(run.skipped),
        warnings=tuple(run.warnings),
        timings_s=dict(run.clock.seconds),
        peak_rss_bytes=peak_rss_bytes(),
        config=config,
        versions=versions(),
        seed=seed,
    )
    return ComparisonRecord(
        validated(summary),
        table,
        models,
        patches,
        split,
        _spectra(sources, images, seed),
        _map_table(groups, maps, found),
        tuple(crops),
        {groups.store.names[int(m.image[0])]: groups.store.hr_image(int(m.image[0])).copy()
         for m in maps},
        explored,
        bound,
    )  # fmt: skip


def _explored(
    groups: QueryGroups, maps: Sequence[QueryGroups], sources: Sequence[Source],
    images: ImageMeasures,
) -> Explored:  # fmt: skip
    """Patches that a reader can point at, with the outputs of the models."""
    parts = [MeasuredGroups(g.queries, g.members, g.measures) for g in (groups, *maps)]
    stores = {
        source.name: partial(with_outputs, groups.store, images.outputs[source.name])
        for source in sources
        if source.kind not in ("hr", "bicubic")
    }
    return explore(groups.run, groups.reference, parts[0], parts[1:], stores)


def _map_groups(groups: QueryGroups, n: int) -> list[QueryGroups]:
    """Groups of all patches of the images where the center loses most of the ground truth."""
    contrast = groups.queries.std.astype(np.float64) ** 2
    loss = groups.measures["center_error"].astype(np.float64) ** 2 * contrast
    n_images = len(groups.store.names)
    counts = np.bincount(groups.image, minlength=n_images)
    mean = np.bincount(groups.image, loss, n_images) / np.maximum(counts, 1)
    found = []
    for number in np.argsort(-mean, kind="stable")[: min(n, int((counts > 0).sum()))]:
        area = groups.store.heights[number] * groups.store.widths[number]
        step = max(1, math.ceil(math.sqrt(area / MAP_PATCHES)))
        dense = dense_groups(groups, int(number), step)
        if len(dense.queries):
            found.append(dense)
    return found


def _model_table(
    names: Sequence[str], sources: Sequence[Source], metrics: Sequence[Metric],
    images: ImageMeasures,
) -> pd.DataFrame:  # fmt: skip
    frames = [
        pd.DataFrame(
            {"model": source.name, "image": list(names)}
            | {metric.name: images.metrics[row, :, i] for i, metric in enumerate(metrics)}
        )
        for row, source in enumerate(sources)
    ]
    return pd.concat(frames, ignore_index=True)


def _patch_table(
    groups: QueryGroups, clean: CleanPatches, floors: Any, found: Mapping[str, Arrays]
) -> pd.DataFrame:
    names = np.array(groups.store.names, dtype=object)
    contrast = groups.queries.std.astype(np.float64) ** 2
    common = {
        "image": names[groups.image],
        "y": groups.queries.patches.y,
        "x": groups.queries.patches.x,
        "entropy": groups.entropy,
        "lr_std": groups.queries.std,
        "mmse_floor": floors,
        **{f"clean_{name}": values for name, values in clean.distance.items()},
    }
    frames = []
    for name, arrays in found.items():
        own = {
            key: values
            for key, values in arrays.items()
            if key.startswith(("model_", "truth_", "manifold_"))
        }
        own["model_error"] = np.where(np.isfinite(floors), arrays["model_truth"] * contrast, np.nan)
        frames.append(pd.DataFrame({"model": name} | common | own))
    return pd.concat(frames, ignore_index=True)


def _map_table(
    groups: QueryGroups, maps: Sequence[QueryGroups], found: Mapping[str, Arrays]
) -> pd.DataFrame:
    columns = ("model", "image", "y", "x", "entropy", "lr_std")
    terms = ("model_center", "truth_center", "model_truth", "model_energy", "truth_energy")
    frames = [pd.DataFrame({name: [] for name in (*columns, *terms)})]
    for number, dense in enumerate(maps):
        place = {
            "image": groups.store.names[int(dense.image[0])],
            "y": dense.queries.patches.y,
            "x": dense.queries.patches.x,
            "entropy": dense.entropy,
            "lr_std": dense.queries.std,
        }
        for name, arrays in found.items():
            own = {term: arrays[f"map_{number}_{term}"] for term in terms}
            frames.append(pd.DataFrame({"model": name} | place | own))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def _spectra(sources: Sequence[Source], images: ImageMeasures, seed: int) -> pd.DataFrame:
    """Radial power (mean over images), and its ratio to the ground truth's (ratio of sums)."""
    frames = []
    bootstrap = ImageBootstrap(np.arange(images.spectra.shape[1]), seed=seed)
    truth = images.spectra[-1]
    for row, source in enumerate(sources):
        ratios = [
            bootstrap.ratio(images.spectra[row, :, ring], truth[:, ring])
            for ring in range(truth.shape[1])
        ]
        frames.append(
            pd.DataFrame(
                {
                    "model": source.name,
                    "frequency": images.frequency,
                    "power": [
                        bootstrap.mean(images.spectra[row, :, ring]).value
                        for ring in range(truth.shape[1])
                    ],
                    "power_ratio": [ratio.value for ratio in ratios],
                    "ci_low": [ratio.ci_low for ratio in ratios],
                    "ci_high": [ratio.ci_high for ratio in ratios],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _model_summary(
    source: Source, table: pd.DataFrame, wanted: Sequence[Measure], area: Estimate, baseline: str,
    lead: str,
) -> ModelSummary:  # fmt: skip
    rows = table[table["model"] == source.name].set_index("measure")
    alone, against = verdict(source.name, table, wanted, baseline=baseline, lead=lead)
    return ModelSummary(
        name=source.name,
        kind=source.kind,
        detail=source.detail,
        verdict=(alone, against),
        measures={
            str(name): MeasuredValue(
                value=finite(row["value"]),
                ci_low=finite(row["ci_low"]),
                ci_high=finite(row["ci_high"]),
                difference=finite(row["difference"]),
                difference_low=finite(row["difference_low"]),
                difference_high=finite(row["difference_high"]),
                p_adjusted=finite(row["p_adjusted"]),
            )
            for name, row in rows.iterrows()
        },
        two_sample_auc=Interval.of(area),
    )
