"""Choose patches for a reader to explore, and cut out their images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as Pillow

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.load import square
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.record import Explored
from cooanalysis.data.patches import PatchStore
from cooanalysis.runtime.run_directory import Arrays

QUERIES = 360
IMAGES = 60
MAP_PATCHES = 80
MEMBERS = 8
BYTES = 3_000_000
"""Images take at most this much, so that a report stays small whatever the patch size."""
THUMBNAIL = 360
"""Longest side of a thumbnail in pixels."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class MeasuredGroups:
    """Queries, the members of their groups, and the measures of these groups."""

    queries: QueryPatches
    members: NDArray[np.int64]
    measures: Arrays

    def __getitem__(self, rows: NDArray[np.intp]) -> MeasuredGroups:
        measures = {name: values[rows] for name, values in self.measures.items()}
        return MeasuredGroups(self.queries[rows], self.members[rows], measures)


def explore(
    run: Context,
    reference: ReferencePatches,
    groups: MeasuredGroups,
    maps: Sequence[MeasuredGroups],
    models: Mapping[str, Callable[[], PatchStore]] | None = None,
) -> Explored:
    """Cut out images of some queries, and of some patches of the densely measured images.

    Parameters
    ----------
    run
        Images and configuration.
    reference
        The reference patches.
    groups
        The query patches; about :data:`QUERIES` of them, evenly over entropy, are used.
    maps
        Groups of all patches of single images; :data:`MAP_PATCHES` of each, evenly over the image.
    models
        Returns the store of a model's outputs, see
        :func:`cooanalysis.comparison.outputs.with_outputs`; only one is held at a time.
    """
    outputs = dict(models or {})
    entropy = f"entropy_{run.config.estimators[0]}"
    values = (MEMBERS + 3 + len(outputs)) * run.reference.patch_dim
    room = max(8, BYTES // values)
    dense = min(MAP_PATCHES, room // (2 * max(1, len(maps))))
    kept_images = {int(part.queries.patches.image[0]) for part in maps}
    parts = [part[_grid(part, dense)] for part in maps]
    parts.insert(0, groups[_choose(run, groups, entropy, min(QUERIES, room // 2), kept_images)])
    table = pd.concat([_table(run, part, entropy) for part in parts], ignore_index=True)
    pieces = [_images(run, reference, part) for part in parts]
    numbers = sorted({int(i) for part in parts for i in part.queries.patches.image})
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    for name, make in outputs.items():
        store = make()
        shown = [as_images(run, store.hr_patches(part.queries.patches)) for part in parts]
        joined[f"model:{name}"] = np.concatenate(shown)
    return Explored(
        table,
        joined.pop("lr"),
        joined.pop("members"),
        {_title(name): stack for name, stack in joined.items()},
        {run.queries.names[i]: _thumbnail(run.queries.hr_image(i)) for i in numbers},
        {run.queries.names[i]: run.queries.hr_image(i).shape[:2] for i in numbers},
    )


def _title(name: str) -> str:
    """Title of an image; a model may have any name, including one of ours."""
    if not name.startswith("model:"):
        return name
    own = name.removeprefix("model:")
    return f"{own} (model)" if own in ("center", "truth", "bicubic") else own


def _choose(
    run: Context, groups: MeasuredGroups, entropy: str, n: int, kept: set[int]
) -> NDArray[np.intp]:
    """Rows evenly over entropy, from at most as many images as can be shown."""
    image = groups.queries.patches.image
    present = np.unique(image)
    rng = np.random.default_rng((run.config.seed, 11))
    drawn = rng.permutation(present)[:IMAGES]
    inside = np.isin(image, np.union1d(drawn, np.array(sorted(kept), image.dtype)))
    values = groups.measures[entropy]
    rows = np.flatnonzero(inside & np.isfinite(values))
    ranked = rows[np.argsort(values[rows], kind="stable")]
    return np.sort(ranked[_evenly(len(ranked), n)])


def _grid(part: MeasuredGroups, n: int) -> NDArray[np.intp]:
    """About ``n`` rows on a grid over the image."""
    y, x = part.queries.patches.y, part.queries.patches.x
    ys, xs = np.unique(y), np.unique(x)
    down = max(1, round(math.sqrt(n * len(ys) / len(xs))))
    across = max(1, n // down)
    kept = np.isin(y, ys[_evenly(len(ys), down)]) & np.isin(x, xs[_evenly(len(xs), across)])
    return np.flatnonzero(kept)


def _evenly(length: int, n: int) -> NDArray[np.intp]:
    """At most ``n`` indices spread evenly over ``length``."""
    return np.unique(np.linspace(0, length - 1, min(n, length)).round().astype(np.intp))


def _table(run: Context, part: MeasuredGroups, entropy: str) -> pd.DataFrame:
    patches, names = part.queries.patches, np.array(run.queries.names, dtype=object)
    return pd.DataFrame(
        {
            "image": names[patches.image],
            "y": patches.y,
            "x": patches.x,
            "entropy": part.measures[entropy].astype(np.float64),
            "distance": part.measures["center_rms_subspace"].astype(np.float64),
            "center_error": part.measures["center_error"].astype(np.float64),
            "lr_std": part.queries.std.astype(np.float64),
        }
    )


def _images(run: Context, reference: ReferencePatches, part: MeasuredGroups) -> dict[str, Image]:
    store, patches = run.queries, part.queries.patches
    width = run.config.patch_width
    lr = [
        store.lr_image(int(i))[y : y + width, x : x + width]
        for i, y, x in zip(patches.image, patches.y, patches.x, strict=True)
    ]
    return {
        "lr": np.stack(lr),
        "members": member_images(run, reference, part.queries, part.members),
        "center": as_images(run, part.measures["center_patch"].astype(np.float32) / 255.0),
        "truth": as_images(run, store.hr_patches(patches)),
        "bicubic": as_images(run, store.hr_patches(patches) - store.details(patches)),
    }


def member_images(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
) -> Image:
    """(n, m, s, s, channels): details of members, added to the query's bicubic patch."""
    step = max(1, run.config.k // MEMBERS)
    shown = members[:, ::step][:, :MEMBERS]
    bicubic = run.queries.hr_patches(queries.patches) - run.queries.details(queries.patches)
    flat = shown.ravel()
    details = reference.details(flat)
    details = details.reshape(*shown.shape, -1) * queries.std[:, None, None]
    whole = (bicubic[:, None, :] + details).reshape(flat.size, -1)
    return as_images(run, whole).reshape(*shown.shape, *square(run, whole[:1]).shape[1:])


def as_images(run: Context, rows: NDArray[np.float32]) -> Image:
    """(n, patch_dim) rows in [0, 1] as (n, s, s, channels) uint8."""
    return np.rint(np.clip(square(run, rows), 0.0, 1.0) * 255.0).astype(np.uint8)


def _thumbnail(image: Image) -> Image:
    picture = Pillow.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    small = np.asarray(picture)
    return small[..., None] if small.ndim == 2 else small
