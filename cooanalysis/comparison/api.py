"""The one-call entrance: :func:`compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cooanalysis.comparison.cache import OutputCache, default_folder
from cooanalysis.comparison.config import FEATURES, CompareConfig
from cooanalysis.comparison.result import Comparison, load_comparison
from cooanalysis.comparison.run import run_comparison
from cooanalysis.comparison.sources import Source, Specification, open_source, parse
from cooanalysis.config import ESTIMATOR_NAMES, AnalysisConfig
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.progress import Progress, ProgressBars, Silent
from cooanalysis.rundir import check_target, checkpoints, finished_run
from cooanalysis.runtime.compiled import announced
from cooanalysis.study import Study


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
    data_root, download, overwrite, progress
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
        **({"features": FEATURES, "estimators": ESTIMATOR_NAMES[:1]} | options),
    )
    config = CompareConfig(
        analysis, tuple(named), baseline, tuple(chosen), strata=strata, crops=crops
    )
    resolved = resolve_metrics(chosen)
    study = Study.plan(analysis, data_root=data_root, download=download, progress=progress)
    sources = [
        open_source(name, what, study.queries.pairs, scale=analysis.scale, device=analysis.device)
        for name, what in named.items()
    ]
    fingerprint = config.fingerprint(
        study.fingerprint(), *(metric.name for metric in resolved), *map(_identity, sources)
    )
    target = None if out is None else Path(out)
    # What a callable does cannot be told from its name, so its results are never reused.
    known = all(source.kind != "callable" for source in sources)
    if target is not None:
        if known and finished_run(target, fingerprint):
            return load_comparison(target)
        check_target(target, overwrite=overwrite)
    bars: Any = ProgressBars() if progress else nullcontext(Silent())
    with checkpoints(target if known else None, fingerprint) as kept:
        with bars as reporter, announced(reporter.note):
            report: Progress = reporter
            found = run_comparison(
                config, study, sources, resolved, cache=_cache(cache), fingerprint=fingerprint,
                progress=report, checkpoints=kept,
            )  # fmt: skip
        if target is not None:
            found.save(target, overwrite=overwrite)
    return found


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
