"""Tables as a paper needs them: the best value in bold, intervals, and nothing unescaped."""

from __future__ import annotations

import dataclasses
import re
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")  # a comparison imports it

from cooanalysis.comparison.summary_record import MeasureInfo  # noqa: E402
from cooanalysis.report.tables import (  # noqa: E402
    budgets,
    differences,
    headline,
    latex,
    markdown,
    referees,
    write_tables,
)
from cooanalysis.results import Comparison  # noqa: E402
from tests.helpers.fake_comparison import fake_comparison, older  # noqa: E402
from tests.helpers.fake_result import edited  # noqa: E402

KINDS = {"hr": "hr", "bicubic": "bicubic"}
NOTHING = float("nan")

# Name, title, unit, direction and digits; then the value of each model.
PSNR = (("psnr_y", "PSNR-Y", "dB", "higher", 2), (30.0, 29.0, 28.0, np.inf))
LPIPS = (("lpips", "LPIPS", "", "lower", 4), (0.3, 0.2, 0.4, 0.0))
ENERGY = (("energy", "detail energy", "ground truth = 1", "one", 3), (0.7, 1.6, 0.01, 1.0))
INVENTED = (("invented", "invented", "share of the unknown", "none", 3), (0.1, 0.9, 0.0, NOTHING))
MODELS = ("L1", "GAN", "bicubic", "hr")


def compared(
    *measures: tuple[tuple[Any, ...], tuple[float, ...]], names: tuple[str, ...] = MODELS,
    decisions: tuple[str | None, ...] = (), unreliable: tuple[str, ...] = (),
) -> Comparison:  # fmt: skip
    """A comparison of which nothing is there but what its tables need; the first is the baseline.

    All models look like clean images but for ``decisions``, None for runs of older versions.
    Intervals reach from 0.05 below to 0.15 above a value; p is 0.0004, 0.04, 1, 1, …
    """
    keys = ("name", "title", "unit", "direction", "digits")
    rows = []
    for measure, values in measures:
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            finite = np.isfinite(value)
            row: dict[str, Any] = {"model": name, "measure": measure[0], "value": value}
            row |= {"ci_low": value - 0.05 if finite else NOTHING}
            row |= {"ci_high": value + 0.15 if finite else NOTHING}
            difference = value - values[0] if finite and place else NOTHING
            row |= {"difference": difference, "difference_low": difference - 0.05}
            row |= {"difference_high": difference + 0.15}
            row["p_adjusted"] = [0.0004, 0.04, 1.0][min(place, 3) - 1] if place else NOTHING
            rows.append(row)
    summary: Any = SimpleNamespace(
        models=[_model(*pair) for pair in zip_longest(names, decisions, fillvalue="like")],
        unreliable=unreliable,
        kinds={name: KINDS.get(name, "checkpoint") for name in names},
        measures=[MeasureInfo(**dict(zip(keys, measure, strict=True))) for measure, _ in measures],
        baseline=names[0],
    )
    strata = pd.DataFrame({"model": list(names), "stratum": 1, "value": 0.5})
    empty = pd.DataFrame()
    return Comparison(summary, pd.DataFrame(rows), empty, empty, strata, empty, empty, (), {})


def _model(name: str, decision: str | None) -> SimpleNamespace:
    realism = None if decision is None else SimpleNamespace(decision=decision)
    return SimpleNamespace(name=name, kind=KINDS.get(name, "checkpoint"), realism=realism)


# --- the main table -----------------------------------------------------------------------------


def test_cells_hold_value_and_half_of_the_interval() -> None:
    shown, _ = headline(compared(PSNR, LPIPS, ENERGY))
    assert list(shown) == ["model", "PSNR-Y [dB]", "LPIPS", "detail energy [ground truth = 1]"]
    assert shown["model"].tolist() == list(MODELS)
    assert shown["PSNR-Y [dB]"].tolist() == ["30.00 ± 0.10", "29.00 ± 0.10", "28.00 ± 0.10", "∞"]
    assert shown["LPIPS"].tolist()[:2] == ["0.3000 ± 0.1000", "0.2000 ± 0.1000"]
    assert shown["detail energy [ground truth = 1]"].tolist()[2:] == [
        "0.010 ± 0.100",
        "1.000 ± 0.100",
    ]


