"""Progress of long work: of an analysis, a comparison, a training run, a download."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn


class Progress(Protocol):
    """Where long work reports to."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` steps begins."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Steps of the current stage are done."""
        ...


class Silent:
    """Reports nothing."""

    def start(self, stage: str, total: int) -> None:
        """Ignore."""

    def advance(self, steps: int = 1) -> None:
        """Ignore."""

    def note(self, line: str) -> None:
        """Ignore."""


class ProgressBars(AbstractContextManager["ProgressBars"]):
    """Progress bars on standard error (or in a notebook), one per stage, by rich."""

    def __init__(self) -> None:
        self._bars = self._make()
        self._task: Any = None

    def _make(self) -> RichProgress:
        from rich import progress

        return _bars(
            progress.TextColumn("{task.description:<28}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
        )

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int) -> None:
        """Finish the current bar and open the next."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(stage, total=total)

    def advance(self, steps: int = 1) -> None:
        """Move the current bar."""
        self._bars.advance(self._task, steps)

    def note(self, line: str) -> None:
        """Print one line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)


class TrainingBars(ProgressBars):
    """Progress bars of a training run, which also show iterations per second."""

    def _make(self) -> RichProgress:
        from rich import progress
        from rich.text import Text

        class Speed(progress.ProgressColumn):
            def render(self, task: progress.Task) -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:.2f} it/s")

        return _bars(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            Speed(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
        )


@contextmanager
def download_bar(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of bytes on standard error; it stays there when the block ends.

    Parameters
    ----------
    name
        Of the file.
    done
        Bytes of an earlier attempt.
    total
        Bytes of the file; None if the server does not say.

    Yields
    ------
    Callable
        Moves the bar by a number of bytes.
    """
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with _bars(*columns, transient=False) as bars:
        task = bars.add_task(name, completed=done, total=total)
        yield lambda n_bytes: bars.advance(task, n_bytes)


def _bars(*columns: ProgressColumn, transient: bool = True) -> RichProgress:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    return RichProgress(*columns, console=Console(stderr=True), transient=transient)


class Stopwatch:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the time spent inside the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
