"""Keep the output of an experiment, together with how it was made."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from cooanalysis.runtime.environment import versions


class _Both(io.TextIOBase):
    """A stream that passes text on to another stream, and keeps it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return int(self.stream.write(text))

    def flush(self) -> None:
        self.stream.flush()


@contextmanager
def kept(folder: Path, name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Keep all that is printed inside as ``name.md``; options, time and versions as ``name.json``.

    Nothing is kept of an experiment that fails.

    Parameters
    ----------
    folder
        Folder for the results.
    name
        Name of the experiment.
    options
        Its options, including the seed.
    """
    printed = _Both(sys.stdout)
    started = time.perf_counter()
    with redirect_stdout(printed):
        yield
    made = {"options": dict(options), "seconds": round(time.perf_counter() - started, 1),
            "versions": versions()}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(printed.text, encoding="utf-8")
    text = json.dumps(made, indent=1, sort_keys=True, default=str)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"kept in {folder / name}.md", file=sys.stderr)
