"""Options that several benchmarks share."""

from pathlib import Path
from typing import Annotated, Optional

import typer

DataRoot = Annotated[
    Optional[Path],  # noqa: UP045 - typer evaluates annotations on Python 3.10
    typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
