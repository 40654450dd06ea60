"""The registry and the table of biases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cooanalysis.measures.entropy import ESTIMATORS
from experiments.estimators import bias_table


def test_registry_is_complete() -> None:
    for name, estimator in ESTIMATORS.items():
        assert estimator.name == name
        assert estimator.title and estimator.reference
        assert estimator.min_samples(24) >= 26


def test_bias_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bias_table.main(["--n", "8", "64", "--d", "8", "--trials", "5", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert (tmp_path / "bias_table.md").read_text(encoding="utf-8") == printed
    made = json.loads((tmp_path / "bias_table.json").read_text(encoding="utf-8"))
    assert made["options"]["seed"] == 0 and "numpy" in made["versions"]
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 2 * 8
    assert len({line.count("|") for line in table}) == 1
    assert "too few" in table[2] and "±" in table[3]
