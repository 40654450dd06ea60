"""The words follow from the numbers: each kind of model gets its own, and no more than is sure."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.comparison.statistics import Measure, Reach, measures
from cooanalysis.comparison.verdict import verdict
from cooanalysis.measures.realism import Realism
from cooanalysis.metrics import METRICS

NAMES = ("psnr_y", "ssim_y", "st-lpips")
MEASURES: list[Measure] = measures([METRICS[name] for name in NAMES], ["sparsity"])
REACH = Reach(n_images=100, n_tests=10, smallest_adjusted_p=3e-4, images_needed=8)
LIKE = Realism("like", {"sparsity": "like", "critic": "like"})
UNLIKE = Realism("unlike", {"sparsity": "unlike", "critic": "unlike"})
UNSURE = Realism("undecided", {"sparsity": "like", "critic": "undecided"})

# What a network trained with L1 looks like: it shows what it knows, and nothing else.
L1 = {
    "psnr_y": 25.56, "ssim_y": 0.66, "st-lpips": 0.30, "explained": 0.195,
    "psnr_explained_db": 25.6, "gain": 1.0, "invented": 0.001, "invented_at_least": 0.001,
    "collapse_index": 0.999, "detail_energy": 0.207, "manifold_sparsity": 1.3,
}  # fmt: skip
Frame = pd.DataFrame


def rows(
    model: str, values: dict[str, float], before: dict[str, float] | None = None, *,
    width: float = 0.005, p: float = 0.001, chance: tuple[str, ...] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Totals of one model; ``chance`` names what differs from the baseline by chance only."""
    found = []
    for name, value in values.items():
        row: dict[str, Any] = {"model": model, "measure": name, "value": value}
        row |= {"ci_low": value - width, "ci_high": value + width}
        difference = np.nan if before is None else value - before[name]
        by_chance = name in chance or difference == 0.0
        spread = abs(difference) + 0.002 if by_chance else abs(difference) / 2
        row |= {"difference": difference, "difference_low": difference - spread}
        row |= {"difference_high": difference + spread}
        row["p_adjusted"] = np.nan if before is None else 0.6 if by_chance else p
        found.append(row)
    return found


def words(
    values: dict[str, float], before: dict[str, float] | None = None, *,
    realism: Realism = UNLIKE, reach: Reach = REACH, anchor: str | None = "base", **options: Any,
) -> list[str]:  # fmt: skip
    """The verdict on a model against a baseline, or on a baseline."""
    common: dict[str, Any] = {"baseline": "base", "anchor": anchor, "realism": realism}
    if before is None:
        frame = Frame(rows("base", values, **options))
        return verdict("base", frame, MEASURES, reach=reach, **common)
    frame = Frame([*rows("base", before), *rows("model", values, before, **options)])
    return verdict("model", frame, MEASURES, reach=reach, **common)


# --- what a model does by itself ----------------------------------------------------------------


def test_a_conditional_mean() -> None:
    assert words(L1) == [
        "Explains 19.5% (19.0 to 20.0) of the detail, shows it as it is (gain 1.00, 0.99 to "
        "1.00), and makes up next to nothing: 0.1% (-0.4 to 0.6) of the unknown, so it "
        "over-smooths. Its patches do not look like clean ones.",
        "It is the baseline for the others.",
    ]


@pytest.mark.parametrize(
    ("gain", "width", "expected"),
    [
        (1.0, 0.01, "shows it as it is (gain 1.00, 0.99 to 1.01)"),
        (1.5, 0.01, "shows it sharpened (gain 1.50, 1.49 to 1.51)"),
        (0.7, 0.01, "shows it damped (gain 0.70, 0.69 to 0.71)"),
        # Neither as it is nor sharpened for sure.
        (1.06, 0.02, "shows it about as it is (gain 1.06, 1.04 to 1.08)"),
        (0.9, 0.2, "shows it at an uncertain strength (gain 0.90, 0.70 to 1.10)"),
        (0.9, np.nan, "shows it with gain 0.90"),
    ],
)
def test_how_it_shows_what_it_knows(gain: float, width: float, expected: str) -> None:
    found = words(L1 | {"gain": gain}, width=width)[0]
    assert expected in found and "nan" not in found


def test_what_it_makes_up_with_its_bounds_and_its_anchor() -> None:
    some = L1 | {"invented": 0.3, "invented_at_least": 0.28}
    assert "and makes up 30.0% (29.5 to 30.5) of the unknown." in words(some)[0]
    wide = words(some | {"invented_at_least": 0.2}, anchor="net")[0]
    assert (
        "and makes up 30.0% (29.5 to 30.5) of the unknown if it knows what net knows, and at "
        "least 20.0% (19.5 to 20.5) if it does not." in wide
    )
    assert "and makes up at least 30.0% (29.5 to 30.5) of the unknown." in words(
        some, anchor=None
    )[0]  # fmt: skip
    # The whole interval counts, not the value.
    assert "next to nothing" in words(L1 | {"invented": 0.04})[0]
    assert "next to nothing" not in words(L1 | {"invented": 0.04}, width=0.02)[0]


