"""Searching on the CPU where a GPU has too little memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar

from cooanalysis.neighbors.engines import available_engine
from cooanalysis.runtime.notices import Note, Notice
from cooanalysis.runtime.out_of_memory import is_out_of_memory

T = TypeVar("T")


def with_fallback(build: Callable[..., T], engine: str, device: str, note: Note) -> T:
    """Call ``build(engine=..., device=...)``, again for the CPU if a GPU runs out of memory.

    Parameters
    ----------
    build
        Such as :func:`cooanalysis.neighbors.build_index` with its other arguments bound.
    engine, device
        As requested.
    note
        Called with a notice when the CPU takes over.
    """
    try:
        return build(engine=engine, device=device)
    except Exception as error:
        if not is_out_of_memory(error) or available_engine(engine, device) == "faiss-cpu":
            raise
    return build(**cpu(note))


def cpu(note: Note) -> dict[str, Any]:
    """``engine`` and ``device`` of a search on the CPU; reports that the CPU takes over."""
    engine = "faiss-cpu" if importlib.util.find_spec("faiss") is not None else "torch"
    note(Notice("gpu_out_of_memory", {"step": "searching_neighbors", "engine": engine}))
    return {"engine": engine, "device": "cpu"}
