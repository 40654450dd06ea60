"""Small images, small networks, and training in a process of its own that may be killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TINY: dict[str, Any] = {
    "scale": 2,
    "model": {"name": "edsr", "options": {"features": 8, "blocks": 2}},
    "data": {"train": "./train", "validation": "./valid", "crop": 8, "batch_size": 2},
    "losses": [{"type": "L1Loss"}],
    "optimizer": {"learning_rate": 1e-3},
    "schedule": {"name": "cosine", "final": 0.1},
    "iterations": 24,
    "checkpoint_every": 4,
    "log_every": 3,
    "validate_every": 10,
}
GAN: dict[str, Any] = {
    "losses": [{"type": "L1Loss"}, {"type": "DECLoss", "loss_weight": 0.01}],
    "gan": {"weight": 0.005, "warm_up": 2, "options": {"features": 4, "layers": 2}},
    "ema": 0.9,
    "gradient_clip": 0.5,
}


def write_images(folder: Path) -> None:
    """Smooth noise in ``train`` (4 images) and ``valid`` (2)."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 4), ("valid", 2)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((48, 40 + 8 * i), Image.Resampling.BICUBIC).save(
                folder / name / f"{i}.png"
            )


def tiny(folder: Path, **changes: Any) -> dict[str, Any]:
    """A configuration with the images in ``folder``; ``changes`` replace whole entries."""
    values = TINY | changes
    data = {key: str(folder / TINY["data"][key]) for key in ("train", "validation")}
    return values | {"data": TINY["data"] | data | changes.get("data", {})}


def train_here(values: dict[str, Any], out: str, crash_at: int | str = 0) -> None:
    """Train in this process; with ``crash_at``, die by SIGKILL at that write to the disk.

    The writes are counted from 1, or a file is named: the one that does not get its name.
    """
    import torch

    torch.set_num_threads(1)
    from cooanalysis.training import TrainConfig, train

    if crash_at:
        _arm(crash_at)
    train(TrainConfig.from_dict(values), out=out, device="cpu")


def _arm(crash_at: int | str) -> None:
    events = 0

    def event() -> bool:
        nonlocal events
        events += 1
        return events == crash_at

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    real_fsync, real_replace, real_unlink = os.fsync, Path.replace, Path.unlink

    def fsync(descriptor: int) -> None:
        if event():  # half of the file is there
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            die()
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        if event() or Path(target).name == crash_at:
            die()
        found = real_replace(self, target)
        if event():
            die()
        return found

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if event():
            die()
        real_unlink(self, missing_ok=missing_ok)

    os.fsync, Path.replace, Path.unlink = fsync, replace, unlink  # type: ignore[assignment,method-assign]