def test_the_best_is_best_in_its_own_direction() -> None:
    """And neither the ground truth nor plain interpolation takes part."""
    energy = "detail energy [ground truth = 1]"
    assert headline(compared(PSNR, LPIPS, ENERGY))[1] == {
        (0, "PSNR-Y [dB]"), (1, "LPIPS"), (0, energy),
    }  # fmt: skip
    high = (ENERGY[0], (0.3, 1.6, 0.9, 1.0))
    assert headline(compared(high))[1] == {(1, energy)}


@pytest.mark.parametrize(
    ("decisions", "best"),
    [
        (("like", "like"), {(0, "PSNR-Y [dB]"), (1, "LPIPS")}),
        (("like", "undecided"), {(0, "PSNR-Y [dB]"), (1, "LPIPS")}),
        # The GAN has the better LPIPS, and it is said of none: one candidate is not best of one.
        (("like", "unlike"), {(0, "PSNR-Y [dB]")}),
        (("unlike", "unlike"), {(0, "PSNR-Y [dB]")}),
        ((None, None, None, None), {(0, "PSNR-Y [dB]")}),
    ],
)
def test_perceived_quality_is_best_only_among_what_may_be_clean(
    decisions: tuple[str | None, ...], best: set[tuple[int, str]]
) -> None:
    assert headline(compared(PSNR, LPIPS, decisions=decisions))[1] == best


def test_the_third_is_best_where_the_first_is_unlike_clean_images() -> None:
    names = ("L1", "GAN", "other", "hr")
    decided = ("like", "unlike", "undecided")
    assert headline(compared(LPIPS, names=names, decisions=decided))[1] == {(0, "LPIPS")}


def test_what_is_neither_good_nor_bad_is_never_best() -> None:
    shown, best = headline(compared(INVENTED))
    assert best == set()
    assert shown["invented [share of the unknown]"].tolist()[1:] == [
        "0.900 ± 0.100", "0.000 ± 0.100", "–",
    ]  # fmt: skip


def test_what_says_nothing_is_a_dash() -> None:
    comparison = compared(PSNR, LPIPS, unreliable=("lpips",))
    shown, best = headline(comparison)
    assert shown["LPIPS"].tolist() == ["–"] * 4 and best == {(0, "PSNR-Y [dB]")}
    assert set(differences(comparison)["measure"]) == {"PSNR-Y"}


def test_without_an_anchor_what_needs_one_is_a_dash() -> None:
    comparison = fake_comparison()
    summary = edited(comparison.summary, lambda s: s.update(anchor=None))
    assert set(summary.unreliable) == {"gain", "invented", "collapse_index"}
    assert comparison.summary.unreliable == ()
    shown, _ = headline(dataclasses.replace(comparison, summary=summary))
    for title in shown.columns[1:]:
        alone = title.startswith(("gain", "invented [", "collapse"))
        assert (shown[title] == "–").all() == alone, title


def test_votes_and_numbers_of_the_referees() -> None:
    found = referees(fake_comparison())
    assert list(found) == ["model", "like clean images?", "ratio (sparsity)",
                           "two-sample test (features)", "two-sample test (critic)"]  # fmt: skip
    assert found["like clean images?"].tolist() == ["no", "yes", "undecided", "no", "yes"]
    assert found["two-sample test (critic)"][0] == "no: AUC 0.90 (0.85–0.95), d' 1.5 (1.2–1.8)"
    assert found["ratio (sparsity)"][0] == "yes"  # nothing was measured there
    assert referees(older(fake_comparison())).empty


def test_budgets_are_in_8_bit_values() -> None:
    found = budgets(fake_comparison())
    first = found.iloc[1].to_dict()
    assert found["model"].tolist() == ["bicubic", "net", "net-decloss", "gan"]
    assert first == {
        "model": "net", "unknown to all": "130.1", "known to others only": "6.5",
        "wrong gain": "13.0", "made up": "19.5", "remainder": "3.3", "sum": "172.3",
        "closed form": "0.98",
    }  # fmt: skip
    assert budgets(older(fake_comparison())).empty


