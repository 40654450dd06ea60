"""Potential-HR groups: who belongs to them, and what is measured in each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cooanalysis import entropy as estimators
from cooanalysis.data.leakage import Leak, shared_patches
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.rundir import Arrays
from cooanalysis.shrinking import in_batches
from cooanalysis.study.context import Context
from cooanalysis.study.grouping import Grouping
from cooanalysis.study.inputs import QueryPatches, ReferencePatches, excluded_images
from cooanalysis.summary import entropy_column

SEARCH_SHARD = 20_000
"""Queries a search, and a checkpoint."""
GROUP_SHARD = 2048
"""Groups measured at once, and a checkpoint. Images in files are walked through for each."""


def find_groups(
    run: Context,
    grouping: Grouping,
    reference: ReferencePatches,
    queries: QueryPatches,
    leaks: list[Leak],
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Leak]]:
    """Members of every query's group, the distance of the farthest, and all leaks found.

    Nearest neighbours reveal shared regions that thumbnails do not; where they do (and leaks
    are excluded), the affected queries are searched again without those images.
    """
    with run.clock.time("search"):
        members, distance = find_members(
            run, "search", grouping, queries, excluded_images(run, leaks)
        )
    if not grouping.ranked:
        return members, distance, leaks
    with run.clock.time("leakage"):
        known = {(leak.query, leak.reference) for leak in leaks}
        found = shared_patches(
            run.queries,
            queries.patches,
            queries.std if run.config.normalise else queries.features.std(1),
            run.reference,
            reference.patches[members[:, 0]],
        )
        new = [leak for leak in found if (leak.query, leak.reference) not in known]
    if new and run.config.exclude_leaks:
        leaks = [*leaks, *new]
        with run.clock.time("search"):
            rows = np.isin(queries.patches.image, [leak.query for leak in new])
            members[rows], distance[rows] = find_members(
                run, "search-again", grouping, queries[rows], excluded_images(run, leaks)
            )
    else:
        leaks = [*leaks, *new]
    return members, distance, leaks


def find_members(
    run: Context,
    name: str,
    grouping: Grouping,
    queries: QueryPatches,
    excluded: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """:meth:`Grouping.members` in shards, each kept as a checkpoint."""
    run.progress.start("finding potential-HR groups", len(queries))
    parts: list[Arrays] = []
    for number, start in enumerate(range(0, len(queries), SEARCH_SHARD)):
        shard = queries[slice(start, start + SEARCH_SHARD)]

        def compute(shard: QueryPatches = shard) -> Arrays:
            def some(rows: slice) -> Arrays:
                index, distance = grouping.members(shard[rows], excluded)
                return {"index": index.astype(np.int32), "distance": distance}

            return in_batches(
                some, len(shard), "searching neighbours", run.note, grouping.fall_back
            )

        parts.append(run.checkpoints.load_or_compute(f"{name}-{number:05d}", compute))
        run.progress.advance(len(shard))
    index = np.concatenate([part["index"] for part in parts]).astype(np.int64)
    return index, np.concatenate([part["distance"] for part in parts])


def drop_small_groups(
    run: Context, queries: QueryPatches, members: NDArray[np.int64], distance: NDArray[np.float32]
) -> tuple[QueryPatches, NDArray[np.int64], NDArray[np.float32]]:
    """Leave out queries whose k-means cell has too few usable members."""
    full = members[:, 0] >= 0
    if not full.any():
        raise NotEnoughDataError(
            f"no k-means cell has k = {run.config.k} members outside the query's own image; "
            "use fewer clusters, a smaller k or a larger reference set"
        )
    if not full.all():
        run.warnings.append(
            f"{int((~full).sum())} of {len(full)} queries fell into k-means cells with fewer than "
            f"k = {run.config.k} usable members and were left out"
        )
    return queries[full], members[full], distance[full]


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
    measured = _measure_by_workers if run.cluster is not None else _measure_here
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
    assert run.cluster is not None
    missing = {}
    for piece, rows in pieces.items():
        if (kept := run.checkpoints.load(piece)) is not None:
            yield piece, kept
        else:
            missing[piece] = (queries.patches[rows], members[rows])
    with run.clock.time("groups, by workers"):
        for piece, arrays in run.cluster.measure(missing, methods):
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

    Where memory runs out batches shrink, and in the end the CPU takes over from a GPU.
    """

    def some(rows: slice) -> Arrays:
        return _measure(run, reference, queries[rows], members[rows], methods)

    return in_batches(some, len(queries), "measuring groups", run.note, run.fall_back)


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
            # As a model's output would be stored: 8 bits.
            "center_patch": np.rint(np.clip(estimate, 0.0, 1.0) * 255.0).astype(np.uint8),
        }
    for method in methods:
        with run.clock.time(f"entropy {method}"):
            out[f"entropy_{method}"] = run.kernels.entropy(projected, method)
    return out


def group_table(
    run: Context, queries: QueryPatches, distance: NDArray[np.float32], measures: Arrays
) -> Arrays:
    """Columns of ``groups``, still as arrays; images as numbers."""
    table: Arrays = {
        "image": queries.patches.image,
        "y": queries.patches.y,
        "x": queries.patches.x,
        "lr_mean": queries.mean,
        "lr_std": queries.std,
        "neighbour_distance": distance,
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
    """How each estimator does on Gaussian groups with the covariance of a typical group."""
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
        if not out[method].trusted:
            run.warnings.append(
                f"entropy estimator {method!r}: its absolute values are not to be trusted here "
                f"({out[method].reason}); rankings and correlations are less affected"
            )
    return out
