"""Networks with fresh weights, from a name and options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cooanalysis.errors import ConfigError
from cooanalysis.models.registry import DISCRIMINATORS, GENERATORS
from cooanalysis.runtime.memory import machine_bytes
from cooanalysis.runtime.registry import Registry

LARGEST_OPTION = 4096
"""Upper limit of blocks, channels and the like; larger networks would only fail later."""


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
        If the name or an option is unknown, or a value is invalid.
    """
    return _construct(GENERATORS, name, {"scale": scale, **options})


def build_discriminator(name: str = "patch", **options: Any) -> nn.Module:
    """Build a discriminator with fresh weights: (B, 3, H, W) in [0, 1] to logits (B, 1, h, w)."""
    return _construct(DISCRIMINATORS, name, options)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _construct(
    registry: Registry[Callable[..., nn.Module]], name: str, options: dict[str, Any]
) -> nn.Module:
    network, what = registry.find(name), f"{registry.kind} {name!r}"
    known = inspect.signature(network).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in known.values())
    if not open_ended and (unknown := sorted(set(options) - set(known))):
        raise ConfigError(f"{what} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    for key, value in options.items():
        if isinstance(value, int) and value > LARGEST_OPTION:
            raise ConfigError(f"{what}: {key} must be at most {LARGEST_OPTION}; got {value}")
    try:
        _check_room(network, options)
        module = network(**options)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{what} cannot be built with {str(options):.200}: {error}") from error
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{what} must be a torch.nn.Module; got {module!r:.100}")
    return module


def _check_room(network: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Refuse a network whose weights would not fit into memory, before any is allocated."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        needed = 4 * sum(p.numel() for p in network(**options).parameters())
    if needed > machine_bytes():
        raise ConfigError(
            f"its weights alone need {needed / 2**30:.0f} GiB, and this machine has "
            f"{machine_bytes() / 2**30:.0f}"
        )