def test_one_candidate_is_not_the_best_of_one() -> None:
    alone = ((PSNR[0], (30.0, 28.0, np.inf)), ("L1", "bicubic", "hr"))
    shown, best = headline(compared(alone[0], names=alone[1]))
    assert best == set() and len(shown) == 3
    missing = (LPIPS[0], (0.3, NOTHING, 0.1, 0.0))
    assert headline(compared(missing))[1] == set()


def test_what_is_not_finite() -> None:
    shown, best = headline(
        compared((PSNR[0], (NOTHING, np.inf, -np.inf, 20.0, 21.0)), names=(*MODELS, "other"))
    )
    assert shown["PSNR-Y [dB]"].tolist() == ["–", "∞", "-∞", "20.00 ± 0.10", "21.00 ± 0.10"]
    assert (0, "PSNR-Y [dB]") not in best


def test_a_value_without_an_interval() -> None:
    comparison = compared(PSNR)
    comparison.totals.loc[0, ["ci_low", "ci_high"]] = NOTHING
    assert headline(comparison)[0]["PSNR-Y [dB]"].tolist()[:2] == ["30.00", "29.00 ± 0.10"]


def test_models_keep_their_order() -> None:
    """Rows of the totals may lie in any order."""
    comparison = compared(PSNR, LPIPS)
    mixed = comparison.totals.sample(frac=1.0, random_state=0)
    object.__setattr__(comparison, "totals", mixed)
    pd.testing.assert_frame_equal(headline(comparison)[0], headline(compared(PSNR, LPIPS))[0])


# --- differences --------------------------------------------------------------------------------


def test_differences() -> None:
    found = differences(compared(PSNR, LPIPS))
    assert found.to_dict("list") == {
        # The ground truth's PSNR is infinite, and has no difference.
        "model": ["GAN", "GAN", "bicubic", "bicubic", "hr"],
        "measure": ["PSNR-Y", "LPIPS", "PSNR-Y", "LPIPS", "LPIPS"],
        "difference": ["-1.00", "-0.1000", "-2.00", "+0.1000", "-0.3000"],
        "95 % interval": [
            "-1.05 to -0.85", "-0.1500 to +0.0500", "-2.05 to -1.85", "+0.0500 to +0.2500",
            "-0.3500 to -0.1500",
        ],
        "adjusted p": ["< 0.001", "< 0.001", "0.040", "0.040", "1.000"],
    }  # fmt: skip


def test_a_difference_that_was_not_tested() -> None:
    comparison = compared(PSNR)
    comparison.totals["p_adjusted"] = NOTHING
    assert differences(comparison)["adjusted p"].tolist() == ["–", "–"]


def test_a_difference_without_an_interval() -> None:
    comparison = compared(PSNR)
    comparison.totals["difference_low"] = NOTHING
    found = differences(comparison)
    assert found["difference"].tolist() == ["-1.00", "-2.00"]
    assert found["95 % interval"].tolist() == ["–", "–"]


def test_a_baseline_alone_has_an_empty_table() -> None:
    found = differences(compared((PSNR[0], (30.0,)), names=("L1",)))
    assert found.empty and found.shape[1] == 5
    assert markdown(found).count("\n") == 2
    assert latex_rows(latex(found)) == []


# --- Markdown -----------------------------------------------------------------------------------


def test_markdown() -> None:
    frame = pd.DataFrame({"model": ["a", "b|c"], "x": ["1.0 ± 0.1", "–"]})
    assert markdown(frame, {(0, "x"), (1, "model")}) == (
        "| model | x |\n| --- | --- |\n| a | **1.0 ± 0.1** |\n| **b\\|c** | – |\n"
    )


NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(st.lists(NAMES.filter(lambda name: "\\" not in name), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_markdown_has_as_many_cells_in_every_row(names: list[str]) -> None:
    lines = markdown(pd.DataFrame({"model": names, "x": "1"}), {(0, "model")}).split("\n")
    assert len(lines) == len(names) + 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:-1]} == {3}


# --- LaTeX --------------------------------------------------------------------------------------


def latex_rows(text: str) -> list[list[str]]:
    """Cells of the rows between \\midrule and \\bottomrule, as LaTeX splits them."""
    body = text.split("\\midrule\n", 1)[1].rsplit("\\bottomrule\n", 1)[0]
    return [re.split(r"(?<!\\)&", row) for row in body.split(" \\\\\n")[:-1]]


