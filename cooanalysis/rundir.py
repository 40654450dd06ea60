"""Run directories: written whole or not at all, resumed after an interruption, locked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cooanalysis.errors import RunDirectoryError
from cooanalysis.npz import read_arrays, write_arrays
from cooanalysis.result import (
    EXAMPLES_FILE,
    EXPLORED_FILE,
    FIGURES_FOLDER,
    GROUPS_FILE,
    MAPS_FILE,
    REPORT_FILE,
    SUMMARY_FILE,
    Result,
    pack_examples,
    read_summary,
)

Arrays = dict[str, NDArray[Any]]

_BUILDING = ".building-"
"""Between the name of a directory and eight characters of tempfile's."""


def write_run(result: Result, directory: Path, *, overwrite: bool = False) -> Path:
    """Write the run directory of an analysis.

    Raises
    ------
    RunDirectoryError
        See :meth:`cooanalysis.result.Result.save`.
    """
    from cooanalysis.plotting import save_figures
    from cooanalysis.report import write_report

    def fill(building: Path) -> None:
        write_summary(building, result.summary)
        result.groups.to_parquet(building / GROUPS_FILE, index=False)
        result.maps.to_parquet(building / MAPS_FILE, index=False)
        pictures_of_groups = pack_examples(result.examples, result.images)
        write_arrays(building / EXAMPLES_FILE, pictures_of_groups, compress=True)
        if result.explored is not None:
            write_arrays(building / EXPLORED_FILE, result.explored.pack(), compress=True)
        drawn = save_figures(result, building / FIGURES_FOLDER)
        pictures = {path.stem: path.read_bytes() for path in drawn if path.suffix == ".png"}
        write_report(result, building / REPORT_FILE, pictures)

    return write_whole(directory, fill, overwrite=overwrite)


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json``."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")


def write_whole(directory: Path, fill: Callable[[Path], None], *, overwrite: bool = False) -> Path:
    """Write a run directory by filling one beside its place and renaming it there.

    Raises
    ------
    RunDirectoryError
        If ``directory`` holds anything else, or cannot be written.
    """
    check_target(directory, overwrite=overwrite)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        building = _beside(directory)
    except OSError as error:
        raise RunDirectoryError(f"cannot write beside {directory}: {error}") from error
    try:
        fill(building)
        building.chmod(0o755)
        if directory.exists():
            old = _beside(directory)
            directory.replace(old)
            try:
                building.replace(directory)
            except BaseException:
                old.replace(directory)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            building.replace(directory)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {directory}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return directory


def _beside(directory: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{directory.name}{_BUILDING}", dir=directory.parent))


def remove_remains(directory: Path) -> None:
    """Remove what a killed process left beside ``directory`` while it wrote it.

    Only for whoever holds the lock of that directory: a living process may be writing otherwise.
    """
    prefix = f".{directory.name}{_BUILDING}"
    for path in directory.parent.iterdir():
        if path.name.startswith(prefix) and len(path.name) == len(prefix) + 8:
            shutil.rmtree(path, ignore_errors=True)


def check_target(directory: Path, *, overwrite: bool) -> None:
    """Refuse to write over anything that is not a run directory of ours."""
    if not directory.name:  # "." and "/" cannot be renamed, nor is there a place beside them
        raise RunDirectoryError(f"{directory} cannot be a run directory; choose another --out")
    try:
        if not directory.exists():
            return
        if not directory.is_dir():
            raise RunDirectoryError(f"{directory} is a file; choose another --out")
        if not any(directory.iterdir()):
            return
    except OSError as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(
            f"{directory} cannot be used ({error.strerror}); choose another --out"
        ) from error
    if not (directory / SUMMARY_FILE).is_file():
        raise RunDirectoryError(
            f"{directory} holds files but is not a run directory; choose another --out"
        )
    if not overwrite:
        raise RunDirectoryError(
            f"{directory} holds a run with another configuration or other data; "
            "choose another --out or add --overwrite"
        )


def finished_run(directory: Path, fingerprint: str) -> bool:
    """Whether ``directory`` holds a finished run with this fingerprint."""
    if not (directory / SUMMARY_FILE).is_file():
        return False
    try:
        return bool(read_summary(directory).get("fingerprint") == fingerprint)
    except RunDirectoryError:
        return False


class Checkpoints:
    """Finished pieces of an unfinished run, so that it resumes where it stopped.

    Without a folder nothing is kept. With one, each piece is an ``.npz`` file that appears
    by a rename, so a piece is there whole or not at all.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.reused = 0

    def load_or_compute(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the piece called ``name``, computing it if it is not there (or damaged)."""
        arrays = self.load(name)
        if arrays is None:
            arrays = compute()
            self.keep(name, arrays)
        return arrays

    def load(self, name: str) -> Arrays | None:
        """The piece called ``name``; None if it is not there (or damaged)."""
        if self.folder is None:
            return None
        try:
            arrays = read_arrays(self.folder / f"{name}.npz")
        except (OSError, ValueError):  # not there, or damaged
            return None
        self.reused += 1
        return arrays

    def keep(self, name: str, arrays: Arrays) -> None:
        """Keep a piece for a run that resumes.

        Raises
        ------
        RunDirectoryError
            If it cannot be written.
        """
        if self.folder is None:
            return
        path = self.folder / f"{name}.npz"
        partial = path.with_suffix(".tmp")
        try:
            with partial.open("wb") as file:
                write_arrays(file, arrays)
            partial.replace(path)
        except OSError as error:
            raise RunDirectoryError(f"cannot write {path}: {error}") from error


@contextmanager
def checkpoints(directory: Path | None, fingerprint: str) -> Iterator[Checkpoints]:
    """Open the checkpoints of a run that will end in ``directory``.

    They live in ``<directory>.partial``, are locked against a second process, thrown away
    when they belong to another configuration, kept when the run is interrupted and removed
    when it succeeds.

    Raises
    ------
    RunDirectoryError
        If another process works on the same directory, or it cannot be written.
    """
    if directory is None:
        yield Checkpoints()
        return
    from filelock import FileLock, Timeout

    folder = directory.with_name(directory.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise RunDirectoryError(
            f"another process is working on {directory}; wait for it or choose another --out"
        ) from error
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise RunDirectoryError(f"cannot write {folder}: {error}") from error
    try:
        marker = folder / "fingerprint"
        try:
            remove_remains(directory)
            if not marker.is_file() or marker.read_bytes() != fingerprint.encode():
                for path in folder.glob("*.npz"):
                    path.unlink()
                marker.write_text(fingerprint, encoding="utf-8")
        except OSError as error:
            raise RunDirectoryError(f"cannot write {folder}: {error}") from error
        yield Checkpoints(folder)
        # The result is there: what cannot be removed now is thrown away by the next run.
        with suppress(OSError):
            for path in [*folder.glob("*.npz"), *folder.glob("*.tmp"), marker]:
                path.unlink(missing_ok=True)
    finally:
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
