"""Cost of the search by number of reference patches, with the fitted exponent.

    python -m experiments.benchmarks.scaling --dataset div2k --sizes 1e5,3e5,1e6,3e6,1e7,3e7

Reference sets are the first images, in random order, of one large set; the queries are the same
for all sizes and of other images. Every size is indexed, tuned to the recall and searched as the
analysis does it, in a separate process. The exponent is the slope of log(search time per query)
over log(N), with its 95 % interval; building and tuning are reported separately.
"""

from __future__ import annotations

import statistics
import time
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
    numbers,
    publish,
    say,
)
from experiments.benchmarks.real_patches import most_patches, real_patches
from experiments.benchmarks.searchers import TUNING_QUERIES, Clock

RECALL_QUERIES = 512
EXPONENT = 0.6


def search(
    k: int, recall: float, kind: str, memory: float | None, repeats: int, patches: dict[str, Any]
) -> dict[str, Any]:
    """Index, tune and search one reference set."""
    from cooanalysis.analysis.groups import SEARCH_SHARD
    from cooanalysis.neighbors import build_index, exact_search, recall_by_distance, tune_to_recall
    from cooanalysis.runtime.memory import MemoryBudget

    here = real_patches(**patches)
    few = here.reference.rows(slice(0, 3000))
    build_index(few, kind="pq").search(few, k)  # compile code and start threads first
    budget = None if memory is None else MemoryBudget(int(memory * GIB)).left
    clock = Clock()
    index = build_index(here.reference, kind=kind, n_queries=len(here.queries), memory=budget)
    clock.stage("build")
    order = np.random.default_rng(3).permutation(len(here.queries))
    effort = None
    if index.kind != "exact":
        tuning = here.queries[order[:TUNING_QUERIES]]
        effort = tune_to_recall(index, here.reference, tuning, k, recall)
    clock.stage("tune")
    searches = []
    for _ in range(repeats):
        start = time.perf_counter()
        for first in range(0, len(here.queries), SEARCH_SHARD):
            index.search(here.queries[first : first + SEARCH_SHARD], k)
        searches.append(time.perf_counter() - start)
    rest = order[TUNING_QUERIES : TUNING_QUERIES + RECALL_QUERIES]
    sample = here.queries[rest if len(rest) else order]
    found = index.search(sample, k)
    return {
        "seconds": clock.seconds | {"search": statistics.median(searches)},
        "kind": index.kind,
        "effort": effort,
        "recall": recall_by_distance(found, exact_search(sample, here.reference, k)).value,
    }


def fit(sizes: list[int], seconds: list[float]) -> tuple[float, float, float]:
    """Slope of log(seconds) over log(sizes), and the half width of its 95 % interval, and r².

    The half width is infinite for fewer than three sizes.
    """
    from scipy.stats import linregress
    from scipy.stats import t as student

    line = linregress(np.log(sizes), np.log(seconds))
    freedom = len(sizes) - 2
    half = float(student.ppf(0.975, freedom) * line.stderr) if freedom > 0 else float("inf")
    return float(line.slope), half, float(line.rvalue) ** 2


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    sizes: Annotated[str, typer.Option(help="Numbers of reference patches.")] = "1e4,2e4,4e4",
    queries: Annotated[int, typer.Option(help="Query patches.")] = 20_000,
    k: Annotated[int, typer.Option(help="Neighbors.")] = 128,
    recall: Annotated[float, typer.Option(help="Target recall of the index.")] = 0.98,
    index: Annotated[str, typer.Option(help="Kind of index; auto is the default one.")] = "auto",
    memory: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Memory budget in GiB; decides the kind of index."),
    ] = None,
    stride: Annotated[int, typer.Option(help="Step between reference patches in LR pixels.")] = 2,
    repeats: Annotated[int, typer.Option(help="Searches per size; the median counts.")] = 3,
    time_limit: Annotated[float, typer.Option(help="Seconds per size.")] = 3600.0,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Measure, fit and print."""
    root = None if data_root is None else str(data_root)
    most, wanted = most_patches(dataset, stride, root), numbers(sizes)
    limits = Limits.of(time_limit, None)
    rows: list[Row] = []
    for n in (n for n in wanted if n <= most):
        patches = {
            "dataset": dataset, "n": n, "n_queries": queries, "stride": stride, "data_root": root,
        }  # fmt: skip
        options = {
            "k": k, "recall": recall, "kind": index, "memory": memory, "repeats": repeats,
            "patches": patches,
        }  # fmt: skip
        outcome = compete("scaling:search", options, limits)
        say(f"{n:>12,}  {outcome.skipped or f'{outcome.seconds:.1f} s'}")
        rows.append(_row(n, queries, outcome))
    if not rows:
        raise SystemExit(f"{dataset} holds {most:,} patches at stride {stride}, fewer than asked")
    left_out = [f"{n:,}" for n in wanted if n > most]
    notes = [f"{dataset} holds {most:,} patches: {', '.join(left_out)} left out."] * bool(left_out)
    notes.append(
        f"{dataset}, {queries:,} queries, k = {k}, recall tuned to {recall}, index {index}, "
        f"memory budget {'none' if memory is None else f'{memory:g} GiB'}."
    )
    publish("scaling", "Cost by number of reference patches", rows,
            ratios(rows, notes, recall), notes, out)  # fmt: skip


def _row(n: int, queries: int, outcome: Outcome) -> Row:
    if outcome.skipped is not None:
        return {"reference patches": n, "index": outcome.skipped}
    values = outcome.values
    seconds = values["seconds"]
    return {
        "reference patches": n,
        "index": values["kind"],
        "effort": values["effort"],
        "build s": seconds["build"],
        "tune s": seconds["tune"],
        "search s": seconds["search"],
        "µs per query": 1e6 * seconds["search"] / queries,
        "recall": values["recall"],
        "peak GiB": outcome.peak_gib,
    }


def ratios(rows: list[Row], notes: list[str], recall: float) -> list[Ratio]:
    """Exponents of search and build of the approximate sizes, and the lowest recall."""
    done = [row for row in rows if row.get("effort") is not None]
    if len(done) < 2:
        notes.append("Fewer than two sizes were searched approximately, so nothing was fitted.")
        return []
    sizes = [row["reference patches"] for row in done]
    slope, half, r2 = fit(sizes, [row["µs per query"] for row in done])
    notes.append(
        f"Search time per query grows like N^{slope:.2f} ± {half:.2f} (95%, r² {r2:.3f}, "
        f"{len(done)} sizes from {sizes[0]:,} to {sizes[-1]:,})."
    )
    built, built_half, _ = fit(sizes, [row["build s"] for row in done])
    notes.append(f"Build time grows like N^{built:.2f} ± {built_half:.2f}.")
    return [
        Ratio("exponent of the search time per query", slope, ("<=", EXPONENT)),
        Ratio("exponent of the build time", built),
        Ratio("lowest recall", min(row["recall"] for row in done), (">=", recall)),
    ]


if __name__ == "__main__":
    typer.run(main)
