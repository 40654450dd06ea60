"""From an analysis to the workers that do its heavy parts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis._version import __version__
from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.workers import Job, Shard
from cooanalysis.cluster import tasks
from cooanalysis.data.patches import Patches
from cooanalysis.errors import ClusterError, ConfigError, MissingDependencyError
from cooanalysis.measures.entropy.registry import ESTIMATORS
from cooanalysis.neighbors import Neighbors
from cooanalysis.runtime.memory import MemoryBudget
from cooanalysis.runtime.run_directory import Arrays

CONNECT_SECONDS = 20
INDEX_SHARE = 0.3
"""Share of the workers' memory that indices may take; the rest is for images and batches."""

MERGED_AT_ONCE = 8
"""Shards whose results one task merges; more are merged in a tree."""


class Cluster:
    """Workers that search and measure for one analysis at a time.

    Made by :func:`open_cluster`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._job: Any = None
        self.workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        found = self._ask(client.run, tasks.describe_worker)
        others = {str(each["cooanalysis"]) for each in found.values()} - {__version__}
        if others:
            raise ClusterError(
                f"workers run cooanalysis {', '.join(sorted(others))}, this machine {__version__}; "
                "install the same version everywhere"
            )
        engines = {str(each["engine"]) for each in found.values()}
        self.engine = engines.pop() if len(engines) == 1 else "faiss-cpu"

    @property
    def memory(self) -> int | None:
        """Bytes that all workers together may use for indices; None without a limit."""
        info = self._client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [each["memory_limit"] for each in info]
        return int(INDEX_SHARE * sum(limits)) if all(limits) else None

    def begin(self, job: Job) -> None:
        """Announce the next analysis to the workers."""
        self._job = self._client.submit(tasks.job_of, job, key=f"job-{job.key}")

    def shards(self, n: int, kind: str) -> list[Shard]:
        """One shard per worker."""
        bounds = np.linspace(0, n, min(n, len(self.workers)) + 1).astype(int)
        return [Shard(int(a), int(b), kind) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]

    def tune(self, shards: Sequence[Shard], patches: Patches, k: int, target: float) -> list[Shard]:
        """Shards with the search effort at which each reaches the target recall."""
        futures = [
            self._submit(number, tasks.tune, shard, patches, k, target)
            for number, shard in enumerate(shards)
        ]
        tuned: list[Shard] = self._ask(self._client.gather, futures)
        return tuned

    def search(
        self,
        shards: Sequence[Shard],
        patches: Patches,
        k: int,
        excluded: NDArray[np.bool_] | None,
    ) -> Neighbors:
        """See :meth:`cooanalysis.analysis.workers.Workers.search`."""
        if excluded is None:
            parts = [
                self._submit(number, tasks.search_exactly, shard, patches, k)
                for number, shard in enumerate(shards)
            ]
        else:
            parts = [
                self._submit(number, tasks.search, shard, patches, excluded, k)
                for number, shard in enumerate(shards)
            ]
        while len(parts) > 1:
            parts = [
                self._client.submit(tasks.merge, parts[i : i + MERGED_AT_ONCE], k, pure=False)
                for i in range(0, len(parts), MERGED_AT_ONCE)
            ]
        found: Neighbors = self._ask(parts[0].result)
        return found

    def measure(
        self, groups: dict[str, tuple[Patches, NDArray[np.int64]]], methods: tuple[str, ...]
    ) -> Iterator[tuple[str, Arrays]]:
        """Measure groups; pieces are yielded in the order of completion.

        Parameters
        ----------
        groups
            Query patches and members of each piece, by its name.
        methods
            Entropy estimators.
        """
        from distributed import as_completed

        names = {
            self._client.submit(
                tasks.measure, self._job, patches, members.astype(np.int32), methods, pure=False
            ): name
            for name, (patches, members) in groups.items()
        }
        ready = as_completed(list(names))
        while names:
            future = self._ask(next, ready)
            yield names.pop(future), self._ask(future.result)

    def _submit(self, number: int, function: Any, *arguments: Any) -> Any:
        """A task on the worker that holds a shard, or on another one if that is gone."""
        home = self.workers[number % len(self.workers)]
        return self._client.submit(
            function, self._job, *arguments, workers=[home], allow_other_workers=True, pure=False
        )

    @staticmethod
    def _ask(function: Any, *arguments: Any) -> Any:
        """Call a function that waits for workers; fatal errors become a :class:`ClusterError`."""
        from distributed import TimeoutError as DaskTimeout
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            return function(*arguments)
        except KilledWorker as error:
            raise ClusterError(
                "workers died repeatedly at the same task, most likely because they had too little "
                "memory; use fewer workers, or workers with more memory"
            ) from error
        except (CommClosedError, DaskTimeout, FutureCancelledError, OSError) as error:
            if isinstance(error, ClusterError):
                raise
            raise ClusterError(
                f"the cluster was lost ({type(error).__name__}); run the same command again to "
                "resume"
            ) from error


@contextmanager
def open_cluster(
    *, workers: int | None = None, address: str | None = None, config: AnalysisConfig
) -> Iterator[Cluster | None]:
    """Start workers on this machine, or connect to those of a scheduler.

    Parameters
    ----------
    workers
        Number of worker processes to start here; None for none.
    address
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, or the path of its
        scheduler file. Its workers must see the data sets at the same paths.
    config
        Its memory budget is shared by workers on this machine.

    Yields
    ------
    Cluster or None
        None if neither was requested.

    Raises
    ------
    ConfigError
        If both were requested, ``workers`` is not positive, or an estimator was registered in this
        process only.
    ClusterError
        If the scheduler cannot be reached, or none of its workers can be used.
    MissingDependencyError
        If Dask is not installed.
    """
    if workers is None and address is None:
        yield None
        return
    if workers is not None and address is not None:
        raise ConfigError("--workers starts workers here and --cluster uses others; choose one")
    ESTIMATORS.require_shared(config.estimators)
    if workers is not None and (isinstance(workers, bool) or workers < 1):
        raise ConfigError(f"workers must be a whole number of at least 1; got {workers!r}")
    try:
        import distributed
    except ImportError as error:
        raise MissingDependencyError(
            "several workers need Dask; install it with `pip install 'cooanalysis[cluster]'`"
        ) from error
    import dask

    settings = {
        "distributed.scheduler.work-stealing": False,
        # Dask makes workers release freed memory immediately, so that every array needs new pages.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with dask.config.set(settings):
        local = None if workers is None else _local_cluster(distributed, workers, config)
        try:
            client = _connect(distributed, local, address)
        except BaseException:
            if local is not None:
                local.close()
            raise
        try:
            yield Cluster(client)
        finally:
            client.close()
            if local is not None:
                local.close()


def _local_cluster(distributed: Any, workers: int, config: AnalysisConfig) -> Any:
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the dashboard, which is not used
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=MemoryBudget.of(config.memory).total // workers,
            env=dict.fromkeys(names, threads),
            silence_logs="ERROR",
        )


def _connect(distributed: Any, local: Any, address: str | None) -> Any:
    try:
        if local is not None:
            return distributed.Client(local)
        assert address is not None
        options = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
        client = distributed.Client(**options, timeout=CONNECT_SECONDS)
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, distributed.TimeoutError) as error:
        raise ClusterError(
            f"no scheduler with workers responds at {address!r} ({type(error).__name__}); check "
            "the address, or use --workers to start workers here"
        ) from error
    return client
