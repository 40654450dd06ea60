"""The largest differences between threads, batch sizes, engines and precisions, on one analysis.

    python -m experiments.robustness.agreement [--dataset sample]

Every variant is compared with the first run, column by column: the largest difference over all
patches, relative to the largest value of the column. Members of groups are compared as sets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import cooanalysis as coo
from cooanalysis.measures import center as measures
from cooanalysis.measures import entropy

SMALL: dict[str, Any] = {
    "queries": 600, "k": 64, "manifold_reference": 1000, "ceiling_queries": 100, "map_images": 0,
    "subspace_dim": 16, "device": "cpu",
}  # fmt: skip

THREADS = (1, 2, 4)
BATCHES = {
    "analysis.measure.GROUP_SHARD": (37, 300),
    "analysis.groups.SEARCH_SHARD": (100, 450),
    "neighbors.vectors.BLOCK_BYTES": (2**16, 2**20),
    "neighbors.vectors.CACHE_BYTES": (2**12, 2**26),
    "analysis.patches._CHUNK": (50, 1000),
    "measures.manifold.distance._CHUNK": (64, 500),
}


@contextmanager
def threads(n: int) -> Iterator[None]:
    """All pools of threads limited to ``n``: BLAS, OpenMP of FAISS, numba."""
    import faiss
    import numba

    before, faiss_before = numba.get_num_threads(), faiss.omp_get_max_threads()
    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    faiss.omp_set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        numba.set_num_threads(before)
        faiss.omp_set_num_threads(faiss_before)


@contextmanager
def batch(name: str, size: int) -> Iterator[None]:
    """Set a batch size of the package to another value in every module that imported it."""
    import importlib
    import sys

    module, _, attribute = f"cooanalysis.{name}".rpartition(".")
    before = getattr(importlib.import_module(module), attribute)
    holders = [
        each for key, each in list(sys.modules.items())
        if key == module and hasattr(each, attribute)
    ]  # fmt: skip
    for each in holders:
        setattr(each, attribute, size)
    try:
        yield
    finally:
        for each in holders:
            setattr(each, attribute, before)


def difference(found: coo.Result, truth: coo.Result) -> tuple[float, str]:
    """Largest difference of any value, relative to the largest of its column; and that column."""
    worst, where = 0.0, ""
    for name in map(str, truth.groups):
        a, b = found.groups[name].to_numpy(), truth.groups[name].to_numpy()
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return float("inf"), name
            continue
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf"), name
        good = np.isfinite(b)
        if not good.any():
            continue
        apart = float(np.abs(a[good] - b[good]).max() / max(np.abs(b[good]).max(), 1e-30))
        if apart > worst:
            worst, where = apart, name
    return worst, where


def between_threads(dataset: str) -> dict[str, float]:
    """1, 2 and 4 threads."""
    truth = None
    found = {}
    for n in THREADS:
        with threads(n):
            result = coo.analyze(dataset, **SMALL)
        truth = truth or result
        found[f"{n} threads"] = difference(result, truth)[0]
    return found


def between_batches(dataset: str) -> dict[str, float]:
    """Every batch size, one at a time."""
    truth = coo.analyze(dataset, **SMALL)
    found = {}
    for name, sizes in BATCHES.items():
        for size in sizes:
            with batch(name, size):
                found[f"{name} = {size}"] = difference(coo.analyze(dataset, **SMALL), truth)[0]
    return found


def between_engines(dataset: str) -> dict[str, float]:
    """FAISS and torch, and a GPU where there is one."""
    truth = coo.analyze(dataset, **(SMALL | {"engine": "faiss-cpu"}))
    found = {}
    for engine, device in (("torch", "cpu"), ("faiss-gpu", "auto"), ("torch", "cuda")):
        try:
            result = coo.analyze(dataset, **(SMALL | {"engine": engine, "device": device}))
        except coo.CooError:
            continue  # not available
        found[f"{engine}, {device}"] = difference(result, truth)[0]
    return found


def between_precisions() -> dict[str, float]:
    """Measures of float32 groups against the same in float64, relative to the largest value."""
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(200, 128, 24)) @ np.diag(np.geomspace(1.0, 0.05, 24))
    narrow = wide.astype(np.float32)
    wide = narrow.astype(np.float64)  # the same values: only the arithmetic differs
    functions: dict[str, Callable[[NDArray[Any]], Any]] = {
        "center": measures.center,
        "center_rms_distance": measures.center_rms_distance,
        "center_min_distance": measures.center_min_distance,
    }
    for method in entropy.ESTIMATORS:
        functions[f"entropy {method}"] = partial(entropy.entropy, method=method)
    found = {}
    for name, function in functions.items():
        a, b = np.asarray(function(narrow), np.float64), np.asarray(function(wide), np.float64)
        found[name] = float(np.abs(a - b).max() / np.abs(b).max())
    return found


def main() -> None:
    """Print all differences as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="sample")
    options = parser.parse_args()
    print(
        json.dumps(
            {
                "threads": between_threads(options.dataset),
                "batches": between_batches(options.dataset),
                "engines": between_engines(options.dataset),
                "precisions": between_precisions(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
