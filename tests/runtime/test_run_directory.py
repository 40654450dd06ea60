"""Run directories: whole or not at all, locked, resumed, never over anything else's files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

import cooanalysis as coo
from cooanalysis.errors import RunDirectoryError
from cooanalysis.results import Result
from cooanalysis.runtime.run_directory import (
    Arrays,
    Checkpoints,
    check_target,
    checkpoints,
    finished_run,
)
from tests.helpers.fake_result import fake_result

FILES = {"summary.json", "groups.parquet", "maps.parquet", "examples.npz", "report.html"}


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result(n=200, n_maps=1, n_examples=1)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds and have their own tests; here only the files' fate matters."""
    monkeypatch.setattr("cooanalysis.plots.save_figures", lambda *_: [])
    monkeypatch.setattr(
        "cooanalysis.report.analysis.write_report",
        lambda _, path, pictures: path.write_text("report"),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- Writing ---------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(result: Result, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    assert result.save(out) == out
    assert set(contents(out)) == FILES
    again = coo.load(out)
    assert again.summary == result.summary
    pd.testing.assert_frame_equal(again.groups, result.groups)
    pd.testing.assert_frame_equal(again.maps, result.maps)
    assert [path.name for path in out.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("file", ["groups.parquet", "maps.parquet", "examples.npz"])
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_truncated_run_is_called_damaged(
    file: str, left: float, result: Result, tmp_path: Path
) -> None:
    path = result.save(tmp_path / "run") / file
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    with pytest.raises(RunDirectoryError, match=r"run is damaged .*--overwrite"):
        coo.load(path.parent)


def test_others_may_read_a_run(result: Result, tmp_path: Path) -> None:
    """It is built in a private temporary folder; the finished one must not stay private."""
    mode = result.save(tmp_path / "run").stat().st_mode
    assert mode & 0o777 == 0o755


def fail(*_: object, **__: object) -> None:
    raise OSError("disk full")


@pytest.mark.parametrize("old", [False, True], ids=["new", "over an old run"])
@pytest.mark.parametrize(
    "step",
    [
        "pandas.DataFrame.to_parquet",
        "numpy.savez_compressed",
        "cooanalysis.report.analysis.write_report",
    ],
)
def test_a_failure_in_the_middle_leaves_what_was_there(
    step: str, old: bool, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    if old:
        result.save(out)
    before = contents(out) if old else None
    monkeypatch.setattr(step, fail)
    with pytest.raises(RunDirectoryError, match=r"cannot write .*run: disk full"):
        result.save(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if old else [])
    assert before is None or contents(out) == before


def test_an_interruption_leaves_nothing_and_is_passed_on(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cooanalysis.report.analysis.write_report", interrupt)
    with pytest.raises(KeyboardInterrupt):
        result.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_the_old_run_comes_back_when_the_new_one_cannot_take_its_place(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = result.save(tmp_path / "run")
    before = contents(out)
    rename, calls = Path.replace, []

    def second_time_unlucky(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("no luck")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", second_time_unlucky)
    with pytest.raises(RunDirectoryError, match="no luck"):
        result.save(out, overwrite=True)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_summary_that_is_not_json_is_our_bug_and_leaves_nothing(
    result: Result, tmp_path: Path
) -> None:
    summary = replace(result.summary, timings_s={"total": float("nan")})
    broken = Result(summary, result.groups, result.maps, (), {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_overwriting_replaces_the_whole_run(result: Result, tmp_path: Path) -> None:
    out = result.save(tmp_path / "run")
    (out / "stale.txt").write_text("from the run before")
    other = Result(replace(result.summary, seed=5), result.groups, result.maps, (), {})
    with pytest.raises(RunDirectoryError, match="another configuration or other data.*--overwrite"):
        other.save(out)
    assert coo.load(out).summary.seed == 0
    other.save(out, overwrite=True)
    assert coo.load(out).summary.seed == 5
    assert set(contents(out)) == FILES


# -- What may be written over ----------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_files_are_never_touched(overwrite: bool, result: Result, tmp_path: Path) -> None:
    folder, file = tmp_path / "thesis", tmp_path / "notes.txt"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    file.write_text("more work")
    with pytest.raises(RunDirectoryError, match=r"thesis holds files but is not a run directory"):
        result.save(folder, overwrite=overwrite)
    with pytest.raises(RunDirectoryError, match=r"notes\.txt is a file"):
        result.save(file, overwrite=overwrite)
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert file.read_text() == "more work"


def test_empty_folders_and_free_places_may_be_written(result: Result, tmp_path: Path) -> None:
    check_target(tmp_path / "nothing", overwrite=False)
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty", overwrite=False)
    result.save(tmp_path / "empty")
    assert set(contents(tmp_path / "empty")) == FILES


@pytest.mark.parametrize("place", [".", "/"])
def test_places_that_cannot_be_renamed(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunDirectoryError, match="cannot be a run directory"):
        check_target(Path(place), overwrite=True)


def test_a_place_below_a_file(result: Result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunDirectoryError, match=r"cannot write next to .*file/run"):
        result.save(tmp_path / "file" / "run")
    with (
        pytest.raises(RunDirectoryError, match=r"cannot write .*run\.partial"),
        checkpoints(tmp_path / "file" / "run", "f"),
    ):
        pass


def test_a_run_is_finished_when_its_fingerprint_matches(result: Result, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert not finished_run(out, result.fingerprint)
    result.save(out)
    assert finished_run(out, result.fingerprint)
    assert not finished_run(out, "another")
    (out / "summary.json").write_text('{"schema')
    assert not finished_run(out, result.fingerprint)


# -- Checkpoints -----------------------------------------------------------------------------


class Work:
    """A piece of work that counts how often it is done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Arrays:
        self.done += 1
        return {"x": np.arange(1000.0), "names": np.array(["a", "bc"])}


def assert_is_work(arrays: dict[str, Any]) -> None:
    expected = Work()()
    assert arrays.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(arrays[key], value)
        assert arrays[key].dtype == value.dtype


def test_a_piece_is_computed_once_and_read_back_the_same(tmp_path: Path) -> None:
    work, kept = Work(), Checkpoints(tmp_path)
    for _ in range(3):
        assert_is_work(kept.load_or_compute("piece", work))
    assert (work.done, kept.reused) == (1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["piece.npz"]


def test_without_a_folder_nothing_is_kept() -> None:
    work = Work()
    for _ in range(2):
        assert_is_work(Checkpoints().load_or_compute("piece", work))
    assert work.done == 2


@pytest.mark.parametrize("left", [0.0, 0.0005, 0.01, 0.5, 0.999])
def test_a_truncated_piece_is_computed_again(left: float, tmp_path: Path) -> None:
    work, kept = Work(), Checkpoints(tmp_path)
    kept.load_or_compute("piece", work)
    path = tmp_path / "piece.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    assert_is_work(kept.load_or_compute("piece", work))
    assert work.done == 2
    assert path.read_bytes() == whole


def test_a_piece_with_a_flipped_bit_is_computed_again(tmp_path: Path) -> None:
    """Anywhere in it: zipfile meets each with another exception."""
    work, kept, path = Work(), Checkpoints(tmp_path), tmp_path / "piece.npz"
    kept.load_or_compute("piece", work)
    whole = path.read_bytes()
    data = whole.index(b"NUMPY") + 500
    flags, method = whole.index(b"PK\x01\x02") + 8, whole.index(b"PK\x01\x02") + 10
    for position in (0, data, flags, method, len(whole) - 22):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        done = work.done
        assert_is_work(kept.load_or_compute("piece", work))
        assert work.done == done + 1, position


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """A checkpoint is data; one that could run code when loaded counts as damaged."""
    trap = np.array([{"not": "an array"}], dtype=object)
    np.savez(tmp_path / "piece.npz", x=trap)
    work = Work()
    assert_is_work(Checkpoints(tmp_path).load_or_compute("piece", work))
    assert work.done == 1


def test_a_failed_computation_or_write_leaves_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        kept.load_or_compute("piece", fail)  # type: ignore[arg-type]
    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(RunDirectoryError, match=r"cannot write .*piece\.npz: disk full"):
        kept.load_or_compute("piece", Work())
    assert not list(tmp_path.glob("*.npz"))


def test_checkpoints_survive_a_failure_and_go_after_success(tmp_path: Path) -> None:
    out, folder = tmp_path / "run", tmp_path / "run.partial"
    work = Work()
    with pytest.raises(KeyboardInterrupt), checkpoints(out, "f") as kept:
        kept.load_or_compute("piece", work)
        raise KeyboardInterrupt
    assert (folder / "piece.npz").is_file()
    with checkpoints(out, "f") as kept:
        kept.load_or_compute("piece", work)
        assert kept.reused == 1
    assert work.done == 1
    assert not folder.exists()


def test_checkpoints_of_another_configuration_are_thrown_away(tmp_path: Path) -> None:
    out, work = tmp_path / "run", Work()
    for fingerprint in ("one", "two", "one"):
        with pytest.raises(KeyboardInterrupt), checkpoints(out, fingerprint) as kept:
            kept.load_or_compute("piece", work)
            raise KeyboardInterrupt
    assert work.done == 3


@pytest.mark.parametrize("marker", [None, b"", b"\xff\xfe", b"two"], ids=str)
def test_checkpoints_of_unknown_origin_are_thrown_away(
    marker: bytes | None, tmp_path: Path
) -> None:
    folder = tmp_path / "run.partial"
    folder.mkdir()
    np.savez(folder / "piece.npz", x=np.zeros(3))
    if marker is not None:
        (folder / "fingerprint").write_bytes(marker)
    with checkpoints(tmp_path / "run", "one") as kept:
        assert_is_work(kept.load_or_compute("piece", Work()))
        assert kept.reused == 0


def test_without_a_directory_there_are_no_checkpoints() -> None:
    with checkpoints(None, "f") as kept:
        assert kept.folder is None


# -- A second process ------------------------------------------------------------------------

HOLDER = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from cooanalysis.runtime.run_directory import checkpoints

    piece = {"x": np.arange(1000.0), "names": np.array(["a", "bc"])}
    with checkpoints(Path(sys.argv[1]), "f") as kept:
        kept.load_or_compute("piece", lambda: piece)
        print("ready", flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_two_processes_cannot_work_on_one_run_and_a_killed_one_leaves_no_lock(
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            with (
                pytest.raises(RunDirectoryError, match=r"another process is working on .*run;"),
                checkpoints(out, "f"),
            ):
                pass
            # The refused one must not have taken anything away.
            assert (tmp_path / "run.partial" / "piece.npz").is_file()
            with checkpoints(tmp_path / "elsewhere", "f"):
                pass
        finally:
            other.send_signal(signal.SIGKILL)
    work = Work()
    with checkpoints(out, "f") as kept:
        assert_is_work(kept.load_or_compute("piece", work))
    assert work.done == 0
