"""The calls that users make: :func:`analyze` and :func:`compare`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cooanalysis.analysis.arguments import AnalyzeArguments
from cooanalysis.analysis.config import AnalysisConfig, AnalysisOptions
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.run import run_analysis
from cooanalysis.comparison.anchor import NO_ANCHOR
from cooanalysis.comparison.arguments import CompareArguments
from cooanalysis.comparison.cache import OutputCache, default_folder
from cooanalysis.comparison.config import CompareConfig, CompareOptions
from cooanalysis.comparison.run import run_comparison
from cooanalysis.metrics import METRICS
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.models.sources import Source, open_source, parse
from cooanalysis.results import Comparison, Result, load, load_comparison
from cooanalysis.runtime.compiled import announced
from cooanalysis.runtime.options import declared, takes
from cooanalysis.runtime.progress import ProgressBars, Silent
from cooanalysis.runtime.run_directory import check_target, checkpoints, finished_run


@takes(AnalyzeArguments)
def analyze(call: AnalyzeArguments) -> Result:
    """Measure whether and why super-resolution of these images must over-smooth.

    Returns
    -------
    Result
        ``result.groups`` (one row per query patch), ``result.summary`` (headline numbers with
        intervals), ``result.plot`` (figures).

    Raises
    ------
    CooError
        One of the classes in :mod:`cooanalysis.errors`, with one sentence that says what is
        wrong, where, and what to do.
    """
    config = _analysis(call)
    plan = Plan.make(
        config, data_root=call.data_root, download=call.download, progress=call.progress
    )
    fingerprint = plan.fingerprint()
    target = None if call.out is None else Path(call.out)
    if target is not None:
        if finished_run(target, fingerprint):
            return load(target)
        check_target(target, overwrite=call.overwrite)
    from cooanalysis.cluster import open_cluster  # only here: a finished run needs none of it

    bars: Any = ProgressBars() if call.progress else nullcontext(Silent())
    with checkpoints(target, fingerprint) as kept:
        with (
            open_cluster(workers=call.workers, address=call.cluster, config=config) as found,
            bars as reporter,
            announced(reporter.note),
        ):
            record = run_analysis(plan, progress=reporter, checkpoints=kept, workers=found)
            result = Result(**vars(record))
        if target is not None:
            result.save(target, overwrite=call.overwrite)
    return result


@takes(CompareArguments)
def compare(call: CompareArguments) -> Comparison:
    """Compare models: which one over-smooths, where, and by how much.

    ``models`` may also map names to what they stand for, including functions from (h, w, 3) uint8
    to (H, W, 3) uint8, or a ``torch.nn.Module`` from [0, 1] to [0, 1].

    Returns
    -------
    Comparison
        ``comparison.models`` and ``comparison.patches`` (tables), ``comparison.summary``
        (measures with intervals and tests, verdicts), ``comparison.plot`` (figures).

    Raises
    ------
    CooError
        One of the classes in :mod:`cooanalysis.errors`. Everything that can be wrong with a model
        or a metric is reported before any work is done, except errors in its outputs.
    """
    named = dict(call.models) if isinstance(call.models, Mapping) else parse(list(call.models))
    chosen = [call.metrics] if isinstance(call.metrics, str) else list(call.metrics)
    analysis = _analysis(call)
    config = CompareConfig(
        analysis,
        tuple(named),
        tuple(chosen),
        **{known.name: getattr(call, known.name) for known in declared(CompareOptions)},
    )
    resolved = resolve_metrics(chosen)
    plan = Plan.make(
        analysis, data_root=call.data_root, download=call.download, progress=call.progress
    )
    sources = [
        open_source(name, what, plan.queries.pairs, scale=analysis.scale, device=analysis.device)
        for name, what in named.items()
    ]
    anchor = None
    if config.anchor not in ("", NO_ANCHOR, *named):
        name, what = next(iter(parse([config.anchor]).items()))
        anchor = open_source(
            name, what, plan.queries.pairs, scale=analysis.scale, device=analysis.device
        )
    identified = sources if anchor is None else [*sources, anchor]
    names = [metric.name for metric in resolved]
    fingerprint = config.fingerprint(
        plan.fingerprint(), *names, *METRICS.origins(names), *map(_identity, identified)
    )
    target = None if call.out is None else Path(call.out)
    # The name of a callable does not identify what it does, so its results are never reused.
    known = all(source.kind != "callable" for source in identified)
    if target is not None:
        if known and finished_run(target, fingerprint):
            return load_comparison(target)
        check_target(target, overwrite=call.overwrite)
    from cooanalysis.cluster import open_cluster  # only here: a finished run needs none of it

    bars: Any = ProgressBars() if call.progress else nullcontext(Silent())
    with checkpoints(target if known else None, fingerprint) as kept:
        with (
            open_cluster(workers=call.workers, address=call.cluster, config=analysis) as found,
            bars as reporter,
            announced(reporter.note),
        ):
            record = run_comparison(
                config, plan, sources, resolved, cache=_cache(call.cache), fingerprint=fingerprint,
                progress=reporter, checkpoints=kept, workers=found, given=anchor,
            )  # fmt: skip
            comparison = Comparison(**vars(record))
        if target is not None:
            comparison.save(target, overwrite=call.overwrite)
    return comparison


def _analysis(call: AnalyzeArguments | CompareArguments) -> AnalysisConfig:
    return AnalysisConfig(
        dataset=str(call.dataset),
        reference=None if call.reference is None else str(call.reference),
        **{known.name: getattr(call, known.name) for known in declared(AnalysisOptions)},
    )


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