def test_without_an_interval_there_is_none_in_the_words() -> None:
    found = words(L1 | {"invented": 0.3}, width=np.nan)[0]
    assert found.startswith("Explains 19.5% of the detail, shows it with gain 1.00, and makes up ")
    assert "nan" not in found and "next to nothing" not in found


def test_who_over_smooths() -> None:
    """Little detail, none made up, and patches that do not look like clean ones."""
    assert "over-smooths" in words(L1)[0]
    assert "over-smooths" not in words(L1, realism=UNSURE)[0]
    assert "over-smooths" not in words(L1 | {"detail_energy": 1.2})[0]
    assert "over-smooths" not in words(L1 | {"invented": 0.2})[0]


@pytest.mark.parametrize(
    ("realism", "expected"),
    [
        (LIKE, "Its patches look like clean ones."),
        (UNLIKE, "Its patches do not look like clean ones."),
        (UNSURE, "Whether its patches look like clean ones is undecided: critic cannot tell."),
        (
            Realism("undecided", dict.fromkeys(("sparsity", "features", "critic"), "undecided")),
            "is undecided: sparsity, features and critic cannot tell.",
        ),
        (Realism("undecided", {"sparsity": "like"}), "is undecided: too few referees judged them."),
        (
            Realism("unlike", {"sparsity": "like", "critic": "unlike"}),
            "Its patches do not look like clean ones, though sparsity takes them for clean.",
        ),
        (
            Realism("unlike", {"sparsity": "like", "subbands": "like", "critic": "unlike"}),
            "clean ones, though sparsity and subbands take them for clean.",
        ),
    ],
)  # fmt: skip
def test_what_the_referees_say(realism: Realism, expected: str) -> None:
    assert words(L1, realism=realism)[0].endswith(expected)


def test_the_ground_truth_and_an_interpolation() -> None:
    truth = L1 | {"explained": 1.0, "invented": np.nan, "detail_energy": 1.0}
    assert words(truth, width=0.0)[0] == (
        "Explains 100.0% (100.0 to 100.0) of the detail: nothing is left to make up."
    )
    nothing = L1 | {"explained": 0.09, "gain": 0.0, "detail_energy": 0.001}
    assert words(nothing, width=0.001)[0] == (
        "Shows no detail (0.1% (0.0 to 0.2) of the ground truth's); the LR image alone explains "
        "9.0% (8.9 to 9.1) of it. Its patches do not look like clean ones."
    )


MODELS = {
    "bicubic": (L1 | {"explained": 0.090, "gain": 0.0, "detail_energy": 0.001}, UNLIKE),
    "L1": (L1, UNLIKE),
    "better network": (L1 | {"explained": 0.282, "gain": 1.03, "invented": 0.002}, UNLIKE),
    "DECLoss": (L1 | {"explained": 0.190, "gain": 1.219, "invented": 0.018}, UNLIKE),
    "GAN": (L1 | {"explained": 0.182, "gain": 1.28, "invented": 0.069}, UNLIKE),
    "GAN, DECLoss": (L1 | {"explained": 0.186, "gain": 1.17, "invented": 0.053}, UNLIKE),
    "L1 x 1.5": (L1 | {"gain": 1.5, "invented": 0.003}, UNLIKE),
    "noise": (L1 | {"explained": 0.181, "gain": 0.98, "invented": 0.147}, UNLIKE),
    "sample": (L1 | {"explained": 0.113, "gain": 0.98, "invented": 1.0,
                     "invented_at_least": 0.75}, UNSURE),
    "nearest neighbor": (L1 | {"explained": 0.09, "gain": -0.01, "invented": 0.27}, UNLIKE),
    "ground truth": (L1 | {"explained": 1.0, "invented": np.nan}, LIKE),
}  # fmt: skip


def test_eleven_models_get_eleven_verdicts() -> None:
    """Also with the numbers taken out: the words alone tell most of them apart."""
    found = {name: words(values, L1, realism=realism) for name, (values, realism) in MODELS.items()}
    for one, other in itertools.combinations(found, 2):
        assert found[one][0] != found[other][0], (one, other)
    bare = {"".join(c for c in text[0] if not c.isdigit()) for text in found.values()}
    assert len(bare) >= 7


# --- against the baseline -----------------------------------------------------------------------


