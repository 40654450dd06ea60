"""Exact search and group statistics on a GPU, compared with its peak rates and two cores.

    python -m experiments.benchmarks.gpu --dataset div2k

Measures the GPU's matrix products and copies, our search in torch (and FAISS's, where the
installed one finds the GPU), and the same exact search with two cores for some of the queries: it
costs the same for each. The neighbors must be equal. Groups are gathered and measured from
images on the GPU.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import (
    GIB,
    OUT,
    Limits,
    Outcome,
    Ratio,
    Row,
    compete,
    publish,
    say,
    seconds_of,
)
from experiments.benchmarks.real_patches import open_store, real_patches

CORES = 2
PRODUCT_TIMES, FASTER = 2.0, 50.0


def search_on_gpu(
    found: str, engine: str, k: int, repeats: int, device: str, patches: dict[str, Any]
) -> dict[str, Any]:
    """A candidate: exact search on the GPU, and for torch the matrix product that it needs."""
    import torch

    from cooanalysis.neighbors import build_index

    here = real_patches(**patches)
    vectors = here.array()
    few = build_index(vectors[:20_000], kind="exact", engine=engine, device=device)
    few.search(here.queries[:2000], k)  # kernels are loaded and compiled now
    start = time.perf_counter()
    index: Any = build_index(vectors, kind="exact", engine=engine, device=device)
    _wait(device)
    build = time.perf_counter() - start
    results: list[Any] = []
    whole = seconds_of(lambda: results.append(index.search(here.queries, k)), repeats)
    wanted = index._fetched(k)
    candidates = seconds_of(lambda: index._engine.search(here.queries, wanted), repeats)
    product = None
    if engine == "torch":
        product = _product(index._engine, here.queries, repeats)
    np.save(Path(found), results[-1].index)
    return {
        "engine": index.engine,
        "size": index.size,
        "dim": vectors.shape[1],
        "build": build,
        "search": whole,
        "candidates": candidates,
        "product": product,
        "gpu_gib": torch.cuda.max_memory_allocated() / GIB if device == "cuda" else None,
    }


def _product(engine: Any, queries: Any, repeats: int) -> float:
    """Seconds for the products of all queries and vectors, in the engine's own tiles."""
    import torch

    from cooanalysis.neighbors.torch_engine import RUN, TILE_RUNS

    torch.backends.cuda.matmul.allow_tf32 = False
    place = engine._runs.device
    moved = torch.from_numpy(queries).to(place)
    plain = engine._runs.flatten(0, 1)[:, : engine.dim].contiguous()
    batch = next(engine._batches(len(moved)))
    columns = min(TILE_RUNS * RUN, len(plain))
    tile = torch.empty(batch.stop * columns, device=place)

    def multiply() -> None:
        for rows in engine._batches(len(moved)):
            for start in range(0, len(plain), columns):
                some, block = moved[rows], plain[start : start + columns]
                into = tile[: len(some) * len(block)].view(len(some), len(block))
                torch.mm(some, block.T, out=into)
        _wait(place.type)

    return seconds_of(multiply, repeats)


def search_on_cores(found: str, k: int, n_queries: int, patches: dict[str, Any]) -> dict[str, Any]:
    """A candidate: the same exact search for the first queries with two cores."""
    _use_cores()
    from cooanalysis.neighbors import exact_search

    here = real_patches(**patches)
    vectors = here.array()
    exact_search(here.queries[:100], vectors[:20_000], k)
    start = time.perf_counter()
    result = exact_search(here.queries[:n_queries], vectors, k)
    seconds = time.perf_counter() - start
    np.save(Path(found), result.index)
    return {"search": seconds}


