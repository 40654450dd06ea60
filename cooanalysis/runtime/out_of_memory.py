"""Continuing when memory runs out: smaller batches, and the CPU instead of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.runtime.notices import Note, Notice

Arrays = dict[str, NDArray[Any]]

SMALLEST = 16
"""Batches of fewer rows are not retried."""

_PHRASES = ("out of memory", "allocate memory", "bad allocation", "bad_alloc", "cudamalloc",
          "cublas_status_alloc_failed")  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the machine or a GPU ran out of memory.

    NumPy raises a MemoryError; torch an OutOfMemoryError of its own on a GPU and a plain
    RuntimeError on a CPU; FAISS a RuntimeError for either.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("CUDA out of memory"))
    (True, True)
    >>> is_out_of_memory(RuntimeError("out of luck"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _PHRASES)


def in_batches(
    compute: Callable[[slice], Arrays],
    n: int,
    step: str,
    note: Note,
    fall_back: Callable[[], bool] = lambda: False,
) -> Arrays:
    """Compute all ``n`` rows at once, or in batches of half the size until memory suffices.

    Parameters
    ----------
    compute
        Returns arrays of some rows; the values of a row must not depend on other rows.
    n
        Number of rows.
    step
        Code of the computation for the notice, such as ``"measuring_groups"``.
    note
        Called with a notice at every reduction of the batch size.
    fall_back
        Called when batches cannot shrink further; if it returns true, something that needs less
        memory has taken over and all rows are computed again.

    Returns
    -------
    dict
        The arrays of all rows.

    Raises
    ------
    Exception
        Any error of ``compute`` that is not about memory, or when batches cannot shrink further.
    """
    try:
        return _shrinking(compute, n, step, note)
    except Exception as error:
        if not is_out_of_memory(error) or not fall_back():
            raise
    return _shrinking(compute, n, step, note)


def _shrinking(compute: Callable[[slice], Arrays], n: int, step: str, note: Note) -> Arrays:
    size = max(n, 1)
    parts: list[Arrays] = []
    start = 0
    while start < n or not parts:
        try:
            parts.append(compute(slice(start, min(n, start + size))))
        except Exception as error:
            if not is_out_of_memory(error) or size <= SMALLEST:
                raise
            size = max(SMALLEST, size // 2)
        else:
            start += size
            continue
        # Outside the handler: inside it the error keeps the arrays of the failed attempt alive.
        note(Notice("out_of_memory_smaller_batches", {"step": step, "batch_size": size}))
    if len(parts) == 1:
        return parts[0]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
