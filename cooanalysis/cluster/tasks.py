"""Tasks that run on workers. Each can be repeated anywhere with the same result."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis._version import __version__
from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.load import describe, load_images
from cooanalysis.analysis.measure import measure_shard
from cooanalysis.analysis.patches import ReferencePatches
from cooanalysis.analysis.workers import Job, Shard
from cooanalysis.data.patches import Patches
from cooanalysis.errors import ClusterError
from cooanalysis.neighbors import (
    NeighborIndex,
    Neighbors,
    available_engine,
    build_index,
    exact_search,
    merge_neighbors,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.neighbors.images import RangeImages
from cooanalysis.neighbors.vectors import RowRange
from cooanalysis.runtime.environment import thread_limit
from cooanalysis.runtime.memory import MemoryBudget
from cooanalysis.runtime.progress import Silent, Stopwatch
from cooanalysis.runtime.run_directory import Arrays, Checkpoints


@dataclass
class _State:
    """State that a worker keeps between tasks of one analysis."""

    run: Context
    reference: ReferencePatches
    indices: dict[tuple[int, int, str], NeighborIndex] = field(default_factory=dict)


_states: dict[str, _State] = {}
_lock = threading.RLock()


def job_of(job: Job) -> Job:
    """The job itself: as the result of a task, it is kept by workers and never lost."""
    return job


def search(
    job: Job, shard: Shard, patches: Patches, excluded: NDArray[np.bool_], k: int
) -> Neighbors:
    """The nearest ``k`` patches of a shard, as row numbers of the whole reference set."""
    with _lock:
        state = _state(job)
        queries = describe(state.run, patches)
        source = RowRange(state.reference.features, shard.start, shard.stop)
        found = search_excluding(
            _index(state, shard), queries.features, k, patches.image,
            RangeImages(state.reference.patches.image, shard.start, shard.stop), excluded,
            vectors=source, partial=True,
        )  # fmt: skip
        return _shifted(found, shard.start)


def search_exactly(job: Job, shard: Shard, patches: Patches, k: int) -> Neighbors:
    """The same without an index and without exclusion: the reference for measuring recall."""
    with _lock:
        state = _state(job)
        source = RowRange(state.reference.features, shard.start, shard.stop)
        found = exact_search(describe(state.run, patches).features, source, k, ties=False)
        return _shifted(found, shard.start)


def tune(job: Job, shard: Shard, patches: Patches, k: int, target: float) -> Shard:
    """The shard with the search effort at which its index reaches a recall."""
    with _lock:
        state = _state(job)
        source = RowRange(state.reference.features, shard.start, shard.stop)
        queries = describe(state.run, patches).features
        index = _index(state, shard)
        effort = tune_to_recall(index, source, queries, k, target)
        return replace(shard, effort=effort, tail_share=index.tail_share)


def merge(parts: list[Neighbors], k: int) -> Neighbors:
    """The nearest ``k`` of several shards."""
    return merge_neighbors(parts, k)


def measure(
    job: Job, patches: Patches, members: NDArray[np.int32], methods: tuple[str, ...]
) -> Arrays:
    """Center, spread and entropies of some groups."""
    with _lock:
        state = _state(job)
        queries = describe(state.run, patches)
        return measure_shard(state.run, state.reference, queries, members.astype(np.int64), methods)


def describe_worker() -> dict[str, Any]:
    """What a client must know about a worker."""
    return {"cooanalysis": __version__, "engine": available_engine(), "host": platform.node()}


def _state(job: Job) -> _State:
    if job.key not in _states:
        _states.clear()  # of analyses that are finished
        _limit_threads()
        budget = _budget(job.config)
        stores = load_images(
            job.config, job.queries, job.queries if job.same_reference else job.reference,
            Silent(), in_files=True, check=False, budget=budget,
        )  # fmt: skip
        found = tuple(store.mapped.digest if store.mapped else "" for store in stores[:2])
        if found != job.digests:
            raise ClusterError(
                f"worker {platform.node()} sees other images below "
                f"{job.reference.root} than the client; give all machines the same files"
            )
        run = Context(job.config, *stores, Silent(), Checkpoints(), Stopwatch(), budget=budget)
        reference = ReferencePatches(
            run.reference,
            run.reference.patch_grid(job.config.stride),
            job.config.normalize,
            job.basis,
            job.subspace_dim,
        )
        _states[job.key] = _State(run, reference)
    return _states[job.key]


def _index(state: _State, shard: Shard) -> NeighborIndex:
    key = (shard.start, shard.stop, shard.kind)
    if key not in state.indices:
        # Every image is checked only by the worker that indexes it.
        ends = np.array([shard.start, shard.stop - 1])
        first, last = state.reference.patches.image[ends]
        state.run.reference.verify(range(int(first), int(last) + 1))
        config = state.run.config
        state.indices[key] = build_index(
            RowRange(state.reference.features, shard.start, shard.stop),
            kind=shard.kind,
            engine=config.engine,
            device=config.device,
            seed=config.seed,
        )
    index = state.indices[key]
    if shard.effort is not None and shard.tail_share is not None:
        index.set_effort(shard.effort)
        index.tail_share = shard.tail_share
    return index


def _shifted(found: Neighbors, start: int) -> Neighbors:
    return Neighbors(np.where(found.index >= 0, found.index + start, -1), found.squared_distances)


def _budget(config: AnalysisConfig) -> MemoryBudget:
    """The worker's budget: as configured, and well below the limit at which Dask would kill it."""
    from distributed import get_worker
    from distributed.worker_memory import WorkerMemoryManager

    budget = MemoryBudget.of(config.memory)
    manager = get_worker().memory_manager
    limit = manager.memory_limit if isinstance(manager, WorkerMemoryManager) else None
    return MemoryBudget(min(budget.total, int(0.6 * limit))) if limit else budget


def _limit_threads() -> None:
    from numba import get_num_threads, set_num_threads

    set_num_threads(min(thread_limit(), get_num_threads()))
