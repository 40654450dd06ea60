"""Networks to train, and their weights as safetensors files.

To add a generator, write its module and one line in :data:`GENERATORS`.
"""

from __future__ import annotations

from cooanalysis.models.registry import (
    DISCRIMINATORS,
    GENERATORS,
    build,
    build_discriminator,
    count_parameters,
)
from cooanalysis.models.shipped import shipped
from cooanalysis.models.weights import WeightsInfo, load_weights, read_info, save_weights

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
