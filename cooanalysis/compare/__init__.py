"""What models do with the potential-HR groups: collapse, spread, and what their features know."""

from __future__ import annotations

from cooanalysis.compare.groups import QueryGroups, find_query_groups
from cooanalysis.compare.measures import collapse_terms, group_spread, residual_entropy
from cooanalysis.compare.outputs import with_outputs

__all__ = [
    "QueryGroups",
    "collapse_terms",
    "find_query_groups",
    "group_spread",
    "residual_entropy",
    "with_outputs",
]
