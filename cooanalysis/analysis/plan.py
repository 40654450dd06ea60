"""The images of an analysis: found, checked and fingerprinted before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.data import Dataset, resolve
from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy.registry import ESTIMATORS
from cooanalysis.measures.manifold.registry import FEATURE_SPACES
from cooanalysis.neighbors import available_engine
from cooanalysis.runtime.environment import versions
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import SCHEMA_VERSION


@dataclass(frozen=True)
class Plan:
    """A planned analysis: the configuration and the images that it will use.

    Make one with :meth:`make`; :func:`cooanalysis.analysis.run.run_analysis` does the work.

    Attributes
    ----------
    config
        The configuration.
    queries, reference
        The data sets; the same object when the data set is its own reference.
    notices
        What a reader must know about the data that were found.
    """

    config: AnalysisConfig
    queries: Dataset
    reference: Dataset
    notices: tuple[Notice, ...] = ()

    @classmethod
    def make(
        cls,
        config: AnalysisConfig,
        *,
        data_root: str | Path | None = None,
        download: bool = True,
        progress: bool = False,
    ) -> Plan:
        """Find the data and check that the engine can run, before any work is done.

        Raises
        ------
        DatasetNotFoundError, DownloadError
            If a data set does not exist and cannot be downloaded.
        MissingDependencyError
            If the requested engine cannot run here.
        ConfigError
            If groups are too small for an estimator.
        """
        available_engine(config.engine, config.device)
        _check_group_size(config)
        notices: list[Notice] = []
        options: dict[str, Any] = {
            "scale": config.scale, "data_root": data_root, "download": download,
            "progress": progress, "note": notices.append,
        }  # fmt: skip
        queries = resolve(config.dataset, **options)
        reference = queries
        if config.reference is not None:
            reference = resolve(config.reference, **options)
            if reference.pairs == queries.pairs:
                reference = queries
        return cls(config, queries, reference, tuple(notices))

    @property
    def same_reference(self) -> bool:
        """Whether the data set is its own reference (then leave-image-out)."""
        return self.reference is self.queries

    def fingerprint(self) -> str:
        """Hash of the configuration, the files (names, sizes, modification times) and plug-ins."""
        contents = []
        for dataset in (self.queries, self.reference):
            for pair in dataset.pairs:
                for path in (pair.hr_path, pair.lr_path):
                    if path is not None and path.exists():
                        state = path.stat()
                        contents.append(f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}")
        contents += ESTIMATORS.origins(self.config.estimators)
        contents += FEATURE_SPACES.origins(self.config.features)
        installed = versions()
        return self.config.fingerprint(
            installed.get("cooanalysis", ""), str(SCHEMA_VERSION), *contents
        )


def _check_group_size(config: AnalysisConfig) -> None:
    channels = 1 if config.color == "y" else 3
    dim = min(config.subspace_dim, (config.scale * config.patch_width) ** 2 * channels)
    for name in config.estimators:
        needed = ESTIMATORS.find(name).min_samples(dim)
        if config.k < needed:
            raise ConfigError(
                f"k = {config.k} members are too few for the {name} entropy in {dim} dimensions; "
                f"use k of at least {needed}, or a smaller subspace_dim"
            )
