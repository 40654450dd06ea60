"""The options of a comparison."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cooanalysis.analysis.config import AnalysisConfig, AnalysisOptions, AnalysisSettings
from cooanalysis.errors import ConfigError
from cooanalysis.metrics.registry import METRICS
from cooanalysis.runtime.options import about, documented, like, option, validate


@dataclass(frozen=True, kw_only=True)
class ComparedOptions(AnalysisOptions):
    """How images are analyzed when models are compared on them: only defaults differ."""

    estimators: tuple[str, ...] = like(
        AnalysisOptions,
        "estimators",
        AnalysisOptions.estimators[:1],
        help="Entropy estimators: {choices}. A comparison uses the first one.",
    )
    features: tuple[str, ...] = like(
        AnalysisOptions,
        "features",
        ("sparsity", "subbands"),
        help="Feature spaces of the distance to clean images: {choices}. Outputs are called "
        "like clean images only if all agree.",
    )


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What a comparison adds to the options of an analysis."""

    baseline: str = option(
        "",
        panel="Models and metrics",
        help="Name of the model that the others are tested against.",
        otherwise="the first model",
    )
    anchor: str = option(
        "",
        panel="Models and metrics",
        help="Model whose outputs tell what can be known, so that what others make up can be "
        "recognized: a conditional mean, such as a PSNR-oriented network. The name of a model, "
        "anything that a model can be, or none.",
        otherwise="the baseline if it is PSNR-oriented, else another such model or a shipped one",
    )
    strata: int = option(
        4,
        panel="Measures",
        help="Number of entropy quantiles that results are split by.",
        low=1,
        high=20,
    )
    crops: int = option(
        6,
        panel="Measures",
        help="Number of places shown side by side: where the baseline over-smooths most.",
        low=1,
        high=50,
    )


@documented
@dataclass(frozen=True)
class CompareSettings(CompareOptions):
    """The options of a comparison, as its summary records them; nothing is checked but types.

    ``analysis`` holds images, patches and groups.
    """

    analysis: AnalysisSettings
    models: tuple[str, ...] = field(
        metadata=about(
            panel="Models and metrics",
            help="Models to compare, NAME=WHAT or WHAT: bicubic, hr, the name of shipped weights, "
            "a checkpoint, or a folder of images.",
            flags=("--model", "-m"),
            values="model",
            repeat=True,
        )
    )
    metrics: tuple[str, ...] = option(
        ("auto",),
        panel="Models and metrics",
        help=f"Metrics of whole images: {', '.join(METRICS.builtin)}, pyiqa:NAME, or auto: PSNR-Y, "
        "SSIM-Y and every learned metric that can be computed here.",
        values="metric",
    )


@documented
@dataclass(frozen=True)
class CompareConfig(CompareSettings):
    """Configuration of one comparison, with every value checked."""

    analysis: AnalysisConfig

    def __post_init__(self) -> None:
        validate(self)
        if not self.models:
            raise ConfigError("a comparison needs at least one model; add --model NAME=WHAT")
        if not self.baseline:
            object.__setattr__(self, "baseline", self.models[0])
        if self.baseline not in self.models:
            raise ConfigError(
                f"baseline must be one of the models ({', '.join(self.models)}); "
                f"got {self.baseline!r}"
            )
        if not self.metrics:
            raise ConfigError("metrics must name at least one metric, or auto")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``summary.json``."""
        return {
            "analysis": self.analysis.as_dict(),
            "models": list(self.models),
            "baseline": self.baseline,
            "anchor": self.anchor,
            "metrics": list(self.metrics),
            "strata": self.strata,
            "crops": self.crops,
        }

    def fingerprint(self, *contents: str) -> str:
        """Hash of the configuration and of what identifies data and models."""
        text = json.dumps([self.as_dict(), *contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
