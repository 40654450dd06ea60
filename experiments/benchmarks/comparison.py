"""Time and memory of a comparison, compared with its own parts done separately.

    python -m experiments.benchmarks.comparison --dataset bsd100 --reference BSDS400

Measures, in one process and one after the other: plain inference of the shipped models (load an
image, run the network, round), the analysis that ``coo-analyze`` does, and the comparison. Prints
the ratio of the last to the sum of the other two. ``--large`` upscales one image of 4K size with a
bounded budget and prints the peak memory.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer

import cooanalysis as coo
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from cooanalysis.models.tiling import torch_to_uint8, uint8_to_torch, upscale
from cooanalysis.runtime.environment import peak_rss_bytes
from experiments.keeping import kept


def main(
    dataset: Annotated[str, typer.Option(help="Images to compare on.")] = "sample",
    reference: Annotated[Optional[str], typer.Option(help="Reference set.")] = None,  # noqa: UP045
    queries: Annotated[int, typer.Option(help="Query patches.")] = 5000,
    metrics: Annotated[str, typer.Option(help="Comma-separated.")] = "psnr_y,ssim_y",
    large: Annotated[bool, typer.Option("--large", help="Upscale one 4K image instead.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results/benchmarks"),
) -> None:
    """Run, print and keep."""
    options = {"dataset": dataset, "reference": reference, "queries": queries, "metrics": metrics,
               "large": large}  # fmt: skip
    with kept(out, "comparison_large" if large else "comparison", options):
        _large() if large else _measure(dataset, reference, queries, metrics)


def _measure(dataset: str, reference: str | None, queries: int, metrics: str) -> None:
    models = {path.stem.removeprefix("edsr-small-x4-"): str(path) for path in shipped().values()}
    # Once, untimed: the first run also pays for imports and compilation.
    coo.compare("sample", ["bicubic"], metrics=metrics.split(","), queries=50, k=32,
                manifold_reference=500, map_images=0)  # fmt: skip
    coo.analyze("sample", queries=50, k=32, manifold_reference=500, map_images=0)
    start = time.perf_counter()
    for path in models.values():
        network = load_weights(path)
        for pair in iter_pairs(resolve(dataset, scale=4), color="rgb"):
            assert isinstance(pair, LoadedPair)
            with torch.no_grad():
                torch_to_uint8(network(uint8_to_torch(pair.lr)))
    inference = time.perf_counter() - start
    options = {"reference": reference, "queries": queries}
    start = time.perf_counter()
    coo.analyze(dataset, **options)  # type: ignore[arg-type]
    analysis = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = coo.compare(
            dataset,
            models,
            metrics=metrics.split(","),
            cache=Path(folder),
            **options,  # type: ignore[arg-type]
        )
        whole = time.perf_counter() - start
        start = time.perf_counter()
        coo.compare(
            dataset,
            models,
            metrics=metrics.split(","),
            cache=Path(folder),
            **options,  # type: ignore[arg-type]
        )
        cached = time.perf_counter() - start
    print(f"plain inference of {len(models)} models  {inference:7.1f} s")
    print(f"analysis                      {analysis:7.1f} s")
    print(
        f"comparison                    {whole:7.1f} s  ratio {whole / (inference + analysis):.2f}"
    )
    print(f"comparison, outputs cached    {cached:7.1f} s")
    print(f"metrics: {metrics}; peak memory {(peak_rss_bytes() or 0) / 2**30:.2f} GiB")
    for stage, seconds in sorted(found.summary.timings_s.items(), key=lambda item: -item[1]):
        print(f"  {stage:20s} {seconds:7.1f} s")


def _large() -> None:
    network = load_weights(shipped()["edsr-small-x4-l1"])
    lr = np.random.default_rng(0).integers(0, 256, (540, 960, 3), np.uint8)
    before = peak_rss_bytes() or 0
    start = time.perf_counter()
    upscale(network, lr, scale=4)
    seconds, peak = time.perf_counter() - start, peak_rss_bytes() or 0
    print(
        f"960x540 to 3840x2160: {seconds:.1f} s, peak memory {peak / 2**30:.2f} GiB "
        f"({(peak - before) / 2**30:.2f} GiB above the loaded program)"
    )


if __name__ == "__main__":
    typer.run(main)
