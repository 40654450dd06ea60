"""Time that DECLoss adds to a training step of EDSR-baseline, measured in one run.

    python -m experiments.benchmarks.decloss_step --batch 4

Prints the median time of a step with L1 alone and with L1 + DECLoss, alternating, and their ratio.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import torch
import typer
from torch.nn.functional import l1_loss

from cooanalysis.losses import DECLoss
from cooanalysis.models import build
from experiments.benchmarks.options import Out
from experiments.benchmarks.processes import OUT, Ratio, Row, publish


def main(
    batch: Annotated[int, typer.Option(help="Crops in a batch.")] = 16,
    crop: Annotated[int, typer.Option(help="Side of a crop in LR pixels.")] = 48,
    scale: Annotated[int, typer.Option(help="Upscaling factor.")] = 4,
    steps: Annotated[int, typer.Option(help="Timed steps of each kind.")] = 5,
    out: Out = OUT,
) -> None:
    """Time steps with and without DECLoss."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = build("edsr", scale=scale).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    decloss = DECLoss(factor=scale)
    lr = torch.rand(batch, 3, crop, crop, device=device)
    hr = torch.rand(batch, 3, crop * scale, crop * scale, device=device)

    def step(with_decloss: bool) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        sr = model(lr)
        loss = l1_loss(sr, hr)
        if with_decloss:
            loss = loss + 0.02 * decloss(sr, hr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    step(False), step(True)  # warm up
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(steps):
        for kind in (False, True):
            times[kind].append(step(kind))
    plain, full = (statistics.median(times[kind]) for kind in (False, True))
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    rows: list[Row] = [
        {"loss": "L1", "ms per step": plain * 1e3},
        {"loss": "L1 + DECLoss", "ms per step": full * 1e3},
    ]
    note = (
        f"EDSR-baseline x{scale}, batch {batch} of {crop}x{crop}, {where}, "
        f"{torch.get_num_threads()} threads. Medians of {steps} alternating steps."
    )
    ratio = Ratio("a step with DECLoss / a step without", full / plain)
    publish("decloss", "What DECLoss adds to a training step", rows, [ratio], [note], out)


if __name__ == "__main__":
    typer.run(main)
