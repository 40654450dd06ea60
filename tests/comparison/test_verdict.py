"""The words follow from the numbers: each kind of model gets its sentence, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")  # a comparison imports it

from cooanalysis.comparison.statistics import Measure, measures  # noqa: E402
from cooanalysis.comparison.verdict import verdict  # noqa: E402
from cooanalysis.metrics import METRICS  # noqa: E402

LEAD = "manifold_sparsity"
MEASURES: list[Measure] = measures([METRICS["psnr_y"]], ["sparsity", "subbands"])
WARNING = "It leaves the center, but away from clean images"

# What an L1-trained model looks like: it has lost most detail, and lies off the clean images.
SMOOTH = {
    "psnr_y": 27.0, "collapse_index": 0.7, "detail_energy": 0.3, LEAD: 1.3,
    "manifold_subbands": 1.2, "center_distance": 0.5, "truth_distance": 0.8, "below_ceiling": 0.5,
}  # fmt: skip
CLEAN = SMOOTH | {"collapse_index": 0.05, "detail_energy": 1.0, LEAD: 1.01}

Frame = pd.DataFrame


def rows(
    model: str,
    values: dict[str, float],
    before: dict[str, float] | None = None,
    *,
    width: float = 0.02,
    p: float = 0.001,
    chance: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Totals of one model; ``chance`` names what differs from the baseline by chance only."""
    found = []
    for name, value in values.items():
        row: dict[str, Any] = {"model": model, "measure": name, "value": value}
        row |= {"ci_low": value - width, "ci_high": value + width}
        difference = np.nan if before is None else value - before[name]
        by_chance = name in chance or difference == 0.0
        spread = abs(difference) + width if by_chance else abs(difference) / 2
        row |= {"difference": difference, "difference_low": difference - spread}
        row |= {"difference_high": difference + spread}
        row["p_adjusted"] = np.nan if before is None else 0.6 if by_chance else p
        found.append(row)
    return found


def words(
    values: dict[str, float], before: dict[str, float] | None = None, **options: Any
) -> list[str]:
    """The verdict on a model against a baseline, or on a baseline."""
    if before is None:
        frame = Frame(rows("base", values, **options))
        return verdict("base", frame, MEASURES, baseline="base", lead=LEAD)
    frame = Frame([*rows("base", before), *rows("model", values, before, **options)])
    return verdict("model", frame, MEASURES, baseline="base", lead=LEAD)


# --- what a model does by itself ----------------------------------------------------------------


def test_a_model_that_over_smooths() -> None:
    assert words(SMOOTH)[0] == (
        "Over-smooths: less detail than the ground truth, and not like clean images: collapse "
        "index 0.70 (0.68 to 0.72), detail energy 0.30 (0.28 to 0.32) of the ground truth's, "
        "manifold ratio 1.30 (1.28 to 1.32)."
    )


@pytest.mark.parametrize(
    ("energy", "ratio", "start"),
    [
        (0.5, 1.02, "Over-smooths: less detail than the ground truth, and like clean images:"),
        (
            1.5,
            1.40,
            "Does not over-smooth: more detail than the ground truth, and not like clean images:",
        ),
        (
            1.5,
            1.00,
            "Does not over-smooth: more detail than the ground truth, and like clean images:",
        ),
        (1.0, 1.40, "As much detail as the ground truth, and not like clean images:"),
        # Nearer than clean images are to each other: that says neither.
        (
            0.5,
            0.80,
            "Over-smooths: less detail than the ground truth, and not clearly like or unlike",
        ),
        (1.0, 1.00, "Neither over-smooth nor noisy:"),
    ],
)
def test_amount_and_kind_of_detail(energy: float, ratio: float, start: str) -> None:
    found = words(SMOOTH | {"detail_energy": energy, LEAD: ratio})[0]
    assert found.startswith(start)
    assert found.count("collapse index 0.70") == found.count("manifold ratio") == 1


