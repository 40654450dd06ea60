"""What an experiment prints is kept beside how it was made."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "keeping.py"


@pytest.fixture(scope="module")
def keeping() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keeping", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_printed_is_kept_with_seed_and_versions(
    keeping: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "some"
    with keeping.kept(out, "table", {"seed": 3, "out": out}):
        print("| ä | 1 |")
    assert capsys.readouterr().out == "| ä | 1 |\n"
    assert (out / "table.md").read_text(encoding="utf-8") == "| ä | 1 |\n"
    made = json.loads((out / "table.json").read_text(encoding="utf-8"))
    assert made["options"]["seed"] == 3 and "numpy" in made["versions"] and made["seconds"] >= 0


def test_nothing_is_kept_of_what_fails(keeping: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), keeping.kept(tmp_path, "table", {}):
        print("half a table")
        raise ValueError("broken")
    assert not list(tmp_path.iterdir())
