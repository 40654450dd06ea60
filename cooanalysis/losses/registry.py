"""Losses by name, as in BasicSR's configuration files. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import Registry, check_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def check_loss(name: str, loss: Any) -> None:
    """Refuse what cannot be used as a loss.

    Raises
    ------
    ConfigError
        The message names the loss.
    """
    if not callable(loss):
        raise ConfigError(f"loss {name!r} must be a class of modules; got {loss!r:.100}")
    if hasattr(loss, "forward"):
        check_call(f"forward of loss {name!r}", loss.forward, ["self", "sr", "hr"])


LOSSES: Registry[Callable[..., nn.Module]] = Registry(
    "loss",
    "cooanalysis.losses",
    {
        "L1Loss": "torch.nn:L1Loss",
        "MSELoss": "torch.nn:MSELoss",
        "CharbonnierLoss": "cooanalysis.losses.pixel:CharbonnierLoss",
        "DECLoss": "cooanalysis.losses.decloss:DECLoss",
        "PerceptualLoss": "cooanalysis.losses.perceptual:PerceptualLoss",
    },
    check=check_loss,
)
"""Every loss by its name; other packages add theirs to ``cooanalysis.losses``."""


def register_loss(name: str, loss: Callable[..., nn.Module], *, replace: bool = False) -> None:
    """Make a loss usable as ``type: NAME`` in training configurations of this process.

    Parameters
    ----------
    name
        Its name.
    loss
        A class (or a function that returns modules) whose parameters are the options of the
        configuration and whose modules have ``forward(sr, hr)``: (B, C, H, W) images in [0, 1] to
        a scalar.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or ``forward`` does not accept two images.

    Examples
    --------
    >>> import torch
    >>> class HuberLoss(torch.nn.Module):
    ...     def __init__(self, delta: float = 1.0) -> None:
    ...         super().__init__()
    ...         self.delta = delta
    ...     def forward(self, sr, hr):
    ...         return torch.nn.functional.huber_loss(sr, hr, delta=self.delta)
    >>> register_loss("HuberLoss", HuberLoss)
    >>> from cooanalysis.losses import build
    >>> build({"type": "HuberLoss", "loss_weight": 0.5, "delta": 0.1}).weight
    0.5
    >>> LOSSES.unregister("HuberLoss")
    """
    LOSSES.register(name, loss, replace=replace)
