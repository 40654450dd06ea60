"""The experiment on intervals: its worlds, its table, its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.intervals import coverage, false_alarms


@pytest.mark.parametrize("kind", coverage.KINDS)
@pytest.mark.parametrize("world", coverage.WORLDS)
def test_the_known_values_are_those_of_very_many_images(world: str, kind: str) -> None:
    """Sums over 400,000 images, where half a percent is more than five standard errors."""
    draw = coverage.KINDS[kind](coverage.WORLDS[world], np.random.default_rng(0), (1, 400_000))
    tables, measure, _, value = draw
    tolerance = 0.05 * abs(value) if kind.startswith("difference") else 0.01 * abs(value)
    assert float(measure(tables[0].sum(axis=0))) == pytest.approx(value, abs=tolerance)


def test_tables_of_a_few_repetitions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coverage.main(
        ["--repetitions", "3", "--n", "5", "--workers", "1", "--out", str(tmp_path)]
    )  # fmt: skip
    covered = pd.read_csv(tmp_path / "coverage.csv")
    assert len(covered) == len(coverage.KINDS) * len(coverage.WORLDS) + len(coverage.RANKS)
    assert covered[["percentile", "package"]].stack().between(0, 1).all()
    assert (covered["package_mean_width"] > 1).all()
    alarms = pd.read_csv(tmp_path / "false_alarms.csv")
    assert (alarms[alarms["images"] == 5].filter(like=",") == 0).all(axis=None), "2/2^5 > 0.05"
    text = (tmp_path / "coverage.md").read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert "| normal | mean | 5 |" in text


def test_false_alarms_of_verdicts(tmp_path: Path) -> None:
    false_alarms.main(["--comparisons", "2", "--n", "8", "20", "--out", str(tmp_path)])
    text = (tmp_path / "verdicts.md").read_text(encoding="utf-8")
    assert "| lognormal 1 | 20 | 2 |" in text and "All 8 comparisons: " in text
    found = false_alarms.row("normal", 20, 5, seed=0)
    assert found["a fifth more known is noticed"] == 1.0
