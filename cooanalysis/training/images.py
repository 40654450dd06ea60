"""Training images: in memory if they fit, else decoded once and mapped from files."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data import Dataset, ImagePair, data_roots, iter_pairs
from cooanalysis.data.loading import LoadedPair, header_pixels, load_pair
from cooanalysis.errors import RunDirectoryError
from cooanalysis.runtime.environment import thread_limit

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]


def load_training_images(
    datasets: Sequence[Dataset],
    *,
    cache: str | Path | None,
    memory_gib: float,
    note: Callable[[str], None] = lambda line: None,
) -> list[Pair]:
    """All (LR, HR) pairs in color, in the order of the data sets.

    Parameters
    ----------
    datasets
        As :func:`cooanalysis.data.resolve` returns them.
    cache
        Folder for decoded images; None keeps them in memory if they fit.
    memory_gib
        Decoded images of more than this many GiB go to the user's cache folder when ``cache`` is
        None.
    note
        Called with a line when images are decoded into files, which may take minutes.

    Raises
    ------
    ImageError
        If an image cannot be used.
    RunDirectoryError
        If the cache cannot be written.
    """
    if cache is None:
        if decoded_bytes(datasets) <= memory_gib * 2**30:
            return [
                (item.lr, item.hr)
                for dataset in datasets
                for item in iter_pairs(dataset, color="rgb", strict=True)
                if isinstance(item, LoadedPair)
            ]
        cache = data_roots()[-1] / "decoded"
    return _from_files(datasets, Path(cache).expanduser(), note)


def decoded_bytes(datasets: Sequence[Dataset]) -> float:
    """Memory that all images take as uint8, from the headers of the files."""
    return sum(3.0 * header_pixels(each) * (1.0 + 1.0 / each.scale**2) for each in datasets)


def _from_files(
    datasets: Sequence[Dataset], cache: Path, note: Callable[[str], None]
) -> list[Pair]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"cannot write the cache {cache}: {error}") from error
    wanted = [(pair, dataset.scale) for dataset in datasets for pair in dataset.pairs]
    lacking = sum(_mapped(*_files(cache, *item)) is None for item in wanted)
    if lacking:
        note(f"decoding {lacking} images into {cache}")
    # Decoders release the interpreter lock; few threads, because each holds an entire image.
    with ThreadPoolExecutor(max_workers=min(thread_limit(), 8)) as pool:
        futures = [pool.submit(_decoded, cache, *item) for item in wanted]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _decoded(cache: Path, pair: ImagePair, scale: int) -> Pair:
    lr, hr = _files(cache, pair, scale)
    if (found := _mapped(lr, hr)) is not None:
        return found
    loaded = load_pair(pair, scale=scale, color="rgb")
    _write(lr, loaded.lr)
    _write(hr, loaded.hr)
    found = _mapped(lr, hr)
    if found is None:
        raise RunDirectoryError(f"cannot read back files just written to the cache {cache}")
    return found


def _files(cache: Path, pair: ImagePair, scale: int) -> tuple[Path, Path]:
    """Names that change with the content of the images."""
    key = f"{scale}"
    for path in (pair.hr_path, pair.lr_path):
        if path is not None:
            state = path.stat()
            key += f"|{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    name = hashlib.sha256(key.encode()).hexdigest()[:24]
    return cache / f"{name}-lr.npy", cache / f"{name}-hr.npy"


def _mapped(lr: Path, hr: Path) -> Pair | None:
    """Both arrays, or None if one is missing or damaged."""
    try:
        found = np.load(lr, mmap_mode="r"), np.load(hr, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    # np.load also opens archives, whatever the file's suffix.
    good = all(
        isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8
        for image in found
    )
    return found if good else None


def _write(path: Path, array: Image) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with partial.open("wb") as file:
            np.save(file, array)
        partial.replace(path)
    except OSError as error:
        raise RunDirectoryError(f"cannot write the cache {path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
