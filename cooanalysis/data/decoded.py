"""Decoded images kept in files, for data sets that do not fit into memory.

Decoding a data set and interpolating its LR images takes minutes when it is large, and the arrays
take gigabytes. So they are written once, to a folder in the user's cache that is named after
everything that determines their content, and mapped into memory by every later run. A folder
appears by a rename, complete or not at all; while one process writes it, others wait. Every image
has a checksum, which is verified whenever a folder is opened.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.datasets import Dataset, cache_folder
from cooanalysis.data.loading import (
    Color,
    LoadedPair,
    SkippedImage,
    header_pixels,
    iter_pairs,
)
from cooanalysis.data.patches import PatchStore, image_arrays, image_starts, table_name
from cooanalysis.errors import CacheError, NotEnoughDataError
from cooanalysis.runtime.memory import MemoryBudget

SCHEMA_VERSION = 1
"""Raised whenever decoding, color conversion, interpolation or the files change."""

ARRAYS: dict[str, type[np.generic]] = {"lr": np.uint8, "hr": np.uint8, "detail": np.int16}
_MANIFEST = "decoded.json"
_CHUNK = 2**24

Piece = tuple[tuple[int, int, int], ...]
"""Position of an image in each file: (start, bytes, CRC-32)."""


@dataclass(frozen=True)
class MappedFiles:
    """Files that arrays of a store are mapped from.

    Attributes
    ----------
    maps
        The mappings.
    digest
        Hash of the images' names and contents: equal on machines that see the same.
    folder
        The folder of the files.
    pieces
        The position of each image, keyed by the start of its LR values.
    budget
        The budget beyond which pages are released; None for never.
    """

    maps: tuple[mmap.mmap, ...]
    digest: str
    folder: Path
    pieces: dict[int, Piece]
    budget: MemoryBudget | None

    def keep(self) -> None:
        """Release pages if the budget is nearly used up."""
        if self.budget is not None:
            self.budget.keep(self)

    def verify(self, lr_starts: Iterable[int]) -> None:
        """Check the contents of some images against their checksums.

        Raises
        ------
        CacheError
            If one differs from what was written.
        """
        if not _sound(self.folder, (self.pieces[start] for start in lr_starts)):
            raise CacheError(
                f"the decoded images in {self.folder} are damaged; remove that folder, and they "
                "will be made again"
            )

    def release(self) -> None:
        """Release the pages to the system; they are read again when they are needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for each in self.maps:
                each.madvise(mmap.MADV_DONTNEED)


def decoded_bytes(dataset: Dataset, color: Color) -> int:
    """Size of a data set's decoded images in bytes, from the headers of its files."""
    channels = 1 if color == "y" else 3
    return int(header_pixels(dataset) * channels * (3 + 1 / dataset.scale**2))


def open_decoded(
    dataset: Dataset,
    *,
    color: Color,
    width: int,
    on_image: Callable[[int], None] = lambda steps: None,
    folder: Path | None = None,
    check: bool = True,
    budget: MemoryBudget | None = None,
) -> tuple[PatchStore, list[SkippedImage]]:
    """Map the decoded images of a data set, writing them first where they are missing.

    Parameters
    ----------
    dataset
        As :func:`~cooanalysis.data.datasets.resolve` returns it.
    color
        ``"y"`` or ``"rgb"``.
    width
        LR patch width, in LR pixels, of the store.
    on_image
        Called with the number of images that are ready.
    folder
        Folder of decoded data sets; by default ``decoded`` in the user's cache, or in
        ``COO_CACHE_HOME`` where that environment variable is set.
    check
        Check all contents now, and make damaged files again. Without it only sizes are checked,
        and :meth:`MappedFiles.verify` checks the images that matter.
    budget
        How much memory the process may use; gathering patches respects it.

    Returns
    -------
    tuple
        The store of all images that could be decoded, and those that could not.

    Raises
    ------
    NotEnoughDataError
        If no image is usable.
    CacheError
        If the files cannot be written.
    """
    from filelock import FileLock

    base = cache_folder() / "decoded" if folder is None else folder
    key = _key(dataset, color)
    target = base / key
    try:
        base.mkdir(parents=True, exist_ok=True)
        with FileLock(base / f"{key}.lock"):
            manifest = _intact(target, check)
            if manifest is None:
                _write(dataset, color, target, on_image)
                manifest = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))
            else:
                on_image(len(dataset.pairs))
            return _mapped(target, manifest, dataset.scale, width, budget)
    except OSError as error:
        if isinstance(error, CacheError):
            raise
        raise CacheError(
            f"cannot keep the decoded images of {dataset.name!r} in {base}: {error}; set "
            "COO_CACHE_HOME to a folder with enough space, or use a larger --memory"
        ) from error


