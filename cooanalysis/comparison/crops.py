"""Crops, from all models, of the places where they over-smooth most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cooanalysis.comparison.cache import OutputCache
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.images import usable_pairs
from cooanalysis.comparison.record import Crop
from cooanalysis.data import Dataset
from cooanalysis.measures.detail import SUMS, gain
from cooanalysis.models.sources import Source

SIDE = 96
"""Side of a crop in pixels."""

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


def oversmoothing(sums: Floats) -> Floats:
    """Detail energy that a model's output lacks, for each patch.

    ``‖y − c‖² − ‖s − g·c‖²``, the energy of the unknown minus that of what is made up, and what is
    known but damped: ``(1 − g²)‖c‖²`` where the gain ``g`` of all patches is below 1. A gain above
    1 makes up for nothing.

    Parameters
    ----------
    sums
        (q, 9) sums of the patches, see :mod:`cooanalysis.measures.detail.parts`.

    Returns
    -------
    numpy.ndarray
        (q,) in the unit of the sums.
    """
    column = dict(zip(SUMS, sums.T, strict=True))
    shown = float(np.nan_to_num(gain(column["known_energy"].sum(), column["known_output"].sum())))
    unknown = column["truth_energy"] - 2.0 * column["known_truth"] + column["known_energy"]
    made_up = (
        column["output_energy"]
        - 2.0 * shown * column["known_output"]
        + shown**2 * column["known_energy"]
    )
    damped = (1.0 - np.clip(shown, 0.0, 1.0) ** 2) * column["known_energy"]
    return np.asarray(unknown - made_up + damped)


def find_places(groups: QueryGroups, score: Floats, n: int) -> list[int]:
    """Rows of the queries with the highest scores, at most one per image."""
    rows: list[int] = []
    seen: set[int] = set()
    for row in np.argsort(-score, kind="stable"):
        number = int(groups.image[row])
        if number not in seen:
            seen.add(number)
            rows.append(int(row))
        if len(rows) == n:
            break
    return rows


def cut_crops(
    groups: QueryGroups,
    dataset: Dataset,
    rows: Sequence[int],
    sources: Sequence[Source],
    cache: OutputCache,
) -> list[Crop]:
    """Cut the same crops from all outputs, in the order of ``rows``."""
    run = groups.run
    scale, width = run.config.scale, run.config.patch_width
    wanted = {int(groups.image[row]): row for row in rows}
    found: dict[int, Crop] = {}
    for number, pair in enumerate(usable_pairs(run, dataset)):
        if number not in wanted:
            continue
        row = wanted[number]
        height, breadth = pair.hr.shape[:2]
        middle = scale * (np.array([groups.queries.patches.y[row], groups.queries.patches.x[row]]))
        middle = middle + scale * width // 2
        top = int(np.clip(middle[0] - SIDE // 2, 0, max(0, height - SIDE)))
        left = int(np.clip(middle[1] - SIDE // 2, 0, max(0, breadth - SIDE)))
        cut = np.s_[top : top + SIDE, left : left + SIDE]
        bicubic = np.rint(np.clip(pair.upsampled, 0.0, 255.0)).astype(np.uint8)
        pictures = {"bicubic": bicubic[cut].copy()}
        for source in sources:
            if source.kind not in ("bicubic", "hr"):
                output = cache.output(source, pair, lambda line: None)
                pictures[source.name] = output[cut].copy()
        pictures["hr"] = pair.hr[cut].copy()
        found[row] = Crop(run.queries.names[number], top, left, pictures)
    return [found[row] for row in rows if row in found]
