"""Our entropy estimators and those of libraries: speed, and error where the entropy is known.

    python -m experiments.benchmarks.estimators_peers --groups 1000 \\
        --dadapy-python path/to/another/environment/bin/python

Joint entropies of groups of n points in d coordinates, and entropies of single coordinates. Errors
are bias ± standard error in nats per dimension. DADApy needs NumPy below 2 and therefore a separate
Python environment (``pip install dadapy`` there is enough).
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cooanalysis.measures.entropy import GAUSSIAN_UNIT_ENTROPY
from experiments.benchmarks.estimators import JOINT, MARGINAL, Groups
from experiments.benchmarks.options import Out
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

PACKAGES = ("infomeasure", "npeet-plus")
PEERS = {
    "cooanalysis, Gaussian": ("SciPy multivariate_normal.fit",),
    "cooanalysis, Kozachenko-Leonenko": (
        "infomeasure, Kozachenko-Leonenko",
        "npeet-plus, Kozachenko-Leonenko",
        "DADApy, nearest-neighbor density",
    ),
    "cooanalysis, spacings": tuple(name for name in MARGINAL if name.startswith("SciPy")),
}
"""Peers that compute the same as each of our estimators."""
CORRELATION = 0.5


def gaussian(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Groups, float]:
    """Neighboring coordinates correlated, and the entropy in nats per dimension."""
    d = shape[2]
    covariance = CORRELATION ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    root = np.linalg.cholesky(covariance)
    truth = GAUSSIAN_UNIT_ENTROPY + float(np.log(np.diagonal(root)).mean())
    return rng.standard_normal(shape) @ root.T, truth


def box(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Groups, float]:
    """A uniform box of unit variance."""
    half = math.sqrt(3.0)
    return rng.uniform(-half, half, shape), math.log(2.0 * half)


KNOWN = {"Gaussian": gaussian, "box": box}


def main(
    groups: Annotated[int, typer.Option(help="Number of groups of each kind.")] = 1000,
    n: Annotated[int, typer.Option(help="Points in a group.")] = 128,
    dimensions: Annotated[str, typer.Option(help="Coordinates, comma-separated.")] = "8,24",
    time_limit: Annotated[float, typer.Option(help="Seconds per candidate and kind.")] = 900.0,
    dadapy_python: Annotated[str, typer.Option(help="A Python that has DADApy.")] = sys.executable,
    out: Out = OUT,
) -> None:
    """Measure and print."""
    limits = Limits.of(time_limit, None)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for d in (1, *numbers(dimensions)):
            truths = {}
            for kind, sample in KNOWN.items():
                drawn, truths[kind] = sample(np.random.default_rng((n, d)), (groups, n, d))
                np.save(Path(folder) / f"{kind}.npy", drawn)
            for name in MARGINAL if d == 1 else JOINT:
                python = dadapy_python if name.startswith("DADApy") else sys.executable
                rows.append(_row(name, n, d, groups, truths, Path(folder), limits, python))
                say(f"d = {d:>2}  {name}")
    notes = [
        f"{groups:,} groups of {n} points. Errors: bias ± standard error, nats per dimension. "
        "Times are for Gaussian groups, with as many threads as each uses by default; the first "
        "call (compiled code, calibration) is listed separately. All k are 3.",
    ]  # fmt: skip
    publish(
        "estimators", "Entropy estimators side by side", rows, ratios(rows), notes, out, PACKAGES
    )


def _row(
    name: str,
    n: int,
    d: int,
    groups: int,
    truths: dict[str, float],
    folder: Path,
    limits: Limits,
    python: str,
) -> Row:
    row: Row = {"d": d, "estimator": name}
    for kind, truth in truths.items():
        values = folder / "values.npy"
        options = {"name": name, "groups": str(folder / f"{kind}.npy"), "values": str(values)}
        outcome: Outcome = compete("estimators:estimate", options, limits, python=python)
        if outcome.skipped is not None:
            return row | {"note": outcome.skipped}
        if kind == "Gaussian":
            row["ms per group"] = 1e3 * outcome.values["seconds"] / groups
            row["first call s"] = outcome.values["first"]
        error = np.load(values) - truth
        row[f"{kind}, bias"] = float(error.mean())
        row[f"± {kind}"] = float(error.std(ddof=1) / math.sqrt(groups))
    return row


def ratios(rows: list[Row]) -> list[Ratio]:
    """Time of every peer relative to ours that computes the same."""
    done = {(row["d"], row["estimator"]): row for row in rows if "ms per group" in row}
    found = []
    for d in dict.fromkeys(row["d"] for row in rows):
        for ours, peers in PEERS.items():
            for peer in peers:
                if (d, ours) in done and (d, peer) in done:
                    ratio = done[d, peer]["ms per group"] / done[d, ours]["ms per group"]
                    found.append(Ratio(f"{peer} / {ours}, time, d = {d}", ratio))
    return found


if __name__ == "__main__":
    typer.run(main)
