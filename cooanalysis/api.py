"""The one-call entrance: :func:`analyze`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cooanalysis.config import AnalysisConfig
from cooanalysis.progress import Progress, ProgressBars, Silent
from cooanalysis.result import Result, load
from cooanalysis.rundir import check_target, checkpoints, finished_run
from cooanalysis.runtime.compiled import announced
from cooanalysis.study import Study


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
        ``k``, ``queries``, ``grouping``, ``colour``, ``normalise``, ``estimators``, ``features``,
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
    study = Study.plan(config, data_root=data_root, download=download, progress=progress)
    fingerprint = study.fingerprint()
    target = None if out is None else Path(out)
    if target is not None:
        if finished_run(target, fingerprint):
            return load(target)
        check_target(target, overwrite=overwrite)
    from cooanalysis.cluster import open_cluster  # only here: a finished run needs none of it

    bars: Any = ProgressBars() if progress else nullcontext(Silent())
    with checkpoints(target, fingerprint) as kept:
        with (
            open_cluster(workers=workers, address=cluster, config=config) as hands,
            bars as reporter,
            announced(reporter.note),
        ):
            report: Progress = reporter
            result = study.run(progress=report, checkpoints=kept, cluster=hands)
        if target is not None:
            result.save(target, overwrite=overwrite)
    return result
