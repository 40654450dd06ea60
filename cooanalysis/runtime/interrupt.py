"""Ctrl-C between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a process to stop."""


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM, so that a step is never cut in two; a second one is immediate."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    with _handled(remember, STOPPING):
        yield received


class Deferral:
    """Holds Ctrl-C and SIGTERM back from :meth:`begin` to :meth:`end`; pairs of calls may nest.

    Signals that no Python function handles keep their effect, such as a SIGTERM that ends the
    process. In threads other than the main one both methods do nothing, because Python runs
    signal handlers in the main thread only.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._received: list[int] = []
        self._restore = ExitStack()

    def begin(self) -> None:
        """Hold signals back from here on."""
        if not _in_main_thread():
            return
        if self._depth == 0:
            self._received = []
            numbers = [number for number in STOPPING if callable(signal.getsignal(number))]
            self._restore.enter_context(_handled(self._remember, numbers))
        # Only now: if a handler raises before it is replaced, nothing has begun.
        self._depth += 1

    def end(self) -> None:
        """Restore the handlers at the last ``end``, and pass on what has arrived since.

        Raises
        ------
        KeyboardInterrupt
            Or whatever else the restored handlers raise.
        """
        if self._depth == 0 or not _in_main_thread():
            return
        self._depth -= 1
        if self._depth == 0:
            self._restore.close()
            for number in self._received:
                signal.raise_signal(number)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals]
) -> Iterator[None]:
    """Handle some signals differently; in the main thread only, elsewhere nothing changes."""
    if not _in_main_thread():
        yield
        return
    old = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            signal.signal(number, handler)
        yield
    finally:
        # Ctrl-C last: as soon as its handler is back it may raise, and cut this loop short.
        for number in reversed(numbers):
            if (handler_before := old[number]) is not None:  # None: installed by other code in C
                signal.signal(number, handler_before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
