"""One comparison: the steps in their order."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.analysis.ceiling import mmse_floors
from cooanalysis.analysis.explore import MeasuredGroups, explore
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.record import Explored
from cooanalysis.analysis.workers import Workers
from cooanalysis.comparison.anchor import NO_ANCHOR, Anchor, find_anchor, shipped_anchor
from cooanalysis.comparison.bound import bound_table
from cooanalysis.comparison.cache import OutputCache
from cooanalysis.comparison.config import CompareConfig
from cooanalysis.comparison.crops import cut_crops, find_places, oversmoothing
from cooanalysis.comparison.detail import STEM
from cooanalysis.comparison.groups import QueryGroups, dense_groups, groups_of
from cooanalysis.comparison.images import ImageMeasures, measure_images, outputs_of
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.comparison.patches import CleanPatches, measure_patches
from cooanalysis.comparison.realism import judge_models
from cooanalysis.comparison.record import ComparisonRecord, judged
from cooanalysis.comparison.statistics import ceiling_db, measures, strata, totals
from cooanalysis.comparison.summary import notices, summarize
from cooanalysis.comparison.tables import (
    band_table,
    map_table,
    model_table,
    patch_table,
    spectrum_table,
)
from cooanalysis.metrics import Metric
from cooanalysis.models.sources import Source
from cooanalysis.runtime.progress import Progress
from cooanalysis.runtime.run_directory import Arrays, Checkpoints

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
    given: Source | None = None,
) -> ComparisonRecord:
    """Do the whole comparison; see :func:`cooanalysis.compare`.

    ``given`` is the anchor that was asked for, if it is not one of the models.
    """
    started = time.perf_counter()
    groups = groups_of(plan, progress, checkpoints, workers)
    run, seed = groups.run, config.analysis.seed
    floors = mmse_floors(run, groups.reference, groups.queries, groups.members)["mmse_floor"]
    images = measure_images(run, plan.queries, sources, metrics, cache)
    kinds = {source.name: source.kind for source in sources}
    anchor = _anchor(config, plan, groups, kinds, images, given, cache)
    reused = cache.reused  # of what follows everything is
    clean = CleanPatches.fit(groups, config.analysis.features)
    maps = _map_groups(groups, config.analysis.map_images)
    found: dict[str, Arrays] = {}
    progress.start("comparing patches", len(sources))
    for source in sources:
        own = anchor is None or anchor.name == source.name
        found[source.name] = measure_patches(
            clean, maps, source.name, images.outputs[source.name],
            None if own or anchor is None else anchor.store,
        )  # fmt: skip
        progress.advance()
    wanted = measures(metrics, list(clean.manifolds))
    models = model_table(run.queries.names, sources, metrics, images, found, wanted)
    patches = patch_table(groups, clean, floors, found)
    with run.clock.time("statistics"):
        progress.start("testing differences", 5)
        table = totals(wanted, models, patches, baseline=config.baseline, seed=seed)
        progress.advance()
        split = strata(wanted, patches, n_strata=config.strata, seed=seed)
        progress.advance()
        bands = band_table(found, wanted, seed)
        progress.advance()
        bound = _bound(groups, kinds, images, anchor)
        progress.advance()
        referees = judge_models(groups, found, table, seed)
        progress.advance()
    deciding = judged(config.baseline, kinds)
    score = np.sum([oversmoothing(found[name][STEM]) for name in deciding], axis=0)
    places = find_places(groups, score, config.crops)
    crops = cut_crops(groups, plan.queries, places, sources, cache)
    with run.clock.time("pictures"):
        explored = _explored(groups, maps, sources, images)
    ceiling = ceiling_db(patches[patches["model"] == sources[0].name], seed)
    for notice in notices(anchor, table, kinds, n_images=len(run.queries.names), ceiling=ceiling):
        run.note(notice)
    run.clock.seconds["total"] = time.perf_counter() - started
    summary = summarize(
        config, plan, groups, clean, sources, wanted,
        models=models, patches=patches, totals=table, referees=referees, anchor=anchor,
        ceiling=ceiling, fingerprint=fingerprint, reused=reused,
    )  # fmt: skip
    return ComparisonRecord(
        summary,
        table,
        models,
        patches,
        split,
        spectrum_table(sources, images, seed),
        map_table(groups, maps, found),
        tuple(crops),
        {groups.store.names[int(m.image[0])]: groups.store.hr_image(int(m.image[0])).copy()
         for m in maps},
        explored,
        bands,
        bound,
    )  # fmt: skip


def _anchor(
    config: CompareConfig, plan: Plan, groups: QueryGroups, kinds: Mapping[str, str],
    images: ImageMeasures, given: Source | None, cache: OutputCache,
) -> Anchor | None:  # fmt: skip
    """The anchor that was asked for, or the most suitable one."""
    run, truth = groups.run, groups.store
    if config.anchor == NO_ANCHOR:
        return None
    if config.anchor in images.outputs:
        return Anchor.of(config.anchor, "given", truth, images.outputs[config.anchor])
    if given is not None:
        return Anchor.of(given.name, "given", truth, outputs_of(run, plan.queries, given, cache))
    found = find_anchor(truth, config.baseline, kinds, images.outputs)
    if found is not None:
        return found
    source = shipped_anchor(plan.queries.pairs, run.config.scale, config.analysis.device)
    if source is None:
        return None
    outputs = outputs_of(run, plan.queries, source, cache)
    return Anchor.of(source.name, "shipped", truth, outputs)


def _bound(
    groups: QueryGroups, kinds: Mapping[str, str], images: ImageMeasures, anchor: Anchor | None
) -> pd.DataFrame:
    """Distances to the perception-distortion bound, which the best output or the anchor sets."""
    numbers = range(len(groups.store.names))
    outputs: dict[str, Sequence[NDArray[np.uint8]]] = {
        name: images.outputs[name] for name, kind in kinds.items() if kind != "hr"
    }
    if anchor is not None and anchor.name not in outputs:
        outputs[anchor.name] = [anchor.store.hr_image(number) for number in numbers]
    table = bound_table(outputs, [groups.store.hr_image(number) for number in numbers])
    return table[table["model"].isin(kinds)].reset_index(drop=True)


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
