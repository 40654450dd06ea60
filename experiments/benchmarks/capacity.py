"""Resources for larger reference sets, extrapolated from a measured run.

    python -m experiments.benchmarks.div2k_run --dataset div2k
    python -m experiments.benchmarks.capacity

Reads the run's table and gives every worker as many patches as that run had, so that index and
search take as long on each as they took there. What is shared (images, results to be merged) grows
with the set. Only the first row of this table is measured.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from cooanalysis.analysis.measure import GROUP_SHARD
from cooanalysis.neighbors.index import index_bytes
from experiments.benchmarks.options import Out
from experiments.benchmarks.processes import GIB, OUT, Row, numbers, publish

RESULT_BYTES = 12
"""Bytes per neighbor: its row and its distance."""


def main(
    patches: Annotated[str, typer.Option(help="Numbers of reference patches.")] = "1e9,1e12",
    measured: Annotated[Path, typer.Option(help="Folder with div2k.json.")] = OUT,
    queries: Annotated[int, typer.Option(help="Query patches of the measured run.")] = 100_000,
    k: Annotated[int, typer.Option(help="Members of a group there.")] = 128,
    scale: Annotated[int, typer.Option(help="Its upscaling factor.")] = 4,
    stride: Annotated[int, typer.Option(help="Its stride in LR pixels.")] = 2,
    dim: Annotated[int, typer.Option(help="Values of an LR patch.")] = 25,
    out: Out = OUT,
) -> None:
    """Extrapolate and print."""
    path = measured / "div2k.json"
    if not path.is_file():
        raise typer.BadParameter(f"{path} does not exist; run div2k_run.py first")
    run = json.loads(path.read_text(encoding="utf-8"))
    seconds = {row["stage"]: float(row["seconds"]) for row in run["rows"]}
    reported = {row["ratio"]: float(row["value"]) for row in run["ratios"]}
    unit = int(reported["reference patches"])
    measuring = sum(
        value for stage, value in seconds.items() if stage.startswith(("centers", "entropy "))
    )
    # LR and HR values of one byte, details of two; one patch per stride by stride LR pixels.
    image_bytes = stride**2 * (1 + 3 * scale**2)
    rows: list[Row] = []
    for n in [unit, *numbers(patches)]:
        workers = math.ceil(n / unit)
        rows.append(
            {
                "patches": n,
                "workers": workers,
                "decoded images, GiB": n * image_bytes / GIB,
                "index per worker, GiB": index_bytes("pq", math.ceil(n / workers), dim) / GIB,
                "decoding, s x workers": seconds["load"] * n / unit,
                "index, s": seconds["index"],
                "search, s": seconds["search"],
                "results to merge, GiB": queries * k * RESULT_BYTES * workers / GIB,
                "measuring groups, s": measuring / min(workers, math.ceil(queries / GROUP_SHARD)),
            }
        )
    machine = run["machine"]
    notes = [
        f"First row: measured ({queries:,} queries, k = {k}, {machine['cores']} cores of "
        f"{machine['cpu']}, peak {reported['peak resident memory, GiB']:.1f} GiB). Other rows: "
        "extrapolated, with one worker of that size per share.",
    ]
    publish("capacity", "Capacity plan", rows, (), notes, out)


if __name__ == "__main__":
    typer.run(main)
