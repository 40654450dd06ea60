"""``coo-train``.

Exit codes: as ``coo-analyze``; 1 also for a loss that is not finite, 7 for a model or weights file
that cannot be used.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cooanalysis.cli.common import interruptible, notices_as_lines, run, show_version

_HELP = (
    "Train a super-resolution network, with or without DECLoss.\n\n"
    "Reads one or several YAML files, later ones over earlier ones, and key=value overrides. The "
    "same command resumes an interrupted run; on the CPU the result is bit by bit that of an "
    "undisturbed one. Writes weights.safetensors, metrics.csv, config.yaml, summary.json, "
    "validation images and TensorBoard logs."
)

_EPILOG = """
[bold]Examples[/bold]

  coo-train --config experiments/decloss/small/start.yaml --out runs/start

  coo-train -c start.yaml -c l1-decloss.yaml iterations=200 losses.1.loss_weight=0.02

  coo-train --config experiments/decloss/full/ragan-decloss.yaml --dry-run

[bold]Exit codes[/bold]

  0 done, 1 other error or a loss that is not finite, 2 wrong configuration, 3 data set not found,
  4 images unusable, 5 a package is missing, 6 output directory cannot be used, 7 weights file
  cannot be used, 130 interrupted (resumes).
"""


def train(
    config: Annotated[
        list[Path], typer.Option("--config", "-c", help="YAML file; may be given several times.")
    ],
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer evaluates annotations on Python 3.10
        typer.Argument(metavar="[KEY=VALUE]...", help="Such as optimizer.learning_rate=1e-4."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", "-o", help="Directory to write. Default: runs/CONFIG."),
    ] = None,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder that holds the data sets.", envvar="COO_DATA_HOME"),
    ] = None,
    download: Annotated[
        bool, typer.Option(help="Download a named data set that is not found.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch, one device each.")
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run of another configuration.")
    ] = False,
    dry: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, estimate time and memory, write nothing."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    with interruptible("coo-train"):
        from cooanalysis.runtime.progress import TrainingBars
        from cooanalysis.training import dry_run, read_config
        from cooanalysis.training import train as training
        from cooanalysis.training.directory import is_child

        # Of several processes, only the first one prints.
        quiet, as_json = quiet or is_child(), as_json and not is_child()

        asked = read_config(config, overrides or [])
        if dry:
            with notices_as_lines("coo-train", quiet=quiet):
                found = dry_run(asked, data_root=data_root, device=device)
            _print_dry_run(found, as_json)
            return
        target = out or Path("runs") / config[-1].stem
        show = not (quiet or as_json) and sys.stderr.isatty()
        bars: Any = TrainingBars() if show else nullcontext()
        with bars as report, notices_as_lines("coo-train", quiet=quiet):
            summary = training(
                asked,
                out=target,
                data_root=data_root,
                download=download,
                device=device,
                devices=devices,
                overwrite=overwrite,
                progress=report,
                note=None if quiet else _note,
            )
        if as_json:
            typer.echo(json.dumps(summary, indent=2))
        elif not quiet:
            shown = ", ".join(
                f"{name} {value:.4g}"
                for name, value in summary["metrics"].items()
                if value is not None
            )
            typer.echo(f"{summary['iterations']} iterations in {summary['seconds']:.0f} s: {shown}")
            typer.echo(f"Weights: {target / 'weights.safetensors'}")


def _note(line: str) -> None:
    typer.echo(f"coo-train: {line}", err=True)


def _print_dry_run(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(
        f"generator: {found['parameters']:,} parameters; discriminator: "
        f"{found['discriminator_parameters']:,}"
    )
    typer.echo(
        f"estimated for whole batches on {found['device']}: {found['seconds_per_iteration']:.2f} s "
        f"an iteration, {found['hours']:.1f} hours in all, {found['memory_bytes'] / 2**30:.1f} GiB"
    )
    for name, count in found["data"].items():
        typer.echo(f"data set {name}: {count} images")
    for line in found["missing"]:
        typer.echo(f"missing: {' '.join(line.split())}")
    ready = "not complete here" if found["missing"] else "ready to run"
    typer.echo(f"The configuration is valid and {ready}; nothing was written.")


app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command(help=_HELP, epilog=_EPILOG)(train)


def main() -> None:
    """Entry point."""
    run(app, "coo-train")


if __name__ == "__main__":
    main()
