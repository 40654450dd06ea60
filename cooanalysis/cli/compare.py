"""``coo-compare``.

Exit codes: those of ``coo-analyze``, and 7 for a model that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cooanalysis.analysis import config
from cooanalysis.cli.common import default_out, interruptible, printable, run, show_version

if TYPE_CHECKING:
    from cooanalysis.results import Comparison

_HELP = (
    "Compare super-resolution models: which one over-smooths, where, and by how much.\n\n"
    "Measures fidelity, perception, how far each model has collapsed onto the center of the "
    "potential high-resolution images, and how far its detail is from that of clean images; with "
    "intervals and paired tests against a baseline. Writes a run directory with summary.json, "
    "models.parquet, patches.parquet, tables, figures and report.html."
)

_EPILOG = """
[bold]Models[/bold]

  NAME=WHAT, where WHAT is a checkpoint (.safetensors, .pth, .pt, .ckpt) of coo-train or of any
  architecture that spandrel knows, a folder of images, bicubic, hr, or one of the shipped
  edsr-small-x4-l1, edsr-small-x4-l1-decloss, edsr-small-x4-ragan, edsr-small-x4-ragan-decloss.
  Without NAME=, the file is the name.

[bold]Examples[/bold]

  coo-compare --dataset sample --model bicubic --model edsr-small-x4-l1 \\
              --model edsr-small-x4-l1-decloss

  coo-compare --dataset bsd100 --reference path/to/BSDS400 --baseline L1 \\
              --model L1=runs/l1/weights.safetensors --model SwinIR=results/SwinIR/BSD100

[bold]Exit codes[/bold]

  0 done, 1 other error, 2 wrong option or value, 3 data set not found, 4 images unusable,
  5 a package is missing, 6 output directory cannot be used, 7 a model cannot be used,
  130 interrupted (resumes).
"""

_DATA, _MODELS, _PATCHES, _OUTPUT = "Data", "Models and metrics", "Patches and groups", "Output"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_DEFAULT = config.AnalysisConfig(dataset="sample")


def compare(
    model: Annotated[
        list[str],
        typer.Option(
            "--model", "-m", help="NAME=WHAT or WHAT, see below; may be repeated.",
            rich_help_panel=_MODELS,
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            help="Images to compare on: a name that coo-analyze takes, or a folder.",
            rich_help_panel=_DATA,
        ),
    ] = "sample",
    reference: Annotated[
        Optional[str],  # noqa: UP045 - typer evaluates annotations on Python 3.10
        typer.Option(
            help="Data set or folder whose patches form the index. Default: the data set itself, "
            "never the query's own image.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Folder that holds the data sets.", envvar="COO_DATA_HOME", rich_help_panel=_DATA
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(help="Download a named data set that is not found.", rich_help_panel=_DATA),
    ] = True,
    scale: Annotated[
        int, typer.Option(help=f"Upscaling factor: {', '.join(map(str, config.SCALES))}.",
                          rich_help_panel=_DATA),
    ] = _DEFAULT.scale,
    baseline: Annotated[
        str,
        typer.Option(
            help="Name of the model that the others are tested against. Default: the first.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    metrics: Annotated[
        str,
        typer.Option(
            help="Comma-separated: psnr_y, ssim_y, psnr_rgb, ssim_rgb, st-lpips, lpips-alex, "
            "lpips-vgg, dists, pyiqa:NAME, or auto: PSNR-Y, SSIM-Y and every learned metric that "
            "can be computed here.",
            rich_help_panel=_MODELS,
        ),
    ] = "auto",
    features: Annotated[
        str,
        typer.Option(
            help="Feature spaces of the manifold ratio, comma-separated; the first one judges: "
            f"{', '.join(config.FEATURE_SPACE_NAMES)}.",
            rich_help_panel=_MODELS,
        ),
    ] = "sparsity,subbands",
    cache: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Folder in which outputs of checkpoints are kept. Default: the user's cache.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Keep no outputs.", rich_help_panel=_MODELS)
    ] = False,
    patch_width: Annotated[
        int, typer.Option(help="Width of an LR patch in LR pixels.", rich_help_panel=_PATCHES)
    ] = _DEFAULT.patch_width,
    stride: Annotated[
        int,
        typer.Option(help="Step between reference patches in LR pixels.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.stride,
    queries: Annotated[
        int,
        typer.Option("--queries", "-n", help="Number of query patches.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.queries,
    k: Annotated[
        int, typer.Option("-k", "--k", help="Members of a group.", rich_help_panel=_PATCHES)
    ] = _DEFAULT.k,
    strata: Annotated[
        int, typer.Option(help="Entropy quantiles to split by.", rich_help_panel=_PATCHES)
    ] = 4,
    crops: Annotated[
        int, typer.Option(help="Places shown side by side.", rich_help_panel=_PATCHES)
    ] = 6,
    map_images: Annotated[
        int, typer.Option(help="Images that get a dense map.", rich_help_panel=_PATCHES)
    ] = _DEFAULT.map_images,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_MODELS)
    ] = _DEFAULT.device,
    seed: Annotated[
        int, typer.Option(help="Seed of everything that is drawn.", rich_help_panel=_PATCHES)
    ] = _DEFAULT.seed,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--out", "-o", help="Run directory to write. Default: runs/compare-DATASET-xSCALE.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a run of another configuration.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=_OUTPUT),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print summary.json on standard output, and nothing else.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:  # fmt: skip
    with interruptible("coo-compare"):
        target = out or default_out(dataset, "compare-", scale)
        from cooanalysis.api import compare as comparison

        result = comparison(
            dataset,
            model,
            reference=reference,
            baseline=baseline,
            metrics=_names(metrics),
            strata=strata,
            crops=crops,
            out=target,
            cache=False if no_cache else cache or True,
            data_root=data_root,
            download=download,
            overwrite=overwrite,
            progress=not (quiet or as_json) and sys.stderr.isatty(),
            scale=scale,
            patch_width=patch_width,
            stride=stride,
            k=k,
            queries=queries,
            features=_names(features),
            map_images=map_images,
            device=device,
            seed=seed,
        )
        if as_json:
            from cooanalysis.runtime.run_directory import summary_text

            typer.echo(summary_text(result.summary))
        elif not quiet:
            _print_result(result, target)


def _print_result(result: Comparison, target: Path) -> None:
    """Table and verdicts on standard output; warnings on standard error."""
    from rich.console import Console
    from rich.markup import escape as escape_markup
    from rich.table import Table

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
    for notice in summary.warnings:
        errors.print(f"[yellow]warning:[/] {escape(str(notice.facts['text']))}")
    console.print(f"Report: {printable(str(target / 'report.html'))}", markup=False, soft_wrap=True)


app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command(help=_HELP, epilog=_EPILOG)(compare)


def main() -> None:
    """Entry point."""
    run(app, "coo-compare")
