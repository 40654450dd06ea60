"""Ctrl-C that arrives while Numba compiles, loads or caches a function; deferred signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from cooanalysis.runtime.compiled import announced, njit
from cooanalysis.runtime.interrupt import Deferral, stop_signals
from cooanalysis.runtime.progress import ProgressBars


def press_ctrl_c() -> None:
    """As a terminal does: from outside this thread."""
    send: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    if sys.platform == "win32":
        import _thread

        send = _thread.interrupt_main  # there os.kill ends the process
    thread = threading.Timer(0.01, send)
    thread.start()
    thread.join()


class AtFirst(event.Listener):  # type: ignore[misc]
    """Calls a function at the first start, or end, of an event that belongs to compiling.

    LLVM's lock is also taken when code that other tests compiled is garbage-collected, where
    Python ignores every exception.
    """

    def __init__(self, call: Callable[[], None], *, at_end: bool = False) -> None:
        self.calls, self.at_end = [call], at_end

    def on_start(self, event: event.Event) -> None:
        if not self.at_end:
            self._call(event)

    def on_end(self, event: event.Event) -> None:
        if self.at_end:
            self._call(event)

    def _call(self, event: event.Event) -> None:
        compiling = event.kind != "numba:llvm_lock" or global_compiler_lock.is_locked()
        if compiling and self.calls:
            self.calls.pop()()


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Python's own handler of Ctrl-C, whatever started the tests; none may be left behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.getsignal(signal.SIGTERM)
    yield
    left = signal.signal(signal.SIGINT, before), signal.signal(signal.SIGTERM, terminate)
    assert left == (signal.default_int_handler, terminate)


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Makes a function that nothing has compiled yet, all with the same empty cache."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def total(values: Any) -> float:
        result = 0.0
        for value in values:
            result += value * 2.0
        return result

    return lambda: njit(cache=True)(total)


VALUES = np.arange(4.0)


@pytest.mark.parametrize(
    ("kind", "at_end"),
    [("numba:compiler_lock", False), ("numba:compile", False), ("numba:run_pass", False),
     ("numba:llvm_lock", False), ("numba:compile", True)],
)  # fmt: skip
def test_ctrl_c_waits_until_a_function_is_compiled_and_cached(
    kind: str, at_end: bool, function: Callable[[], Any]
) -> None:
    compiled = function()
    with event.install_listener(kind, AtFirst(press_ctrl_c, at_end=at_end)):
        with pytest.raises(KeyboardInterrupt):
            compiled(VALUES)
    assert len(compiled.signatures) == 1
    again = function()
    assert again(VALUES) == compiled(VALUES) == 12.0
    assert sum(again.stats.cache_hits.values()) == 1


def test_ctrl_c_waits_until_a_function_is_loaded(function: Callable[[], Any]) -> None:
    function()(VALUES)
    loaded = function()
    with event.install_listener("numba:compiler_lock", AtFirst(press_ctrl_c)):
        with pytest.raises(KeyboardInterrupt):
            loaded(VALUES)
    assert sum(loaded.stats.cache_hits.values()) == len(loaded.signatures) == 1
    assert loaded(VALUES) == 12.0


def test_ctrl_c_within_a_step_that_compiles_ends_no_step(function: Callable[[], Any]) -> None:
    with stop_signals() as received:
        with event.install_listener("numba:run_pass", AtFirst(press_ctrl_c)):
            assert function()(VALUES) == 12.0
        assert received == [signal.SIGINT]


def test_a_function_that_does_not_compile_holds_nothing_back() -> None:
    @njit
    def wrong(x: Any) -> Any:
        return x.nothing_of_that_name

    with pytest.raises(numba.TypingError):
        wrong(1)
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_nested_deferral_ends_with_the_outermost() -> None:
    deferral = Deferral()
    deferral.begin()
    deferral.begin()
    press_ctrl_c()
    deferral.end()
    press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        deferral.end()
    deferral.begin()
    deferral.end()  # what arrived before has been passed on, once


def test_only_signals_that_python_handles_are_held_back() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    deferral = Deferral()
    deferral.begin()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    deferral.end()
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    deferral.begin()
    signal.raise_signal(signal.SIGTERM)
    assert received == []
    deferral.end()
    assert received == [signal.SIGTERM]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_other_threads_change_no_handlers() -> None:
    deferral, seen = Deferral(), []

    def elsewhere() -> None:
        deferral.begin()
        with stop_signals() as received:
            seen.append((signal.getsignal(signal.SIGINT), received))
        deferral.end()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [(signal.default_int_handler, [])]


def test_compiling_is_announced_once_and_loading_never(function: Callable[[], Any]) -> None:
    lines: list[str] = []
    compiled = function()
    with announced(lines.append):
        compiled(VALUES)
        compiled(VALUES.astype(np.float32))
        assert len(lines) == 1 and "compiling" in lines[0]
    with announced(lines.append):
        function()(VALUES)
    assert len(lines) == 1


def test_a_note_is_a_line_above_the_bars(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as bars:
        bars.start("searching", 3)
        bars.note("compiling [once]")
    assert "compiling [once]\n" in capsys.readouterr().err
