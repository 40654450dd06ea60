"""Checkpoints are whole or not there, harmless to open, and never lost together."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from cooanalysis.errors import RunDirectoryError  # noqa: E402
from cooanalysis.training import checkpoint  # noqa: E402


def state(iteration: int) -> dict[str, Any]:
    return {
        "iteration": iteration, "generator": {"w": torch.arange(2000.0)}, "optimizer": {},
        "precision": {}, "history": [], "window": {}, "seconds": 0.0, "fingerprint": "f",
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in (10, 20, 30):
        checkpoint.save(tmp_path, i, state(i), keep=2)
    return tmp_path


def newest(folder: Path) -> tuple[int | None, list[str]]:
    notes: list[str] = []
    found = checkpoint.newest(folder, "f", notes.append)
    return None if found is None else found["iteration"], notes


def test_the_newest_are_kept(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint-00000020.pt",
        "checkpoint-00000030.pt",
    ]
    assert newest(folder) == (30, [])
    assert newest(folder / "nowhere") == (None, [])


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_file_falls_back_with_one_line(folder: Path, part: float) -> None:
    path = checkpoint.path_of(folder, 30)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    iteration, notes = newest(folder)
    assert iteration == 20 and len(notes) == 1
    assert "checkpoint-00000030.pt is damaged" in notes[0] and "\n" not in notes[0]
    assert "going back to checkpoint-00000020.pt" in notes[0]


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    path = checkpoint.path_of(folder, 30)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert newest(folder)[0] == 20


def test_a_damaged_newer_one_does_not_outlive_a_good_one(folder: Path) -> None:
    checkpoint.path_of(folder, 30).write_bytes(b"damaged")
    checkpoint.save(folder, 25, state(25), keep=1)
    assert [path.name for path in folder.iterdir()] == ["checkpoint-00000025.pt"]
    assert newest(folder) == (25, [])


def test_all_damaged_starts_over(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(os.urandom(500))
    iteration, notes = newest(folder)
    assert iteration is None and "starting over" in notes[-1]


def test_a_checkpoint_is_data_and_runs_no_code(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save(state(30) | {"evil": Evil()}, checkpoint.path_of(folder, 30))
    assert newest(folder)[0] == 20
    checkpoint.path_of(folder, 30).write_bytes(pickle.dumps(Evil()))
    assert newest(folder)[0] == 20
    assert not (tmp_path / "evil").exists()


def test_files_of_something_else_are_not_used(folder: Path) -> None:
    torch.save(state(30) | {"fingerprint": "other"}, checkpoint.path_of(folder, 30))
    assert "another configuration" in newest(folder)[1][0]
    torch.save({"weights": torch.zeros(3)}, checkpoint.path_of(folder, 30))
    assert "does not hold a training state" in newest(folder)[1][0]


def test_a_failed_write_leaves_nothing_and_keeps_what_was(folder: Path) -> None:
    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunDirectoryError, match="No space left on device"):
        checkpoint.write(checkpoint.path_of(folder, 30), fail)
    assert newest(folder)[0] == 30 and not list(folder.glob(".*"))

    def bug(file: object) -> None:
        raise RuntimeError("not about the disk")

    with pytest.raises(RuntimeError, match="not about the disk"):
        checkpoint.write(folder / "x", bug)
