"""A verdict on a model in two sentences, claiming no more than the intervals support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cooanalysis.comparison.statistics import Measure

Row = Mapping[str, Any]
Rows = dict[str, Row]

CLEAN_TOLERANCE = 0.05
"""A manifold ratio within this of 1 counts as that of clean images."""
LEVEL = 0.05
ENERGY_WIDTH, RATIO_WIDTH = 0.5, 0.25
"""Intervals wider than this do not show that two numbers are equal, even if they contain both."""


def verdict(
    model: str, totals: pd.DataFrame, measures: Sequence[Measure], *, baseline: str, lead: str
) -> list[str]:
    """Two sentences: one about the model itself, one that compares it with the baseline.

    Parameters
    ----------
    model
        Name of the model.
    totals
        See :func:`cooanalysis.comparison.statistics.totals`.
    measures
        The measures, in their order.
    baseline
        Name of the baseline.
    lead
        Name of the manifold ratio that judges whether detail is that of clean images.
    """
    found = totals[totals["model"] == model].to_dict("records")
    rows: Rows = {str(row["measure"]): row for row in found}  # type: ignore[misc]
    return [_alone(rows, lead), _against(rows, measures, model, baseline, lead)]


def _alone(rows: Rows, lead: str) -> str:
    energy, collapse = rows["detail_energy"], rows["collapse_index"]
    numbers = (
        f"collapse index {_number(collapse)}, detail energy {_number(energy)} of the ground truth's"
    )
    if lead not in rows:
        return f"{_amount(energy)}: {numbers}; the manifold ratio could not be measured."
    ratio = rows[lead]
    if _inside(energy, 1.0) and _narrow(energy, ENERGY_WIDTH) and _near_clean(ratio):
        return f"Neither over-smooth nor noisy: {numbers}, manifold ratio {_number(ratio)}."
    words = _amount(energy)
    kind = "not like clean images" if ratio["ci_low"] > 1.0 + CLEAN_TOLERANCE else (
        "like clean images" if _near_clean(ratio) else "not clearly like or unlike clean images"
    )  # fmt: skip
    return f"{words}, and {kind}: {numbers}, manifold ratio {_number(ratio)}."


def _amount(energy: Row) -> str:
    if not np.isfinite([energy["ci_low"], energy["ci_high"]]).all():
        return "Too few images to say whether it over-smooths"
    if energy["ci_high"] < 1.0:
        return "Over-smooths: less detail than the ground truth"
    if energy["ci_low"] > 1.0:
        return "Does not over-smooth: more detail than the ground truth"
    if not _narrow(energy, ENERGY_WIDTH):
        return "Too few images to say whether it over-smooths"
    return "As much detail as the ground truth"


def _against(rows: Rows, measures: Sequence[Measure], model: str, baseline: str, lead: str) -> str:
    if model == baseline:
        return "It is the baseline for the others."
    better: list[str] = []
    worse: list[str] = []
    for measure in measures:
        if measure.name not in rows or not _judges(measure, lead):
            continue
        change = _change(rows[measure.name], measure)
        if change:
            (better if change > 0 else worse).append(measure.title)
    if not better and not worse:
        return f"No measure differs from {baseline} beyond chance."
    sides = (("better", better), ("worse", worse))
    text = "; ".join(f"{side} in {', '.join(found)}" for side, found in sides if found)
    text = f"Compared with {baseline}: {text}."
    collapse = rows["collapse_index"]
    if lead in rows:
        ratio = rows[lead]
        if _significant(collapse) and collapse["difference"] < 0 and _farther(ratio):
            text += (
                " It leaves the center, but away from clean images: what it adds is noise or "
                "artifacts, not the missing detail."
            )
    return text


def _judges(measure: Measure, lead: str) -> bool:
    # Other feature spaces may rate noise as clean, and the distance to the center says what the
    # collapse index says.
    return measure.name == lead or not measure.name.startswith(("manifold_", "center_distance"))


def _change(row: Row, measure: Measure) -> int:
    """1 if better, -1 if worse, 0 if not beyond chance."""
    if not _significant(row):
        return 0
    difference = row["difference"]
    if measure.direction == "one":
        before = row["value"] - difference
        difference = abs(before - 1.0) - abs(row["value"] - 1.0)
        # Where the two lie on either side of 1, the interval says nothing about which is nearer.
        if (before - 1.0) * (row["value"] - 1.0) < 0:
            return 0
        return int(np.sign(difference))
    return int(np.sign(difference if measure.direction == "higher" else -difference))


def _significant(row: Row) -> bool:
    excludes = row["difference_low"] > 0 or row["difference_high"] < 0
    return bool(row["p_adjusted"] < LEVEL and excludes)


def _farther(ratio: Row) -> bool:
    """Whether a model is farther from clean images than the baseline, by the interval alone."""
    before = ratio["value"] - ratio["difference"]
    differs = ratio["difference_low"] > 0 or ratio["difference_high"] < 0
    return bool(differs and abs(ratio["value"] - 1.0) > abs(before - 1.0))


def _inside(row: Row, value: float) -> bool:
    return bool(row["ci_low"] <= value <= row["ci_high"])


def _narrow(row: Row, width: float) -> bool:
    """Whether an interval is narrow enough to call a number equal to another."""
    return bool(row["ci_high"] - row["ci_low"] <= width)


def _near_clean(ratio: Row) -> bool:
    return _narrow(ratio, RATIO_WIDTH) and bool(
        ratio["ci_low"] <= 1.0 + CLEAN_TOLERANCE and ratio["ci_high"] >= 1.0 - CLEAN_TOLERANCE
    )


def _number(row: Row) -> str:
    if not np.isfinite(row["ci_low"]):
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
