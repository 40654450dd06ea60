"""Checkpoints: complete or absent, and read without running code."""

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
"""Version of the format; incremented when the meaning of its content changes."""

PATTERN = "checkpoint-*.pt"
_ALWAYS = {"iteration", "generator", "optimizer", "precision", "history", "window", "seconds"}


def path_of(folder: Path, iteration: int) -> Path:
    """Path of the checkpoint after ``iteration`` iterations."""
    return folder / f"checkpoint-{iteration:08d}.pt"


def save(folder: Path, iteration: int, state: dict[str, Any], *, keep: int) -> None:
    """Write a checkpoint, then remove all but the newest ``keep``.

    The file is flushed to disk before it is renamed, so that neither a killed process nor a
    full disk replaces a good checkpoint by a broken one.

    Raises
    ------
    RunDirectoryError
        If it cannot be written; older checkpoints stay.
    """
    target = path_of(folder, iteration)
    write(target, lambda file: torch.save(state, file))
    found = sorted(folder.glob(PATTERN))
    # Checkpoints beyond this iteration were damaged: the run resumed from an earlier one.
    known = [path for path in found if path <= target]
    for path in (*known[:-keep], *found[len(known) :]):
        path.unlink(missing_ok=True)


def write(target: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Let ``writer`` fill a file that appears complete or not at all."""
    partial = partial_of(target)
    try:
        with partial.open("wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, RuntimeError) as error:
        # torch turns a failed write into a RuntimeError; others have nothing to do with the disk.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise RunDirectoryError(
            f"cannot write {target}: {cause.strerror or cause}; earlier checkpoints are intact, "
            "free some space and run the same command again"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def partial_of(target: Path) -> Path:
    """Path under which a file is written before it is renamed."""
    return target.with_name(f".{target.name}.tmp")


def newest(folder: Path, fingerprint: str, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest readable checkpoint, or None; notes newer ones that cannot be read.

    Parameters
    ----------
    folder
        The folder of the checkpoints.
    fingerprint
        That of the configuration.
    note
        Called with one line for each unusable file.
    """
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for i, path in enumerate(paths):
        try:
            # torch does not verify the checksums in its files.
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise ValueError("wrong checksum")
            with warnings.catch_warnings():  # about pickle protocols; problems raise errors
                warnings.simplefilter("ignore")
                # weights_only: a checkpoint is data and must never run code.
                state = torch.load(path, map_location="cpu", weights_only=True)
            _check(state, fingerprint)
            return dict(state)
        except Exception as error:  # a damaged zip file or pickle can raise almost anything
            reason = (str(error) or type(error).__name__).splitlines()[0]
            back = f"going back to {paths[i + 1].name}" if i + 1 < len(paths) else "starting over"
            note(f"checkpoint {path.name} is damaged ({reason}); {back}")
    return None


def _check(state: Any, fingerprint: str) -> None:
    if not isinstance(state, dict) or not set(state) >= _ALWAYS:
        raise ValueError("it does not hold a training state")
    if state.get("format", FORMAT) != FORMAT:
        raise ValueError(f"its format is {state['format']!s:.20}, this version reads {FORMAT}")
    if state.get("fingerprint", fingerprint) != fingerprint:
        raise ValueError("it belongs to another configuration")
