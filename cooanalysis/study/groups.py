"""Potential-HR groups: who belongs to them, and what is measured in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cooanalysis import entropy as estimators
from cooanalysis.data.leakage import Leak, shared_patches
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.neighbors import (
    NeighborIndex,
    Recall,
    build_index,
    exact_search,
    fit_kmeans,
    recall_at_k,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.neighbors.fallback import cpu, with_fallback
from cooanalysis.rundir import Arrays
from cooanalysis.shrinking import in_batches, is_out_of_memory
from cooanalysis.study.context import Context
from cooanalysis.study.inputs import QueryPatches, ReferencePatches, excluded_images
from cooanalysis.summary import entropy_column

SEARCH_SHARD = 20_000
"""Queries a search; FAISS's exact search needs several times as long a query on a few thousand."""
GROUP_SHARD = 1024
TUNING_QUERIES = 256
RECALL_QUERIES = 512


class Grouping:
    """Finds the members of potential-HR groups: nearest neighbours or k-means cells."""

    def __init__(self, run: Context, reference: ReferencePatches, n_queries: int) -> None:
        self._run = run
        self._reference = reference
        config = run.config
        self.index: NeighborIndex | None = None
        self.effort: int | None = None
        for store in (run.queries, run.reference):
            store.release()
        if config.grouping == "knn":
            self._build = partial(
                build_index,
                reference.features,
                kind=config.index,
                n_queries=n_queries,
                memory=run.memory.left,
                seed=config.seed,
            )
            self.index = with_fallback(self._build, config.engine, config.device, run.note)
        else:
            n_cells = config.clusters or max(2, len(reference.features) // (4 * config.k))
            self.cells = fit_kmeans(
                CellFeatures(reference, config.scale), n_cells, seed=config.seed
            )

    def fall_back(self) -> bool:
        """Build the index anew for the CPU; False where it is there already."""
        if self.index is None or "cpu" in self.index.engine:
            return False
        self.index = None  # first, so that its memory is free
        self.index = self._build(**cpu(self._run.note))
        if self.effort is not None:
            self.index.set_effort(self.effort)
        return True

    def tune(self, queries: QueryPatches) -> Recall | None:
        """Tune an approximate index on some queries and measure its recall on others."""
        if self.index is None:
            return None
        config = self._run.config
        rng = np.random.default_rng((config.seed, 3))
        order = rng.permutation(len(queries))
        tuning = queries.features[order[:TUNING_QUERIES]]
        if self.index.kind == "exact":
            return Recall(1.0, 1.0, 1.0, 0)
        # A little above the target, so that chance in the tuning sample does not miss it.
        goal = min(1.0, config.recall + 0.15 * (1.0 - config.recall))
        vectors = self._reference.features
        self.effort = tune_to_recall(self.index, vectors, tuning, config.k, goal)
        rest = order[TUNING_QUERIES : TUNING_QUERIES + RECALL_QUERIES]
        chosen = rest if len(rest) >= 50 else order
        sample = queries[np.sort(chosen)]
        exact = exact_search(sample.features, vectors, config.k)
        found = self.index.search(sample.features, config.k)
        return recall_at_k(found.index, exact.index)

    def members(
        self, queries: QueryPatches, excluded: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(q, k) reference rows, and the RMS distance of the farthest in LR features."""
        config = self._run.config
        reference = self._reference
        images = reference.patches.image
        if self.index is not None:
            found = search_excluding(
                self.index, queries.features, config.k, queries.patches.image, images, excluded,
                vectors=reference.features,
            )  # fmt: skip
            dim = reference.features.dim
            return found.index, np.sqrt(found.squared_distances[:, -1] / dim)
        store = self._run.queries
        detail = store.details(queries.patches) / queries.std[:, None]
        features = cell_features(
            queries.features, (detail @ reference.axes).astype(np.float32), config.scale
        )
        drawn = self.cells.members(
            self.cells.assign(features), config.k,
            np.stack([queries.patches.image, queries.patches.y, queries.patches.x], axis=1),
            queries.patches.image, images, excluded, seed=config.seed,
        )  # fmt: skip
        farthest = np.zeros(len(queries), np.float32)
        for row, members in enumerate(drawn):
            if members[0] >= 0:
                difference = reference.features.rows(members) - queries.features[row]
                farthest[row] = np.sqrt((difference**2).mean(1).max())
        return drawn, farthest


@dataclass(frozen=True)
class CellFeatures:
    """Reference HR patches as vectors that k-means groups, made when they are asked for."""

    reference: ReferencePatches
    scale: int

    @property
    def dim(self) -> int:
        """Values in a vector."""
        return self.reference.features.dim + self.reference.subspace_dim

    def __len__(self) -> int:
        return len(self.reference.features)

    def rows(self, which: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        """(n, dim) float32 vectors of some patches."""
        rows = np.arange(*which.indices(len(self))) if isinstance(which, slice) else which
        projected = self.reference.projected(rows)
        return cell_features(self.reference.features.rows(rows), projected, self.scale)


def cell_features(
    lr: NDArray[np.float32], detail: NDArray[np.float32], scale: int
) -> NDArray[np.float32]:
    """HR patches as vectors: an LR value stands for scale x scale pixels, and the detail
    is described by its leading components; the two are close to orthogonal."""
    return np.ascontiguousarray(np.hstack([lr * scale, detail]), np.float32)


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
    if grouping.index is None:
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

            try:
                return in_batches(some, len(shard), "searching neighbours", run.note)
            except Exception as error:
                if not is_out_of_memory(error) or not grouping.fall_back():
                    raise
            return in_batches(some, len(shard), "searching neighbours", run.note)

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
    parts: list[Arrays] = []
    for number, start in enumerate(range(0, len(queries), GROUP_SHARD)):
        rows = slice(start, start + GROUP_SHARD)

        def compute(rows: slice = rows) -> Arrays:
            shard, found = queries[rows], members[rows]
            return in_batches(
                lambda some: _measure_shard(run, reference, shard[some], found[some], methods),
                len(shard), "measuring groups", run.note,
            )  # fmt: skip

        parts.append(run.checkpoints.load_or_compute(f"{name}-{number:05d}", compute))
        run.keep_memory()
        run.progress.advance(len(queries.std[rows]))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _measure_shard(
    run: Context,
    reference: ReferencePatches,
    queries: QueryPatches,
    members: NDArray[np.int64],
    methods: tuple[str, ...],
) -> Arrays:
    with run.clock.time("centers"):
        moments = run.reference.group_moments(
            reference.patches, members, 1.0 / reference.std, reference.axes
        )
        assert moments.projected is not None
        truth = run.queries.details(queries.patches)
        hr = run.queries.hr_patches(queries.patches)
        estimate = hr - truth + moments.center * queries.std[:, None]
        truth = truth / queries.std[:, None]
        subspace = moments.projected
        spread = subspace - subspace.mean(axis=1, keepdims=True)
        out: Arrays = {
            "center_rms": moments.rms_distance,
            "center_min": moments.min_distance,
            "center_error": np.sqrt(((moments.center - truth) ** 2).mean(1)),
            "center_rms_subspace": np.sqrt((spread**2).mean(axis=(1, 2))),
            "center_energy": (moments.center**2).mean(1),
            "truth_energy": (truth**2).mean(1),
            "member_energy": moments.member_energy,
            # As a model's output would be stored: 8 bits.
            "center_patch": np.rint(np.clip(estimate, 0.0, 1.0) * 255.0).astype(np.uint8),
        }
    for method in methods:
        with run.clock.time(f"entropy {method}"):
            out[f"entropy_{method}"] = estimators.entropy(subspace, method)
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
