"""The directory of a run: one process at a time, one configuration, no leftovers of another."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cooanalysis.data import Dataset
from cooanalysis.errors import RunDirectoryError
from cooanalysis.training import checkpoint
from cooanalysis.training.config import TrainConfig

WEIGHTS_FILE, METRICS_FILE = "weights.safetensors", "metrics.csv"
CONFIG_FILE, SUMMARY_FILE = "config.yaml", "summary.json"
IMAGES_FOLDER, BOARD_FOLDER = "images", "tensorboard"
_MARKER = "fingerprint"


def is_child() -> bool:
    """Whether another process of the same run, not this one, owns the directory."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0


@contextmanager
def claim(folder: Path, config: TrainConfig, overwrite: bool) -> Iterator[None]:
    """Claim the directory: locked, and without leftovers of another configuration.

    Raises
    ------
    RunDirectoryError
        If another process trains there, or it holds something else, or cannot be written.
    """
    if is_child():
        yield
        return
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise RunDirectoryError(
            f"another process is training in {folder}; wait for it or choose another --out"
        ) from error
    except OSError as error:
        raise RunDirectoryError(f"cannot write {folder}: {error}") from error
    try:
        _prepare(folder, config, overwrite)
        yield
    finally:
        lock.release()


def clear(folder: Path) -> None:
    """Remove the files of a run, and nothing else; the marker of a training folder stays."""
    # The record first: without it, a partly removed run cannot pass for a finished one.
    for name in (SUMMARY_FILE, WEIGHTS_FILE, METRICS_FILE, CONFIG_FILE):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(checkpoint.PATTERN):
        path.unlink()
    for name in (IMAGES_FOLDER, BOARD_FOLDER):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)


def finished(folder: Path, config: TrainConfig) -> dict[str, Any] | None:
    """The record of a finished run with this configuration, or None.

    Raises
    ------
    RunDirectoryError
        If it started from weights other than those in ``config.init`` now.
    """
    path = folder / SUMMARY_FILE
    if not path.is_file() or not (folder / WEIGHTS_FILE).is_file():
        return None
    try:
        summary = dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return None
    if config.init is not None and Path(config.init).is_file():
        check_inputs(folder, {"init": _digest(Path(config.init))}, summary.get("inputs"))
    for path in folder.glob(checkpoint.PATTERN):  # killed before it could clean up
        path.unlink(missing_ok=True)
    return summary


def inputs_of(config: TrainConfig, datasets: Sequence[Dataset]) -> dict[str, str]:
    """Digests of the files that the final weights depend on."""
    found = hashlib.sha256()
    for dataset in datasets:
        for pair in dataset.pairs:
            paths = [path for path in (pair.hr_path, pair.lr_path) if path is not None]
            found.update(repr([(path.name, path.stat().st_size) for path in paths]).encode())
    inputs = {"data": found.hexdigest()[:16]}
    if config.init is not None:
        inputs["init"] = _digest(Path(config.init))
    return inputs


def check_inputs(folder: Path, now: dict[str, str], then: dict[str, str] | None) -> None:
    """Refuse to continue with files other than those that a run began with.

    Raises
    ------
    RunDirectoryError
        If they differ.
    """
    changed = [name for name, value in now.items() if (then or {}).get(name, value) != value]
    if changed:
        what = {"data": "the images of data.train", "init": "the weights file init"}
        raise RunDirectoryError(
            f"{' and '.join(what[name] for name in changed)} changed since the run in {folder} "
            "began; choose another --out or add --overwrite"
        )


def _prepare(folder: Path, config: TrainConfig, overwrite: bool) -> None:
    marker = folder / _MARKER
    wanted = config.fingerprint()
    try:
        ours = marker.read_text(encoding="utf-8", errors="replace") if marker.is_file() else None
        known = (".lock", checkpoint.partial_of(marker).name)
        if ours is None and any(path.name not in known for path in folder.iterdir()):
            raise RunDirectoryError(
                f"{folder} holds files but is not a training directory; choose another --out"
            )
        if ours is not None and ours != wanted and not overwrite:
            raise RunDirectoryError(
                f"{folder} holds a run of another configuration; choose another --out or add "
                "--overwrite"
            )
        if ours != wanted:
            clear(folder)
            # Before all other files: without it, leftovers of a killed process could not be
            # claimed.
            checkpoint.write(marker, lambda file: file.write(wanted.encode()))
        for path in folder.glob(".*.tmp"):  # from a process that was killed while writing
            path.unlink()
        _write_config(folder, config)
    except RunDirectoryError:
        raise
    except OSError as error:
        raise RunDirectoryError(f"cannot write {folder}: {error}") from error


def _write_config(folder: Path, config: TrainConfig) -> None:
    from omegaconf import OmegaConf

    text = OmegaConf.to_yaml(OmegaConf.create(config.as_dict())).encode()
    path = folder / CONFIG_FILE
    if not path.is_file() or path.read_bytes() != text:
        checkpoint.write(path, lambda file: file.write(text))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()[:16]
