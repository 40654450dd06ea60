"""One training step: the losses of the generator, then those of the discriminator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cooanalysis.errors import TrainingError
from cooanalysis.losses import RaGANDiscriminatorLoss, RaGANGeneratorLoss, WeightedLoss


@dataclass
class Networks:
    """Networks and optimisers of a run, as Fabric set them up.

    ``discriminator`` and its optimiser are None without an adversary.
    """

    generator: nn.Module
    optimiser: torch.optim.Optimizer
    discriminator: nn.Module | None = None
    discriminator_optimiser: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class Objective:
    """What is minimised."""

    losses: tuple[WeightedLoss, ...]
    adversarial_weight: float = 0.0
    warm_up: int = 0
    gradient_clip: float = 0.0


def step(
    fabric: Any, networks: Networks, objective: Objective, lr: Tensor, hr: Tensor, iteration: int
) -> dict[str, float]:
    """Update all networks once.

    Parameters
    ----------
    fabric
        A ``lightning.fabric.Fabric``.
    networks, objective
        What is trained, and on what.
    lr, hr
        Batches (B, 3, h, w) and (B, 3, H, W) in [0, 1].
    iteration
        Number of the step, from 0.

    Returns
    -------
    dict
        Unweighted losses by name.

    Raises
    ------
    TrainingError
        If a loss is not finite; no network is changed then.
    """
    values: dict[str, float] = {}
    sr = networks.generator(lr)
    critic = networks.discriminator
    if critic is None or iteration >= objective.warm_up:
        total = torch.zeros((), device=sr.device)
        for loss in objective.losses:
            value = loss.module(sr.float(), hr)
            values[loss.name] = float(value.detach())
            total = total + loss.weight * value
        if critic is not None:
            # The critic judges here; it must not learn from the generator's wishes.
            critic.requires_grad_(False)
            with torch.no_grad():
                real = critic(hr)
            value = RaGANGeneratorLoss()(real, critic(sr))
            values["RaGAN"] = float(value.detach())
            total = total + objective.adversarial_weight * value
            critic.requires_grad_(True)
        _check(fabric, values, iteration)
        _update(fabric, networks.generator, networks.optimiser, total, objective.gradient_clip)
    if critic is not None and networks.discriminator_optimiser is not None:
        # One call for both halves: distributed training allows no second forward before backward.
        logits = critic(torch.cat((hr, sr.detach().float())))
        real, fake = logits.chunk(2)
        value = RaGANDiscriminatorLoss()(real, fake)
        values["discriminator"] = float(value.detach())
        _check(fabric, values, iteration)
        _update(fabric, critic, networks.discriminator_optimiser, value, objective.gradient_clip)
    return values


def _update(
    fabric: Any, module: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, clip: float
) -> None:
    optimiser.zero_grad()
    fabric.backward(loss)
    if clip > 0:
        fabric.clip_gradients(module, optimiser, max_norm=clip, error_if_nonfinite=False)
    optimiser.step()


def _check(fabric: Any, values: dict[str, float], iteration: int) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    # All processes stop together: one alone would leave the others waiting for it.
    if anywhere(fabric, bool(bad)):
        what = f"{' and '.join(bad)} became {values[bad[0]]}" if bad else "a loss became NaN"
        raise TrainingError(
            f"{what} at iteration {iteration}; the last good checkpoint is kept. Try a lower "
            "optimiser.learning_rate or a gradient_clip of 1"
        )


def anywhere(fabric: Any, flag: bool) -> bool:
    """Whether a flag is set in any of the processes; all have to ask."""
    if fabric.world_size == 1:
        return flag
    value = torch.tensor(float(flag), device=fabric.device)
    return float(fabric.all_reduce(value, reduce_op="max")) > 0.0
