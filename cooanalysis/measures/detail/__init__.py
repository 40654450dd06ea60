"""A model's detail, taken apart: what it knows, shows and makes up."""

from __future__ import annotations

from cooanalysis.measures.detail.apart import TakenApart, take_apart
from cooanalysis.measures.detail.known import KnownDetail
from cooanalysis.measures.detail.parts import (
    SUMS,
    ErrorBudget,
    closed_form,
    collapse_index,
    detail_energy,
    error_budget,
    explained,
    gain,
    invented,
    unknown_energy,
)

__all__ = [
    "SUMS",
    "ErrorBudget",
    "KnownDetail",
    "TakenApart",
    "closed_form",
    "collapse_index",
    "detail_energy",
    "error_budget",
    "explained",
    "gain",
    "invented",
    "take_apart",
    "unknown_energy",
]
