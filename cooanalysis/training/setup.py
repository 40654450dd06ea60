"""From a configuration to networks, optimisers, losses and data."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cooanalysis import losses, models
from cooanalysis.data import Dataset, resolve
from cooanalysis.errors import ConfigError, MissingDependencyError, ModelError
from cooanalysis.training.config import OptimiserConfig, ScheduleConfig, TrainConfig
from cooanalysis.training.steps import Objective

REQUIRED = {"lightning_fabric": "lightning-fabric", "tensorboardX": "tensorboardX",
            "safetensors": "safetensors"}  # fmt: skip


def require_packages() -> None:
    """Raise a :class:`MissingDependencyError` that names what training needs and lacks."""
    lacking = [pip for module, pip in REQUIRED.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise MissingDependencyError(
            f"training needs {', '.join(lacking)}; install with `pip install 'cooanalysis[train]'`"
        )


def build_generator(config: TrainConfig) -> nn.Module:
    """The generator, with fresh weights of the seed or those of ``config.init``.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or of another network.
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
    """The discriminator with fresh weights of the seed, or None."""
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


def build_optimiser(
    module: nn.Module, config: OptimiserConfig, learning_rate: float
) -> torch.optim.Optimizer:
    """Adam or AdamW."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    betas = (config.betas[0], config.betas[1])
    return kind(
        module.parameters(), lr=learning_rate, betas=betas, weight_decay=config.weight_decay
    )


def learning_rate_factor(schedule: ScheduleConfig, iteration: int, iterations: int) -> float:
    """Learning rate of an iteration over that of the first."""
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
