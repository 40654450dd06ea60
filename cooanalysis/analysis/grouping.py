"""Members of potential-HR groups: nearest neighbors, here or on workers, or k-means cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.analysis.workers import Shard, Workers
from cooanalysis.neighbors import (
    KMeansCells,
    NeighborIndex,
    Neighbors,
    Recall,
    build_index,
    exact_search,
    fit_kmeans,
    recall_by_distance,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.neighbors.fallback import cpu, with_fallback
from cooanalysis.neighbors.index import choose_kind
from cooanalysis.neighbors.search import allowed_vectors, check_enough

TUNING_QUERIES = 256
RECALL_QUERIES = 512

Members = tuple[NDArray[np.int64], NDArray[np.float32]]
"""(q, k) reference rows, and the RMS distance in LR features of the farthest member."""


class Grouping(Protocol):
    """Finds the members of potential-HR groups.

    Attributes
    ----------
    engine, kind
        Search library, and kind of index.
    effort
        Search effort that an approximate index was tuned to.
    ranked
        Whether members are sorted by distance, nearest first.
    """

    engine: str
    kind: str
    effort: int | None
    ranked: bool

    def tune(self, queries: QueryPatches) -> Recall | None:
        """Tune an approximate index on some queries and measure its recall on others."""
        ...

    def members(self, queries: QueryPatches, excluded: NDArray[np.bool_]) -> Members:
        """Members of the queries' groups; rows of -1 where a group cannot be filled."""
        ...

    def fall_back(self) -> bool:
        """Search on the CPU from now on; False if there is nothing to change."""
        ...


def make_grouping(run: Context, reference: ReferencePatches, n_queries: int) -> Grouping:
    """The grouping that is configured."""
    for store in (run.queries, run.reference):
        store.release()
    if run.config.grouping == "kmeans":
        return CellGroups(run, reference)
    if run.workers is not None:
        return ShardedGroups(run, run.workers, reference, n_queries)
    return NearestGroups(run, reference, n_queries)


class NearestGroups:
    """The k nearest LR patches, searched in this process."""

    ranked = True

    def __init__(self, run: Context, reference: ReferencePatches, n_queries: int) -> None:
        self._run = run
        self._reference = reference
        config = run.config
        self._build = partial(
            build_index,
            reference.features,
            kind=config.index,
            n_queries=n_queries,
            memory=run.memory.left,
            seed=config.seed,
        )
        self.effort: int | None = None
        self._use(with_fallback(self._build, config.engine, config.device, run.note))

    def _use(self, index: NeighborIndex) -> None:
        self.index: NeighborIndex | None = index
        self.engine, self.kind = index.engine, index.kind
        if self.effort is not None:
            index.set_effort(self.effort)

    def fall_back(self) -> bool:
        """Build the index again for the CPU; False if it is there already."""
        if "cpu" in self.engine:
            return False
        self.index = None  # first, so that its memory is free
        self._use(self._build(**cpu(self._run.note)))
        return True

    def tune(self, queries: QueryPatches) -> Recall | None:
        """See :class:`Grouping`."""
        if self.kind == "exact":
            return Recall(1.0, 1.0, 1.0, 0)
        config, vectors = self._run.config, self._reference.features
        k = config.k
        tuning, sample = _tuning_queries(self._run, queries)
        assert self.index is not None
        # Both in one search, so that the vectors are scanned once.
        n = len(tuning)
        asked = np.concatenate([tuning.features, sample.features])
        exact = exact_search(asked, vectors, k, ties=False)
        to_tune, to_measure = exact[:n], exact[n:]
        self.effort = tune_to_recall(
            self.index, vectors, tuning.features, k, config.recall, exact=to_tune
        )
        return recall_by_distance(self.index.search(sample.features, k), to_measure)

    def members(self, queries: QueryPatches, excluded: NDArray[np.bool_]) -> Members:
        """See :class:`Grouping`."""
        reference = self._reference
        assert self.index is not None
        found = search_excluding(
            self.index, queries.features, self._run.config.k, queries.patches.image,
            reference.patches.image, excluded, vectors=reference.features,
        )  # fmt: skip
        return _with_distance(found, reference)


