"""Our neighbor search compared with raw FAISS, scikit-learn and pynndescent on real patches.

    python -m experiments.benchmarks.search_peers --dataset div2k --sizes 1e5,3e5,1e6,3e6,1e7,3e7

Every candidate gets the same reference patches and the same held-out queries, in a separate
process; those of one size run one after the other. Recall is relative to our exact search. A
candidate that is expected to exceed the time limit, judged by the last size, is skipped. The rates
of exact searches are compared with matrix products, measured before and after in the same run.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import (
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
from experiments.benchmarks.real_patches import most_patches

CONTESTANTS = {
    "cooanalysis, exact": "searchers:ours_exact",
    "cooanalysis, default": "searchers:ours",
    "FAISS IndexFlatL2": "searchers:faiss_exact",
    "scikit-learn brute force": "searchers:sklearn_brute",
    "pynndescent": "searchers:pynndescent",
}
TRUTH, OURS = "cooanalysis, exact", "cooanalysis, default"
EXACT = (TRUTH, "FAISS IndexFlatL2", "scikit-learn brute force")
DIM = 25


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    sizes: Annotated[str, typer.Option(help="Numbers of reference patches.")] = "1e4,2e4,4e4",
    queries: Annotated[int, typer.Option(help="Query patches.")] = 10_000,
    k: Annotated[int, typer.Option(help="Neighbors.")] = 128,
    recall: Annotated[float, typer.Option(help="Target recall of approximate searches.")] = 0.98,
    stride: Annotated[int, typer.Option(help="Step between reference patches in LR pixels.")] = 2,
    repeats: Annotated[int, typer.Option(help="Rounds; medians are reported.")] = 1,
    time_limit: Annotated[float, typer.Option(help="Seconds per candidate and size.")] = 600.0,
    memory_limit: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="GiB per candidate. Default: nine tenths of free memory."),
    ] = None,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Measure and print."""
    limits = Limits.of(time_limit, memory_limit)
    root = None if data_root is None else str(data_root)
    wanted, most = numbers(sizes), most_patches(dataset, stride, root)
    ceilings = [_ceiling(limits)]
    rows: list[Row] = []
    last: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in (n for n in wanted if n <= most):
            options = {
                "k": k, "recall": recall,
                "patches": {
                    "dataset": dataset, "n": n, "n_queries": queries, "stride": stride,
                    "data_root": root,
                },
            }  # fmt: skip
            outcomes: dict[str, list[Outcome]] = {name: [] for name in CONTESTANTS}
            for _ in range(repeats):
                for name, function in CONTESTANTS.items():
                    found = str(Path(folder) / f"{name}.npy")
                    Path(found).unlink(missing_ok=True)
                    outcome = _run(name, function, {"found": found, **options}, n, last, limits)
                    outcomes[name].append(outcome)
                    say(f"{n:>12,}  {name:26} {outcome.skipped or f'{outcome.seconds:.1f} s'}")
            for name, tries in outcomes.items():
                rows.append(_row(n, name, tries, Path(folder), queries))
                if tries[-1].skipped is None:
                    last[name] = (n, tries[-1].seconds)
    ceilings.append(_ceiling(limits))
    product = statistics.mean(each["search_gflops"] for each in ceilings)
    for row in rows:
        if "GFLOP/s" in row:
            row["relative to product"] = row["GFLOP/s"] / product
    if not rows:
        raise SystemExit(f"{dataset} holds {most:,} patches at stride {stride}, fewer than asked")
    left_out = [f"{n:,}" for n in wanted if n > most]
    notes = [f"{dataset} holds {most:,} patches: {', '.join(left_out)} left out."] * bool(left_out)
    notes += [
        f"{dataset}, {queries:,} queries, k = {k}, recall tuned to {recall}. The matrix product of "
        f"an exact search ran at {ceilings[0]['search_gflops']:.0f} GFLOP/s before and "
        f"{ceilings[1]['search_gflops']:.0f} after; large squares at "
        f"{ceilings[0]['matrix_gflops']:.0f} and {ceilings[1]['matrix_gflops']:.0f}. Peak memory "
        "is that of the whole process. Our search computes vectors on the fly; the others receive "
        "an array that is computed outside the timing.",
    ]  # fmt: skip
    packages = ("pynndescent", "faiss-cpu")
    publish("search", "Neighbor search side by side", rows, ratios(rows), notes, out, packages)


def _ceiling(limits: Limits) -> dict[str, float]:
    outcome = compete("ceilings:machine_ceilings", {"repeats": 3}, limits)
    if outcome.skipped:
        raise SystemExit(f"the machine's ceilings were not measured: {outcome.skipped}")
    return outcome.values


def _run(
    name: str,
    function: str,
    options: dict[str, Any],
    n: int,
    last: dict[str, tuple[int, float]],
    limits: Limits,
) -> Outcome:
    if name in last and name != TRUTH:
        before, seconds = last[name]
        expected = seconds * n / before
        # Neither imports nor an approximate search grow linearly with n: be generous.
        if expected > 3.0 * limits.seconds:
            return Outcome(skipped=f"about {expected:.0f} s expected, limit {limits.seconds:.0f}")
    return compete(function, options, limits)


def _row(n: int, name: str, tries: list[Outcome], folder: Path, queries: int) -> Row:
    row: Row = {"reference patches": n, "method": name}
    done = [each for each in tries if each.skipped is None]
    if not done:
        return row | {"note": tries[-1].skipped}
    stages: dict[str, float] = {
        stage: statistics.median(each.values["seconds"][stage] for each in done)
        for stage in done[0].values["seconds"]
    }
    row |= {
        "build s": stages.get("build", 0.0),
        "tune s": stages.get("tune", 0.0),
        "search s": stages["search"],
        "total s": sum(stages.values()),
        "recall": _recall(folder / f"{name}.npy", folder / f"{TRUTH}.npy"),
        "peak GiB": statistics.median(each.peak_gib for each in done),
    }
    if name in EXACT:
        row["GFLOP/s"] = 2.0 * n * queries * DIM / stages["search"] / 1e9
    effort = done[-1].values.get("effort")
    return row | {"note": done[-1].values["kind"] + ("" if effort is None else f", {effort}")}


def _recall(found: Path, truth: Path) -> float:
    from cooanalysis.neighbors import recall_at_k

    if not truth.exists():
        return float("nan")
    return recall_at_k(np.load(found), np.load(truth)).value


def ratios(rows: list[Row]) -> list[Ratio]:
    """Every candidate compared with our default at the largest size that it finished."""
    done = {(row["reference patches"], row["method"]): row for row in rows if "total s" in row}
    found = []
    for name in CONTESTANTS:
        sizes = [n for n, other in done if other == name and (n, OURS) in done]
        if name == OURS or not sizes:
            continue
        n = max(sizes)
        peer, own = done[n, name], done[n, OURS]
        for what, key in (("total time", "total s"), ("search time", "search s")):
            found.append(Ratio(f"{name} / default, {what}, N = {n:,}", peer[key] / own[key]))
        found.append(Ratio(f"{name} / default, memory, N = {n:,}",
                           peer["peak GiB"] / own["peak GiB"]))  # fmt: skip
    for row in reversed(rows):
        if row["method"] == TRUTH and "relative to product" in row:
            name = "exact search / its matrix product, operations per second"
            found.append(Ratio(name, row["relative to product"]))
            break
    return found


if __name__ == "__main__":
    typer.run(main)
