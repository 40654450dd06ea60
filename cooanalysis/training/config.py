"""Configuration of a training run: YAML files and overrides merged into one validated record."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.training.yaml_files import check_yaml, read_text

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class ModelConfig:
    """A generator: its name and the parameters of its class."""

    name: str = "edsr"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """The source of training crops.

    Attributes
    ----------
    train, validation
        Names or folders of data sets.
    crop
        Side of a training crop in LR pixels.
    batch_size
        Crops per iteration, over all processes.
    workers
        Number of loader processes; 0 loads in the training process.
    augment
        Whether crops are flipped and rotated by multiples of 90 degrees at random.
    cache
        Folder of decoded images that are mapped into memory instead of being held in
        it; null holds them in memory if they fit.
    memory
        GiB of decoded images above which they are kept in the user's cache folder if
        ``cache`` is null.
    """

    train: tuple[str, ...] = ("sample",)
    validation: tuple[str, ...] = ()
    crop: int = 48
    batch_size: int = 16
    workers: int = 0
    augment: bool = True
    cache: str | None = None
    memory: float = 8.0


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam or AdamW."""

    name: str = "adam"
    learning_rate: float = 2e-4
    betas: tuple[float, ...] = (0.9, 0.99)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate decays.

    Attributes
    ----------
    name
        ``constant``, ``cosine`` (down to ``final`` times the initial rate) or ``multistep`` (times
        ``gamma`` at each of ``milestones``, which are fractions of all iterations).
    """

    name: str = "constant"
    final: float = 0.0
    milestones: tuple[float, ...] = ()
    gamma: float = 0.5


@dataclass(frozen=True)
class GanConfig:
    """A relativistic average adversary.

    Attributes
    ----------
    name, options
        The discriminator.
    weight
        Factor of the adversarial loss of the generator.
    learning_rate
        Learning rate of the discriminator.
    warm_up
        Initial iterations in which only the discriminator uses the adversarial loss.
    follow_schedule
        Whether the discriminator's learning rate decays like the generator's.
    """

    weight: float = 5e-3
    learning_rate: float = 1e-4
    warm_up: int = 0
    follow_schedule: bool = False
    name: str = "patch"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of one training run.

    Attributes
    ----------
    scale
        Upscaling factor.
    model, data, optimizer, schedule, gan
        See their classes; ``gan`` null trains without an adversary.
    init
        Weights file that training starts from, or null.
    losses
        Mappings for :func:`cooanalysis.losses.build`.
    iterations
        Number of training steps.
    gradient_clip
        Largest norm of the gradient; 0 disables clipping.
    ema
        Decay of the moving average of the weights, which is what is validated and saved; 0: none.
    precision
        ``32-true``, ``bf16-mixed`` or ``16-mixed``.
    seed
        Seed of the initial weights, the crops and all other random numbers.
    validate_every, checkpoint_every, log_every
        Interval in iterations; 0 for only at the end (for ``log_every``: every iteration).
    keep
        Number of checkpoints kept.
    validation_images
        Number of validation outputs saved as PNG at the end.
    deterministic
        Whether a GPU uses deterministic operations where they exist, which is slower; the CPU's
        always are.
    """

    scale: int = 4
    model: ModelConfig = field(default_factory=ModelConfig)
    init: str | None = None
    data: DataConfig = field(default_factory=DataConfig)
    losses: tuple[Mapping[str, Any], ...] = ({"type": "L1Loss"},)
    gan: GanConfig | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    iterations: int = 1000
    gradient_clip: float = 0.0
    ema: float = 0.0
    precision: str = "32-true"
    seed: int = 0
    validate_every: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    keep: int = 2
    validation_images: int = 4
    deterministic: bool = False

    def __post_init__(self) -> None:
        _choice("scale", self.scale, (2, 3, 4, 8))
        _choice("precision", self.precision, PRECISIONS)
        _choice("optimizer.name", self.optimizer.name, ("adam", "adamw"))
        _choice("schedule.name", self.schedule.name, ("constant", "cosine", "multistep"))
        for name, low in {
            "iterations": 1, "validate_every": 0, "checkpoint_every": 0, "log_every": 1,
            "keep": 1, "validation_images": 0, "seed": 0, "data.crop": 4, "data.batch_size": 1,
            "data.workers": 0,
        }.items():  # fmt: skip
            _number(name, _get(self, name), low, whole=True)
        _number("optimizer.learning_rate", self.optimizer.learning_rate, 0.0, above=True)
        _number("optimizer.weight_decay", self.optimizer.weight_decay, 0.0)
        _number("gradient_clip", self.gradient_clip, 0.0)
        _number("data.memory", self.data.memory, 0.0)
        _number("schedule.final", self.schedule.final, 0.0, 1.0)
        _number("schedule.gamma", self.schedule.gamma, 0.0, 1.0)
        for value in self.schedule.milestones:
            _number("schedule.milestones", value, 0.0, 1.0)
        if len(self.optimizer.betas) != 2:
            raise ConfigError(f"optimizer.betas must be two numbers; got {self.optimizer.betas}")
        for value in self.optimizer.betas:
            _number("optimizer.betas", value, 0.0, 1.0)
            if value == 1.0:
                raise ConfigError(f"optimizer.betas must be below 1; got {self.optimizer.betas}")
        _number("ema", self.ema, 0.0, 1.0)
        if self.ema == 1.0:
            raise ConfigError("ema must be below 1 (at 1 the average would never move)")
        if not self.data.train:
            raise ConfigError("data.train must name at least one data set")
        if not self.losses:
            raise ConfigError("losses must name at least one loss")
        if self.gan is not None:
            _number("gan.weight", self.gan.weight, 0.0, above=True)
            _number("gan.learning_rate", self.gan.learning_rate, 0.0, above=True)
            _number("gan.warm_up", self.gan.warm_up, 0, whole=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``config.yaml``."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Build from plain values; unknown keys and wrong types raise a :class:`ConfigError`."""
        return _build(cls, values, "")

    def fingerprint(self) -> str:
        """Hash of everything that the final weights depend on, except for the data's content.

        How often a run logs, validates and saves, and how its images are loaded, may change
        between sessions.
        """
        free = ("validate_every", "checkpoint_every", "log_every", "keep", "validation_images")
        values = {key: value for key, value in self.as_dict().items() if key not in free}
        loading = ("workers", "cache", "memory")
        values["data"] = {k: v for k, v in values["data"].items() if k not in loading}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def read_config(paths: Sequence[str | Path], overrides: Sequence[str] = ()) -> TrainConfig:
    """Merge YAML files, later ones over earlier ones, and ``key=value`` overrides over all.

    Parameters
    ----------
    paths
        YAML files. A list replaces a list; mappings are merged.
    overrides
        Such as ``iterations=100`` or ``optimizer.learning_rate=1e-4``.

    Raises
    ------
    ConfigError
        If a file cannot be read, or a key or value is invalid.
    """
    try:
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
        from yaml import YAMLError
    except ImportError as error:
        raise MissingDependencyError(
            "training needs omegaconf; install it with `pip install 'cooanalysis[train]'`"
        ) from error
    parts = []
    for path in paths:
        try:
            text = read_text(Path(path))
            check_yaml(text)
            part = OmegaConf.load(io.StringIO(text))
        except (
            OSError,
            YAMLError,
            ValueError,
            TypeError,
            RecursionError,
            OmegaConfBaseException,
        ) as error:
            raise ConfigError(f"cannot read configuration {path}: {_line(error):.400}") from error
        if not OmegaConf.is_dict(part):
            raise ConfigError(f"configuration {path} must be a mapping of keys to values")
        parts.append(part)
    for text in overrides:
        if "=" not in text or text.startswith("="):
            raise ConfigError(f"an override must look like key=value; got {text!r}")
    try:
        merged = OmegaConf.merge(*parts) if parts else OmegaConf.create()
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        raise ConfigError(f"cannot merge {', '.join(map(str, paths))}: {_line(error)}") from error
    for text in overrides:
        try:
            # One by one instead of as a separate tree, so that a number can index a list.
            check_yaml(text.partition("=")[2])
            merged.merge_with_dotlist([text])
        except (
            OmegaConfBaseException,
            YAMLError,
            ValueError,
            TypeError,
            RecursionError,
            AttributeError,
            IndexError,
            KeyError,
        ) as error:
            raise ConfigError(
                f"cannot apply the override {text[:100]!r}: {_line(error):.300}"
            ) from error
    try:
        values = OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"cannot resolve the configuration: {_line(error)}") from error
    assert isinstance(values, dict)
    return TrainConfig.from_dict({str(key): value for key, value in values.items()})


