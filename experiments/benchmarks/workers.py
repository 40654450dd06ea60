"""Cost of several workers: the same plan in one process and with Dask workers on this machine.

    python -m experiments.benchmarks.workers --dataset bsd100 --reference BSDS400

One process computes with all cores; workers share them. Search (exact) and the measuring of
groups are compared, because workers do those; their start is reported separately. Results must be
equal, bit by bit.
"""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Any, Optional

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

OVERHEAD = 1.2


def analysis(
    dataset: str,
    reference: str | None,
    queries: int,
    k: int,
    workers: int | None,
    data_root: str | None,
) -> dict[str, Any]:
    """A candidate: the heavy parts of one analysis, in this process or on workers."""
    import pandas as pd

    import cooanalysis as coo
    from cooanalysis.analysis.plan import Plan
    from cooanalysis.analysis.run import run_analysis
    from cooanalysis.cluster import open_cluster

    config = coo.AnalysisConfig(
        dataset=dataset, reference=reference, queries=queries, k=k, index="exact",
        features=("subbands",), manifold_reference=200, map_images=0, ceiling_queries=10,
    )  # fmt: skip
    plan = Plan.make(config, data_root=data_root)
    started = time.perf_counter()
    with open_cluster(workers=workers, config=config) as found:
        start = time.perf_counter() - started
        result = run_analysis(plan, workers=found)
    seconds = result.summary.timings_s
    measuring = sum(
        value for stage, value in seconds.items()
        if stage.startswith(("centers", "entropy ", "groups, "))
    )  # fmt: skip
    content = pd.util.hash_pandas_object(result.groups, index=False).to_numpy()
    return {
        "start": start,
        "search": seconds["search"],
        "measuring groups": measuring,
        "whole analysis": seconds["total"],
        "digest": hashlib.sha256(content.tobytes()).hexdigest(),
    }


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    reference: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Reference data set; by default the data set itself."),
    ] = None,
    queries: Annotated[int, typer.Option(help="Query patches.")] = 20_000,
    k: Annotated[int, typer.Option(help="Members of a group.")] = 128,
    workers: Annotated[str, typer.Option(help="Numbers of workers.")] = "2,4",
    repeats: Annotated[int, typer.Option(help="Interleaved runs of each; the fastest counts.")] = 2,
    time_limit: Annotated[float, typer.Option(help="Seconds per run.")] = 1800.0,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Run, compare and print."""
    root = None if data_root is None else str(data_root)
    options = {
        "dataset": dataset, "reference": reference, "queries": queries, "k": k, "data_root": root,
    }  # fmt: skip
    candidates: list[int | None] = [None, *numbers(workers)]
    runs: dict[int | None, list[Outcome]] = {each: [] for each in candidates}
    for _ in range(repeats):
        for each in candidates:
            say(f"{'one process' if each is None else f'{each} workers'} …")
            found = compete(
                "workers:analysis", options | {"workers": each}, Limits.of(time_limit, None)
            )
            if found.skipped:
                raise SystemExit(f"{each} workers: {found.skipped}")
            runs[each].append(found)

    def heavy(outcome: Outcome) -> float:
        return float(outcome.values["search"] + outcome.values["measuring groups"])

    best = {each: min(found, key=heavy) for each, found in runs.items()}
    rows: list[Row] = []
    for each, outcome in best.items():
        values = {key: value for key, value in outcome.values.items() if key != "digest"}
        rows.append({"processes": "one" if each is None else f"{each} workers", **values})
    ratios = [
        Ratio(
            f"search and measuring, {each} workers / one process",
            heavy(best[each]) / heavy(best[None]),
            ("<=", OVERHEAD) if each == 2 else None,
        )
        for each in candidates
        if each is not None
    ]
    digests = {outcome.values["digest"] for found in runs.values() for outcome in found}
    ratios.append(Ratio("distinct results in all runs", float(len(digests)), ("<=", 1.0)))
    notes = [f"{dataset}, reference {reference or 'itself'}, {queries:,} queries, k = {k}, exact."]
    title = "One process compared with several workers"
    publish("workers", title, rows, ratios, notes, out, ["distributed"])


if __name__ == "__main__":
    typer.run(main)
