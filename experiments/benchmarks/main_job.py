"""Cost of the main job compared with exact FAISS search, in one process on the same arrays.

Runs the analysis with the default index, then FAISS's exact search over the same reference
features for the same queries, and prints times, ratios, recall for *all* exact neighbors,
and the peak memory of the job (taken before the exact search starts).

    python -m experiments.benchmarks.main_job --dataset bsd100 --reference BSDS400 --queries 20000

Times are wall-clock seconds of one run; the ratios compare work done seconds apart on the same
machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import cooanalysis as coo
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.run import run_analysis
from cooanalysis.data import Dataset, LoadedPair, iter_pairs
from cooanalysis.data.patches import Patches, PatchStore
from cooanalysis.neighbors import exact_search, recall_at_k
from cooanalysis.runtime.environment import peak_rss_bytes, versions
from cooanalysis.runtime.run_directory import Checkpoints
from experiments.keeping import kept

SMALL_BATCH = 4096
"""FAISS's exact search takes several times as long per query for batches up to this size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--reference")
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--k", type=int, default=128)
    parser.add_argument("--index", default="ivf")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="kept there")
    options = parser.parse_args()
    with kept(options.out, "main_job", vars(options)):
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    config = coo.AnalysisConfig(
        dataset=options.dataset,
        reference=options.reference,
        queries=options.queries,
        k=options.k,
        index=options.index,
    )
    plan = Plan.make(config)
    with tempfile.TemporaryDirectory() as folder:
        kept = Checkpoints(Path(folder))
        started = time.perf_counter()
        result = coo.Result(**vars(run_analysis(plan, checkpoints=kept)))
        analysis_seconds = time.perf_counter() - started
        found = np.concatenate(
            [np.load(p)["index"] for p in sorted(Path(folder).glob("search-0*.npz"))]
        )
        started = time.perf_counter()
        result.save(Path(folder) / "run")
        write_seconds = time.perf_counter() - started
    peak = peak_rss_bytes()

    reference, queries = features(plan, result)
    started = time.perf_counter()
    exact = exact_search(queries, reference, config.k).index
    exact_seconds = time.perf_counter() - started

    started = time.perf_counter()
    exact_search(queries[:SMALL_BATCH], reference, config.k)
    small_seconds = (time.perf_counter() - started) * len(queries) / len(queries[:SMALL_BATCH])

    timings = result.summary.timings_s
    build = timings["index"]
    search = timings["search"]
    outside = analysis_seconds - build - search + write_seconds
    recall = recall_at_k(found, exact) if plan.queries is not plan.reference else None

    print(f"versions: {versions()}")
    print(
        f"reference patches {len(reference):,} x {reference.shape[1]}, queries {len(queries):,}, "
        f"k {config.k}, index {result.summary.engine.index} ({result.summary.engine.engine})"
    )
    print("\n| stage | seconds |\n|---|---:|")
    for stage, seconds in timings.items():
        if stage != "total":
            print(f"| {stage} | {seconds:.2f} |")
    print(f"| figures, report, tables | {write_seconds:.2f} |")
    print(f"| **everything outside the neighbor search** | {outside:.2f} |")
    print(f"| **exact FAISS search, same arrays, one call** | {exact_seconds:.2f} |")
    print(f"| exact FAISS search, {SMALL_BATCH:,} queries a call, scaled | {small_seconds:.2f} |")
    print("\n| ratio | value |\n|---|---:|")
    print(f"| outside the search / exact search | {outside / exact_seconds:.2f} |")
    print(f"| exact search / default search | {exact_seconds / search:.1f} |")
    print(f"| exact search in small calls / default search | {small_seconds / search:.1f} |")
    whole = exact_seconds / (build + search)
    print(f"| exact search / (index build, tuning and search) | {whole:.1f} |")
    if recall is not None:
        print(f"| recall@{config.k} over all queries | {recall.value:.4f} |")
    reported = result.summary.recall_at_k
    if reported is not None:
        print(f"| recall@{config.k} as reported by the run | {reported.value:.4f} |")
    if peak is not None:
        print(f"| peak memory of the job, GiB | {peak / 2**30:.2f} |")


def features(plan: Plan, result: coo.Result) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that the run searched: reference and query LR features."""
    config = plan.config

    def store(dataset: Dataset) -> PatchStore:
        pairs = (p for p in iter_pairs(dataset, color=config.color) if isinstance(p, LoadedPair))
        return PatchStore.from_pairs(pairs, scale=config.scale, width=config.patch_width)

    reference = store(plan.reference)
    queries = store(plan.queries)
    number = {name: i for i, name in enumerate(queries.names)}
    groups = result.groups
    patches = Patches(
        np.asarray(groups["image"].map(number), np.int32),
        groups["y"].to_numpy(np.int32),
        groups["x"].to_numpy(np.int32),
    )
    grid = reference.grid(config.stride)
    return (
        reference.lr_patches(grid, normalize=config.normalize)[0],
        queries.lr_patches(patches, normalize=config.normalize)[0],
    )


if __name__ == "__main__":
    main()
