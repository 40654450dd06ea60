"""DECLoss in training frameworks that follow BasicSR."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from cooanalysis.losses.decloss import DECLoss


class _Registry(Protocol):
    """The common interface of BasicSR's ``LOSS_REGISTRY`` and its relatives."""

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
