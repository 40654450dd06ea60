"""``coo-analyze``.

Exit codes: 0 done; 1 other error; 2 wrong option or value; 3 data set not found or not
downloadable; 4 images unusable or too few; 5 a package is missing; 6 output directory
cannot be used; 8 workers cannot be reached or used; 130 interrupted (the same command resumes).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cooanalysis.analysis import config
from cooanalysis.cli.common import default_out, interruptible, printable, run, show_version

if TYPE_CHECKING:
    from cooanalysis.results import Result

_HELP = (
    "Measure whether and why super-resolution of these images must over-smooth.\n\n"
    "Groups the high-resolution patches that share a low-resolution patch, and measures their "
    "entropy, how far their center (the answer of a model trained with L1 or L2) lies from them "
    "and from clean images, how much detail it keeps, and the PSNR that no model which sees only "
    "such a patch can exceed. Writes a run directory with summary.json, groups.parquet, figures "
    "and report.html."
)

_EPILOG = """
[bold]Examples[/bold]

  coo-analyze --dataset sample

  coo-analyze --dataset div2k --out runs/div2k

  coo-analyze --dataset bsd100 --reference path/to/BSDS400 --queries 20000 --out runs/bsd100

  coo-analyze --dataset div2k --memory 8 --workers 4

  coo-analyze --dataset my_photos/ --scale 2 --json | jq .psnr_ceiling_db

[bold]Exit codes[/bold]

  0 done, 1 other error, 2 wrong option or value, 3 data set not found, 4 images unusable,
  5 a package is missing, 6 output directory cannot be used, 8 workers cannot be reached or used,
  130 interrupted (resumes).
