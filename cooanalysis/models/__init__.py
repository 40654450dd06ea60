"""Networks to train, and their weights as safetensors files.

To add a generator, write its module and one line in :data:`GENERATORS`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cooanalysis.models.shipped import shipped

if TYPE_CHECKING:
    from cooanalysis.models.registry import (
        DISCRIMINATORS,
        GENERATORS,
        build,
        build_discriminator,
        count_parameters,
    )
    from cooanalysis.models.weights import WeightsInfo, load_weights, read_info, save_weights

# Imported on first use: where the shipped weights lie can be known without torch.
_LAZY = {
    "DISCRIMINATORS": "registry",
    "GENERATORS": "registry",
    "build": "registry",
    "build_discriminator": "registry",
    "count_parameters": "registry",
    "WeightsInfo": "weights",
    "load_weights": "weights",
    "read_info": "weights",
    "save_weights": "weights",
}

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "WeightsInfo",
    "build",
    "build_discriminator",
    "count_parameters",
    "load_weights",
    "read_info",
    "save_weights",
    "shipped",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
