"""Checkpoints: whole or not there, and read without running code."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cooanalysis.errors import RunDirectoryError

FORMAT = 1
"""Of checkpoints; raised when what they hold changes its meaning."""

PATTERN = "checkpoint-*.pt"
_ALWAYS = {"iteration", "generator", "optimizer", "precision", "history", "window", "seconds"}


def path_of(folder: Path, iteration: int) -> Path:
    """Where the checkpoint after so many iterations lies."""
    return folder / f"checkpoint-{iteration:08d}.pt"


def save(folder: Path, iteration: int, state: dict[str, Any], *, keep: int) -> None:
    """Write a checkpoint, then remove all but the newest ``keep``.

    The file is flushed to disk before it gets its name, so that neither a killed process nor a
    full disk leaves a broken one in the place of a good one.

    Raises
    ------
    RunDirectoryError
        If it cannot be written; older checkpoints stay.
    """
    target = path_of(folder, iteration)
    write(target, lambda file: torch.save(state, file))
    found = sorted(folder.glob(PATTERN))
    # What is newer than the newest was damaged: the run went on from one before it.
    known = [path for path in found if path <= target]
    for path in (*known[:-keep], *found[len(known) :]):
        path.unlink(missing_ok=True)


def write(target: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Let ``writer`` fill a file that appears whole or not at all."""
    partial = partial_of(target)
    try:
        with partial.open("wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, RuntimeError) as error:
        # torch turns a failed write into a RuntimeError; any other is no business of the disk.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise RunDirectoryError(
            f"cannot write {target}: {cause.strerror or cause}; earlier checkpoints are intact, "
            "make room and run the same command again"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def partial_of(target: Path) -> Path:
    """Where a file is written before it gets its name."""
    return target.with_name(f".{target.name}.tmp")


def newest(folder: Path, fingerprint: str, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None; says so when a newer one could not.

    Parameters
    ----------
    folder
        Where checkpoints lie.
    fingerprint
        That of the configuration.
    note
        Called with one line for each unusable file.
    """
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for i, path in enumerate(paths):
        try:
            # torch does not look at the checksums in its files.
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise ValueError("wrong checksum")
            with warnings.catch_warnings():  # of pickle protocols; what matters is an error
                warnings.simplefilter("ignore")
                # weights_only: a checkpoint is data and must never run code.
                state = torch.load(path, map_location="cpu", weights_only=True)
            _check(state, fingerprint)
            return dict(state)
        except Exception as error:  # a damaged zip file or pickle raises nearly any class
            reason = (str(error) or type(error).__name__).splitlines()[0]
            back = f"going back to {paths[i + 1].name}" if i + 1 < len(paths) else "starting over"
            note(f"checkpoint {path.name} is damaged ({reason}); {back}")
    return None


def _check(state: Any, fingerprint: str) -> None:
    if not isinstance(state, dict) or not set(state) >= _ALWAYS:
        raise ValueError("it holds no training state")
    if state.get("format", FORMAT) != FORMAT:
        raise ValueError(f"its format is {state['format']!s:.20}, this version reads {FORMAT}")
    if state.get("fingerprint", fingerprint) != fingerprint:
        raise ValueError("it belongs to another configuration")
