"""``coo-analyze``.

Exit codes: 0 done; 1 other error; 2 wrong option or value; 3 data set not found or not
downloadable; 4 images unusable or too few; 5 a package is missing; 6 output directory
cannot be used; 8 workers cannot be reached or used; 130 interrupted (the same command resumes).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cooanalysis.analysis.arguments import AnalyzeArguments
from cooanalysis.cli.common import default_out, interruptible, printable, run
from cooanalysis.cli.options import VERSION, Printing, command_of, eager, shows_progress

if TYPE_CHECKING:
    from cooanalysis.results import Result

_HELP = (
    "Measure whether and why super-resolution of these images must over-smooth.\n\n"
    "Groups the high-resolution patches that share a low-resolution patch, and measures their "
    "entropy, how far their center (what a model trained with L1 or L2 outputs) lies from them "
    "and from clean images, how much detail it keeps, and the PSNR that no model which sees only "
    "such a patch can exceed. Writes a run directory with summary.json, groups.parquet, figures "
    "and report.html."
)

_EPILOG = """
[bold]Examples[/bold]

  coo-analyze --dataset sample

  coo-analyze --dataset div2k --out runs/div2k

  coo-analyze --dataset bsd100 --reference path/to/BSDS400 --queries 20000

  coo-analyze --dataset div2k --memory 8 --workers 4

  coo-analyze --dataset my_photos/ --scale 2 --json | jq .psnr_ceiling_db

[bold]Exit codes[/bold]

  0 done, 1 other error, 2 wrong option or value, 3 data set not found,
  4 images unusable, 5 a package is missing, 6 output directory cannot be
  used, 8 workers cannot be reached or used, 130 interrupted (resumes).
"""


def run_self_test(asked: bool) -> None:
    """Callback of ``--self-test``: a table of known answers; exit code 0, or 1 if one fails."""
    if not asked:
        return
    with interruptible("coo-analyze"):
        from rich.console import Console
        from rich.table import Table

        from cooanalysis.cli.self_test import run_checks

        table = Table(title="Known answers on this machine", title_justify="left")
        for heading in ("measure", "known", "measured", "tolerance", "result"):
            table.add_column(
                heading, justify="left" if heading in ("measure", "result") else "right"
            )
        checks = []
        for check in run_checks():
            checks.append(check)
            numbers = (f"{n:.5g}" for n in (check.known, check.measured, check.tolerance))
            verdict = "[green]pass[/]" if check.passed else "[red]FAIL[/]"
            table.add_row(_escape(check.title), *numbers, verdict)
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        failed = sum(not check.passed for check in checks)
        typer.echo(f"{len(checks) - failed} of {len(checks)} pass")
        raise typer.Exit(int(failed > 0))


SELF_TEST = eager(
    "self_test",
    run_self_test,
    "Measure distributions with known answers on this machine, print what passes, and stop; exit "
    "code 1 if anything fails.",
    "Output",
)


@command_of(
    AnalyzeArguments,
    defaults={"dataset": "sample"},
    otherwise={"out": "runs/DATASET-xSCALE"},
    switches=(SELF_TEST, VERSION),
)
def analyze(call: AnalyzeArguments, printing: Printing) -> None:
    with interruptible("coo-analyze"):
        target = Path(call.out or default_out(call.dataset, "", call.scale))
        from cooanalysis.api import analyze as analysis

        result = analysis(**vars(replace(call, out=target, progress=shows_progress(printing))))
        if printing.as_json:
            from cooanalysis.runtime.run_directory import summary_text

            typer.echo(summary_text(result.summary))
        elif not printing.quiet:
            _print_result(result, target)


def _print_result(result: Result, target: Path) -> None:
    """A short table on standard output; warnings on standard error."""
    from rich.console import Console
    from rich.table import Table

    from cooanalysis.report.notices import warnings
    from cooanalysis.report.numbers import NOT_AVAILABLE, Estimated, Number

    summary = result.summary

    def shown(estimate: Estimated, digits: int, unit: str = "") -> str:
        number = Number.of(estimate)
        if number.value is None:
            return NOT_AVAILABLE
        text = f"{number.value:.{digits}f}{unit}"
        if number.low is not None:
            text += f"  ({number.low:.{digits}f} to {number.high:.{digits}f})"
        return text

    title = _escape(
        f"{summary.dataset.title} x{summary.scale}, reference "
        f"{summary.reference.title}: {summary.n_queries:,} queries, "
        f"{summary.n_reference_patches:,} reference patches"
    )
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("measure")
    table.add_column("value  (95 % interval)")
    table.add_row(
        "entropy and center distance (Spearman)",
        shown(summary.spearman_entropy_center_distance, 3),
    )
    for name, entropy in summary.entropy.items():
        flag = "" if entropy.reliability.reliable else "  [yellow]absolute value unreliable[/]"
        table.add_row(f"entropy, {name}", shown(entropy.mean, 3, " nats/dim") + flag)
    ceiling = summary.psnr_ceiling_db
    doubt = "" if ceiling.reliable else "  [yellow]unreliable[/]"
    table.add_row("PSNR ceiling for this patch width", shown(ceiling, 2, " dB") + doubt)
    table.add_row("PSNR of the center", shown(summary.psnr_center_db, 2, " dB"))
    table.add_row("PSNR of bicubic", shown(summary.psnr_bicubic_db, 2, " dB"))
    table.add_row("detail energy the center retains", shown(summary.detail_energy, 3))
    for name, space in summary.manifold.items():
        if space.missing is not None:
            continue
        note = "  [yellow]naive, misleading[/]" if space.warning else ""
        table.add_row(
            f"distance to clean images, center, {name}", shown(space.center_ratio, 2, "x") + note
        )
    if summary.two_sample_auc.center.value is not None:
        table.add_row(
            "distinguished from clean by a classifier (AUC)",
            shown(summary.two_sample_auc.center, 3),
        )
    # A pipe has no width; the table should not break there.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    errors = Console(stderr=True, width=None if sys.stderr.isatty() else 1000)
    for warning in warnings(summary):
        errors.print(f"[yellow]warning:[/] {_escape(warning)}")
    console.print(f"Report: {printable(str(target / 'report.html'))}", markup=False, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command(help=_HELP, epilog=_EPILOG)(analyze)


def main() -> None:
    """Entry point."""
    run(app, "coo-analyze")
