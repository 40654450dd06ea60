"""Peak rates of this machine, and how close our gathers and group statistics come to them.

    python -m experiments.benchmarks.ceilings --dataset BSDS400

Measures the rate of matrix products, of copying, and of gathering random rows, then our kernels on
real patches. A copy counts the bytes read and those written, and so do gathers: what they must
read of the images at least, and what they write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import (
    OUT,
    Limits,
    Ratio,
    Row,
    compete,
    publish,
    say,
    seconds_of,
)
from experiments.benchmarks.real_patches import open_store

STRIDE = 2
MATRIX = 4096
TILE = (4096, 1024)
"""Queries and vectors that an exact search multiplies at a time, so that products stay in cache."""
COPY_BYTES = 2**29
ROWS, ROW_VALUES = 2**21, 25


def machine_ceilings(repeats: int, dim: int = 25) -> dict[str, float]:
    """Rates in GFLOP/s and GB/s, medians.

    ``search_gflops`` is the matrix product that an exact search needs, without the selection of
    neighbors: it multiplies ``dim`` values only, which leaves it below the rate of large squares.
    """
    rng = np.random.default_rng(0)
    square = rng.random((MATRIX, MATRIX), np.float32)
    left, right = (rng.random((side, dim), np.float32) for side in TILE)
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.ones_like(source)
    table = rng.random((ROWS, ROW_VALUES), np.float32)
    rows = rng.permutation(ROWS)
    taken = np.empty_like(table)
    product = np.empty(TILE, np.float32)

    def rate(amount: float, work: Callable[[], object]) -> float:
        return amount / seconds_of(work, repeats) / 1e9

    return {
        "matrix_gflops": rate(2.0 * MATRIX**3, lambda: square @ square),
        "search_gflops": rate(
            2.0 * 20 * TILE[0] * TILE[1] * dim,
            lambda: [np.matmul(left, right.T, out=product) for _ in range(20)],
        ),
        "copy_gbs": rate(2.0 * COPY_BYTES, lambda: np.copyto(target, source)),
        "row_gather_gbs": rate(
            2.0 * table.nbytes, lambda: np.take(table, rows, axis=0, out=taken, mode="clip")
        ),
    }


def kernels(
    dataset: str, patches: int, groups: int, k: int, m: int, repeats: int, data_root: str | None
) -> dict[str, Any]:
    """GB/s and GFLOP/s of our gathers on random patches, and of the statistics of groups."""
    store = open_store(dataset, data_root)
    everything = store.grid(STRIDE)
    rng = np.random.default_rng(0)
    patches = min(patches, len(everything))
    chosen = everything[rng.permutation(len(everything))[:patches]]
    near = rng.integers(0, len(everything), (groups, 1)) + rng.integers(-64, 64, (groups, k))
    near = np.clip(near, 0, len(everything) - 1)
    weight = np.ones(len(everything), np.float32)
    axes = rng.standard_normal((store.patch_dim, m)).astype(np.float32)
    lr, hr = store.width**2, store.patch_dim

    lr_seconds = seconds_of(lambda: store.lr_patches(chosen), repeats)
    hr_seconds = seconds_of(lambda: store.details(chosen), repeats)
    group_seconds = seconds_of(lambda: store.group_moments(everything, near, weight, axes), repeats)
    members = groups * k
    return {
        "lr_gather_gbs": patches * lr * (1 + 4) / lr_seconds / 1e9,
        "detail_gather_gbs": patches * hr * (2 + 4) / hr_seconds / 1e9,
        "group_moments_gbs": (members * (2 * hr + 4 * m) + groups * 4 * hr) / group_seconds / 1e9,
        # Mean, squared differences and energy: six operations per value; projection: two per axis.
        "group_moments_gflops": members * hr * (6 + 2 * m) / group_seconds / 1e9,
        "groups_per_second": groups / group_seconds,
    }


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    patches: Annotated[int, typer.Option(help="Number of patches to gather.")] = 200_000,
    groups: Annotated[int, typer.Option(help="Number of groups to measure.")] = 2000,
    k: Annotated[int, typer.Option(help="Members of a group.")] = 128,
    repeats: Annotated[int, typer.Option(help="Repetitions of every measurement.")] = 5,
    time_limit: Annotated[float, typer.Option(help="Seconds per process.")] = 600.0,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Measure and print."""
    limits = Limits.of(time_limit, None)
    say("ceilings of the machine")
    ceiling = compete("ceilings:machine_ceilings", {"repeats": repeats}, limits)
    say("our kernels")
    options = {
        "dataset": dataset, "patches": patches, "groups": groups, "k": k, "m": 24,
        "repeats": repeats, "data_root": None if data_root is None else str(data_root),
    }  # fmt: skip
    ours = compete("ceilings:kernels", options, limits)
    if ceiling.skipped or ours.skipped:
        raise SystemExit(f"not measured: {ceiling.skipped or ours.skipped}")
    top, ran = ceiling.values, ours.values
    rows: list[Row] = [
        {"what": "matrix product, float32, 4096 x 4096", "GFLOP/s": top["matrix_gflops"]},
        {"what": "matrix product of an exact search, 25 values", "GFLOP/s": top["search_gflops"]},
        {"what": "copy", "GB/s": top["copy_gbs"]},
        {"what": "random rows of 25 float32, NumPy", "GB/s": top["row_gather_gbs"]},
        {"what": "our gather of LR features", "GB/s": ran["lr_gather_gbs"]},
        {"what": "our gather of details", "GB/s": ran["detail_gather_gbs"]},
        {
            "what": f"our statistics of groups with k = {k}",
            "GFLOP/s": ran["group_moments_gflops"],
            "GB/s": ran["group_moments_gbs"],
            "groups/s": ran["groups_per_second"],
        },
    ]
    ratios = [
        Ratio("gather of LR features / copy, bandwidth", ran["lr_gather_gbs"] / top["copy_gbs"]),
        Ratio("gather of details / copy, bandwidth", ran["detail_gather_gbs"] / top["copy_gbs"]),
        Ratio(
            "statistics of groups / matrix product, operations",
            ran["group_moments_gflops"] / top["matrix_gflops"],
        ),
    ]
    publish("ceilings", "Peak rates of the machine, and our kernels", rows, ratios, (), out)


if __name__ == "__main__":
    typer.run(main)