def test_latex() -> None:
    frame = pd.DataFrame({"model": ["L1", "GAN"], "x [%]": ["1.0 ± 0.1", "∞"], "y": ["–", "2"]})
    assert latex(frame, {(0, "x [%]")}) == "\n".join(
        [
            r"\begin{tabular}{lrr}",
            r"\toprule",
            r"model & x [\%] & y \\",
            r"\midrule",
            r"L1 & \textbf{1.0 $\pm$ 0.1} & -- \\",
            r"GAN & $\infty$ & 2 \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("50 %", r"50 \%"), ("a_b", r"a\_b"), ("R&D", r"R\&D"), ("#1", r"\#1"), ("$5", r"\$5"),
        ("{x}", r"\{x\}"), ("a~b", r"a\textasciitilde{}b"), ("x^2", r"x\textasciicircum{}2"),
        ("1 ± 2", r"1 $\pm$ 2"), ("∞", r"$\infty$"), ("–", "--"), ("< 0.001", "$<$ 0.001"),
        ("a\\b", r"a\textbackslash{}b"), (r"\%", r"\textbackslash{}\%"),
        (r"\textbf{x}", r"\textbackslash{}textbf\{x\}"), ("L1 + DECLoss", "L1 + DECLoss"),
    ],
)  # fmt: skip
def test_latex_special_characters(text: str, wanted: str) -> None:
    for bold, cell in (((), wanted), ({(0, "model")}, rf"\textbf{{{wanted}}}")):
        written = latex(pd.DataFrame({"model": [text], text: ["1"]}), bold)
        assert latex_rows(written) == [[f"{cell} ", " 1"]]
        assert rf"model & {wanted} \\" in written  # names of columns, too


@given(
    st.lists(st.text(max_size=10) | st.sampled_from(["&", "\\", "\\\\", "\\&", "%", "a & b \\\\"]),
             min_size=1, max_size=4),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_latex_has_as_many_cells_in_every_row(names: list[str], bold: bool) -> None:
    frame = pd.DataFrame({"model": names, "x": "1 ± 2", "y": names})
    written = latex(frame, {(0, "model"), (0, "y")} if bold else ())
    rows = latex_rows(written)
    assert [len(row) for row in rows] == [3] * len(names)
    for row in rows:
        for cell in row:
            # A percent sign that is not escaped would swallow the rest of its line.
            assert not re.search(r"(?<!\\)%", cell)
            groups = re.findall(r"(?<!\\)[{}]", cell)
            assert groups.count("{") == groups.count("}")


# --- files --------------------------------------------------------------------------------------


def test_all_files_are_written(tmp_path: Path) -> None:
    comparison = compared(PSNR, LPIPS, names=("my_model", "GAN|x", "bicubic", "hr"))
    folder = tmp_path / "run" / "tables"
    write_tables(comparison, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "differences.csv", "differences.md", "differences.tex", "models.csv", "models.md",
        "models.tex", "strata.csv",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(folder / "models.csv"), comparison.totals)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "strata.csv"), comparison.strata)
    assert len(pd.read_csv(folder / "differences.csv")) == 5
    text = (folder / "models.md").read_text(encoding="utf-8")
    assert "| my_model | **30.00 ± 0.10** |" in text and "| GAN\\|x |" in text
    tex = (folder / "models.tex").read_text(encoding="utf-8")
    assert "my\\_model & \\textbf{30.00 $\\pm$ 0.10}" in tex
    assert tex.count("\\textbf{") == 2 and tex.count("toprule") == tex.count("bottomrule") == 1
    # In differences nothing is best.
    assert "\\textbf" not in (folder / "differences.tex").read_text(encoding="utf-8")
    assert "**" not in (folder / "differences.md").read_text(encoding="utf-8")


def test_writing_again_replaces(tmp_path: Path) -> None:
    write_tables(compared(PSNR, LPIPS), tmp_path)
    write_tables(compared(PSNR), tmp_path)
    assert "LPIPS" not in (tmp_path / "models.md").read_text(encoding="utf-8")
