"""Entropy maps of whole images, and the groups with the highest and lowest entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.explore import MeasuredGroups, as_images, member_images
from cooanalysis.analysis.grouping import Grouping
from cooanalysis.analysis.groups import find_members
from cooanalysis.analysis.load import describe
from cooanalysis.analysis.measure import measure_groups
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.record import ExampleGroup
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.runtime.run_directory import Arrays

MAP_PATCHES = 1500
EXAMPLES = 4
EXAMPLE_CONTRAST = 8.0 / 255.0
"""Example groups are shown only above this LR contrast, so that there is something to see."""


@dataclass(frozen=True)
class DenseMap:
    """All patches on a grid of one query image, with their groups."""

    image: int
    groups: MeasuredGroups


def dense_maps(
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    table: Arrays,
    excluded: NDArray[np.bool_],
) -> list[DenseMap]:
    """Measure the images with the lowest, middle and highest mean entropy densely."""
    store = run.queries
    method = run.config.estimators[0]
    totals = np.bincount(table["image"], table[entropy_column(method)], len(store.names))
    counts = np.bincount(table["image"], minlength=len(store.names))
    present = np.flatnonzero(counts)
    ranked = present[np.argsort(totals[present] / counts[present], kind="stable")]
    n_maps = min(run.config.map_images, len(ranked))
    places = np.unique(np.linspace(0, len(ranked) - 1, n_maps).round().astype(int))
    found = []
    for number in map(int, ranked[places]):
        area = (store.heights[number]) * store.widths[number]
        step = max(1, math.ceil(math.sqrt(area / MAP_PATCHES)))
        queries = describe(run, store.grid(step, [number]))
        members, _ = find_members(run, f"map-{number}", grouping, queries, excluded)
        full = members[:, 0] >= 0
        if not full.any():
            continue
        queries, members = queries[full], members[full]
        measured = measure_groups(
            run, f"map-groups-{number}", reference, queries, members, (method,)
        )
        found.append(DenseMap(number, MeasuredGroups(queries, members, measured)))
    return found


def entropy_maps(
    run: Context, maps: Sequence[DenseMap]
) -> tuple[pd.DataFrame, dict[str, NDArray[np.uint8]]]:
    """One row per patch of the densely measured images, and these images by name."""
    columns = ("entropy", "entropy_abs", "center_rms", "center_energy")
    empty = {name: np.empty(0) for name in ("y", "x", *columns)}
    frames = [pd.DataFrame({"image": np.empty(0, np.str_), **empty})]
    images: dict[str, NDArray[np.uint8]] = {}
    for dense in maps:
        name, queries = run.queries.names[dense.image], dense.groups.queries
        measured = dense.groups.measures
        values = measured[f"entropy_{run.config.estimators[0]}"]
        frames.append(
            pd.DataFrame(
                {
                    "image": np.full(len(values), name),
                    "y": queries.patches.y,
                    "x": queries.patches.x,
                    "entropy": values,
                    "entropy_abs": values + np.log(queries.std.astype(np.float64)),
                    "center_rms": measured["center_rms"],
                    "center_energy": measured["center_energy"],
                }
            )
        )
        images[name] = run.queries.hr_image(dense.image).copy()
    return pd.concat(frames[1:] or frames, ignore_index=True), images


def example_groups(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    measures: Arrays,
) -> list[ExampleGroup]:
    """Groups with the highest and lowest entropy, at most one per image and kind."""
    entropy = measures[f"entropy_{run.config.estimators[0]}"]
    contrast = (
        queries.std if run.config.normalize else queries.features.std(axis=1)
    ) >= EXAMPLE_CONTRAST
    order = np.argsort(entropy, kind="stable")
    order = order[contrast[order] & np.isfinite(entropy[order])]
    examples = []
    for kind, ranked in (("highest", order[::-1]), ("lowest", order)):
        seen: set[int] = set()
        for row in ranked:
            if (number := int(queries.patches.image[row])) in seen:
                continue
            seen.add(number)
            examples.append(_example(run, int(row), kind, reference, queries, members, measures))
            if len(seen) == EXAMPLES:
                break
    return examples


def _example(
    run: Context,
    row: int,
    kind: str,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    measures: Arrays,
) -> ExampleGroup:
    store = run.queries
    one = queries[np.array([row])]
    hr = store.hr_patches(one.patches)
    bicubic = hr - store.details(one.patches)
    center = measures["center_patch"][row : row + 1].astype(np.float32) / 255.0
    number, y, x = (int(v[0]) for v in (one.patches.image, one.patches.y, one.patches.x))
    width = run.config.patch_width
    return ExampleGroup(
        row=row,
        kind=kind,
        lr=store.lr_image(number)[y : y + width, x : x + width].copy(),
        truth=as_images(run, hr)[0],
        bicubic=as_images(run, bicubic)[0],
        center=as_images(run, center)[0],
        members=member_images(run, reference, one, members[row : row + 1])[0],
    )
