"""``.npz`` files of numbers and text; objects are neither written nor read."""

from __future__ import annotations

import math
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 2**34
"""Most bytes that the arrays of one file may take; larger files are treated as bombs."""

_MAX_ARRAYS = 100_000


def read_arrays(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file, by name. Nothing in it is ever unpickled.

    NumPy allocates as many values as the header of an array announces before it has read one
    of them, so headers are first compared with the content of the file.

    Parameters
    ----------
    path
        The file.
    max_bytes
        The most bytes that all arrays together may take.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is damaged, holds objects, or unpacks to more than ``max_bytes``.
    """
    require_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_ARRAYS or sum(m.file_size for m in members) > max_bytes:
                raise ValueError(f"{path.name} unpacks to more than {max_bytes} bytes")
            found = {}
            for member in members:
                _check_header(archive, member)
                with archive.open(member) as file:
                    found[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                        file, allow_pickle=False
                    )
            return found
    except (OSError, ValueError):
        raise
    except MemoryError as error:
        raise ValueError(f"{path.name} does not fit into memory") from error
    except Exception as error:  # a damaged zip file can raise almost anything
        raise ValueError(f"{path.name}: {error or type(error).__name__}") from error


def write_arrays(
    file: Path | IO[bytes], arrays: Mapping[str, NDArray[Any]], *, compress: bool = False
) -> None:
    """Write arrays as ``.npz``.

    Without the option of ``np.savez`` that forbids objects: before NumPy 2.2 it becomes an array of
    that name.

    Raises
    ------
    OSError
        If it cannot be written.
    TypeError
        If an array holds objects, which could not be read back.
    """
    if odd := [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]:
        raise TypeError(f"objects cannot be kept in an .npz file: {', '.join(odd)}")
    save = np.savez_compressed if compress else np.savez
    save(file, **arrays)  # type: ignore[arg-type]


def require_regular(path: Path) -> None:
    """Refuse files that may never end or that block: pipes, sockets, devices.

    Raises
    ------
    OSError
        If the file does not exist or cannot be accessed.
    ValueError
        If it is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path.name} is not a regular file")


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"{member.filename} has the unknown format {version}")
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds objects, not numbers")
        if any(side < 0 for side in shape):
            raise ValueError(f"{member.filename} has the impossible shape {shape}")
        if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename} does not hold what its header says")