def _use_cores() -> None:
    """Stay on :data:`CORES` cores, before libraries count them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def rates(
    groups: int, k: int, repeats: int, matrix: int, device: str, patches: dict[str, Any]
) -> dict[str, float]:
    """A candidate: the GPU's matrix products and copies, and our group statistics on it."""
    import torch

    from cooanalysis.analysis.config import AnalysisConfig
    from cooanalysis.analysis.context import Context
    from cooanalysis.analysis.load import reference_patches
    from cooanalysis.analysis.torch_kernels import TorchKernels
    from cooanalysis.runtime.progress import Silent, Stopwatch
    from cooanalysis.runtime.run_directory import Checkpoints

    torch.backends.cuda.matmul.allow_tf32 = False
    square = torch.rand(matrix, matrix, device=device)
    source = torch.rand(8 * matrix**2, device=device)
    target = torch.empty_like(source)
    store = open_store(patches["dataset"], patches.get("data_root"))
    config = AnalysisConfig(dataset=patches["dataset"], k=k, stride=patches["stride"])
    run = Context(config, store, store, [], Silent(), Checkpoints(), Stopwatch())
    reference = reference_patches(run)
    kernels = TorchKernels.build(store, device)
    rng = np.random.default_rng(0)
    members = rng.integers(0, len(reference.patches), (groups, k))

    def timed(work: Callable[[], object]) -> float:
        def whole() -> None:
            work()
            _wait(device)

        return seconds_of(whole, repeats)

    _, projected = kernels.moments(reference, members)
    axes, hr = projected.shape[2], store.patch_dim
    found = {
        "matrix_gflops": 2.0 * matrix**3 / timed(lambda: square @ square) / 1e9,
        "copy_gbs": 2.0 * source.nbytes / timed(lambda: target.copy_(source)) / 1e9,
    }
    seconds = timed(lambda: kernels.moments(reference, members))
    moved = groups * k * (2 * hr + 4 * axes) + groups * 4 * hr
    found |= {
        "moments_gbs": moved / seconds / 1e9,
        "moments_gflops": groups * k * hr * (6 + 2 * axes) / seconds / 1e9,
        "moments_groups": groups / seconds,
    }
    for method in config.estimators:
        measure = partial(kernels.entropy, projected, method)
        found[f"entropy {method}"] = groups / timed(measure)
    return found


def _wait(device: str) -> None:
    """Wait until the GPU has finished."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    n: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Number of reference patches; by default all."),
    ] = None,
    queries: Annotated[int, typer.Option(help="Query patches.")] = 20_000,
    cpu_queries: Annotated[int, typer.Option(help="Number of queries for two cores.")] = 1000,
    k: Annotated[int, typer.Option(help="Neighbors, and members of a group.")] = 128,
    groups: Annotated[int, typer.Option(help="Number of groups to measure.")] = 20_000,
    stride: Annotated[int, typer.Option(help="Step between reference patches in LR pixels.")] = 2,
    repeats: Annotated[int, typer.Option(help="Repetitions of every measurement on the GPU.")] = 3,
    engines: Annotated[
        str, typer.Option(help="Search engines; FAISS only if it finds the GPU.")
    ] = "torch,faiss-gpu",
    matrix: Annotated[int, typer.Option(help="Side of the large matrix product.")] = 8192,
    device: Annotated[str, typer.Option(help="cpu tries the script without a GPU.")] = "cuda",
    time_limit: Annotated[float, typer.Option(help="Seconds per candidate.")] = 1200.0,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Measure and print."""
    from cooanalysis.neighbors.engines import faiss_gpu_count, torch_cuda_available

    if device == "cuda" and not torch_cuda_available():
        raise SystemExit("no CUDA GPU that torch can use was found")
    limits = Limits.of(time_limit, None)
    patches: dict[str, Any] = {
        "dataset": dataset, "n": None if n is None else int(n), "n_queries": queries,
        "stride": stride, "data_root": None if data_root is None else str(data_root),
    }  # fmt: skip
    wanted = engines.split(",")
    if "faiss-gpu" in wanted and (device != "cuda" or not faiss_gpu_count()):
        wanted.remove("faiss-gpu")
    ran: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        say("rates of the GPU")
        options: dict[str, Any] = {"groups": groups, "k": k, "repeats": repeats, "device": device,
                                   "matrix": matrix, "patches": patches}  # fmt: skip
        rate = _need(compete("gpu:rates", options, limits))
        for engine in wanted:
            say(f"exact search, {engine}")
            options = {"found": f"{folder}/{engine}.npy", "engine": engine, "k": k,
                       "repeats": repeats, "device": device, "patches": patches}  # fmt: skip
            ran[engine] = _need(compete("gpu:search_on_gpu", options, limits))
        say(f"exact search, {CORES} cores")
        options = {"found": f"{folder}/cores.npy", "k": k, "n_queries": cpu_queries,
                   "patches": patches}  # fmt: skip
        cores = _need(compete("gpu:search_on_cores", options, limits))
        truth = np.load(f"{folder}/cores.npy")
        for engine, values in ran.items():
            found = np.load(f"{folder}/{engine}.npy")
            values["same"] = float((found[: len(truth)] == truth).mean())
    on_cores = cores["search"] / len(truth)
    rows, ratios = table(rate, ran, on_cores, len(found), k)
    notes = [
        f"{dataset}, {ran['torch']['size']:,} reference patches, {len(found):,} queries, k = {k}, "
        f"exact; {len(truth):,} of the queries for {CORES} cores. The matrix product of the search "
        "is that of all queries and vectors, in the tiles of our search, without anything else. "
        "Vectors lie in the machine's memory before the clock starts.",
    ]
    publish("gpu", "Search and groups on a GPU", rows, ratios, notes, out)


