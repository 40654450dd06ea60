"""The experiment on worlds with known answers, on few small images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.worlds import exact


def test_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "CONTEXTS", {9: 7})
    monkeypatch.setattr(exact, "LIBRARY_CONTEXTS", {11: 7})
    monkeypatch.setattr(exact, "PLANE_CONTEXTS", (5,))
    monkeypatch.setattr(exact, "GAINS", (1.5,))
    monkeypatch.setattr(exact, "MIXTURES", (0.0, 1.0))
    exact.main(["--images", "4", "--size", "72", "--out", str(tmp_path)])
    field = pd.read_csv(tmp_path / "gaussian_field.csv")
    assert list(field["output"]) == ["mean", "mean", "sample", "sample"]
    assert list(field["anchor"]) == [9, 7, 9, 7]
    mean = field.iloc[0]
    assert mean["gain"] == pytest.approx(mean["gain, exact"], abs=0.3)
    assert mean["invented"] < 0.2 < 0.7 < field.iloc[2]["invented"]
    library = pd.read_csv(tmp_path / "library.csv")
    assert library["gain, exact"].isna().all()
    plane = pd.read_csv(tmp_path / "plane.csv")
    assert plane["excess"].iloc[0] == pytest.approx(0.0, abs=1e-9)
    assert plane["excess"].iloc[1] > 0.1
    assert "largest deviation" in (tmp_path / "exact.md").read_text(encoding="utf-8")
