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
    """Networks and optimizers of a run, as Fabric set them up.

    ``discriminator`` and its optimizer are None without an adversary.
    """

    generator: nn.Module
    optimizer: torch.optim.Optimizer
    discriminator: nn.Module | None = None
    discriminator_optimizer: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class Objective:
    """What is minimized."""

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
        The networks to train, and the losses.
    lr, hr
        Batches (B, 3, h, w) and (B, 3, H, W) in [0, 1]; this process's share.
    iteration
        Index of the step, from 0.

    Returns
    -------
    dict
        Unweighted losses by name, means over all processes.

    Raises
    ------
    TrainingError
        If a loss is not finite; the network that it belongs to is then left unchanged.
    """
    found: dict[str, float] = {}
    sr = networks.generator(lr)
    critic = networks.discriminator
    if critic is None or iteration >= objective.warm_up:
        values: dict[str, Tensor] = {}
        total = torch.zeros((), device=sr.device)
        for loss in objective.losses:
            value = loss.module(sr.float(), hr)
            values[loss.name] = value
            total = total + loss.weight * value
        if critic is not None:
            # The discriminator only judges here; it must not learn from the generator's loss.
            critic.requires_grad_(False)
            with torch.no_grad():
                real = critic(hr)
            value = RaGANGeneratorLoss()(real, critic(sr))
            values["RaGAN"] = value
            total = total + objective.adversarial_weight * value
            critic.requires_grad_(True)
        found |= _checked(fabric, values, iteration)
        _update(fabric, networks.generator, networks.optimizer, total, objective.gradient_clip)
    if critic is not None and networks.discriminator_optimizer is not None:
        # One call for both halves: distributed training does not allow a second forward before
        # backward.
        logits = critic(torch.cat((hr, sr.detach().float())))
        real, fake = logits.chunk(2)
        value = RaGANDiscriminatorLoss()(real, fake)
        found |= _checked(fabric, {"discriminator": value}, iteration)
        _update(fabric, critic, networks.discriminator_optimizer, value, objective.gradient_clip)
    return found


def _update(
    fabric: Any, module: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip: float
) -> None:
    optimizer.zero_grad()
    fabric.backward(loss)
    if clip > 0:
        # Not finite: mixed precision skips such a step, and otherwise the weights are checked
        # before they are kept.
        fabric.clip_gradients(module, optimizer, max_norm=clip, error_if_nonfinite=False)
    optimizer.step()


def _checked(fabric: Any, values: dict[str, Tensor], iteration: int) -> dict[str, float]:
    # One transfer for all losses. Averaged over the processes before they are checked, so that
    # all of them stop at the same step and none waits for the others.
    stacked = torch.stack([value.detach().float() for value in values.values()])
    if fabric.world_size > 1:
        stacked = fabric.all_reduce(stacked, reduce_op="mean")
    found = dict(zip(values, stacked.tolist(), strict=True))
    if bad := {name: value for name, value in found.items() if not math.isfinite(value)}:
        raise stopped(
            fabric,
            f"{' and '.join(bad)} became {next(iter(bad.values()))} at iteration {iteration}",
        )
    return found


def stopped(fabric: Any, what: str) -> BaseException:
    """The error that ends a run in which something is no longer finite.

    All processes raise it; only one reports it.
    """
    error = TrainingError(
        f"{what}; the last good checkpoint is kept. Try a lower optimizer.learning_rate, "
        "gradient_clip=1, or precision=32-true where it is 16-mixed"
    )
    return error if fabric.is_global_zero else SystemExit(error.exit_code)
