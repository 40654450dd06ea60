"""The networks in training, and everything that the next step depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cooanalysis.errors import TrainingError
from cooanalysis.training.config import TrainConfig
from cooanalysis.training.setup import (
    build_average,
    build_discriminator,
    build_objective,
    build_optimizer,
    learning_rate_factor,
)
from cooanalysis.training.steps import Networks, step, stopped


class Trainer:
    """Networks, optimizers and moving average, and the progress of their training.

    Parameters
    ----------
    config
        The configuration of the run.
    fabric
        A launched ``lightning.fabric.Fabric``.
    generator
        The network with its initial weights.

    Attributes
    ----------
    iteration
        Steps done.
    """

    def __init__(self, config: TrainConfig, fabric: Any, generator: nn.Module) -> None:
        self.config, self.fabric, self.generator = config, fabric, generator
        self.average = build_average(generator, config.ema)
        if self.average is not None:
            self.average.to(fabric.device)
        self.networks = self._networks()
        self.objective = build_objective(config)
        for loss in self.objective.losses:
            loss.module.to(fabric.device)
        self.iteration = 0

    def _networks(self) -> Networks:
        config = self.config
        optimizer = build_optimizer(
            self.generator, config.optimizer, config.optimizer.learning_rate
        )
        module, optimizer = self.fabric.setup(self.generator, optimizer)
        module.train()
        discriminator = build_discriminator(config)
        if discriminator is None or config.gan is None:
            return Networks(module, optimizer)
        second = build_optimizer(discriminator, config.optimizer, config.gan.learning_rate)
        discriminator, second = self.fabric.setup(discriminator, second)
        return Networks(module, optimizer, discriminator, second)

    @property
    def best(self) -> nn.Module:
        """The weights to use: the moving average where there is one."""
        return self.generator if self.average is None else self.average.module

    @property
    def learning_rate(self) -> float:
        """Learning rate of the generator's last step."""
        return float(self.networks.optimizer.param_groups[0]["lr"])

    def advance(self, lr: Tensor, hr: Tensor) -> dict[str, float]:
        """Train on one batch (this process's share); unweighted losses by name.

        Raises
        ------
        TrainingError
            If a loss is not finite, or the GPU runs out of memory.
        """
        config = self.config
        # Each step has its own random stream, so a resumed run need not restore it.
        torch.manual_seed(_stream(config.seed, self.iteration, self.fabric.global_rank))
        self._set_learning_rates()
        try:
            values = step(self.fabric, self.networks, self.objective, lr, hr, self.iteration)
        except torch.cuda.OutOfMemoryError as error:
            raise TrainingError(
                f"the GPU ran out of memory at iteration {self.iteration}; use a smaller "
                "data.batch_size or data.crop, or precision=bf16-mixed"
            ) from error
        if self.average is not None:
            self.average.update_parameters(self.generator)
        self.iteration += 1
        return values

    def _set_learning_rates(self) -> None:
        # A function of the iteration instead of a scheduler object: nothing to save, and nothing
        # that gets out of sync when mixed precision or the warm-up skips a step.
        config, networks = self.config, self.networks
        factor = learning_rate_factor(config.schedule, self.iteration, config.iterations)
        for group in networks.optimizer.param_groups:
            group["lr"] = config.optimizer.learning_rate * factor
        if networks.discriminator_optimizer is None or config.gan is None:
            return
        factor = factor if config.gan.follow_schedule else 1.0
        for group in networks.discriminator_optimizer.param_groups:
            group["lr"] = config.gan.learning_rate * factor

    def check_finite(self) -> None:
        """Raise a :class:`TrainingError` if a weight is not finite.

        A gradient may overflow where the loss does not. Such weights must not become a checkpoint,
        or no resumed run would ever recover.
        """
        modules = (self.generator, self.networks.discriminator)
        tensors = [p for module in modules if module is not None for p in module.parameters()]
        with torch.no_grad():
            good = torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()
        if not bool(good):
            raise stopped(
                self.fabric, f"weights became NaN or infinite by iteration {self.iteration}"
            )

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        networks = self.networks
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "generator": self.generator.state_dict(),
            "optimizer": networks.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if networks.discriminator is not None and networks.discriminator_optimizer is not None:
            state["discriminator"] = networks.discriminator.state_dict()
            state["discriminator_optimizer"] = networks.discriminator_optimizer.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        networks = self.networks
        self.generator.load_state_dict(state["generator"])
        networks.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if networks.discriminator is not None and networks.discriminator_optimizer is not None:
            networks.discriminator.load_state_dict(state["discriminator"])
            networks.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.iteration = int(state["iteration"])


def _stream(*key: int) -> int:
    """A seed that depends on all of ``key``."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