def test_words_wait_for_the_interval() -> None:
    """Less detail than the ground truth, by the value; not by its interval."""
    values = SMOOTH | {"detail_energy": 0.9, LEAD: 1.3}
    assert words(values, width=0.05)[0].startswith("Over-smooths")
    assert words(values, width=0.15)[0].startswith("As much detail as the ground truth")


def test_a_clean_model_and_the_ground_truth() -> None:
    assert words(CLEAN)[0] == (
        "Neither over-smooth nor noisy: collapse index 0.05 (0.03 to 0.07), detail energy 1.00 "
        "(0.98 to 1.02) of the ground truth's, manifold ratio 1.01 (0.99 to 1.03)."
    )
    truth = SMOOTH | {"psnr_y": np.inf, "collapse_index": 0.0, "detail_energy": 1.0, LEAD: 1.0}
    assert words(truth, width=0.0)[0].startswith("Neither over-smooth nor noisy")


def test_without_the_lead_ratio() -> None:
    some = {name: value for name, value in SMOOTH.items() if name != LEAD}
    alone, against = words(some, some | {"collapse_index": 0.8})
    assert alone == (
        "Over-smooths: less detail than the ground truth: collapse index 0.70 (0.68 to 0.72), "
        "detail energy 0.30 (0.28 to 0.32) of the ground truth's; the manifold ratio could not be "
        "measured."
    )
    assert against == "Compared with base: better in collapse index."


def test_without_an_interval_there_is_none_in_the_words() -> None:
    frame = Frame(rows("base", SMOOTH))
    frame.loc[frame["measure"] == "collapse_index", ["ci_low", "ci_high"]] = np.nan
    found = verdict("base", frame, MEASURES, baseline="base", lead=LEAD)[0]
    assert "collapse index 0.70, detail energy 0.30 (0.28 to 0.32)" in found and "nan" not in found


# --- against the baseline -----------------------------------------------------------------------


def test_the_baseline() -> None:
    assert words(SMOOTH)[1] == "It is the baseline for the others."


def test_better_and_worse() -> None:
    model = SMOOTH | {"psnr_y": 26.0, "collapse_index": 0.5, "detail_energy": 0.5, LEAD: 1.1}
    assert words(model, SMOOTH)[1] == (
        "Compared with base: better in collapse index, detail energy, manifold ratio (sparsity); "
        "worse in PSNR-Y."
    )
    assert words(SMOOTH, model)[1] == (
        "Compared with base: better in PSNR-Y; worse in collapse index, detail energy, manifold "
        "ratio (sparsity)."
    )


@pytest.mark.parametrize(
    ("name", "value", "better"),
    [
        ("psnr_y", 28.0, True), ("psnr_y", 26.0, False),
        ("collapse_index", 0.5, True), ("collapse_index", 0.9, False),
        ("truth_distance", 0.7, True), ("below_ceiling", 0.6, False),
        ("detail_energy", 0.9, True), ("detail_energy", 0.1, False),
        (LEAD, 1.1, True), (LEAD, 1.5, False),
    ],
)  # fmt: skip
def test_every_direction(name: str, value: float, better: bool) -> None:
    (title,) = (m.title for m in MEASURES if m.name == name)
    wanted = f"Compared with base: {'better' if better else 'worse'} in {title}."
    assert words(SMOOTH | {name: value}, SMOOTH)[1] == wanted


@pytest.mark.parametrize("name", ["manifold_subbands", "center_distance"])
def test_what_does_not_judge(name: str) -> None:
    """Other feature spaces may call noise clean; the center distance repeats the collapse index."""
    assert words(SMOOTH | {name: 0.9}, SMOOTH)[1] == "No measure differs from base beyond chance."


