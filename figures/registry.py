"""Names of all figures and tables, in order of presentation."""

from __future__ import annotations

import importlib
from typing import cast

from figures.contract import FigureModule

NAMES = (
    "coo_picture",
    "entropy_vs_center_distance",
    "detail_energy_vs_entropy",
    "manifold_vs_entropy",
    "patch_embedding",
    "oversmoothing_maps",
    "decloss_effect",
    "oversmoothed_crops",
    "power_spectra",
    "estimator_validation",
    "benchmark_table",
    "ablation_table",
)


def module(name: str) -> FigureModule:
    """The module of a figure."""
    return cast(FigureModule, importlib.import_module(f"figures.{name}"))