class ShardedGroups:
    """The k nearest LR patches, searched by workers that each index a part of them."""

    ranked = True

    def __init__(
        self, run: Context, workers: Workers, reference: ReferencePatches, n_queries: int
    ) -> None:
        self._run = run
        self._workers = workers
        self._reference = reference
        n, dim = len(reference.patches), reference.features.dim
        self.engine = workers.engine
        self.kind = choose_kind(run.config.index, self.engine, n, dim, n_queries, workers.memory)
        self._shards: Sequence[Shard] = workers.shards(n, self.kind)
        self.effort: int | None = None

    def tune(self, queries: QueryPatches) -> Recall | None:
        """See :class:`Grouping`. Every shard is tuned to the recall for its own neighbors."""
        if self.kind == "exact":
            return Recall(1.0, 1.0, 1.0, 0)
        k = self._run.config.k
        tuning, sample = _tuning_queries(self._run, queries)
        self._shards = self._workers.tune(self._shards, tuning.patches, k, self._run.config.recall)
        self.effort = max(shard.effort or 0 for shard in self._shards)
        shape = (len(self._run.queries.names), len(self._run.reference.names))
        none_excluded = np.zeros(shape, np.bool_)
        found, exact = (
            self._workers.search(self._shards, sample.patches, k, excluded)
            for excluded in (none_excluded, None)
        )
        return recall_by_distance(found, exact)

    def members(self, queries: QueryPatches, excluded: NDArray[np.bool_]) -> Members:
        """See :class:`Grouping`."""
        k = self._run.config.k
        images = self._reference.patches.image
        check_enough(allowed_vectors(images, queries.patches.image, excluded), k)
        found = self._workers.search(self._shards, queries.patches, k, excluded)
        return _with_distance(found, self._reference)

    def fall_back(self) -> bool:
        """See :class:`Grouping`."""
        return False


class CellGroups:
    """Members drawn from the k-means cell of the query."""

    engine, kind = "faiss-cpu", "k-means cells"
    effort: int | None = None
    ranked = False

    def __init__(self, run: Context, reference: ReferencePatches) -> None:
        self._run = run
        self._reference = reference
        config = run.config
        features = CellFeatures(reference, config.scale)
        n_cells = config.clusters or max(2, len(features) // (4 * config.k))
        self._cells: KMeansCells = fit_kmeans(features, n_cells, seed=config.seed)

    def tune(self, queries: QueryPatches) -> Recall | None:
        """See :class:`Grouping`."""
        return None

    def members(self, queries: QueryPatches, excluded: NDArray[np.bool_]) -> Members:
        """See :class:`Grouping`."""
        config, reference, store = self._run.config, self._reference, self._run.queries
        detail = (store.details(queries.patches) / queries.std[:, None]).astype(np.float32)
        features = cell_features(queries.features, detail @ reference.axes, config.scale)
        drawn = self._cells.members(
            self._cells.assign(features), config.k,
            np.stack([queries.patches.image, queries.patches.y, queries.patches.x], axis=1),
            queries.patches.image, reference.patches.image, excluded, seed=config.seed,
        )  # fmt: skip
        farthest = np.zeros(len(queries), np.float32)
        for row, members in enumerate(drawn):
            if members[0] >= 0:
                difference = reference.features.rows(members) - queries.features[row]
                farthest[row] = np.sqrt((difference**2).mean(1).max())
        return drawn, farthest

    def fall_back(self) -> bool:
        """See :class:`Grouping`."""
        return False


def _tuning_queries(run: Context, queries: QueryPatches) -> tuple[QueryPatches, QueryPatches]:
    """Queries for tuning an index, and others for measuring its recall."""
    order = np.random.default_rng((run.config.seed, 3)).permutation(len(queries))
    rest = order[TUNING_QUERIES : TUNING_QUERIES + RECALL_QUERIES]
    chosen = rest if len(rest) >= 50 else order
    return queries[order[:TUNING_QUERIES]], queries[np.sort(chosen)]


def _with_distance(found: Neighbors, reference: ReferencePatches) -> Members:
    return found.index, np.sqrt(found.squared_distances[:, -1] / reference.features.dim)


@dataclass(frozen=True)
class CellFeatures:
    """Reference HR patches as vectors for k-means, computed on demand."""

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
    """HR patches as vectors: an LR value represents scale x scale pixels, and the detail
    is described by its leading components; the two are close to orthogonal."""
    return np.ascontiguousarray(np.hstack([lr * scale, detail]), np.float32)