def table(
    rate: dict[str, float], ran: dict[str, dict[str, Any]], on_cores: float, queries: int, k: int
) -> tuple[list[Row], list[Ratio]]:
    """Tables of measurements and of ratios.

    Parameters
    ----------
    rate
        Result of :func:`rates`.
    ran
        Results of :func:`search_on_gpu`, by engine.
    on_cores
        Seconds per query with two cores.
    queries, k
        Numbers of queries and of neighbors.
    """
    ours = ran["torch"]
    operations = 2.0 * ours["size"] * queries * ours["dim"]

    def timed(what: str, seconds: float) -> Row:
        return {"what": what, "seconds": seconds, "GFLOP/s": operations / seconds / 1e9}

    rows: list[Row] = [
        {"what": "large matrix product, float32", "GFLOP/s": rate["matrix_gflops"]},
        {"what": "copy", "GB/s": rate["copy_gbs"]},
        timed("matrix product of the search", ours["product"]),
    ]
    for values in ran.values():
        name = values["engine"]
        rows += [
            {"what": f"{name}: vectors to the GPU", "seconds": values["build"],
             "GiB on the GPU": values["gpu_gib"]},
            timed(f"{name}: candidates", values["candidates"]),
            timed(f"{name}: search, with exact distances of the candidates", values["search"]),
        ]  # fmt: skip
    rows += [
        timed(f"{CORES} cores: search", on_cores * queries),
        {"what": f"moments of groups of {k}", "GFLOP/s": rate["moments_gflops"],
         "GB/s": rate["moments_gbs"], "groups/s": rate["moments_groups"]},
        *({"what": name, "groups/s": value} for name, value in rate.items()
          if name.startswith("entropy ")),
    ]  # fmt: skip
    ratios = [
        Ratio("torch, candidates / matrix product of the search, time",
              ours["candidates"] / ours["product"], ("<=", PRODUCT_TIMES)),
        Ratio("torch, search / matrix product of the search, time",
              ours["search"] / ours["product"]),
        Ratio("torch, search / large matrix product, operations per second",
              operations / ours["search"] / 1e9 / rate["matrix_gflops"]),
        Ratio("moments of groups / copy, bandwidth", rate["moments_gbs"] / rate["copy_gbs"]),
    ]  # fmt: skip
    for engine, values in ran.items():
        faster = on_cores * queries / values["search"]
        ratios += [
            Ratio(f"{CORES} cores / {engine}, search time", faster, (">=", FASTER)),
            Ratio(f"{engine}, same neighbors as {CORES} cores", values["same"], (">=", 1.0)),
        ]
    return rows, ratios


def _need(outcome: Outcome) -> dict[str, Any]:
    if outcome.skipped:
        raise SystemExit(f"not measured: {outcome.skipped}")
    say(f"  {outcome.values}")
    return outcome.values


if __name__ == "__main__":
    typer.run(main)
