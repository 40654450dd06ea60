"""Generators and discriminators by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from cooanalysis.errors import ConfigError
from cooanalysis.models.discriminator import PatchDiscriminator
from cooanalysis.models.edsr import EDSR
from cooanalysis.models.rrdb import RRDBNet
from cooanalysis.models.srresnet import SRResNet

GENERATORS: Mapping[str, Callable[..., nn.Module]] = {
    "edsr": EDSR,
    "srresnet": SRResNet,
    "rrdb": RRDBNet,
}
DISCRIMINATORS: Mapping[str, Callable[..., nn.Module]] = {"patch": PatchDiscriminator}


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
    try:
        return registry[name](**options)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{what} {name!r} cannot be built with {options}: {error}") from error
