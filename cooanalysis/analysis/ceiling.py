"""The lower bound of any estimator's squared error, from the entropies of the groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.measures import entropy as estimators
from cooanalysis.runtime.out_of_memory import in_batches
from cooanalysis.runtime.run_directory import Arrays


def mmse_floors(
    run: Context, reference: ReferencePatches, queries: QueryPatches, members: NDArray[np.int64]
) -> Arrays:
    """Floor of the mean squared error from the entropies along all principal axes.

    Once with all members and once with the nearer half: groups of nearer LR patches mix
    less, so the difference shows how much the width of the groups matters.
    """
    rng = np.random.default_rng((run.config.seed, 4))
    size = min(run.config.ceiling_queries, len(queries))
    chosen = np.sort(rng.choice(len(queries), size=size, replace=False))
    store = run.reference
    step = max(1, 4_000_000 // (run.config.k * store.patch_dim))
    starts = range(0, size, step)
    run.progress.start("bounding the error", len(starts))

    def floors_of(rows: NDArray[np.int64]) -> Arrays:
        flat = members[rows].ravel()
        axes = (reference.details(flat) @ reference.basis).reshape(len(rows), run.config.k, -1)
        found = [
            estimators.marginal_mmse_floor(estimators.marginal_entropies(used), store.patch_dim)
            for used in (axes, axes[:, : run.config.k // 2])
        ]
        return {"floors": np.stack(found, axis=1)}

    def compute() -> Arrays:
        parts = [np.empty((0, 2))]
        for start in starts:
            rows = chosen[start : start + step]
            found = in_batches(
                lambda part, rows=rows: floors_of(rows[part]),  # type: ignore[misc]
                len(rows), "bounding_error", run.note,
            )  # fmt: skip
            parts.append(found["floors"])
            run.progress.advance()
        return {"floors": np.concatenate(parts).T}

    floors = run.checkpoints.load_or_compute("ceiling", compute)["floors"]
    unit = queries.std[chosen].astype(np.float64) ** 2
    out: Arrays = {}
    for name, values in zip(("mmse_floor", "mmse_floor_half_k"), floors, strict=True):
        out[name] = np.full(len(queries), np.nan)
        out[name][chosen] = values * unit
    return out