_NESTED: Mapping[str, type] = {
    "model": ModelConfig, "data": DataConfig, "gan": GanConfig, "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
}  # fmt: skip


def _build(cls: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the configuration'} must be a mapping; got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    prefix = f"{where}." if where else ""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; keys: {', '.join(fields)}"
            raise ConfigError(f"unknown configuration key {prefix}{key}{hint}")
        name = f"{prefix}{key}"
        if cls is TrainConfig and key in _NESTED and not (key == "gan" and value is None):
            found[key] = _build(_NESTED[key], value, name)
        else:
            found[key] = _typed(str(fields[key].type), name, value)
    return cls(**found)


def _typed(kind: str, name: str, value: Any) -> Any:
    """Check a plain value against the annotation of its field."""
    if value is None and "None" in kind:
        return None
    if kind.startswith("tuple["):
        # A single name may stand for a list of one.
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise ConfigError(f"{name} must be a list; got {value!r}")
        inner = kind.removeprefix("tuple[").split(", ...")[0]
        return tuple(_typed(inner, name, item) for item in items)
    if kind.startswith("Mapping"):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} must be a mapping; got {value!r}")
        if odd := [key for key in value if not isinstance(key, str)]:
            raise ConfigError(f"{name} must have text as keys; got {odd[0]!r}")
        return dict(value)
    kinds: Mapping[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str}
    wanted = kinds[kind.split(" ")[0]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        what = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        raise ConfigError(f"{name} must be {what.get(kind.split(' ')[0], 'text')}; got {value!r}")
    return float(value) if kind == "float" else value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _get(config: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        config = getattr(config, part)
    return config


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value!r}")


def _number(
    name: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False,
    above: bool = False,
) -> None:  # fmt: skip
    right = isinstance(value, int) if whole else isinstance(value, (int, float))
    inside = right and math.isfinite(value) and low <= value <= high
    if isinstance(value, bool) or not inside or (above and value == low):
        what = "a whole number" if whole else "a number"
        bound = f"above {low:g}" if above else f"of at least {low:g}"
        limit = "" if high == math.inf else f" and at most {high:g}"
        raise ConfigError(f"{name} must be {what} {bound}{limit}; got {value!r}")
