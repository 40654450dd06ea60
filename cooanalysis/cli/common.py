"""What the commands share: errors as one line, exit codes, ``--version``."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from cooanalysis._version import __version__
from cooanalysis.errors import CooError, RunDirectoryError

if TYPE_CHECKING:
    from typer import Typer

INTERRUPTED = 130

_TOLD: list[str] = []
"""Commands of this process whose interruption has been reported."""

_FULL = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO")
    if hasattr(errno, name)
}
"""Error numbers of a disk that cannot be written to."""


def show_version(show: bool) -> None:
    """Callback of ``--version``."""
    if show:
        typer.echo(f"cooanalysis {__version__}")
        raise typer.Exit


@contextmanager
def interruptible(name: str) -> Iterator[None]:
    """Ctrl-C at any moment of a command: one line, exit code 130.

    Around all that a command does, imports included: typer would turn it into exit code 1.
    """
    try:
        yield
    except KeyboardInterrupt:
        _say_interrupted(name)
        raise typer.Exit(INTERRUPTED) from None


def _say_interrupted(name: str) -> None:
    _say(f"{name}: interrupted; run the same command again to resume")
    _TOLD.append(name)


@contextmanager
def notices_as_lines(name: str, *, quiet: bool = False) -> Iterator[None]:
    """Show Python warnings that carry a notice as one sentence each on standard error.

    Parameters
    ----------
    name
        Name of the command.
    quiet
        Show none of them.
    """
    from cooanalysis.runtime.notices import NoticeWarning

    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not isinstance(message, NoticeWarning):
                others(message, category, filename, lineno, file, line)
            elif not quiet:
                from cooanalysis.report.notices import sentence

                _say(f"{name}: warning: {sentence(message.notice)}")

        warnings.showwarning = show
        yield


def default_out(dataset: str | Path, prefix: str, scale: int) -> Path:
    """Run directory of a data set where none was named, ``runs/PREFIXNAME-xSCALE``."""
    try:
        name = Path(dataset).resolve().name
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name too long
        name = "unnamed"
    return Path("runs") / f"{prefix}{name}-x{scale}"


def run(app: Typer, name: str) -> None:
    """Run a command; errors that the user can fix become one line on standard error."""
    try:
        try:
            app()
        except SystemExit as ended:
            if ended.code == INTERRUPTED and not _TOLD:
                _say_interrupted(name)  # while typer still read the options: it exits silently
            sys.stdout.flush()  # here, because at interpreter exit a full disk causes a traceback
            raise
    except CooError as error:
        message = " ".join(str(error).split())
        _say(f"{name}: error: {message}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say_interrupted(name)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe went away; not an error of ours, but stdout must not be flushed.
        _discard_stdout()
        sys.exit(1)
    except MemoryError:
        _say(f"{name}: error: out of memory; use a smaller --memory, fewer images or queries")
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f" {error.filename}" if error.filename else ""
        _say(f"{name}: error: cannot write{where}: {error.strerror}; make room and try again")
        _discard_stdout()
        sys.exit(RunDirectoryError.exit_code)


def _say(line: str) -> None:
    with suppress(OSError):
        print(printable(line), file=sys.stderr)


def printable(text: str) -> str:
    r"""Text for a terminal, with control and direction characters and non-text bytes escaped.

    Names of files may hold anything.

    Examples
    --------
    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
