"""Run directories: written completely or not at all, resumable, and locked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from numpy.typing import NDArray

from cooanalysis.errors import RunDirectoryError
from cooanalysis.runtime.npz import read_arrays, write_arrays

Arrays = dict[str, NDArray[Any]]

SCHEMA_VERSION: Final = 2
"""Version of the files in a run directory; incremented when a key or column changes its meaning."""

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"

_BUILDING = ".building-"
"""Separates the name of a directory from the eight characters that tempfile appends."""


def summary_text(summary: msgspec.Struct) -> str:
    """A summary as JSON for people and programs, as ``summary.json`` holds it.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    plain = msgspec.to_builtins(summary)
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)


def write_summary(folder: Path, summary: msgspec.Struct) -> None:
    """Write ``summary.json``."""
    (folder / SUMMARY_FILE).write_text(summary_text(summary) + "\n", encoding="utf-8")


def read_plain_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json`` of any version as plain values; only its version is checked.

    Raises
    ------
    RunDirectoryError
        If it is not JSON, or was written by a newer version.
    """
    path = folder / SUMMARY_FILE
    if not path.is_file():
        raise RunDirectoryError(f"{folder} is not a run directory: it has no {SUMMARY_FILE}")
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        version = summary["schema_version"]
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise ValueError(f"the schema version is {version!r:.40}")
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise RunDirectoryError(
            f"{path} cannot be read ({' '.join(str(error).split())}); run the analysis again with "
            "--overwrite"
        ) from error
    if version > SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{path} was written by a newer version of cooanalysis (schema {version}, this one "
            f"reads up to {SCHEMA_VERSION}); upgrade cooanalysis"
        )
    return summary


Summary = TypeVar("Summary", bound=msgspec.Struct)


def checked_summary(folder: Path, plain: dict[str, Any], kind: type[Summary], run: str) -> Summary:
    """Turn plain values into the typed summary.

    Parameters
    ----------
    folder
        The run directory that they are from.
    plain
        The values, of the present version.
    kind
        The record that they must fit.
    run
        ``"analysis"`` or ``"comparison"``.

    Raises
    ------
    RunDirectoryError
        If they do not fit; it names the first field that does not.
    """
    try:
        return msgspec.convert(plain, kind)
    except (ValueError, RecursionError) as error:
        raise damaged(folder / SUMMARY_FILE, error, run) from error


def damaged(path: Path, error: Exception, what: str) -> RunDirectoryError:
    """The error that says that a run directory, or a file in it, cannot be read and what to do."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunDirectoryError(
        f"{path} is damaged ({reason:.300}); run the {what} again with --overwrite"
    )


def write_whole(directory: Path, fill: Callable[[Path], None], *, overwrite: bool = False) -> Path:
    """Write a run directory by filling a temporary one next to it and renaming that.

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
        raise RunDirectoryError(f"cannot write next to {directory}: {error}") from error
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
    """Remove what a killed process left next to ``directory`` while writing it.

    Call this only while holding the lock of that directory: otherwise another process may be
    writing.
    """
    prefix = f".{directory.name}{_BUILDING}"
    for path in directory.parent.iterdir():
        if path.name.startswith(prefix) and len(path.name) == len(prefix) + 8:
            shutil.rmtree(path, ignore_errors=True)


def check_target(directory: Path, *, overwrite: bool) -> None:
    """Refuse to overwrite anything that is not a run directory."""
    if not directory.name:  # "." and "/" cannot be renamed, and have no siblings
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
        return bool(read_plain_summary(directory).get("fingerprint") == fingerprint)
    except RunDirectoryError:
        return False


class Checkpoints:
    """Finished pieces of an unfinished run, so that it resumes where it stopped.

    Without a folder, nothing is kept. With one, each piece is an ``.npz`` file that appears
    by a rename, so a piece is complete or absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.reused = 0

    def load_or_compute(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the piece called ``name``, computing it if it is missing or damaged."""
        arrays = self.load(name)
        if arrays is None:
            arrays = compute()
            self.keep(name, arrays)
        return arrays

    def load(self, name: str) -> Arrays | None:
        """The piece called ``name``; None if it is missing or damaged."""
        if self.folder is None:
            return None
        try:
            arrays = read_arrays(self.folder / f"{name}.npz")
        except (OSError, ValueError):  # missing, or damaged
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

    They live in ``<directory>.partial``, are locked against a second process, deleted
    if they belong to another configuration, kept when the run is interrupted, and removed
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
        # The result is complete: what cannot be removed now is deleted by the next run.
        with suppress(OSError):
            for path in [*folder.glob("*.npz"), *folder.glob("*.tmp"), marker]:
                path.unlink(missing_ok=True)
    finally:
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
