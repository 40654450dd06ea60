"""Generators and discriminators by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from cooanalysis.errors import ConfigError
from cooanalysis.models.discriminator import PatchDiscriminator
from cooanalysis.models.edsr import EDSR
from cooanalysis.models.rrdb import RRDBNet
from cooanalysis.models.srresnet import SRResNet
from cooanalysis.runtime.memory import machine_bytes

GENERATORS: Mapping[str, Callable[..., nn.Module]] = {
    "edsr": EDSR,
    "srresnet": SRResNet,
    "rrdb": RRDBNet,
}
DISCRIMINATORS: Mapping[str, Callable[..., nn.Module]] = {"patch": PatchDiscriminator}

LARGEST_OPTION = 4096
"""Blocks, channels and the like; more only costs the time to find out that it does not work."""


def build(name: str, *, scale: int, **options: Any) -> nn.Module:
    """Build a generator with fresh weights.

    Parameters
    ----------
    name
        One of :data:`GENERATORS`.
    scale
        Upscaling factor.
    **options
        Parameters of the network, see its class.

    Returns
    -------
    torch.nn.Module
        Maps (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W).

    Raises
    ------
    ConfigError
        If the name or an option is unknown, or a value makes no sense.
    """
    return _construct("model", GENERATORS, name, {"scale": scale, **options})


def build_discriminator(name: str = "patch", **options: Any) -> nn.Module:
    """Build a discriminator with fresh weights: (B, 3, H, W) in [0, 1] to logits (B, 1, h, w)."""
    return _construct("discriminator", DISCRIMINATORS, name, options)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _construct(
    what: str,
    registry: Mapping[str, Callable[..., nn.Module]],
    name: str,
    options: dict[str, Any],
) -> nn.Module:
    if name not in registry:
        raise ConfigError(f"{what} must be one of {', '.join(registry)}; got {name!r}")
    known = inspect.signature(registry[name]).parameters
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(
            f"{what} {name!r} has no option {', '.join(unknown)}; it has {', '.join(known)}"
        )
    for key, value in options.items():
        if isinstance(value, int) and value > LARGEST_OPTION:
            raise ConfigError(
                f"{what} {name!r}: {key} must be at most {LARGEST_OPTION}; got {value}"
            )
    try:
        _check_room(registry[name], options)
        return registry[name](**options)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{what} {name!r} cannot be built with {str(options):.200}: {error}"
        ) from error


def _check_room(network: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Refuse a network whose weights would not fit into memory, before room is made for them."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        needed = 4 * sum(p.numel() for p in network(**options).parameters())
    if needed > machine_bytes():
        raise ConfigError(
            f"its weights alone need {needed / 2**30:.0f} GiB, and this machine has "
            f"{machine_bytes() / 2**30:.0f}"
        )
