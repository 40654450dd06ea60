"""A verdict on a model in two parts, claiming no more than the intervals support.

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
LEAST_DETAIL = 0.01
"""Less detail energy than this is that of rounding: the model shows no detail."""
SAME = 0.01
"""Models whose explained shares differ by less than this share of the detail know the same."""
FIDELITY = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")
"""Metrics that artifacts lower; of all metrics only these are called better or worse."""


def verdict(
    model: str, totals: pd.DataFrame, measures: Sequence[Measure], *, baseline: str,
    anchor: str | None, realism: Realism, reach: Reach,
) -> list[str]:  # fmt: skip
    """Two texts: one about the model itself, one that compares it with the baseline.

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
    anchor
        Name of the anchor, if there is one.
    realism
        What the referees say of the model.
    reach
        What tests over that many images can show.
    """
    found = totals[totals["model"] == model].to_dict("records")
    rows: Rows = {str(row["measure"]): row for row in found}  # type: ignore[misc]
    return [_alone(rows, realism, anchor), _against(rows, measures, model, baseline, reach)]


def _alone(rows: Rows, realism: Realism, anchor: str | None) -> str:
    explained, energy = rows["explained"], rows["detail_energy"]
    if energy["value"] < LEAST_DETAIL:
        return (
            f"Shows no detail ({_share(energy)} of the ground truth's); the LR image alone "
            f"explains {_share(explained)} of it. {_looks(realism)}"
        )
    if not np.isfinite(rows["invented"]["value"]):
        return f"Explains {_share(explained)} of the detail: nothing is left to make up."
    return (
        f"Explains {_share(explained)} of the detail, {_shown(rows['gain'])}, and makes up "
        f"{_made_up(rows, realism, anchor)}. {_looks(realism)}"
    )


def _shown(gain: Row) -> str:
    value = f"gain {gain['value']:.2f}"
    if not np.isfinite([gain["ci_low"], gain["ci_high"]]).all():
        return f"shows it with {value}"
    value += f", {gain['ci_low']:.2f} to {gain['ci_high']:.2f}"
    if gain["ci_low"] > 1.0 + GAIN_TOLERANCE:
        return f"shows it sharpened ({value})"
    if gain["ci_high"] < 1.0 - GAIN_TOLERANCE:
        return f"shows it damped ({value})"
    farthest = max(gain["ci_high"] - 1.0, 1.0 - gain["ci_low"])
    if farthest <= GAIN_TOLERANCE:
        return f"shows it as it is ({value})"
    if farthest <= 2.0 * GAIN_TOLERANCE:
        return f"shows it about as it is ({value})"
    return f"shows it at an uncertain strength ({value})"


def _made_up(rows: Rows, realism: Realism, anchor: str | None) -> str:
    invented, least = rows["invented"], rows["invented_at_least"]
    if invented["ci_high"] < NOTHING:
        smooth = realism.decision == "unlike" and rows["detail_energy"]["ci_high"] < 1.0
        over = ", so it over-smooths" if smooth else ""
        return f"next to nothing: {_share(invented)} of the unknown{over}"
    if anchor is None:
        return f"at least {_share(invented)} of the unknown"
    text = f"{_share(invented)} of the unknown"
    if least["value"] < invented["value"] - NOTHING:
        text += f" if it knows what {anchor} knows, and at least {_share(least)} if it does not"
    return text


def _looks(realism: Realism) -> str:
    """Whether its patches look like clean ones, and who disagrees or cannot tell."""
    if realism.decision == "like":
        return "Its patches look like clean ones."
    if realism.decision == "unlike":
        text = "Its patches do not look like clean ones"
        if fooled := realism.contradicted_by:
            text += f", though {_listed(fooled)} {_verb(fooled, 'takes', 'take')} them for clean"
        return f"{text}."
    text = "Whether its patches look like clean ones is undecided"
    if unsure := realism.saying("undecided"):
        return f"{text}: {_listed(unsure)} cannot tell."
    return f"{text}: too few referees judged them."


def _against(
    rows: Rows, measures: Sequence[Measure], model: str, baseline: str, reach: Reach
) -> str:
    if model == baseline:
        return "It is the baseline for the others."
    known = rows["explained"]
    difference = f"{_signed(known)} of the detail" if np.isfinite(known["difference"]) else ""
    if not reach.possible:
        change = f" Its explained share differs from {baseline}'s by {difference}."
        return f"{_too_few(reach)}{change if difference else ''}"
    text = f"{_knows(known)} {baseline}"
    if difference:
        text += f" ({difference})"
    sides: dict[int, list[str]] = {1: [], -1: []}
    for measure in measures:
        if measure.name in FIDELITY and measure.name in rows:
            if side := _change(rows[measure.name], measure.direction):
                sides[side].append(measure.title)
    words = {1: "better", -1: "worse"}
    fidelity = "; ".join(
        f"{words[number]} in {_listed(found)}" for number, found in sides.items() if found
    )
    if not fidelity:
        fidelity = "no fidelity metric differs beyond chance"
        if not reach.possible_alone:
            fidelity += (
                f", but over {reach.n_images} images and {reach.n_tests} tests a single difference "
                "could not"
            )
    return f"{text}; {fidelity}."


def _knows(known: Row) -> str:
    """How much it explains compared with the baseline; a small difference counts as none."""
    low, high = known["difference_low"], known["difference_high"]
    if -SAME <= low and high <= SAME:
        return "It explains as much as"
    return {
        1: "It explains more than",
        0: "As far as can be told, it explains as much as",
        -1: "It explains less than",
    }[_change(known, "higher")]


def _too_few(reach: Reach) -> str:
    if reach.n_images == 1:
        return "With one image no test can be made."
    needed = f"; {reach.images_needed} images are needed" if reach.images_needed else ""
    return (
        f"With {reach.n_images} images no test can be significant (the smallest possible adjusted "
        f"p is {reach.smallest_adjusted_p:.2g}{needed})."
    )


def _change(row: Row, direction: str) -> int:
    """1 if better, -1 if worse, 0 if not beyond chance."""
    if not _significant(row):
        return 0
    return int(np.sign(row["difference"] if direction == "higher" else -row["difference"]))


def _significant(row: Row) -> bool:
    excludes = row["difference_low"] > 0 or row["difference_high"] < 0
    return bool(row["p_adjusted"] < LEVEL and excludes)


def _share(row: Row) -> str:
    """A share with its interval, in percent."""
    text = f"{100.0 * row['value']:.1f}%"
    if np.isfinite(row["ci_low"]):
        text += f" ({100.0 * row['ci_low']:.1f} to {100.0 * row['ci_high']:.1f})"
    return text


def _signed(row: Row) -> str:
    text = f"{100.0 * row['difference']:+.1f}%"
    if np.isfinite(row["difference_low"]):
        low, high = 100.0 * row["difference_low"], 100.0 * row["difference_high"]
        text += f", {low:+.1f} to {high:+.1f}"
    return text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _verb(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several