def test_more_and_less_known() -> None:
    more = L1 | {"explained": 0.282, "psnr_explained_db": 26.1, "psnr_y": 26.1, "ssim_y": 0.69}
    assert words(more, L1)[1] == (
        "It explains more than base (+8.7%, +4.3 to +13.0 of the detail); better in PSNR-Y and "
        "SSIM-Y."
    )
    assert words(L1, more)[1] == (
        "It explains less than base (-8.7%, -13.0 to -4.3 of the detail); worse in PSNR-Y and "
        "SSIM-Y."
    )
    mixed = more | {"ssim_y": 0.6}
    assert words(mixed, L1)[1].endswith("of the detail); better in PSNR-Y; worse in SSIM-Y.")


def test_as_much_known() -> None:
    same = "It explains as much as base (+0.0%, -0.2 to +0.2 of the detail)"
    assert words(L1, L1)[1] == f"{same}; no fidelity metric differs beyond chance."
    # A difference too small to matter is none, however sure it is.
    little = words(L1 | {"explained": 0.197}, L1)[1]
    assert little.startswith("It explains as much as base (+0.2%, +0.1 to +0.3 of the detail)")
    # An interval that reaches beyond says less.
    unsure = words(L1 | {"explained": 0.25}, L1, chance=("explained",))[1]
    assert unsure.startswith("As far as can be told, it explains as much as base (+5.5%, ")


def test_chance_is_not_a_difference() -> None:
    """Neither a small p nor an interval off zero is enough alone."""
    model = L1 | {"psnr_y": 26.5, "explained": 0.25}
    everything = tuple(L1)
    sure = words(model, L1)[1]
    assert "more than" in sure and "better in PSNR-Y" in sure
    frame = Frame([*rows("base", L1), *rows("model", model, L1, chance=everything)])
    frame["p_adjusted"] = 0.001
    small_p = verdict("model", frame, MEASURES, baseline="base", anchor=None, realism=UNLIKE,
                      reach=REACH)[1]  # fmt: skip
    for text in (words(model, L1, p=0.05)[1], small_p, words(model, L1, chance=everything)[1]):
        assert text.startswith("As far as can be told, it explains as much as base")
        assert text.endswith("no fidelity metric differs beyond chance.")


def test_a_difference_that_is_not_finite() -> None:
    """Such as that of the PSNR to the infinite one of the ground truth."""
    frame = Frame([*rows("base", L1), *rows("model", L1 | {"psnr_y": 30.0}, L1)])
    columns = ["difference", "difference_low", "difference_high", "p_adjusted"]
    frame.loc[frame["model"] == "model", columns] = np.nan
    found = verdict("model", frame, MEASURES, baseline="base", anchor=None, realism=UNLIKE,
                    reach=REACH)[1]  # fmt: skip
    assert found == (
        "As far as can be told, it explains as much as base; no fidelity metric differs beyond "
        "chance."
    )


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {name: st.floats(0.0, 3.0) for name in
         ("st-lpips", "gain", "invented", "invented_at_least", "collapse_index", "detail_energy",
          "manifold_sparsity")}
    )
)  # fmt: skip
def test_no_artifact_is_called_better(changes: dict[str, float]) -> None:
    """Sharpening, noise, compression and blocks may change all of these, and lower the PSNR."""
    found = words(L1 | changes | {"psnr_y": 25.0, "ssim_y": 0.6, "explained": 0.17}, L1)
    assert found[1].endswith("of the detail); worse in PSNR-Y and SSIM-Y.")
    for text in found:
        assert "better" not in text and "more than" not in text
        assert "look like clean ones" not in text.replace("do not look like clean ones", "")


# --- few images ---------------------------------------------------------------------------------


def test_too_few_images_to_test() -> None:
    few = Reach(n_images=5, n_tests=10, smallest_adjusted_p=0.183, images_needed=8)
    better = L1 | {"explained": 0.282, "psnr_y": 26.1}
    assert words(better, L1, reach=few)[1] == (
        "With 5 images no test can be significant (the smallest possible adjusted p is 0.18; 8 "
        "images are needed). Its explained share differs from base's by +8.7%, +4.3 to +13.0 of "
        "the detail."
    )
    endless = Reach(5, 10**6, 1.0, None)
    assert "adjusted p is 1). " in words(better, L1, reach=endless)[1]
    one = Reach(1, 0, 1.0, 6)
    assert words(better, L1, reach=one)[1].startswith("With one image no test can be made. ")
    for reach in (few, endless, one):
        text = words(better, L1, reach=reach)[1]
        assert "beyond chance" not in text and "better" not in text


def test_images_that_suffice_only_if_everything_differs() -> None:
    found = words(L1, L1, reach=Reach(8, 9, 0.022, 7))[1]
    assert found.endswith(
        "no fidelity metric differs beyond chance, but over 8 images and 9 tests a single "
        "difference could not."
    )
    better = words(L1 | {"psnr_y": 26.1}, L1, reach=Reach(8, 9, 0.022, 7))[1]
    assert better.endswith("; better in PSNR-Y.")
