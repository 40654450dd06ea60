"""Searching on the CPU where a GPU has no room."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar

from cooanalysis.neighbors.engines import available_engine
from cooanalysis.runtime.out_of_memory import is_out_of_memory

T = TypeVar("T")


def with_fallback(
    build: Callable[..., T], engine: str, device: str, note: Callable[[str], None]
) -> T:
    """Call ``build(engine=..., device=...)``, once more for the CPU if a GPU runs out of memory.

    Parameters
    ----------
    build
        Such as :func:`cooanalysis.neighbors.build_index` with its other arguments bound.
    engine, device
        As they were asked for.
    note
        Called with a sentence when the CPU takes over.
    """
    try:
        return build(engine=engine, device=device)
    except Exception as error:
        if not is_out_of_memory(error) or available_engine(engine, device) == "faiss-cpu":
            raise
    return build(**cpu(note))


def cpu(note: Callable[[str], None]) -> dict[str, Any]:
    """``engine`` and ``device`` of a search on the CPU; says that it takes over."""
    engine = "faiss-cpu" if importlib.util.find_spec("faiss") is not None else "torch"
    note(f"the GPU ran out of memory; neighbors were searched on the CPU ({engine}), more slowly")
    return {"engine": engine, "device": "cpu"}