"""

_DATA, _PATCHES, _MEASURES, _SEARCH, _OUTPUT = (
    "Data",
    "Patches and groups",
    "Measures",
    "Neighbor search",
    "Output",
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _joined(names: tuple[Any, ...]) -> str:
    return ", ".join(map(str, names))


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


# Defaults stand in one place, the configuration.
_DEFAULT = config.AnalysisConfig(dataset="sample")


def analyze(
    dataset: Annotated[
        str,
        typer.Option(
            help="Images to analyze: sample, div2k, flickr2k, set5, set14, bsd100, urban100, "
            "manga109, or a folder of images.",
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
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first unusable image instead of skipping it.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    exclude_leaks: Annotated[
        bool,
        typer.Option(
            help="Keep reference images that duplicate a query image from serving it.",
            rich_help_panel=_DATA,
        ),
    ] = True,
    scale: Annotated[
        int,
        typer.Option(help=f"Upscaling factor: {_joined(config.SCALES)}.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.scale,
    patch_width: Annotated[
        int,
        typer.Option(help="Width of an LR patch in LR pixels.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.patch_width,
    stride: Annotated[
        int,
        typer.Option(help="Step between reference patches in LR pixels.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.stride,
    queries: Annotated[
        int,
        typer.Option("--queries", "-n", help="Number of query patches.", rich_help_panel=_PATCHES),
    ] = _DEFAULT.queries,
    grouping: Annotated[
        str,
        typer.Option(
            help="knn: the k nearest LR patches of each query; kmeans: k members of its cell.",
            rich_help_panel=_PATCHES,
        ),
    ] = _DEFAULT.grouping,
    k: Annotated[
        int, typer.Option("-k", "--k", help="Members of a group.", rich_help_panel=_PATCHES)
    ] = _DEFAULT.k,
    clusters: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Cells of --grouping kmeans. Default: a cell per 4k reference patches.",
            rich_help_panel=_PATCHES,
        ),
    ] = None,
    color: Annotated[
        str,
        typer.Option(
            "--color", "--color", help="y (BT.601 luma) or rgb.", rich_help_panel=_PATCHES
        ),
    ] = _DEFAULT.color,
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize/--no-normalize",
            help="Compare patches after removing their LR mean and contrast.",
            rich_help_panel=_PATCHES,
        ),
    ] = _DEFAULT.normalize,
    estimators: Annotated[
        str,
        typer.Option(
            help=f"Entropy estimators, comma-separated: {_joined(config.ESTIMATOR_NAMES)}. The "
            "first one ranks.",
            rich_help_panel=_MEASURES,
        ),
    ] = ",".join(_DEFAULT.estimators),
    subspace_dim: Annotated[
        int,
        typer.Option(
            help="Principal components in which entropy is estimated.", rich_help_panel=_MEASURES
        ),
    ] = _DEFAULT.subspace_dim,
    features: Annotated[
        str,
        typer.Option(
            help="Feature spaces of the manifold distance, comma-separated: "
            f"{_joined(config.FEATURE_SPACE_NAMES)}.",
            rich_help_panel=_MEASURES,
        ),
    ] = ",".join(_DEFAULT.features),
    manifold_reference: Annotated[
        int,
        typer.Option(
            help="Clean patches that stand for the clean manifold.", rich_help_panel=_MEASURES
        ),
    ] = _DEFAULT.manifold_reference,
    ceiling_queries: Annotated[
        int,
        typer.Option(
            help="Queries for the PSNR ceiling (looks at all components).",
            rich_help_panel=_MEASURES,
        ),
    ] = _DEFAULT.ceiling_queries,
    map_images: Annotated[
        int,
        typer.Option(help="Images that get a dense entropy map.", rich_help_panel=_MEASURES),
    ] = _DEFAULT.map_images,
    index: Annotated[
        str, typer.Option(help=f"{_joined(config.INDEX_NAMES)}.", rich_help_panel=_SEARCH)
    ] = _DEFAULT.index,
    recall: Annotated[
        float,
        typer.Option(
            help="Recall@k that an approximate index is tuned to.", rich_help_panel=_SEARCH
        ),
    ] = _DEFAULT.recall,
    engine: Annotated[
        str, typer.Option(help=f"{_joined(config.ENGINE_NAMES)}.", rich_help_panel=_SEARCH)
    ] = _DEFAULT.engine,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_SEARCH)
    ] = _DEFAULT.device,
    memory: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Memory budget in GiB. Default: 60 % of the machine's. Data sets that exceed it "
            "are mapped from files, and the index takes a form that fits.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Worker processes to start on this machine. Default: one process, all cores.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    cluster: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Address of a Dask scheduler whose workers do the heavy parts.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of everything that is drawn.", rich_help_panel=_SEARCH)
    ] = _DEFAULT.seed,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--out",
            "-o",
            help="Run directory to write. Default: runs/DATASET-xSCALE.",
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
            "--json",
            help="Print summary.json on standard output, and nothing else.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test",
            callback=run_self_test,
            is_eager=True,
            help="Measure distributions with known answers on this machine, print what passes, "
            "and stop; exit code 1 if anything fails.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    with interruptible("coo-analyze"):
        target = out or default_out(dataset, "", scale)
        from cooanalysis.api import analyze as analysis

        result = analysis(
            dataset,
            reference=reference,
            out=target,
            data_root=data_root,
            download=download,
            overwrite=overwrite,
            progress=not (quiet or as_json) and sys.stderr.isatty(),
            workers=workers,
            cluster=cluster,
            scale=scale,
            patch_width=patch_width,
            stride=stride,
            k=k,
            queries=queries,
            grouping=grouping,
            clusters=clusters,
            color=color,
            normalize=normalize,
            subspace_dim=subspace_dim,
            estimators=_names(estimators),
            features=_names(features),
            index=index,
            engine=engine,
            device=device,
            recall=recall,
            memory=memory,
            ceiling_queries=ceiling_queries,
            manifold_reference=manifold_reference,
            map_images=map_images,
            exclude_leaks=exclude_leaks,
            strict=strict,
            seed=seed,
        )
        if as_json:
            from cooanalysis.runtime.run_directory import summary_text

            typer.echo(summary_text(result.summary))
        elif not quiet:
            _print_result(result, target)


def _print_result(result: Result, target: Path) -> None:
    """A short table on standard output; warnings on standard error."""
    from rich.console import Console
    from rich.table import Table

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
    for notice in summary.warnings:
        errors.print(f"[yellow]warning:[/] {_escape(str(notice.facts['text']))}")
    console.print(f"Report: {printable(str(target / 'report.html'))}", markup=False, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command(help=_HELP, epilog=_EPILOG)(analyze)


def main() -> None:
    """Entry point."""
    run(app, "coo-analyze")
