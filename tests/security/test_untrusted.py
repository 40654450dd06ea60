"""Untrusted files: what would run code is refused, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("spandrel")
pytest.importorskip("lightning_fabric")

from cooanalysis.errors import CooError  # noqa: E402
from experiments.robustness import malicious  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="payloads are POSIX commands")


def test_nothing_of_a_hostile_file_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "files").mkdir()
    tried = 0
    for one in malicious.files(tmp_path / "files", canary):
        refused = False
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                one.load()
            except CooError as error:
                refused = True
                assert "\n" not in str(error).strip(), one.name
        assert not canary.exists(), f"{one.name} ran"
        assert refused or not one.refusal, f"{one.name} was not refused"
        assert not caught, f"{one.name}: {caught[0].message}"
        tried += 1
    assert tried > 120


def test_the_payloads_are_live(tmp_path: Path) -> None:
    """Unpickled without care, they do what they say: a test of dead payloads would test nothing."""
    for name in ("os.system", "exec", "nested in a list", "in a tuple"):
        canary = tmp_path / name
        pickle.loads(pickle.dumps(malicious.payloads(canary)[name]))
        assert canary.exists(), name
    for name in ("GLOBAL", "INST", "OBJ", "STACK_GLOBAL", "through posix"):
        canary = tmp_path / name
        pickle.loads(malicious.opcodes(canary)[name])
        assert canary.exists(), name
    assert os.listdir(tmp_path)
