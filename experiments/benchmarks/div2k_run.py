"""A run of DIV2K's size and its limits: time and its parts, memory, recall.

    python -m experiments.benchmarks.div2k_run --dataset div2k

Runs the real ``coo-analyze`` as a user does, watches its resident memory (pages of mapped files
count), and compares what it reports with the limits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cooanalysis.analysis.files import read_summary
from cooanalysis.report.notices import warnings
from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import GIB, OUT, Limits, Ratio, Row, publish, say, watch

PATCHES, GIBIBYTES, RECALL = 3e7, 8.0, 0.98


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "div2k",
    queries: Annotated[int, typer.Option(help="Query patches.")] = 100_000,
    k: Annotated[int, typer.Option(help="Members of a group.")] = 128,
    memory: Annotated[float, typer.Option(help="Memory budget in GiB.")] = 8.0,
    more: Annotated[str, typer.Option(help="Further options of coo-analyze, in one string.")] = "",
    fresh_cache: Annotated[
        bool,
        typer.Option(help="Decode the images again instead of using those of an earlier run."),
    ] = True,
    time_limit: Annotated[float, typer.Option(help="Seconds.")] = 14_400.0,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Run, check and print."""
    cache = os.environ.get("COO_CACHE_HOME")
    if cache is not None:
        Path(cache).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable, "-c", "from cooanalysis.cli.analyze import main; main()",
            "--dataset", dataset, "--queries", str(queries), "-k", str(k), "--memory", str(memory),
            "--out", str(run), "--quiet", *more.split(),
        ]  # fmt: skip
        if data_root is not None:
            command += ["--data-root", str(data_root)]
        environment = dict(os.environ)
        if fresh_cache:
            environment["COO_CACHE_HOME"] = folder
        say("coo-analyze " + " ".join(command[3:]))
        # The limit is the machine's: exceeding the budget is reported, not cut short.
        process, seconds, seen, reason = watch(
            command, Limits.of(time_limit, None), env=environment, stdout=subprocess.DEVNULL
        )
        if reason or process.returncode:
            raise SystemExit(reason or f"coo-analyze ended with exit status {process.returncode}")
        summary = read_summary(run)
    timings = summary.timings_s
    split = {stage: seconds for stage, seconds in timings.items() if stage != "total"}
    rows: list[Row] = [{"stage": stage, "seconds": value} for stage, value in split.items()]
    rest = seconds - sum(split.values())
    rows += [
        {"stage": "start, figures, report, tables", "seconds": rest},
        {"stage": "**whole command**", "seconds": seconds},
    ]
    patches = float(summary.n_reference_patches)
    found = summary.recall_at_k
    recall = float("nan") if found is None or found.value is None else found.value
    ratios = [
        Ratio("reference patches", patches, (">=", PATCHES)),
        Ratio("peak resident memory, GiB", seen / GIB, ("<=", GIBIBYTES)),
        Ratio("recall@k", recall, (">=", RECALL)),
        Ratio("queries per second", summary.n_queries / seconds),
    ]
    notes = [
        f"{summary.dataset.title}, {summary.dataset.n_images} images, "
        f"{summary.n_queries:,} queries, k = {k}, --memory {memory:g}, index "
        f"{summary.engine.index}, effort {summary.engine.effort}; images decoded "
        f"{'by this run' if fresh_cache else 'possibly by an earlier run'}. Peak memory by "
        f"sampling; the run itself reports {(summary.peak_rss_bytes or 0) / GIB:.2f} GiB.",
        *(f"Warning of the run: {warning}" for warning in warnings(summary)),
    ]
    publish("div2k", "A run of DIV2K's size", rows, ratios, notes, out)


if __name__ == "__main__":
    typer.run(main)
