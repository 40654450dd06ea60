"""All benchmarks with one command, and one table of their ratios.

    python -m experiments.benchmarks                           # small, on the embedded images
    python -m experiments.benchmarks --full --dataset div2k    # hours
    python -m experiments.benchmarks --only search --only startup

Every part is a separate script that can be run alone; here each runs in its own process, and what
it wrote is collected. A part that fails or lacks a package is named in the table and does not stop
the others. Limits apply to full sizes only.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cooanalysis.neighbors.engines import torch_cuda_available
from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import OUT, PACKAGE, Row, machine, markdown, say


@dataclass(frozen=True)
class Part:
    """A script, and its options when it is run small and in full size.

    Attributes
    ----------
    script
        Its file name without the suffix.
    small, full
        Options; None if there is nothing to run at that size.
    data
        Whether it has the option ``--dataset``.
    needs
        A package that it needs; without it, the part is left out.
    gpu
        Whether it is left out if torch finds no GPU.
    """

    script: str
    small: tuple[str, ...] | None = ()
    full: tuple[str, ...] | None = ()
    data: bool = field(default=False, kw_only=True)
    needs: str | None = field(default=None, kw_only=True)
    gpu: bool = field(default=False, kw_only=True)

    def lacks(self) -> str | None:
        """Reason why it cannot run here, or None."""
        if self.needs is not None and importlib.util.find_spec(self.needs) is None:
            return f"{self.needs} is not installed"
        return "torch finds no GPU" if self.gpu and not torch_cuda_available() else None


PARTS = {
    "startup": Part("startup", ("--repeats", "3")),
    "ceilings": Part("ceilings", ("--patches", "20000", "--groups", "200"), data=True),
    "estimators": Part("estimators_peers", ("--groups", "100")),
    "search": Part(
        "search_peers",
        ("--sizes", "2e4,4e4", "--queries", "2000"),
        ("--sizes", "1e5,3e5,1e6,3e6,1e7", "--time-limit", "400"),
        data=True,
    ),
    "scaling": Part(
        "scaling",
        ("--sizes", "1e4,2e4,4e4", "--queries", "4000", "--repeats", "1", "--index", "ivf"),
        ("--sizes", "1e5,3e5,1e6,3e6,1e7,3e7", "--memory", "8"),
        data=True,
    ),
    "job": Part(
        "job_peers",
        ("--images", "14", "--queries", "500"),
        ("--images", "200", "--queries", "100000", "--no-whole", "--memory", "1.5"),
        data=True,
    ),
    "div2k": Part("div2k_run", None, (), data=True),
    "gpu": Part("gpu", None, (), data=True, needs="torch", gpu=True),
    "workers": Part(
        "workers",
        ("--queries", "2000", "--workers", "2", "--repeats", "1"),
        ("--queries", "4000", "--workers", "2", "--repeats", "1"),
        data=True,
        needs="distributed",
    ),
    "decloss": Part(
        "decloss_step", ("--batch", "2", "--steps", "3"), ("--batch", "4"), needs="torch"
    ),
}


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    full: Annotated[bool, typer.Option("--full", help="Full sizes: hours.")] = False,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"A part; may be repeated. One of: {', '.join(PARTS)}."),
    ] = None,
    dadapy_python: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A Python that has DADApy."),
    ] = None,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Run the parts and print the table."""
    if unknown := [name for name in only or [] if name not in PARTS]:
        raise typer.BadParameter(f"unknown part {unknown[0]}; choose from {', '.join(PARTS)}")
    failed: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in only or PARTS:
        part = PARTS[name]
        options = part.full if full else part.small
        if options is None:
            continue
        if (reason := part.lacks()) is not None:
            left_out[name] = f"left out: {reason}"
            continue
        command = [sys.executable, "-m", f"{PACKAGE}.{part.script}", *options, "--out", str(out)]
        if part.data:
            command += ["--dataset", dataset]
            if data_root is not None:
                command += ["--data-root", str(data_root)]
        if name == "estimators" and dadapy_python is not None:
            command += ["--dadapy-python", dadapy_python]
        say(f"== {name}")
        (out / f"{name}.json").unlink(missing_ok=True)
        status = subprocess.run(command, check=False).returncode
        if status:
            failed[name] = f"ended with exit status {status}"
    rows = [row for name in only or PARTS for row in lines(name, out, failed | left_out, full)]
    text = f"# Benchmarks\n\n{markdown(rows)}\n"
    print(f"\n{text}")
    (out / "benchmarks.md").write_text(text, encoding="utf-8")
    content = {"machine": machine(), "full": full, "dataset": dataset, "rows": rows}
    (out / "benchmarks.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if failed:
        raise SystemExit(f"not all parts ran: {', '.join(failed)}")


def lines(name: str, out: Path, lacking: dict[str, str], full: bool) -> list[Row]:
    """Rows that one part adds to the table; without limits unless it ran in full size."""
    path = out / f"{name}.json"
    rows: list[Row] = []
    if path.exists() and not lacking.get(name, "").startswith("left out"):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for row in found["ratios"]:
            kept = row if full else {key: row[key] for key in ("ratio", "value")}
            rows.append({"part": name} | kept)
    if name in lacking:
        rows.append({"part": name, "ratio": lacking[name]})
    return rows


if __name__ == "__main__":
    typer.run(main)
