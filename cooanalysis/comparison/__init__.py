"""Comparison of models: how each relates to potential-HR groups, and how certain that is.

Data flows one way, and the modules follow it: :mod:`~cooanalysis.models.sources` (what a model
is), :mod:`~cooanalysis.comparison.groups` (the potential-HR groups),
:mod:`~cooanalysis.comparison.images` (outputs and metrics of whole images),
:mod:`~cooanalysis.comparison.patches` and :mod:`~cooanalysis.comparison.measures` (measures
of patches), :mod:`~cooanalysis.comparison.statistics` (intervals and tests),
:mod:`~cooanalysis.comparison.verdict` (sentences), :mod:`~cooanalysis.report.tables` and
:mod:`~cooanalysis.plots.comparison`; :mod:`~cooanalysis.comparison.run` joins them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cooanalysis.comparison.groups import QueryGroups, find_query_groups
    from cooanalysis.comparison.measures import group_spread, residual_entropy
    from cooanalysis.comparison.outputs import with_outputs

# Imported on first use: `coo-compare --help` reads the configuration alone.
_LAZY = {
    "QueryGroups": "groups",
    "find_query_groups": "groups",
    "group_spread": "measures",
    "residual_entropy": "measures",
    "with_outputs": "outputs",
}

__all__ = [
    "QueryGroups",
    "find_query_groups",
    "group_spread",
    "residual_entropy",
    "with_outputs",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
