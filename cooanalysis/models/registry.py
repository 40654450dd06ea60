"""Generators and discriminators by name. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cooanalysis.runtime.registry import Registry, check_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def check_network(name: str, network: Any) -> None:
    """Refuse what cannot be used as a generator.

    Raises
    ------
    ConfigError
        The message names the network.
    """
    check_call(f"network {name!r}", network, [], ["scale"])
    if hasattr(network, "forward"):
        check_call(f"forward of network {name!r}", network.forward, ["self", "lr"])


def check_discriminator(name: str, network: Any) -> None:
    """Refuse what cannot be used as a discriminator; raises a :class:`ConfigError`."""
    check_call(f"discriminator {name!r}", network, [])
    if hasattr(network, "forward"):
        check_call(f"forward of discriminator {name!r}", network.forward, ["self", "image"])


GENERATORS: Registry[Callable[..., nn.Module]] = Registry(
    "network",
    "cooanalysis.networks",
    {
        "edsr": "cooanalysis.models.edsr:EDSR",
        "srresnet": "cooanalysis.models.srresnet:SRResNet",
        "rrdb": "cooanalysis.models.rrdb:RRDBNet",
    },
    check=check_network,
)
"""Every generator by its name; other packages add theirs to ``cooanalysis.networks``."""

DISCRIMINATORS: Registry[Callable[..., nn.Module]] = Registry(
    "discriminator",
    "cooanalysis.discriminators",
    {"patch": "cooanalysis.models.discriminator:PatchDiscriminator"},
    check=check_discriminator,
)
"""Every discriminator by its name; other packages add theirs to
``cooanalysis.discriminators``."""


def register_network(
    name: str, network: Callable[..., nn.Module], *, replace: bool = False
) -> None:
    """Make a generator usable by its name: in training configurations and weights files.

    Parameters
    ----------
    name
        Its name.
    network
        A class (or a function that returns modules) with a parameter ``scale`` and any options.
        Its modules map (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W).
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or the network does not accept ``scale``.

    Examples
    --------
    >>> import torch
    >>> class Nearest(torch.nn.Module):
    ...     def __init__(self, scale: int) -> None:
    ...         super().__init__()
    ...         self.scale = scale
    ...     def forward(self, lr):
    ...         return lr.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
    >>> register_network("nearest", Nearest)
    >>> from cooanalysis.models import build
    >>> build("nearest", scale=2)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 8, 8])
    >>> GENERATORS.unregister("nearest")
    """
    GENERATORS.register(name, network, replace=replace)


def register_discriminator(
    name: str, network: Callable[..., nn.Module], *, replace: bool = False
) -> None:
    """Make a discriminator usable by its name, see :func:`register_network`.

    Its modules map (B, 3, H, W) in [0, 1] to logits (B, 1, h, w).
    """
    DISCRIMINATORS.register(name, network, replace=replace)
