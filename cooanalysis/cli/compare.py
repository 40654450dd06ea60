"""``coo-compare``.

Exit codes: those of ``coo-analyze``, and 7 for a model that cannot be used.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cooanalysis.cli.common import default_out, interruptible, printable, run
from cooanalysis.cli.options import Printing, command_of, shows_progress
from cooanalysis.comparison.arguments import CompareArguments
from cooanalysis.models.shipped import WEIGHTS

if TYPE_CHECKING:
    from cooanalysis.results import Comparison

_HELP = (
    "Compare super-resolution models: what each one knows, shows and makes up, and where.\n\n"
    "Measures fidelity, perception, how much of the hidden detail each model explains, how "
    "strongly it shows what is known, how much it makes up, and whether its patches look like "
    "clean images; with intervals and paired tests against a baseline. What is made up is "
    "recognized with an anchor, a PSNR-oriented model. Writes a run directory with summary.json, "
    "models.parquet, patches.parquet, tables, figures and report.html."
)

_EPILOG = f"""
[bold]Models[/bold]

  NAME=WHAT, where WHAT is a checkpoint (.safetensors, .pth, .pt, .ckpt) of
  coo-train or of any architecture that spandrel knows, a folder of images,
  bicubic, hr, or the name of shipped weights:

  {", ".join(WEIGHTS.builtin)}.

  Without NAME=, the file is the name.

[bold]Anchor[/bold]

  What a model makes up is recognized by comparing it with a model that
  makes up nothing: a PSNR-oriented network that knows about as much. By
  default this is the baseline, else another compared model, else a shipped
  network, whichever first behaves like a conditional mean. --anchor names
  another one, and --anchor none does without.

[bold]Examples[/bold]

  coo-compare --dataset sample --model bicubic --model edsr-small-x4-l1 \\
              --model edsr-small-x4-l1-decloss

  coo-compare --dataset bsd100 --reference path/to/BSDS400 --baseline L1 \\
              --model L1=runs/l1/weights.safetensors \\
              --model SwinIR=results/SwinIR/BSD100

[bold]Exit codes[/bold]

  0 done, 1 other error, 2 wrong option or value, 3 data set not found,
  4 images unusable, 5 a package is missing, 6 output directory cannot be
  used, 7 a model cannot be used, 8 workers cannot be reached or used,
  130 interrupted (resumes).
"""


@command_of(
    CompareArguments,
    defaults={"dataset": "sample"},
    otherwise={"out": "runs/compare-DATASET-xSCALE"},
)
def compare(call: CompareArguments, printing: Printing) -> None:
    with interruptible("coo-compare"):
        target = Path(call.out or default_out(call.dataset, "compare-", call.scale))
        from cooanalysis.api import compare as comparison

        result = comparison(**vars(replace(call, out=target, progress=shows_progress(printing))))
        if printing.as_json:
            from cooanalysis.runtime.run_directory import summary_text

            typer.echo(summary_text(result.summary))
        elif not printing.quiet:
            _print_result(result, target)


def _print_result(result: Comparison, target: Path) -> None:
    """Table and verdicts on standard output; warnings on standard error."""
    from rich.console import Console
    from rich.markup import escape as escape_markup
    from rich.table import Table

    from cooanalysis.report.notices import warnings
    from cooanalysis.report.tables import headline

    def escape(text: str) -> str:
        return escape_markup(printable(text))

    summary = result.summary
    shown, best = headline(result)
    dataset = summary.dataset
    title = escape(
        f"{dataset.title} x{summary.scale}: {dataset.n_images} images, "
        f"{summary.n_queries:,} patches (± half of the 95 % interval)"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    for name in shown["model"]:
        table.add_column(escape(str(name)), justify="right")
    for title in shown.columns[1:]:
        cells = [
            f"[bold]{escape(text)}[/]" if (place, title) in best else escape(text)
            for place, text in enumerate(shown[title])
        ]
        table.add_row(escape(title), *cells)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for model in summary.models:
        first, second = model.verdict
        console.print(f"[bold]{escape(model.name)}[/]: {escape(first)}")
        console.print(f"    {escape(second)}")
    errors: Any = Console(stderr=True, width=None if sys.stderr.isatty() else 1000)
    for warning in warnings(summary):
        errors.print(f"[yellow]warning:[/] {escape(warning)}")
    console.print(f"Report: {printable(str(target / 'report.html'))}", markup=False, soft_wrap=True)


app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command(help=_HELP, epilog=_EPILOG)(compare)


def main() -> None:
    """Entry point."""
    run(app, "coo-compare")
