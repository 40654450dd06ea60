"""What the figures of known, shown and made up detail share: measures, goals, rows, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.verdict import GAIN_TOLERANCE
from cooanalysis.plots.comparison.looks import looks_of
from cooanalysis.plots.style import BLACK, PALE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

KNOWS, SHOWS, MAKES_UP, LEAST = "explained", "gain", "invented", "invented_at_least"
MISSING = "This run was made before it was measured what models know, show and make up."

LOWEST_KNOWN = -0.1
"""What is explained is not drawn below this: less than nothing says that nothing is known."""


def parts_shown(comparison: ComparisonRecord) -> list[str]:
    """Measures with a panel: without an anchor, only those that need none."""
    summary = comparison.summary
    measured = {measure.name for measure in summary.measures} - set(summary.unreliable)
    last = MAKES_UP if MAKES_UP in measured else LEAST
    return [name for name in (KNOWS, SHOWS, last) if name in measured]


def rows_by_part(comparison: ComparisonRecord, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows with a finite value by measure, without those of the ground truth.

    Of the ground truth nothing is unknown, and all is shown as it is.
    """
    if not len(table):
        return {}
    finite = np.isfinite(table["value"].to_numpy(np.float64))
    table = table[finite & table["model"].isin(list(looks_of(comparison)))]
    parts = {name: table[table["measure"] == name] for name in parts_shown(comparison)}
    return {name: part for name, part in parts.items() if len(part)}


def draw_goal(ax: Axes, measure: str, *, across: bool = False) -> None:
    """A line at 1: as known (with the band that counts as such), or as much as is unknown.

    Of what is explained, 1 is the ground truth, far above any model, and has no line.
    """
    line, band = (ax.axvline, ax.axvspan) if across else (ax.axhline, ax.axhspan)
    if measure == SHOWS:
        band(1.0 - GAIN_TOLERANCE, 1.0 + GAIN_TOLERANCE, color=PALE, lw=0.0, zorder=0)
    if measure != KNOWS:
        line(1.0, color=BLACK, lw=1.0, zorder=1)


def fitting_limits(measure: str, rows: pd.DataFrame) -> tuple[float, float]:
    """Limits from 0, or below it, that a few wild values and intervals do not widen.

    Where next to nothing is known, a gain is next to nothing over next to nothing; where there is
    next to no detail, so is what is explained.
    """
    ends = rows[["value", "ci_low", "ci_high"]].to_numpy(np.float64)
    low, high = np.nanquantile(ends, (0.02, 0.98))
    low, high = min(0.0, float(low)), max(float(high), 1e-3)
    if measure == KNOWS:
        low, high = max(low, LOWEST_KNOWN), min(high, 1.0)
    margin = 0.05 * (high - low)
    return low - margin, high + margin