def test_chance_is_not_a_difference() -> None:
    model = {name: value + 0.1 for name, value in SMOOTH.items()}
    everything = tuple(SMOOTH)
    wanted = "No measure differs from base beyond chance."
    assert words(SMOOTH, SMOOTH)[1] == wanted
    assert words(model, SMOOTH, chance=everything)[1] == wanted
    # Neither a small p nor an interval off zero is enough alone.
    assert words(model, SMOOTH, p=0.05)[1] == wanted
    frame = Frame([*rows("base", SMOOTH), *rows("model", model, SMOOTH, chance=everything)])
    frame["p_adjusted"] = 0.001
    assert verdict("model", frame, MEASURES, baseline="base", lead=LEAD)[1] == wanted
    only = words(model, SMOOTH, chance=tuple(name for name in SMOOTH if name != "psnr_y"))[1]
    assert only == "Compared with base: better in PSNR-Y."


def test_differences_to_an_infinite_psnr() -> None:
    truth = SMOOTH | {"psnr_y": np.inf}
    frame = Frame([*rows("base", truth), *rows("model", SMOOTH, truth)])
    row = (frame["model"] == "model") & (frame["measure"] == "psnr_y")
    columns = ["difference", "difference_low", "difference_high", "p_adjusted"]
    frame.loc[row, columns] = np.nan
    found = verdict("model", frame, MEASURES, baseline="base", lead=LEAD)[1]
    assert found == "No measure differs from base beyond chance."


@pytest.mark.parametrize(("before", "after"), [(0.7, 1.1), (1.3, 0.9), (0.9, 1.4)])
def test_on_either_side_of_one_nothing_is_said(before: float, after: float) -> None:
    found = words(SMOOTH | {"detail_energy": after}, SMOOTH | {"detail_energy": before})[1]
    assert found == "No measure differs from base beyond chance."


def test_every_difference_from_the_ground_truth_is_worse() -> None:
    for energy in (0.8, 1.2):
        found = words(SMOOTH | {"detail_energy": energy}, SMOOTH | {"detail_energy": 1.0})[1]
        assert found == "Compared with base: worse in detail energy."


# --- noise --------------------------------------------------------------------------------------


NOISY = SMOOTH | {"psnr_y": 25.0, "collapse_index": 0.5, "detail_energy": 0.6, LEAD: 1.6}


def test_noise_leaves_the_center_but_not_for_clean_images() -> None:
    assert words(NOISY, SMOOTH)[1] == (
        "Compared with base: better in collapse index, detail energy; worse in PSNR-Y, manifold "
        f"ratio (sparsity). {WARNING}: what it adds is noise or artifacts, not the missing "
        "detail."
    )


def test_to_warn_the_interval_is_enough() -> None:
    """A manifold ratio whose adjusted p is too large to call it worse still warns."""
    frame = Frame([*rows("base", SMOOTH), *rows("model", NOISY, SMOOTH)])
    frame.loc[(frame["model"] == "model") & (frame["measure"] == LEAD), "p_adjusted"] = 0.2
    found = verdict("model", frame, MEASURES, baseline="base", lead=LEAD)[1]
    assert "manifold ratio" not in found and WARNING in found


@pytest.mark.parametrize(
    ("changes", "chance"),
    [
        ({LEAD: 1.1}, ()),  # it comes nearer to clean images
        ({LEAD: 1.6}, (LEAD,)),  # it may have come nearer
        ({LEAD: 1.6}, ("collapse_index",)),  # it may not have left the center
        ({LEAD: 1.6, "collapse_index": 0.9}, ()),  # it went toward the center
    ],
)
def test_without_noise_there_is_no_warning(
    changes: dict[str, float], chance: tuple[str, ...]
) -> None:
    found = words(NOISY | changes, SMOOTH, chance=chance)[1]
    assert found.startswith("Compared with base: better in ") and WARNING not in found


def test_a_ratio_that_falls_far_below_one_is_warned_of_too() -> None:
    assert WARNING in words(NOISY | {LEAD: 0.6}, SMOOTH)[1]
    assert WARNING not in words(NOISY | {LEAD: 0.8}, SMOOTH)[1]
