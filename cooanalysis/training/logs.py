"""Logs of a run: a table of metrics, and the same for TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cooanalysis.training import checkpoint

Row = dict[str, float]


class History:
    """Metrics of the whole run, one row per report, and the losses since the last row.

    It is part of the checkpoint, so a resumed run neither repeats nor loses a row.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.window: dict[str, list[float]] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Add the losses of one iteration."""
        for name, value in values.items():
            self.window.setdefault(name, []).append(value)

    def close_row(self, iteration: int, more: Mapping[str, float]) -> Row:
        """Turn the losses since the last row into a row of means, with ``more`` columns."""
        row = {"iteration": float(iteration)}
        row |= {name: sum(values) / len(values) for name, values in self.window.items()}
        row |= more
        self.window.clear()
        self.rows.append(row)
        return row

    def write(self, path: Path) -> None:
        """Write the table as CSV."""
        table = pd.DataFrame(self.rows)
        if not table.empty:
            table["iteration"] = table["iteration"].astype(int)
        text = table.to_csv(index=False, lineterminator="\n").encode()
        checkpoint.write(path, lambda file: file.write(text))


class Board:
    """Scalars for TensorBoard, written in this thread.

    tensorboardX's own ``SummaryWriter`` writes in another one, which dies silently on a full disk,
    and the training then waits for it forever. Here a failed write ends only the logging, with one
    line: if the problem is serious, writing a checkpoint will report it.

    Parameters
    ----------
    folder
        Log directory.
    iteration
        Iteration that the run continues from; what an earlier session logged beyond it is hidden.
    note
        Called with one line when the logging ends early.
    """

    def __init__(self, folder: Path, iteration: int, note: Callable[[str], None]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._note = note
        self._writer: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The default name has a resolution of one second, and a resumed run may be faster.
            self._writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        except OSError as error:
            note(f"no TensorBoard log: {error}")
        if iteration > 0:
            start = SessionLog(status=SessionLog.START)
            self._write(step=iteration + 1, session_log=start)

    def add(self, iteration: int, values: Mapping[str, float]) -> None:
        """Log scalars."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self._write(step=iteration, summary=scalar(name, value))
        self.flush()

    def flush(self) -> None:
        """Flush everything to the file system."""
        self._try(lambda: self._writer.flush())

    def close(self) -> None:
        """Write what is left."""
        self._try(lambda: self._writer.close())
        self._writer = None

    def _write(self, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._try(lambda: self._writer.write_event(Event(wall_time=time.time(), **what)))

    def _try(self, action: Callable[[], object]) -> None:
        if self._writer is None:
            return
        try:
            action()
        except OSError as error:
            self._writer = None
            self._note(f"the TensorBoard log ends here: {error}")
