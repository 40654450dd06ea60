"""A dry run: everything is built and two small steps are timed, but nothing is written."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from cooanalysis import losses, models
from cooanalysis.errors import CooError
from cooanalysis.runtime.environment import peak_rss_bytes
from cooanalysis.training.config import TrainConfig
from cooanalysis.training.setup import (
    build_fabric,
    build_generator,
    build_objective,
    determinism,
    find_datasets,
    require_packages,
)
from cooanalysis.training.trainer import Trainer


def dry_run(
    config: TrainConfig,
    *,
    data_root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Check a configuration without training: build everything, and time steps on random crops.

    Steps of one and of two crops are measured and extrapolated to a whole batch, so that the
    configuration for a large machine can be checked on a small one.

    Returns
    -------
    dict
        ``parameters``, ``discriminator_parameters``; ``seconds_per_crop``, and the estimates
        ``seconds_per_iteration``, ``hours`` and ``memory_bytes`` for whole batches on this device
        (where the memory of a step is too small to be measured, ``memory_bytes`` is that of one
        crop); ``peak_memory_bytes`` (measured here); ``data`` (images found by data set),
        ``missing`` (a line for each data set, loss or file that is not available here, and how to
        get it), ``device``.

    Raises
    ------
    ConfigError, ModelError
        If the configuration is invalid.
    """
    require_packages()
    found, missing = _look_for_data(config, data_root)
    if config.precision != "32-true" and (device == "cpu" or not torch.cuda.is_available()):
        # Processors without bfloat16 emulate it, a hundred times slower.
        missing.append(f"a GPU for {config.precision}; the estimates are for 32-true")
        config = dataclasses.replace(config, precision="32-true")
    fabric = build_fabric(config, device, 1)
    specs = []
    for spec in config.losses:
        try:
            losses.build(spec)
            specs.append(spec)
        except ImportError as error:
            missing.append(f"loss {spec.get('type')}: {error}")
    values = config.as_dict() | {"losses": specs or [{"type": "L1Loss"}]}
    if config.init is not None and not Path(config.init).is_file():
        missing.append(f"init: no weights file {config.init}")
        values["init"] = None
    checked = TrainConfig.from_dict(values)
    build_objective(checked)
    generator = build_generator(checked)
    with determinism(config.deterministic):
        trainer = Trainer(checked, fabric, generator)
        # From the iteration in which both networks learn, which costs most.
        trainer.iteration = trainer.objective.warm_up
        seconds, memory = [], []
        for crops in (1, 1, 2):  # the first call includes one-time setup
            seconds.append(_timed(trainer, crops))
            memory.append(_memory(fabric.device))
    batch = config.data.batch_size
    each = max(seconds[2] - seconds[1], 0.5 * seconds[1])
    per_iteration = seconds[1] + (batch - 1) * each
    critic = trainer.networks.discriminator
    return {
        "parameters": models.count_parameters(generator),
        "discriminator_parameters": 0 if critic is None else models.count_parameters(critic),
        "seconds_per_crop": seconds[1],
        "seconds_per_iteration": per_iteration,
        "hours": per_iteration * config.iterations / 3600,
        "peak_memory_bytes": memory[2],
        "memory_bytes": memory[1] + (batch - 1) * max(memory[2] - memory[1], 0),
        "data": found,
        "missing": missing,
        "device": str(fabric.device),
    }


def _look_for_data(
    config: TrainConfig, data_root: str | Path | None
) -> tuple[dict[str, int], list[str]]:
    found: dict[str, int] = {}
    missing: list[str] = []
    for name in dict.fromkeys((*config.data.train, *config.data.validation)):
        try:
            found[name] = len(find_datasets((name,), config.scale, data_root, False)[0].pairs)
        except CooError as error:
            missing.append(f"data set {name}: {error}")
    return found, missing


def _timed(trainer: Trainer, crops: int) -> float:
    size, scale = trainer.config.data.crop, trainer.config.scale
    device = trainer.fabric.device
    lr = torch.rand(crops, 3, size, size, device=device)
    hr = torch.rand(crops, 3, size * scale, size * scale, device=device)
    start = time.perf_counter()
    trainer.advance(lr, hr)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_rss_bytes() or 0
