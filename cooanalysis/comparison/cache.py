"""Cached outputs of models as PNG files, so that no image is upscaled twice."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data import LoadedPair, data_roots
from cooanalysis.errors import RunDirectoryError
from cooanalysis.models.sources import Source
from cooanalysis.runtime.notices import Note

VERSION = 1
"""Incremented when the outputs of a version would differ from those of the previous one."""

Image = NDArray[np.uint8]


def default_folder() -> Path:
    """The folder of outputs in the user's cache."""
    return data_roots()[-1] / "outputs"


class OutputCache:
    """Outputs on disk, keyed by the model and the LR image.

    Parameters
    ----------
    folder
        The folder of the outputs; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.reused = 0

    def output(self, source: Source, pair: LoadedPair, note: Note) -> Image:
        """The output of a model for an image, computed if it is missing or cannot be read.

        Raises
        ------
        ModelError
            See :meth:`cooanalysis.models.sources.Source.output`.
        RunDirectoryError
            If it cannot be written.
        """
        if self.folder is None or source.key is None or source.kind != "checkpoint":
            return source.output(pair, note)
        path = self.folder / source.key[:16] / f"{_digest(pair)}.png"
        if (kept := _read(path, pair.hr.shape)) is not None:
            self.reused += 1
            return kept
        output = source.output(pair, note)
        _write(path, output)
        return output


def _digest(pair: LoadedPair) -> str:
    found = hashlib.sha256(f"{VERSION}|{pair.lr.shape}|{pair.hr.shape}".encode())
    found.update(np.ascontiguousarray(pair.lr).tobytes())
    return found.hexdigest()[:24]


def _read(path: Path, shape: tuple[int, ...]) -> Image | None:
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as file:
            image = np.array(file)
    except (OSError, SyntaxError, ValueError):
        return None
    return image if image.shape == shape and image.dtype == np.uint8 else None


def _write(path: Path, image: Image) -> None:
    from PIL import Image as Pillow

    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            Pillow.fromarray(image).save(file, format="PNG", compress_level=1)
        partial.replace(path)
    except OSError as error:
        raise RunDirectoryError(f"cannot write the output cache {path.parent}: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
