"""Which images a study uses: found, checked and fingerprinted before any work is done."""

from __future__ import annotations

import warnings as python_warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cooanalysis.config import AnalysisConfig
from cooanalysis.data import Dataset, resolve
from cooanalysis.environment import versions
from cooanalysis.errors import ConfigError
from cooanalysis.neighbors import available_engine
from cooanalysis.progress import Progress, Silent
from cooanalysis.result import SCHEMA_VERSION, Result
from cooanalysis.rundir import Checkpoints

if TYPE_CHECKING:
    from cooanalysis.cluster import Cluster


@dataclass(frozen=True)
class Study:
    """A planned analysis: the configuration and the images that it will use.

    Make one with :meth:`plan`; :meth:`run` does the work.

    Attributes
    ----------
    config
        What is asked.
    queries, reference
        The data sets; the same object when the data set is its own reference.
    notes
        Warnings from finding the data.
    """

    config: AnalysisConfig
    queries: Dataset
    reference: Dataset
    notes: tuple[str, ...] = ()

    @classmethod
    def plan(
        cls,
        config: AnalysisConfig,
        *,
        data_root: str | Path | None = None,
        download: bool = True,
        progress: bool = False,
    ) -> Study:
        """Find the data and check that the engine can run, before any work is done.

        Raises
        ------
        DatasetNotFoundError, DownloadError
            If a data set is not there and cannot be downloaded.
        MissingDependencyError
            If the engine asked for cannot run here.
        ConfigError
            If groups are too small for an estimator.
        """
        available_engine(config.engine, config.device)
        _check_group_size(config)
        options: dict[str, Any] = {
            "scale": config.scale, "data_root": data_root, "download": download,
            "progress": progress,
        }  # fmt: skip
        with python_warnings.catch_warnings(record=True) as caught:
            python_warnings.simplefilter("always")
            queries = resolve(config.dataset, **options)
            reference = queries
            if config.reference is not None:
                reference = resolve(config.reference, **options)
                if reference.pairs == queries.pairs:
                    reference = queries
        notes = tuple(str(w.message) for w in caught if issubclass(w.category, UserWarning))
        return cls(config, queries, reference, notes)

    @property
    def same_reference(self) -> bool:
        """Whether the data set is its own reference (then leave-image-out)."""
        return self.reference is self.queries

    def fingerprint(self) -> str:
        """Hash of the configuration and of the files (names, sizes, times of change)."""
        contents = []
        for dataset in (self.queries, self.reference):
            for pair in dataset.pairs:
                for path in (pair.hr_path, pair.lr_path):
                    if path is not None and path.exists():
                        state = path.stat()
                        contents.append(f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}")
        installed = versions()
        return self.config.fingerprint(
            installed.get("cooanalysis", ""), str(SCHEMA_VERSION), *contents
        )

    def run(
        self,
        *,
        progress: Progress | None = None,
        checkpoints: Checkpoints | None = None,
        cluster: Cluster | None = None,
    ) -> Result:
        """Do the analysis.

        Parameters
        ----------
        progress
            Where to report; silent by default.
        checkpoints
            Where finished pieces are kept, see :func:`cooanalysis.rundir.checkpoints`.
        cluster
            Workers that search and measure, see :func:`cooanalysis.cluster.open_cluster`.

        Raises
        ------
        NotEnoughDataError
            If the images hold too little for what was asked.
        ImageError
            With ``strict``, at the first image that cannot be used.
        """
        from cooanalysis.study.run import run_study

        return run_study(self, progress or Silent(), checkpoints or Checkpoints(), cluster)


def _check_group_size(config: AnalysisConfig) -> None:
    from cooanalysis.entropy import ESTIMATORS

    channels = 1 if config.colour == "y" else 3
    dim = min(config.subspace_dim, (config.scale * config.patch_width) ** 2 * channels)
    for name in config.estimators:
        needed = ESTIMATORS[name].min_samples(dim)
        if config.k < needed:
            raise ConfigError(
                f"k = {config.k} members are too few for the {name} entropy in {dim} dimensions; "
                f"take k of at least {needed}, or a smaller subspace_dim"
            )
