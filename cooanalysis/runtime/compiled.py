"""Numba, safe to interrupt: Ctrl-C waits until a function is compiled, loaded and cached.

Functions of this package import ``njit`` and ``prange`` from here. A ``KeyboardInterrupt`` raised
within Numba's compiler, or within a callback from LLVM, would be lost, leave a function half
compiled or crash the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba import njit, prange
from numba.core import event

from cooanalysis.runtime.interrupt import Deferral

__all__ = ["announced", "njit", "prange"]


class _Guard(event.Listener):
    """Holds signals back while this thread has Numba's compiler lock or waits for it."""

    def __init__(self) -> None:
        self._deferral = Deferral()

    def on_start(self, event: event.Event) -> None:
        self._deferral.begin()

    def on_end(self, event: event.Event) -> None:
        self._deferral.end()


class _Once(event.Listener):
    """Calls a function at the first event."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def on_start(self, event: event.Event) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def on_end(self, event: event.Event) -> None:
        pass


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """Report once when a function is compiled within the block rather than loaded from a cache.

    Parameters
    ----------
    say
        Called with one line of text.
    """
    line = "compiling numerical kernels once for this machine (a few seconds)"
    with event.install_listener("numba:compile", _Once(lambda: say(line))):
        yield


# Numba announces its lock before it is taken and after it is released, with all that must not be
# interrupted between: compiling, writing to the cache and reading from it.
event.register("numba:compiler_lock", _Guard())
