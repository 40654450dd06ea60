"""What a comparison is asked to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cooanalysis.analysis.config import AnalysisConfig, AnalysisSettings
from cooanalysis.errors import ConfigError

FEATURES = ("sparsity", "subbands")
"""Feature spaces of the manifold ratio unless others are asked for; the first one leads."""
QUERIES = 5000


@dataclass(frozen=True)
class CompareSettings:
    """The options of a comparison, as its summary records them; nothing is checked but types.

    Attributes
    ----------
    analysis
        Images, patches, groups and feature spaces, as ``coo-analyze`` takes them.
    models
        Names of the models, in the order of the tables.
    baseline
        Name of the model that the others are tested against.
    metrics
        Names of :data:`cooanalysis.metrics.METRICS`, ``pyiqa:NAME``, or ``auto``.
    strata
        Number of entropy quantiles that results are split by.
    crops
        Number of places shown side by side: where the baseline over-smooths most.
    """

    analysis: AnalysisSettings
    models: tuple[str, ...]
    baseline: str = ""
    metrics: tuple[str, ...] = ("auto",)
    strata: int = 4
    crops: int = 6

    # TRANSITION: see cooanalysis.analysis.summary_record.Record.
    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)


@dataclass(frozen=True)
class CompareConfig(CompareSettings):
    """Configuration of one comparison; every field is an option of ``coo-compare``.

    The fields are those of :class:`CompareSettings`.
    """

    analysis: AnalysisConfig

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("a comparison needs at least one model; add --model NAME=WHAT")
        if len(set(self.models)) != len(self.models):
            raise ConfigError(f"models name one thing twice: {', '.join(self.models)}")
        if not self.baseline:
            object.__setattr__(self, "baseline", self.models[0])
        if self.baseline not in self.models:
            raise ConfigError(
                f"baseline must be one of the models ({', '.join(self.models)}); "
                f"got {self.baseline!r}"
            )
        if not self.metrics:
            raise ConfigError("metrics must name at least one metric, or auto")
        for name, value, high in (("strata", self.strata, 20), ("crops", self.crops, 50)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
                raise ConfigError(f"{name} must be a whole number from 1 to {high}; got {value!r}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``summary.json``."""
        return {
            "analysis": self.analysis.as_dict(),
            "models": list(self.models),
            "baseline": self.baseline,
            "metrics": list(self.metrics),
            "strata": self.strata,
            "crops": self.crops,
        }

    def fingerprint(self, *contents: str) -> str:
        """Hash of the configuration and of what identifies data and models."""
        text = json.dumps([self.as_dict(), *contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
