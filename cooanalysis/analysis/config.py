"""What an analysis is asked to do: one frozen, validated record."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cooanalysis.errors import ConfigError

Grouping = Literal["knn", "kmeans"]
Color = Literal["y", "rgb"]

SCALES = (2, 3, 4, 8)
ESTIMATOR_NAMES = ("gaussian", "kozachenko-leonenko", "copula")
FEATURE_SPACE_NAMES = ("subbands", "sparsity", "pixels", "deep")
INDEX_NAMES = ("auto", "exact", "ivf", "hnsw", "pq")
ENGINE_NAMES = ("auto", "faiss-cpu", "faiss-gpu", "torch")


@dataclass(frozen=True)
class AnalysisSettings:
    """The options of an analysis, as its summary records them.

    Nothing is checked but types, so that runs open where what they used (an estimator of another
    package, say) is not installed; :class:`AnalysisConfig` checks what is asked.

    Attributes
    ----------
    dataset
        Name of a data set or a folder: the images that are analyzed (query set).
    reference
        Name or folder whose patches form the index; None for the data set itself, in which
        case no query ever meets patches of its own image.
    scale
        Upscaling factor, 2, 3, 4 or 8.
    patch_width
        Width of an LR patch in LR pixels: how much context an estimator is assumed to see.
    stride
        Step between reference patches in LR pixels.
    k
        Members of a potential-HR group.
    queries
        Number of query patches, drawn evenly over the images.
    grouping
        ``"knn"``: the k nearest LR patches of each query. ``"kmeans"``: k members of the
        query's k-means cell of HR patches.
    clusters
        Number of k-means cells; None for one cell per 4·k reference patches.
    color
        ``"y"`` (BT.601 luma) or ``"rgb"``.
    normalize
        Whether patches are compared after removing their LR mean and contrast.
    subspace_dim
        Leading principal components of the details in which entropies are estimated.
    estimators, features
        Entropy estimators and feature spaces to use; the first estimator is the one that
        bins, maps and rankings use.
    index, engine, device
        Kind of nearest-neighbor index, engine and device; ``"auto"`` chooses.
    recall
        Recall@k that an approximate index is tuned to.
    memory
        Memory budget in GiB; None for 60 % of what the machine has. Larger data sets are then
        mapped from files, and the index takes a form that fits.
    ceiling_queries
        Number of queries for the floor of the mean squared error (it looks at all components).
    manifold_reference
        Number of clean reference patches that stand for the clean manifold.
    map_images
        Number of images for which dense entropy maps are computed.
    exclude_leaks
        Whether reference images that duplicate a query image are kept from serving it.
    strict
        Whether one unusable image stops the run.
    seed
        Seed of everything that is drawn.
    """

    dataset: str
    reference: str | None = None
    scale: int = 4
    patch_width: int = 5
    stride: int = 2
    k: int = 128
    queries: int = 5000
    grouping: Grouping = "knn"
    clusters: int | None = None
    color: Color = "y"
    normalize: bool = True
    subspace_dim: int = 24
    estimators: tuple[str, ...] = ESTIMATOR_NAMES
    features: tuple[str, ...] = ("subbands", "pixels")
    index: str = "auto"
    engine: str = "auto"
    device: str = "auto"
    recall: float = 0.98
    memory: float | None = None
    ceiling_queries: int = 1000
    manifold_reference: int = 10_000
    map_images: int = 3
    exclude_leaks: bool = True
    strict: bool = False
    seed: int = 0

    # TRANSITION: see cooanalysis.analysis.summary_record.Record.
    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)


@dataclass(frozen=True)
class AnalysisConfig(AnalysisSettings):
    """Configuration of one analysis; every field is an option of ``coo-analyze``.

    The fields are those of :class:`AnalysisSettings`.
    """

    def __post_init__(self) -> None:
        if not isinstance(self.dataset, str):
            raise ConfigError(f"dataset must be text; got {self.dataset!r}")
        if self.reference is not None and not isinstance(self.reference, str):
            raise ConfigError(f"reference must be text or nothing; got {self.reference!r}")
        for name in ("normalize", "exclude_leaks", "strict"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False; got {getattr(self, name)!r}")
        for name in ("estimators", "features"):
            if not isinstance(getattr(self, name), (tuple, list)):
                raise ConfigError(f"{name} must be a list of names; got {getattr(self, name)!r}")
        _choice("scale", self.scale, SCALES)
        _choice("grouping", self.grouping, get_args(Grouping))
        _choice("color", self.color, get_args(Color))
        _choice("index", self.index, INDEX_NAMES)
        _choice("engine", self.engine, ENGINE_NAMES)
        _choice("device", self.device, ("auto", "cpu", "cuda"))
        _integer("patch_width", self.patch_width, 2, 64)
        _integer("stride", self.stride, 1, 1024)
        _integer("k", self.k, 8, 2048)
        _integer("queries", self.queries, 10, 10**9)
        _integer("subspace_dim", self.subspace_dim, 1, 512)
        _integer("ceiling_queries", self.ceiling_queries, 0, 10**9)
        _integer("manifold_reference", self.manifold_reference, 200, 10**9)
        _integer("map_images", self.map_images, 0, 1000)
        _integer("seed", self.seed, 0, 2**31 - 1)
        if self.clusters is not None:
            _integer("clusters", self.clusters, 1, 10**9)
        if not _is_number(self.recall) or not 0.0 < self.recall <= 1.0:
            raise ConfigError(f"recall must lie in (0, 1], got {self.recall!r}")
        if self.memory is not None and not (_is_number(self.memory) and 0.1 <= self.memory <= 1e6):
            raise ConfigError(f"memory must lie between 0.1 and 1e6 GiB, got {self.memory!r}")
        if not self.estimators:
            raise ConfigError("estimators must name at least one entropy estimator")
        for name in self.estimators:
            _choice("estimators", name, ESTIMATOR_NAMES)
        for name in self.features:
            _choice("features", name, FEATURE_SPACE_NAMES)
        for field in ("estimators", "features"):
            names = getattr(self, field)
            if len(set(names)) != len(names):
                raise ConfigError(f"{field} names one thing twice: {', '.join(names)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``summary.json``."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AnalysisConfig:
        """The inverse of :meth:`as_dict`; unknown keys raise a :class:`ConfigError`."""
        if not isinstance(values, dict):
            raise ConfigError(f"a configuration must map names to values; got {values!r:.100}")
        known = {field.name for field in dataclasses.fields(cls)}
        if "dataset" not in values:
            raise ConfigError("the configuration lacks the key dataset: a name or a folder")
        if unknown := sorted(map(str, set(values) - known)):
            raise ConfigError(f"unknown configuration keys: {', '.join(unknown)}")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    def fingerprint(self, *contents: str) -> str:
        """Hash of the configuration and of what identifies the data it was run on."""
        text = json.dumps([self.as_dict(), *contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    # 4.0 and numpy's 4 equal 4, but would end in another fingerprint or in none.
    if not any(isinstance(value, type(choice)) and value == choice for choice in allowed):
        raise ConfigError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value!r}")


def _integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}; got {value!r}")
