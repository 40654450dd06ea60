"""Entropy maps of whole images, and the groups with the highest and lowest entropy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.result import ExampleGroup
from cooanalysis.rundir import Arrays
from cooanalysis.study.context import Context
from cooanalysis.study.groups import Grouping, find_members, measure_groups
from cooanalysis.study.inputs import QueryPatches, ReferencePatches, describe, square
from cooanalysis.summary import entropy_column

MAP_PATCHES = 1500
EXAMPLES = 4
EXAMPLE_MEMBERS = 8
EXAMPLE_CONTRAST = 8.0 / 255.0
"""Example groups are shown only from this LR contrast on, so that there is something to see."""


def entropy_maps(
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    table: Arrays,
    excluded: NDArray[np.bool_],
) -> tuple[pd.DataFrame, dict[str, NDArray[np.uint8]]]:
    """Dense entropies of the images with the lowest, middle and highest mean entropy."""
    store = run.queries
    method = run.config.estimators[0]
    column = entropy_column(method)
    columns = ("entropy", "entropy_abs", "center_rms", "center_energy")
    empty = {name: np.empty(0) for name in ("y", "x", *columns)}
    frames = [pd.DataFrame({"image": np.empty(0, np.str_), **empty})]
    images: dict[str, NDArray[np.uint8]] = {}
    totals = np.bincount(table["image"], table[column], len(store.names))
    counts = np.bincount(table["image"], minlength=len(store.names))
    present = np.flatnonzero(counts)
    ranked = present[np.argsort(totals[present] / counts[present], kind="stable")]
    n_maps = min(run.config.map_images, len(ranked))
    places = np.unique(np.linspace(0, len(ranked) - 1, n_maps).round().astype(int))
    for number in ranked[places]:
        area = (store.heights[number]) * store.widths[number]
        step = max(1, math.ceil(math.sqrt(area / MAP_PATCHES)))
        queries = describe(run, store.grid(step, [int(number)]))
        members, distance = find_members(run, f"map-{number}", grouping, queries, excluded)
        full = members[:, 0] >= 0
        if not full.any():
            continue
        queries, members = queries[full], members[full]
        measured = measure_groups(
            run, f"map-groups-{number}", reference, queries, members, (method,)
        )
        name = store.names[number]
        values = measured[f"entropy_{method}"]
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
        images[name] = store.hr_image(int(number)).copy()
    kept = frames[1:] or frames
    return pd.concat(kept, ignore_index=True), images


def example_groups(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    measures: Arrays,
) -> list[ExampleGroup]:
    """Groups with the highest and lowest entropy, at most one an image and kind."""
    entropy = measures[f"entropy_{run.config.estimators[0]}"]
    contrast = (
        queries.std if run.config.normalise else queries.features.std(axis=1)
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
    one = queries.patches[np.array([row])]
    hr = store.hr_patches(one)
    bicubic = hr - store.details(one)
    shown = members[row, :: max(1, run.config.k // EXAMPLE_MEMBERS)][:EXAMPLE_MEMBERS]
    details = run.reference.details(reference.patches[shown])
    potential = bicubic + details / reference.std[shown, None] * queries.std[row]

    def picture(values: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.rint(np.clip(square(run, values), 0.0, 1.0) * 255.0).astype(np.uint8)

    number, y, x = int(one.image[0]), int(one.y[0]), int(one.x[0])
    width = run.config.patch_width
    return ExampleGroup(
        row=row,
        kind=kind,
        lr=store.lr_image(number)[y : y + width, x : x + width].copy(),
        truth=picture(hr)[0],
        bicubic=picture(bicubic)[0],
        center=picture(measures["center_patch"][row : row + 1].astype(np.float32) / 255.0)[0],
        members=picture(potential),
    )
