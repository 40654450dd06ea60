"""From a training configuration to weighted losses."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from cooanalysis.errors import ConfigError
from cooanalysis.losses.registry import LOSSES


@dataclass(frozen=True)
class WeightedLoss:
    """A loss and its weight. The module itself is not weighted."""

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
        If the type or an argument is unknown, or a value is invalid.

    Examples
    --------
    >>> build({"type": "L1Loss", "loss_weight": 0.5}).weight
    0.5
    """
    options = dict(spec)
    name = options.pop("type", None)
    weight = options.pop("loss_weight", 1.0)
    if name is None:
        raise ConfigError(f"a loss needs a type; known ones: {', '.join(LOSSES)}")
    loss = LOSSES.find(name)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight >= 0:
        raise ConfigError(f"{name}: loss_weight must be a number >= 0; got {weight!r}")
    known = inspect.signature(loss).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in known.values())
    if not open_ended and (unknown := sorted(set(options) - set(known))):
        raise ConfigError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}")
    module = loss(**options)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"loss {name!r} must be a torch.nn.Module; got {module!r:.100}")
    return WeightedLoss(name, module, float(weight))
