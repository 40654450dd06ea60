"""A verdict on a model in two sentences, claiming no more than the intervals support.

The first says what the model does: how much it knows, how it shows it, how much it makes up, and
whether that looks like clean images. The second compares it with the baseline. Sharpening, noise,
compression and blocks change gain, invented detail and perceptual scores, so none of these is ever
called better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cooanalysis.comparison.statistics import Measure, Reach
from cooanalysis.measures.paired import LEVEL
from cooanalysis.measures.realism import Realism

Row = Mapping[str, Any]
Rows = dict[str, Row]

GAIN_TOLERANCE = 0.05
"""A gain within this of 1 shows what is known as it is."""
NOTHING = 0.05
"""Less than this share of the unknown counts as nothing made up."""
FIDELITY = ("psnr", "ssim")
"""Metrics of fidelity, which artifacts lower; only these are called better or worse."""


def verdict(
    model: str, totals: pd.DataFrame, measures: Sequence[Measure], *, baseline: str,
    realism: Realism, reach: Reach,
) -> list[str]:  # fmt: skip
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
    realism
        What the referees say of the model.
    reach
        What tests over that many images can show.
    """
    found = totals[totals["model"] == model].to_dict("records")
    rows: Rows = {str(row["measure"]): row for row in found}  # type: ignore[misc]
    return [_alone(rows, realism), _against(rows, measures, model, baseline, reach)]


def _alone(rows: Rows, realism: Realism) -> str:
    explained = rows["explained"]
    if not np.isfinite(rows["invented"]["value"]):
        return f"Knows {_percent(explained)} of the detail, so nothing is left to make up."
    if rows["detail_energy"]["value"] == 0.0:
        return (
            f"Shows no detail at all; the LR image alone explains {_percent(explained)} of it, "
            "linearly."
        )
    return (
        f"Explains {_percent(explained)} of the detail, {_shown(rows['gain'])}, and "
        f"{_made_up(rows, realism)}."
    )


def _shown(gain: Row) -> str:
    value = f"gain {_number(gain)}"
    if not np.isfinite([gain["ci_low"], gain["ci_high"]]).all():
        return f"shows it with {value}"
    if gain["ci_low"] > 1.0 + GAIN_TOLERANCE:
        return f"shows it sharpened ({value})"
    if gain["ci_high"] < 1.0 - GAIN_TOLERANCE:
        return f"shows it damped ({value})"
    if gain["ci_low"] >= 1.0 - GAIN_TOLERANCE and gain["ci_high"] <= 1.0 + GAIN_TOLERANCE:
        return f"shows it as it is ({value})"
    return f"shows it about as it is ({value})"


def _made_up(rows: Rows, realism: Realism) -> str:
    invented, least = rows["invented"], rows["invented_at_least"]
    amount = _percent(invented)
    if least["value"] < invented["value"] - NOTHING:
        amount += f", or at least {_percent(least)} if it knows less than the anchor,"
    if invented["ci_high"] < NOTHING:
        looks = {
            "like": "its patches look like clean ones all the same",
            "unlike": "so it over-smooths" if rows["detail_energy"]["ci_high"] < 1.0
            else "and its patches do not look like clean ones",
            "undecided": "whether its patches look like clean ones is undecided",
        }[realism.decision]  # fmt: skip
        return f"makes up next to nothing ({amount} of the unknown): {looks}"
    looks = {
        "like": "its patches look like clean ones",
        "unlike": "its patches do not look like clean ones" + _contradiction(realism),
        "undecided": "whether its patches look like clean ones is undecided",
    }[realism.decision]
    return f"makes up {amount} of the unknown: {looks}"


def _contradiction(realism: Realism) -> str:
    if not (fooled := realism.contradicted_by):
        return ""
    return f", though {' and '.join(fooled)} would let {'them' if len(fooled) > 1 else 'it'} pass"


def _against(
    rows: Rows, measures: Sequence[Measure], model: str, baseline: str, reach: Reach
) -> str:
    if model == baseline:
        return "It is the baseline for the others."
    if not reach.possible:
        return f"{_too_few(reach)} {_differences(rows, baseline)}".rstrip()
    known = rows["explained"]
    change = _change(known, "higher")
    knows = {1: "more than", 0: "no more and no less than", -1: "less than"}[change]
    if change == 0 and not _significant(known):
        knows = "as far as can be told, as much as"
    text = f"It explains {knows} {baseline}"
    if np.isfinite(known["difference"]):
        text += f" ({_signed(known)} of the detail)"
    better: list[str] = []
    worse: list[str] = []
    for measure in measures:
        if measure.name.startswith(FIDELITY) and measure.name in rows:
            change = _change(rows[measure.name], measure.direction)
            if change:
                (better if change > 0 else worse).append(measure.title)
    sides = (("better", better), ("worse", worse))
    fidelity = "; ".join(f"{side} in {', '.join(found)}" for side, found in sides if found)
    return f"{text}; {fidelity or 'no fidelity measure differs beyond chance'}."


def _too_few(reach: Reach) -> str:
    images = "image" if reach.n_images == 1 else "images"
    needed = f"; {reach.images_needed} are needed" if reach.images_needed else ""
    return (
        f"With {reach.n_images} {images} no test can be significant (the smallest adjusted p is "
        f"{reach.smallest_adjusted_p:.2g}{needed})."
    )


def _differences(rows: Rows, baseline: str) -> str:
    known = rows["explained"]
    if not np.isfinite(known["difference"]):
        return ""
    return f"Compared with {baseline} it explains {_signed(known)} of the detail."


def _change(row: Row, direction: str) -> int:
    """1 if better, -1 if worse, 0 if not beyond chance."""
    if not _significant(row):
        return 0
    return int(np.sign(row["difference"] if direction == "higher" else -row["difference"]))


def _significant(row: Row) -> bool:
    excludes = row["difference_low"] > 0 or row["difference_high"] < 0
    return bool(row["p_adjusted"] < LEVEL and excludes)


def _number(row: Row) -> str:
    if not np.isfinite(row["ci_low"]):
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f}, {row['ci_low']:.2f} to {row['ci_high']:.2f}"


def _percent(row: Row) -> str:
    """A share with its interval, in percent."""
    value = 100.0 * row["value"]
    if not np.isfinite(row["ci_low"]):
        return f"{value:.1f} %"
    return f"{value:.1f} % ({100.0 * row['ci_low']:.1f} to {100.0 * row['ci_high']:.1f})"


def _signed(row: Row) -> str:
    text = f"{100.0 * row['difference']:+.1f} %"
    if np.isfinite(row["difference_low"]):
        low, high = 100.0 * row["difference_low"], 100.0 * row["difference_high"]
        text += f", {low:+.1f} to {high:+.1f}"
    return text
