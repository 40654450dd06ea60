"""Checkpoints: whole or not there, and read without running code."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cooanalysis.errors import RunDirectoryError

PATTERN = "checkpoint-*.pt"


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
    write(target, lambda partial: torch.save(state, partial))
    found = sorted(folder.glob(PATTERN))
    # What is newer than the newest was damaged: the run went on from one before it.
    known = [path for path in found if path <= target]
    for path in (*known[:-keep], *found[len(known) :]):
        path.unlink(missing_ok=True)


def write(target: Path, writer: Callable[[Path], object]) -> None:
    """Let ``writer`` write a file that appears whole or not at all."""
    partial = partial_of(target)
    try:
        writer(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, RuntimeError) as error:
        # torch wraps a failed write in a RuntimeError of many lines.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunDirectoryError(
            f"cannot write {target}: {reason}; is the disk full? Earlier checkpoints are intact"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def partial_of(target: Path) -> Path:
    """Where a file is written before it gets its name."""
    return target.with_name(f".{target.name}.tmp")


def newest(folder: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None; says so when a newer one could not.

    Parameters
    ----------
    folder
        Where checkpoints lie.
    note
        Called with one line for each damaged file.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            # torch does not look at the checksums in its files.
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise ValueError("wrong checksum")
            # weights_only: a checkpoint is data and must never run code.
            state = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and "iteration" in state:
                return state
            raise ValueError("no training state")
        except Exception as error:  # damaged files raise nearly any class of exception
            reason = (str(error) or type(error).__name__).splitlines()[0]
            note(f"checkpoint {path.name} is damaged ({reason}); going back to the one before")
    return None
