"""The floor that no estimator's squared error can go below, from the groups' entropies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cooanalysis import entropy as estimators
from cooanalysis.rundir import Arrays
from cooanalysis.study.context import Context
from cooanalysis.study.inputs import QueryPatches, ReferencePatches


def mmse_floors(
    run: Context, reference: ReferencePatches, queries: QueryPatches, members: NDArray[np.int64]
) -> Arrays:
    """Floor of the mean squared error from the entropies along all principal axes.

    Once with all members and once with the nearer half: groups of nearer LR patches mix
    less, so the difference says how much the groups' width matters.
    """
    rng = np.random.default_rng((run.config.seed, 4))
    size = min(run.config.ceiling_queries, len(queries))
    chosen = np.sort(rng.choice(len(queries), size=size, replace=False))
    store = run.reference
    step = max(1, 4_000_000 // (run.config.k * store.patch_dim))
    starts = range(0, size, step)
    run.progress.start("bounding the error", len(starts))

    def compute() -> Arrays:
        floors = np.empty((2, size))
        for start in starts:
            rows = chosen[start : start + step]
            flat = members[rows].ravel()
            axes = (reference.details(flat) @ reference.basis).reshape(len(rows), run.config.k, -1)
            for part, used in enumerate((axes, axes[:, : run.config.k // 2])):
                floors[part, start : start + step] = estimators.marginal_mmse_floor(
                    estimators.marginal_entropies(used), store.patch_dim
                )
            run.progress.advance()
        return {"floors": floors}

    floors = run.checkpoints.load_or_compute("ceiling", compute)["floors"]
    unit = queries.std[chosen].astype(np.float64) ** 2
    out: Arrays = {}
    for name, values in zip(("mmse_floor", "mmse_floor_half_k"), floors, strict=True):
        out[name] = np.full(len(queries), np.nan)
        out[name][chosen] = values * unit
    return out