def _key(dataset: Dataset, color: Color) -> str:
    contents: list[object] = [SCHEMA_VERSION, dataset.scale, color]
    for pair in dataset.pairs:
        for path in (pair.hr_path, pair.lr_path):
            if path is not None and path.exists():
                state = path.stat()
                contents.append([pair.name, str(path.resolve()), state.st_size, state.st_mtime_ns])
            else:
                contents.append([pair.name, str(path)])
    text = json.dumps(contents)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def _write(dataset: Dataset, color: Color, target: Path, on_image: Callable[[int], None]) -> None:
    needed, free = decoded_bytes(dataset, color), shutil.disk_usage(target.parent).free
    if needed > free:
        raise CacheError(
            f"the decoded images of {dataset.name!r} need {needed / 2**30:.1f} GiB in "
            f"{target.parent}, where {free / 2**30:.1f} GiB are free; set COO_CACHE_HOME to a "
            "folder with enough space, or use a larger --memory"
        )
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        images: list[dict[str, Any]] = []
        skipped: list[dict[str, str]] = []
        channels = 1
        files = {name: (building / f"{name}.bin").open("wb") for name in ARRAYS}
        try:
            for item in iter_pairs(dataset, color=color):
                on_image(1)
                if isinstance(item, SkippedImage):
                    skipped.append(
                        {
                            "name": item.name,
                            "path": os.fspath(item.path),
                            "reason": item.reason,
                        }
                    )
                    continue
                images.append(_append(item, files))
                channels = item.lr.shape[2]
        finally:
            for file in files.values():
                file.close()
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "dataset": dataset.name,
            "scale": dataset.scale,
            "color": color,
            "channels": channels,
            "images": images,
            "skipped": skipped,
        }
        (building / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        if target.exists():  # damaged: see _intact
            shutil.rmtree(target)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _append(pair: LoadedPair, files: dict[str, Any]) -> dict[str, Any]:
    arrays = image_arrays(pair)
    checks = {}
    for name, file in files.items():
        data = arrays[name].data.cast("B")
        checks[name] = zlib.crc32(data)
        file.write(data)
    height, width, _ = pair.lr.shape
    return {
        "name": pair.name,
        "lr_source": pair.lr_source,
        "height": height,
        "width": width,
        "crc32": checks,
    }


def _intact(target: Path, check: bool) -> dict[str, Any] | None:
    """The manifest, if all files are as they were written (or at least long enough)."""
    try:
        manifest: dict[str, Any] = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))
        pieces = _pieces(manifest)
        for number, name in enumerate(ARRAYS):
            size = sum(piece[number][1] for piece in pieces)
            if (target / f"{name}.bin").stat().st_size != size:
                return None
        if check and not _sound(target, pieces):
            return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return manifest


def _pieces(manifest: dict[str, Any]) -> list[Piece]:
    """Position of each image in the files."""
    ends = dict.fromkeys(ARRAYS, 0)
    found = []
    for image in manifest["images"]:
        piece = []
        for name, kind in ARRAYS.items():
            size = image["height"] * image["width"] * manifest["channels"]
            size *= np.dtype(kind).itemsize * (1 if name == "lr" else manifest["scale"] ** 2)
            piece.append((ends[name], size, image["crc32"][name]))
            ends[name] += size
        found.append(tuple(piece))
    return found


def _sound(folder: Path, pieces: Iterable[Piece]) -> bool:
    """Whether some images are as they were written; read from the files, not through the maps,
    whose pages would stay in memory."""
    try:
        with ExitStack() as stack:
            files = [stack.enter_context((folder / f"{name}.bin").open("rb")) for name in ARRAYS]
            return all(
                _crc32(file, start, size) == wanted
                for piece in pieces
                for file, (start, size, wanted) in zip(files, piece, strict=True)
            )
    except OSError:
        return False


def _crc32(file: IO[bytes], start: int, size: int) -> int:
    file.seek(start)
    check = 0
    while size > 0 and (data := file.read(min(size, _CHUNK))):
        check, size = zlib.crc32(data, check), size - len(data)
    return check


def _mapped(
    target: Path, manifest: dict[str, Any], scale: int, width: int, budget: MemoryBudget | None
) -> tuple[PatchStore, list[SkippedImage]]:
    images = manifest["images"]
    skipped = [
        SkippedImage(each["name"], Path(each["path"]), each["reason"])
        for each in manifest["skipped"]
    ]
    if not images:
        reason = f": {skipped[0].reason}" if skipped else ""
        raise NotEnoughDataError(f"no usable image was found{reason}")
    arrays: dict[str, NDArray[Any]] = {}
    maps = []
    for name, kind in ARRAYS.items():
        with (target / f"{name}.bin").open("rb") as file:
            # A private mapping is writable, as compiled kernels require, and never written back.
            opened = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        maps.append(opened)
        arrays[name] = np.frombuffer(opened, dtype=kind)
    heights = np.array([each["height"] for each in images], np.int64)
    widths = np.array([each["width"] for each in images], np.int64)
    lr_start, hr_start = image_starts(heights, widths, manifest["channels"], scale)
    pieces = {piece[0][0]: piece for piece in _pieces(manifest)}
    digest = hashlib.sha256(json.dumps(images).encode()).hexdigest()
    store = PatchStore(
        scale=scale,
        width=width,
        channels=manifest["channels"],
        names=tuple(table_name(each["name"]) for each in images),
        lr_sources=tuple(each["lr_source"] for each in images),
        heights=heights,
        widths=widths,
        lr_start=lr_start,
        hr_start=hr_start,
        mapped=MappedFiles(tuple(maps), digest, target, pieces, budget),
        **arrays,
    )
    return store, skipped
