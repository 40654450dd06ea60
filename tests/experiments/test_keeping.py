"""What an experiment prints is kept beside how it was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import keeping


def test_what_is_printed_is_kept_with_seed_and_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "some"
    with keeping.kept(out, "table", {"seed": 3, "out": out}):
        print("| ä | 1 |")
    assert capsys.readouterr().out == "| ä | 1 |\n"
    assert (out / "table.md").read_text(encoding="utf-8") == "| ä | 1 |\n"
    made = json.loads((out / "table.json").read_text(encoding="utf-8"))
    assert made["options"]["seed"] == 3 and "numpy" in made["versions"] and made["seconds"] >= 0


def test_nothing_is_kept_of_what_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), keeping.kept(tmp_path, "table", {}):
        print("half a table")
        raise ValueError("broken")
    assert not list(tmp_path.iterdir())
