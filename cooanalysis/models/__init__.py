"""Networks to train, and their weights as safetensors files.

To add a generator, write a file with its module and one line in :data:`GENERATORS`, or see
:func:`register_network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.models.registry import (
    DISCRIMINATORS,
    GENERATORS,
    register_discriminator,
    register_network,
)
from cooanalysis.models.shipped import WEIGHTS, register_weights, shipped
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.models.construct import build, build_discriminator, count_parameters
    from cooanalysis.models.weights import WeightsInfo, load_weights, read_info, save_weights

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "WEIGHTS",
    "WeightsInfo",
    "build",
    "build_discriminator",
    "count_parameters",
    "load_weights",
    "read_info",
    "register_discriminator",
    "register_network",
    "register_weights",
    "save_weights",
    "shipped",
]

# Imported on first use: names of networks, and where weights lie, can be known without torch.
__getattr__ = exporter(
    __name__,
    {
        "WeightsInfo": "weights",
        "build": "construct",
        "build_discriminator": "construct",
        "count_parameters": "construct",
        "load_weights": "weights",
        "read_info": "weights",
        "save_weights": "weights",
    },
)
