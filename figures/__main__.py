"""``python -m figures``: regenerate figures and tables from images.

    python -m figures                               # the embedded images, in minutes
    python -m figures --dataset bsd100 --reference BSDS400
    python -m figures --only coo_picture --only power_spectra

If data for a figure are missing, a message says how to get them; the others are drawn anyway. A
directory of results holds, for each figure, PDF, PNG, caption and the underlying numbers, and a
page with all of them, which also says how each was made.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from cooanalysis.errors import CooError
from figures.contract import Inputs, MissingData
from figures.page import record, write_page
from figures.registry import NAMES, module
from figures.writing import write_figure


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder of images.")] = "sample",
    reference: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Data set or folder of the reference images."),
    ] = None,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"A figure or table; may be repeated. One of: {', '.join(NAMES)}."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results/figures"),
    queries: Annotated[int, typer.Option(help="Number of query patches per run.")] = 3000,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
) -> None:
    """Regenerate all figures and tables, or those named."""
    unknown = [name for name in only or [] if name not in NAMES]
    if unknown:
        raise typer.BadParameter(f"unknown figure {unknown[0]}; choose from {', '.join(NAMES)}")
    inputs = Inputs(dataset, reference, data_root, out / "runs", queries, seed)
    written = 0
    for name in only or NAMES:
        started = time.perf_counter()
        try:
            write_figure(name, module(name), inputs, out)
        except MissingData as reason:
            record(out, name, inputs, missing=str(reason))
            typer.echo(f"{name}: not drawn. {reason}", err=True)
            continue
        record(out, name, inputs)
        written += 1
        typer.echo(f"{name}: {time.perf_counter() - started:.0f} s")
    write_page(out)
    typer.echo(f"{written} written to {out}; open {out / 'index.html'}")
    if not written:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        sys.exit(f"figures: {error}")
