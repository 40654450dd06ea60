"""The notebooks run from start to end and show what they promise."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import ROOT

pytestmark = pytest.mark.notebooks

FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
NEEDS = {
    "03_your_own_model": ("torch", "safetensors"),
    "04_decloss_in_your_training_loop": ("torch", "safetensors"),
}
PROMISED = {
    "01_first_analysis": ("<iframe", "PSNR"),
    "02_your_own_data": ("images", "report.html"),
    "03_your_own_model": ("<iframe", "sharpened:"),
    "04_decloss_in_your_training_loop": ("weight 0.02, step 60", "collapse_index"),
    "05_estimators_and_their_limits": ("within the tolerance", "pixels"),
}
"""What some output must hold."""


def test_every_notebook_is_listed_in_the_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(NAMES) == set(PROMISED)
    assert all(f"{name}.py" in text for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(400)
def test_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jupytext = pytest.importorskip("jupytext", reason="jupytext reads the notebooks")
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs the notebooks")
    pytest.importorskip("ipykernel", reason="ipykernel runs the notebooks")
    for module in NEEDS.get(name, ()):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{name} needs {module}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # The kernel of this very environment, whatever the machine calls "python3".
    monkeypatch.setenv("JUPYTER_PATH", str(_kernel(tmp_path)))
    notebook = jupytext.read(FOLDER / f"{name}.py")
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="tested", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "\n".join(_text(output) for output in outputs)
    for promised in PROMISED[name]:
        assert promised in shown
    assert any("image/png" in output.get("data", {}) for output in outputs) or name.startswith("02")
    # Warnings of libraries in a notebook that teaches would be noise.
    assert "Traceback" not in shown and "DeprecationWarning" not in shown


def _kernel(folder: Path) -> Path:
    """A folder of kernels with one named ``tested``."""
    import json
    import sys

    home = folder / "jupyter" / "kernels" / "tested"
    home.mkdir(parents=True)
    words = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
             "display_name": "tested", "language": "python"}  # fmt: skip
    (home / "kernel.json").write_text(json.dumps(words), encoding="utf-8")
    return home.parents[1]


def _text(output: Any) -> str:
    data = output.get("data", {})
    return "\n".join(
        [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    )
