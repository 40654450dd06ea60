"""Killed, interrupted, out of room, not alone, and at odd times: nothing is lost, nothing is half.

The long form of the first two is ``experiments/robustness/kills.py``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)


import cooanalysis as coo
from cooanalysis.errors import RunDirectoryError
from experiments.robustness import kills
from tests.helpers import commands

COMMANDS = [
    "analyze",
    "compare",
    pytest.param("train", marks=pytest.mark.skipif(
        find_spec("lightning_fabric") is None, reason="needs lightning-fabric"
    )),
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("faiss") is None, reason="needs FAISS"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "images"
    kills.write_images(folder)
    return folder


def assert_one_line(done: subprocess.CompletedProcess[str], command: str, code: int) -> None:
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"coo-{command}: "), done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_random_moments(command: str, tmp_path: Path) -> None:
    outcome = kills.torture(command, 2, tmp_path, seed=random.randrange(10**6), warm=False,
                            figures=False)  # fmt: skip
    assert outcome.survived == outcome.kills == 2


def test_ctrl_c_at_a_random_moment(tmp_path: Path) -> None:
    """`make robustness` tries all commands, often, and also while they compile."""
    interrupted = kills.interrupt("analyze", 1, tmp_path, seed=random.randrange(10**6))
    assert interrupted.survived == interrupted.kills == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Any]:
    """Makes file systems of a given size; skips where they cannot be mounted."""
    mounted: list[Path] = []

    def make(kib: int, *options: str) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={kib}k", *options]), "tmpfs", place]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can mount")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(command: str, images: Path, small_disk: Any) -> None:
    """Too small for anything, for the checkpoints, for the result: one line, no partial results."""
    for kib in (8,) if command == "train" else (8, 60, 300):
        out = small_disk(kib) / "run"
        words = kills.arguments(command, images, out)
        done = commands.run(command, *words, figures=True)  # they fill the largest disk
        assert_one_line(done, command, 6)
        assert "No space left" in done.stderr or "free some space" in done.stderr
        if command != "train":
            assert not out.exists()
            beside = [p.name for p in out.parent.iterdir() if p.name.startswith(".run.building")]
            assert not beside
        else:
            assert not (out / "summary.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can mount")
@pytest.mark.parametrize("command", COMMANDS)
def test_read_only_output(command: str, images: Path, small_disk: Any) -> None:
    out = small_disk(100, "ro") / "run"
    done = commands.run(command, *kills.arguments(command, images, out))
    assert_one_line(done, command, 6)
    assert "Read-only" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_nowhere_to_print(images: Path, tmp_path: Path) -> None:
    words = kills.arguments("analyze", images, tmp_path / "run")
    words = ["--json" if word == "--quiet" else word for word in words]
    code = (
        "import sys; from cooanalysis import plots; from cooanalysis.cli.analyze import main\n"
        f"plots.save_figures = lambda *_: []; sys.argv = {['coo-analyze', *words]!r}; main()"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert_one_line(done, "analyze", 6)  # type: ignore[arg-type]
    coo.load(tmp_path / "run")


@pytest.mark.parametrize("command", COMMANDS)
def test_two_runs_on_one_directory(command: str, images: Path, tmp_path: Path) -> None:
    """Concurrent runs: one does the work, the others report that or find it done."""
    out = tmp_path / "run"
    words = kills.arguments(command, images, out)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(commands.run, command, *words) for _ in range(2)]
    ended = [(done.stderr, done.returncode) for done in (future.result() for future in running)]
    codes = sorted(code for _, code in ended)
    assert 0 in codes and set(codes) <= {0, 6}, ended
    for error, code in ended:
        if code == 6:
            assert "another process" in error and len(error.splitlines()) == 1
    assert kills.state(command, out) == "complete"


def test_clocks_that_jump(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {
        "scale": 2, "patch_width": 3, "queries": 100, "k": 16, "stride": 1, "subspace_dim": 4,
        "estimators": ("gaussian",), "features": ("subbands",), "manifold_reference": 200,
        "ceiling_queries": 10, "map_images": 0, "device": "cpu", "out": tmp_path / "run",
    }  # fmt: skip
    copies = tmp_path / "images"
    kills.write_images(copies)
    files = sorted(copies.iterdir())
    for path, stamp in zip(files, (0, 1, 4_000_000_000, 1_000_000_000), strict=True):
        os.utime(path, (stamp, stamp))
    now = iter(range(10**9, 0, -3600))  # an hour back at every look
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    first = coo.analyze(copies, **options)
    assert all(seconds >= 0 for seconds in first.summary.timings_s.values())
    again = coo.analyze(copies, **options)
    assert again.summary == first.summary  # reused
    # A file that changes counts as changed, even where its time goes backwards.
    files[0].write_bytes(files[1].read_bytes())
    os.utime(files[0], (-1000, -1000))
    with pytest.raises(RunDirectoryError, match="another configuration or other data"):
        coo.analyze(copies, **options)


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    from cooanalysis.runtime.run_directory import checkpoints

    left = tmp_path / ".run.building-abcdefgh"
    others = [tmp_path / name for name in (".run.building-x", ".run2.building-abcdefgh", "run3")]
    for folder in (left, *others):
        folder.mkdir()
        (folder / "summary.json").write_text("{}")
    with checkpoints(tmp_path / "run", "fingerprint"):
        pass
    assert not left.exists()
    assert all(folder.exists() for folder in others)
