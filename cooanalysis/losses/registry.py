"""Losses by name, in the style of BasicSR's configuration files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from cooanalysis.errors import ConfigError
from cooanalysis.losses.decloss import DECLoss
from cooanalysis.losses.perceptual import PerceptualLoss
from cooanalysis.losses.pixel import CharbonnierLoss

LOSSES: Mapping[str, Callable[..., nn.Module]] = {
    "L1Loss": nn.L1Loss,
    "MSELoss": nn.MSELoss,
    "CharbonnierLoss": CharbonnierLoss,
    "DECLoss": DECLoss,
    "PerceptualLoss": PerceptualLoss,
}


@dataclass(frozen=True)
class WeightedLoss:
    """A loss and the factor in front of it. The module itself is not weighted."""

    name: str
    module: nn.Module
    weight: float


def build(spec: Mapping[str, Any]) -> WeightedLoss:
    """Build a loss from a mapping such as ``{"type": "DECLoss", "loss_weight": 0.02}``.

    Parameters
    ----------
    spec
        ``type`` (one of :data:`LOSSES`), ``loss_weight`` (1 if left out), and the arguments of the
        loss.

    Raises
    ------
    ConfigError
        If the type or an argument is unknown, or a value makes no sense.

    Examples
    --------
    >>> build({"type": "L1Loss", "loss_weight": 0.5}).weight
    0.5
    """
    options = dict(spec)
    name = options.pop("type", None)
    weight = options.pop("loss_weight", 1.0)
    if name not in LOSSES:
        raise ConfigError(f"loss type must be one of {', '.join(LOSSES)}; got {name!r}")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight >= 0:
        raise ConfigError(f"{name}: loss_weight must be a number >= 0; got {weight!r}")
    known = inspect.signature(LOSSES[name]).parameters
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}")
    return WeightedLoss(name, LOSSES[name](**options), float(weight))


class _Registry(Protocol):
    """What BasicSR's ``LOSS_REGISTRY`` and its relatives have in common."""

    def register(self, obj: Any) -> Any:
        """Register a class under its name."""
        ...


R = TypeVar("R", bound=_Registry)


def register_decloss(registry: R) -> R:
    """Make ``type: DECLoss`` known to a BasicSR-style training framework.

    BasicSR's models have one slot for a loss between images (``pixel_opt``), so what is registered
    is the sum of an L1 loss and DECLoss: ``pixel_weight · L1 + loss_weight · DECLoss``.

    Parameters
    ----------
    registry
        BasicSR's ``basicsr.utils.registry.LOSS_REGISTRY``, or that of a framework derived from it
        (Real-ESRGAN, neosr, traiNNer-redux): an object with a method ``register(class)``.

    Returns
    -------
    object
        The registry.

    Examples
    --------
    In your training script, before the options are read::

        from basicsr.utils.registry import LOSS_REGISTRY
        cooanalysis.losses.register_decloss(LOSS_REGISTRY)

    and in the options::

        pixel_opt: {type: DECLoss, loss_weight: 0.02, pixel_weight: 1.0, factor: 4}
    """

    class PixelDECLoss(nn.Module):
        def __init__(
            self, loss_weight: float = 0.02, pixel_weight: float = 1.0, **options: Any
        ) -> None:
            super().__init__()
            self.loss_weight, self.pixel_weight = loss_weight, pixel_weight
            self.decloss = DECLoss(**options)

        def forward(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
            contrast = self.loss_weight * self.decloss(pred, target)
            return self.pixel_weight * nn.functional.l1_loss(pred, target) + contrast

    PixelDECLoss.__name__ = PixelDECLoss.__qualname__ = "DECLoss"
    registry.register(PixelDECLoss)
    return registry
