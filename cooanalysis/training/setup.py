"""From a configuration to networks, optimizers, losses and data."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cooanalysis import losses, models
from cooanalysis.data import Dataset, resolve
from cooanalysis.errors import ConfigError, MissingDependencyError, ModelError
from cooanalysis.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from cooanalysis.training.steps import Objective

REQUIRED = {
    "lightning_fabric": "lightning-fabric",
    "omegaconf": "omegaconf",
    "safetensors": "safetensors",
    "tensorboardX": "tensorboardX",
}


def require_packages() -> None:
    """Raise a :class:`MissingDependencyError` that names the packages that training lacks."""
    lacking = [pip for module, pip in REQUIRED.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise MissingDependencyError(
            f"training needs {', '.join(lacking)}; install with `pip install 'cooanalysis[train]'`"
        )


def build_fabric(config: TrainConfig, device: str, devices: int) -> Any:
    """A ``lightning.fabric.Fabric``, not launched yet.

    Raises
    ------
    ConfigError
        If there is no such device, or there are fewer than ``devices``.
    """
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be one of auto, cpu, cuda; got {device!r}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not gpus:
        raise ConfigError("device cuda was requested, but torch sees no CUDA GPU; use --device cpu")
    on_gpu = gpus > 0 and device != "cpu"
    if on_gpu and devices > gpus:
        raise ConfigError(f"devices must be at most {gpus}, the number of GPUs here; got {devices}")
    if config.precision == "16-mixed" and not on_gpu:
        # Fabric would silently use another precision.
        raise ConfigError("precision 16-mixed needs a GPU; use precision=bf16-mixed or 32-true")
    # Fabric prints the number of processes to standard error, regardless of verbosity.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    return Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=cast(Any, config.precision),
    )


@contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """Restrict torch to deterministic operations if ``wanted``."""
    if not wanted:
        yield
        return
    # cuBLAS reads this on first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def build_generator(config: TrainConfig) -> nn.Module:
    """The generator, with initial weights from the seed or those of ``config.init``.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or for another network.
    """
    torch.manual_seed(config.seed)
    options = dict(config.model.options)
    generator = models.build(config.model.name, scale=config.scale, **options)
    if config.init is None:
        return generator
    info = models.read_info(config.init)
    wanted = (config.model.name, config.scale, options)
    if (info.name, info.scale, info.options) != wanted:
        raise ModelError(
            f"init: {config.init} holds {info.name} x{info.scale} {info.options}, but the "
            f"configuration asks for {wanted[0]} x{wanted[1]} {wanted[2]}"
        )
    generator.load_state_dict(models.load_weights(config.init).state_dict())
    return generator


def build_discriminator(config: TrainConfig) -> nn.Module | None:
    """The discriminator with initial weights from the seed, or None."""
    if config.gan is None:
        return None
    torch.manual_seed(config.seed + 1)
    return models.build_discriminator(config.gan.name, **dict(config.gan.options))


def build_objective(config: TrainConfig) -> Objective:
    """The losses, built and weighted."""
    built = tuple(losses.build(spec) for spec in config.losses)
    names = [loss.name for loss in built]
    if len(set(names)) != len(names):
        raise ConfigError(f"losses name one type twice: {', '.join(names)}")
    gan = config.gan
    return Objective(
        built,
        adversarial_weight=gan.weight if gan else 0.0,
        warm_up=gan.warm_up if gan else 0,
        gradient_clip=config.gradient_clip,
    )


def build_optimizer(
    module: nn.Module, config: OptimizerConfig, learning_rate: float
) -> torch.optim.Optimizer:
    """Adam or AdamW."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    betas = (config.betas[0], config.betas[1])
    return kind(
        module.parameters(), lr=learning_rate, betas=betas, weight_decay=config.weight_decay
    )


def learning_rate_factor(schedule: ScheduleConfig, iteration: int, iterations: int) -> float:
    """Learning rate of an iteration divided by that of the first."""
    done = min(1.0, iteration / iterations)
    if schedule.name == "cosine":
        return schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + math.cos(math.pi * done))
    if schedule.name == "multistep":
        return float(schedule.gamma ** sum(done >= milestone for milestone in schedule.milestones))
    return 1.0


def build_average(generator: nn.Module, decay: float) -> Any:
    """Exponential moving average of the weights, or None."""
    if decay == 0.0:
        return None
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def find_datasets(
    names: tuple[str, ...], scale: int, data_root: str | Path | None, download: bool
) -> list[Dataset]:
    """Resolve data sets by name or folder."""
    return [
        resolve(name, scale=scale, data_root=data_root, download=download, progress=False)
        for name in names
    ]
