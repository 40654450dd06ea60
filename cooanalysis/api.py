"""The calls that users make: :func:`analyze` and :func:`compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.run import run_analysis
from cooanalysis.comparison.cache import OutputCache, default_folder
from cooanalysis.comparison.config import FEATURES, CompareConfig
from cooanalysis.comparison.run import run_comparison
from cooanalysis.measures.entropy.registry import ESTIMATORS
from cooanalysis.metrics import METRICS
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.models.sources import Source, Specification, open_source, parse
from cooanalysis.results import Comparison, Result, load, load_comparison
from cooanalysis.runtime.progress import ProgressBars, Silent
from cooanalysis.runtime.run_directory import check_target, checkpoints, finished_run


def analyze(
    dataset: str | Path,
    *,
    reference: str | Path | None = None,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    download: bool = True,
    overwrite: bool = False,
    progress: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> Result:
    """Measure whether and why super-resolution of these images must over-smooth.

    Parameters
    ----------
    dataset
        Name of a data set (``"sample"``, ``"div2k"``, ``"set14"``, …) or a folder of images.
    reference
        Name or folder whose patches form the index; by default the data set itself, and then
        no query ever meets patches of its own image.
    out
        Run directory to write. A finished run with the same configuration and data is loaded
        instead of being repeated; an interrupted one resumes. Without it nothing is written.
    data_root
        Folder that holds the data sets; else the environment variable ``COO_DATA_HOME``.
    download
        Whether a registered data set may be downloaded when it is not found.
    overwrite
        Whether a run directory of another configuration may be replaced.
    progress
        Whether to draw progress bars on standard error.
    workers
        Number of worker processes to start on this machine; by default all is done in this one.
    cluster
        Address of a Dask scheduler whose workers do the search and the measuring.
    **options
        Fields of :class:`cooanalysis.AnalysisConfig`: ``scale``, ``patch_width``, ``stride``,
        ``k``, ``queries``, ``grouping``, ``color``, ``normalize``, ``estimators``, ``features``,
        ``index``, ``engine``, ``device``, ``seed`` and more.

    Returns
    -------
    Result
        ``result.groups`` (a row a query patch), ``result.summary`` (headline numbers with
        intervals), ``result.plot`` (figures).

    Raises
    ------
    CooError
        One of the classes in :mod:`cooanalysis.errors`, with one sentence that says what is
        wrong, where, and what to do.
    """
    config = AnalysisConfig(
        dataset=str(dataset), reference=None if reference is None else str(reference), **options
    )
    plan = Plan.make(config, data_root=data_root, download=download, progress=progress)
    fingerprint = plan.fingerprint()
    target = None if out is None else Path(out)
    if target is not None:
        if finished_run(target, fingerprint):
            return load(target)
        check_target(target, overwrite=overwrite)
    from cooanalysis.cluster import open_cluster  # only here: a finished run needs none of it

    bars: Any = ProgressBars() if progress else nullcontext(Silent())
    with checkpoints(target, fingerprint) as kept:
        with (
            open_cluster(workers=workers, address=cluster, config=config) as found,
            bars as reporter,
        ):
            record = run_analysis(plan, progress=reporter, checkpoints=kept, workers=found)
            result = Result(**vars(record))
        if target is not None:
            result.save(target, overwrite=overwrite)
    return result


def compare(
    dataset: str | Path,
    models: Mapping[str, Specification] | Iterable[str],
    *,
    reference: str | Path | None = None,
    baseline: str = "",
    metrics: str | Iterable[str] = "auto",
    strata: int = 4,
    crops: int = 6,
    out: str | Path | None = None,
    cache: str | Path | bool = True,
    data_root: str | Path | None = None,
    download: bool = True,
    overwrite: bool = False,
    progress: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> Comparison:
    """Compare models: which one over-smooths, where, and by how much.

    Parameters
    ----------
    dataset
        Name of a data set or a folder of images.
    models
        By name: ``"bicubic"``, ``"hr"``, the name of shipped weights, a checkpoint, a folder of
        images, or a callable from (h, w, 3) uint8 to (H, W, 3) uint8 (or a ``torch.nn.Module``
        from [0, 1] to [0, 1]). Or strings ``NAME=WHAT`` as the command line takes them.
    reference
        Data set or folder of the reference patches; by default the data set itself, and then no
        query ever meets patches of its own image.
    baseline
        Name of the model that the others are tested against; by default the first one.
    metrics
        Names of :data:`cooanalysis.metrics.METRICS`, ``pyiqa:NAME``, or ``"auto"``.
    strata
        Number of entropy quantiles.
    crops
        Number of places shown side by side: where the baseline over-smooths most.
    out
        Run directory to write. A finished comparison with the same configuration, data and models
        is loaded instead of being repeated; an interrupted one resumes.
    cache
        Folder in which outputs of checkpoints are kept; True for the user's cache folder, False
        for none.
    data_root, download, overwrite, progress, workers, cluster
        See :func:`cooanalysis.analyze`.
    **options
        Fields of :class:`cooanalysis.AnalysisConfig`. ``features`` names the feature spaces of the
        manifold ratio; the first one judges.

    Returns
    -------
    Comparison

    Raises
    ------
    CooError
        One of the classes in :mod:`cooanalysis.errors`. Everything that can be wrong with a model
        or a metric shows before any work is done, but for what its outputs are.
    """
    named = dict(models) if isinstance(models, Mapping) else parse(list(models))
    chosen = [metrics] if isinstance(metrics, str) else list(metrics)
    analysis = AnalysisConfig(
        dataset=str(dataset),
        reference=None if reference is None else str(reference),
        **({"features": FEATURES, "estimators": ESTIMATORS.builtin[:1]} | options),
    )
    config = CompareConfig(
        analysis, tuple(named), baseline, tuple(chosen), strata=strata, crops=crops
    )
    resolved = resolve_metrics(chosen)
    plan = Plan.make(analysis, data_root=data_root, download=download, progress=progress)
    sources = [
        open_source(name, what, plan.queries.pairs, scale=analysis.scale, device=analysis.device)
        for name, what in named.items()
    ]
    names = [metric.name for metric in resolved]
    fingerprint = config.fingerprint(
        plan.fingerprint(), *names, *METRICS.origins(names), *map(_identity, sources)
    )
    target = None if out is None else Path(out)
    # What a callable does cannot be told from its name, so its results are never reused.
    known = all(source.kind != "callable" for source in sources)
    if target is not None:
        if known and finished_run(target, fingerprint):
            return load_comparison(target)
        check_target(target, overwrite=overwrite)
    from cooanalysis.cluster import open_cluster  # only here: a finished run needs none of it

    bars: Any = ProgressBars() if progress else nullcontext(Silent())
    with checkpoints(target if known else None, fingerprint) as kept:
        with (
            open_cluster(workers=workers, address=cluster, config=analysis) as found,
            bars as reporter,
        ):
            record = run_comparison(
                config, plan, sources, resolved, cache=_cache(cache), fingerprint=fingerprint,
                progress=reporter, checkpoints=kept, workers=found,
            )  # fmt: skip
            comparison = Comparison(**vars(record))
        if target is not None:
            comparison.save(target, overwrite=overwrite)
    return comparison


def _cache(cache: str | Path | bool) -> OutputCache:
    if cache is False:
        return OutputCache(None)
    return OutputCache(default_folder() if cache is True else Path(cache).expanduser())


def _identity(source: Source) -> str:
    """What identifies a model's outputs for the fingerprint of a comparison."""
    files = getattr(source, "files", None)
    if files is None:
        return f"{source.kind}:{source.key}"
    states = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files.values()]
    return repr(states)
