"""The options of an analysis: one frozen, validated record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy.registry import ESTIMATORS
from cooanalysis.measures.manifold.registry import FEATURE_SPACES
from cooanalysis.runtime.options import (
    about,
    declared,
    documented,
    option,
    refuse_unknown,
    validate,
)

Grouping = Literal["knn", "kmeans"]
Color = Literal["y", "rgb"]

SCALES = (2, 3, 4, 8)
INDEX_NAMES = ("auto", "exact", "ivf", "hnsw", "pq")
ENGINE_NAMES = ("auto", "faiss-cpu", "faiss-gpu", "torch")
DEVICE_NAMES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """How images are analyzed: every field is an option of both commands and both functions.

    ``{choices}`` in a help text stands for the names that are known when it is shown.
    """

    strict: bool = option(
        False, panel="Data", help="Stop at the first unusable image instead of skipping it."
    )
    exclude_leaks: bool = option(
        True,
        panel="Data",
        help="Exclude reference images that duplicate a query image from its neighbors.",
    )
    scale: int = option(
        4, panel="Patches and groups", help="Upscaling factor: {choices}.", choices=SCALES
    )
    patch_width: int = option(
        5,
        panel="Patches and groups",
        help="Width of an LR patch in LR pixels: how much context an estimator is assumed to see.",
        low=2,
        high=64,
    )
    stride: int = option(
        2,
        panel="Patches and groups",
        help="Step between reference patches in LR pixels.",
        low=1,
        high=1024,
    )
    queries: int = option(
        5000,
        panel="Patches and groups",
        help="Number of query patches, drawn evenly over the images.",
        flags=("--queries", "-n"),
        low=10,
        high=10**9,
    )
    grouping: Grouping = option(
        "knn",
        panel="Patches and groups",
        help="knn: the k nearest LR patches of each query; kmeans: k members of the query's "
        "k-means cell of HR patches.",
        choices=get_args(Grouping),
    )
    k: int = option(
        128,
        panel="Patches and groups",
        help="Members of a potential-HR group.",
        flags=("-k", "--k"),
        low=8,
        high=2048,
    )
    clusters: int | None = option(
        None,
        panel="Patches and groups",
        help="Number of cells of k-means grouping.",
        otherwise="one cell per 4k reference patches",
        low=1,
        high=10**9,
    )
    color: Color = option(
        "y",
        panel="Patches and groups",
        help="Color of the patches: y (BT.601 luma) or rgb.",
        choices=get_args(Color),
    )
    normalize: bool = option(
        True,
        panel="Patches and groups",
        help="Compare patches after removing their LR mean and contrast.",
    )
    estimators: tuple[str, ...] = option(
        ESTIMATORS.builtin,
        panel="Measures",
        help="Entropy estimators: {choices}. The first one is used for bins, maps and rankings.",
        choices=ESTIMATORS,
    )
    subspace_dim: int = option(
        24,
        panel="Measures",
        help="Leading principal components of the details in which entropy is estimated.",
        low=1,
        high=512,
    )
    features: tuple[str, ...] = option(
        ("subbands", "pixels"),
        panel="Measures",
        help="Feature spaces of the distance to clean images: {choices}.",
        choices=FEATURE_SPACES,
    )
    manifold_reference: int = option(
        10_000,
        panel="Measures",
        help="Number of clean reference patches that represent the clean manifold.",
        low=200,
        high=10**9,
    )
    ceiling_queries: int = option(
        1000,
        panel="Measures",
        help="Number of queries for the PSNR ceiling, which uses all components.",
        low=0,
        high=10**9,
    )
    map_images: int = option(
        3,
        panel="Measures",
        help="Number of images that get a dense entropy map.",
        low=0,
        high=1000,
    )
    index: str = option(
        "auto",
        panel="Search and resources",
        help="Kind of nearest-neighbor index: {choices}.",
        choices=INDEX_NAMES,
    )
    recall: float = option(
        0.98,
        panel="Search and resources",
        help="Recall@k that an approximate index is tuned to.",
        above=0.0,
        high=1.0,
    )
    engine: str = option(
        "auto",
        panel="Search and resources",
        help="Library that searches: {choices}.",
        choices=ENGINE_NAMES,
    )
    device: str = option(
        "auto",
        panel="Search and resources",
        help="Device that computes: {choices}.",
        choices=DEVICE_NAMES,
    )
    memory: float | None = option(
        None,
        panel="Search and resources",
        help="Memory budget in GiB. Data sets that exceed it are mapped from files, and the index "
        "takes a form that fits.",
        otherwise="60 % of the machine's memory",
        low=0.1,
        high=1e6,
        unit="GiB",
    )
    seed: int = option(
        0,
        panel="Search and resources",
        help="Seed of all random draws.",
        low=0,
        high=2**31 - 1,
    )


@documented
@dataclass(frozen=True)
class AnalysisSettings(AnalysisOptions):
    """The options of an analysis, as its summary records them.

    Nothing is checked but types, so that runs open where what they used (an estimator of another
    package, say) is not installed; :class:`AnalysisConfig` checks the values.
    """

    dataset: str = field(
        metadata=about(
            panel="Data",
            help="Images to analyze: the name of a data set (sample, div2k, set14, …) or a folder "
            "of images.",
            values="dataset",
        )
    )
    reference: str | None = option(
        None,
        panel="Data",
        help="Data set or folder whose patches form the index.",
        otherwise="the data set itself, never the query's own image",
        values="dataset",
    )


@documented
@dataclass(frozen=True)
class AnalysisConfig(AnalysisSettings):
    """Configuration of one analysis, with every value checked."""

    def __post_init__(self) -> None:
        validate(self)
        if not self.estimators:
            raise ConfigError("estimators must name at least one entropy estimator")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``summary.json``."""
        plain = {known.name: getattr(self, known.name) for known in declared(type(self))}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AnalysisConfig:
        """The inverse of :meth:`as_dict`; unknown keys raise a :class:`ConfigError`."""
        if not isinstance(values, dict):
            raise ConfigError(f"a configuration must map names to values; got {values!r:.100}")
        if "dataset" not in values:
            raise ConfigError("the configuration lacks the key dataset: a name or a folder")
        refuse_unknown(values, (known.name for known in declared(cls)))
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    def fingerprint(self, *contents: str) -> str:
        """Hash of the configuration and of what identifies the data it was run on."""
        text = json.dumps([self.as_dict(), *contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
