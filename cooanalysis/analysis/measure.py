"""Measures of potential-HR groups: center, spread and entropies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.summary import entropy_column
from cooanalysis.measures import entropy as estimators
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.out_of_memory import in_batches
from cooanalysis.runtime.run_directory import Arrays

GROUP_SHARD = 2048
"""Groups measured at once, and per checkpoint. Images in files are read once for each."""


def measure_groups(
    run: Context,
    name: str,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    methods: tuple[str, ...] | None = None,
) -> Arrays:
    """Center, spread and entropies of every group."""
    methods = methods or run.config.estimators
    run.progress.start("measuring groups", len(queries))
    starts = range(0, len(queries), GROUP_SHARD)
    pieces = {f"{name}-{n:05d}": slice(s, s + GROUP_SHARD) for n, s in enumerate(starts)}
    measured = _measure_by_workers if run.workers is not None else _measure_here
    parts: dict[str, Arrays] = {}
    for piece, arrays in measured(run, pieces, reference, queries, members, methods):
        parts[piece] = arrays
        run.progress.advance(len(queries.std[pieces[piece]]))
    ordered = [parts[piece] for piece in pieces]
    return {key: np.concatenate([part[key] for part in ordered]) for key in ordered[0]}


def _measure_here(
    run: Context, pieces: dict[str, slice], reference: ReferencePatches, queries: QueryPatches,
    members: NDArray[np.int64], methods: tuple[str, ...],
) -> Iterator[tuple[str, Arrays]]:  # fmt: skip
    for piece, rows in pieces.items():

        def compute(rows: slice = rows) -> Arrays:
            return measure_shard(run, reference, queries[rows], members[rows], methods)

        yield piece, run.checkpoints.load_or_compute(piece, compute)


def _measure_by_workers(
    run: Context, pieces: dict[str, slice], reference: ReferencePatches, queries: QueryPatches,
    members: NDArray[np.int64], methods: tuple[str, ...],
) -> Iterator[tuple[str, Arrays]]:  # fmt: skip
    assert run.workers is not None
    missing = {}
    for piece, rows in pieces.items():
        if (kept := run.checkpoints.load(piece)) is not None:
            yield piece, kept
        else:
            missing[piece] = (queries.patches[rows], members[rows])
    with run.clock.time("groups, by workers"):
        for piece, arrays in run.workers.measure(missing, methods):
            run.checkpoints.keep(piece, arrays)
            yield piece, arrays


def measure_shard(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    methods: tuple[str, ...],
) -> Arrays:
    """Center, spread and entropies of a few groups, see :func:`measure_groups`.

    When memory runs out, batches shrink, and finally the CPU takes over from a GPU.
    """

    def measures_of(rows: slice) -> Arrays:
        return _measure(run, reference, queries[rows], members[rows], methods)

    return in_batches(measures_of, len(queries), "measuring_groups", run.note, run.fall_back)


def _measure(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    methods: tuple[str, ...],
) -> Arrays:
    with run.clock.time("centers"):
        moments, projected = run.kernels.moments(reference, members)
        truth = run.queries.details(queries.patches)
        hr = run.queries.hr_patches(queries.patches)
        estimate = hr - truth + moments.center * queries.std[:, None]
        truth = truth / queries.std[:, None]
        out: Arrays = {
            "center_rms": moments.rms_distance,
            "center_min": moments.min_distance,
            "center_error": np.sqrt(((moments.center - truth) ** 2).mean(1)),
            "center_rms_subspace": run.kernels.spread(projected),
            "center_energy": (moments.center**2).mean(1),
            "truth_energy": (truth**2).mean(1),
            "member_energy": moments.member_energy,
            # As the output of a model would be stored: 8 bits.
            "center_patch": np.rint(np.clip(estimate, 0.0, 1.0) * 255.0).astype(np.uint8),
        }
    for method in methods:
        with run.clock.time(f"entropy {method}"):
            out[f"entropy_{method}"] = run.kernels.entropy(projected, method)
    return out


def group_table(
    run: Context, queries: QueryPatches, distance: NDArray[np.float32], measures: Arrays
) -> Arrays:
    """Columns of the table ``groups`` as arrays; images by number."""
    table: Arrays = {
        "image": queries.patches.image,
        "y": queries.patches.y,
        "x": queries.patches.x,
        "lr_mean": queries.mean,
        "lr_std": queries.std,
        "neighbor_distance": distance,
    }
    for method in run.config.estimators:
        column = entropy_column(method)
        values = measures[f"entropy_{method}"]
        table[column] = values
        table[column.replace("entropy_", "entropy_abs_", 1)] = values + np.log(
            queries.std.astype(np.float64)
        )
    table |= {
        key: values
        for key, values in measures.items()
        if key != "center_patch" and not key.startswith("entropy_")
    }
    return table


def estimator_reliability(
    run: Context,
    reference: ReferencePatches,
    members: NDArray[np.int64],
    entropy: NDArray[np.float64],
) -> dict[str, estimators.Reliability]:
    """Accuracy of each estimator on Gaussian groups with the covariance of a typical group."""
    typical = np.argsort(entropy, kind="stable")[len(entropy) // 2]
    sample = reference.projected(members[typical]).astype(np.float64)
    covariance = np.atleast_2d(np.cov(sample.T))
    out = {}
    for method in run.config.estimators:
        with run.clock.time(f"reliability {method}"):
            out[method] = estimators.reliability(
                method,
                run.config.k,
                sample.shape[1],
                covariance=covariance,
                seed=run.config.seed,
            )
        if not out[method].reliable:
            run.note(_unreliable(out[method]))
    return out


def _unreliable(found: estimators.Reliability) -> Notice:
    bias = float(found.bias) if np.isfinite(found.bias) else None
    return Notice(
        "entropy_unreliable",
        {
            "estimator": found.method,
            "bias": bias,
            "tolerance": estimators.TOLERANCE,
            "n": found.n,
            "d": found.d,
        },
    )
