"""What the commands share: errors as one line, exit codes, ``--version``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from cooanalysis import __version__
from cooanalysis.errors import CooError

if TYPE_CHECKING:
    from typer import Typer

INTERRUPTED = 130


def show_version(show: bool) -> None:
    """Callback of ``--version``."""
    if show:
        typer.echo(f"cooanalysis {__version__}")
        raise typer.Exit


def run(app: Typer, name: str) -> None:
    """Run a command; errors that the user can mend become one line on standard error."""
    try:
        app()
    except CooError as error:
        message = " ".join(str(error).split())
        print(f"{name}: error: {message}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe went away; not an error of ours, but stdout must not be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
