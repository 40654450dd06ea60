"""Configurations with unknown keys, wrong types and absurd values."""

# ruff: noqa: E501

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.comparison.config import CompareConfig
from experiments.robustness.outcome import Case

VALUES: tuple[Any, ...] = (
    None, True, "", "x", "\0", -1, 0, 1.5, 10**12, -(10**30), math.nan, math.inf, [], ["x"], [1],
    [["gaussian"]], {}, {"a": 1}, b"x", "auto" * 100,
)  # fmt: skip

KEYS = (
    "scale", "iterations", "seed", "precision", "init", "losses", "gan", "ema", "gradient_clip",
    "keep", "log_every", "validate_every", "checkpoint_every", "validation_images", "deterministic",
    "model", "model.name", "model.options", "data", "data.train", "data.validation", "data.crop",
    "data.batch_size", "data.workers", "data.augment", "data.cache", "data.memory", "optimizer",
    "optimizer.name", "optimizer.learning_rate", "optimizer.betas", "optimizer.weight_decay",
    "schedule", "schedule.name", "schedule.final", "schedule.milestones", "schedule.gamma",
)  # fmt: skip
TEXTS = (
    "null",
    "true",
    "x",
    "-1",
    "1e400",
    ".nan",
    "[]",
    "[[1]]",
    "{}",
    "{a: 1}",
    "99999999999999",
)

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
YAML = {
    "empty": b"", "a word": b"x", "a list": b"- 1\n- 2\n", "a number": b"5\n",
    "not closed": b"a: [1, 2", "tab": b"a:\n\tb: 1", "binary": bytes(range(256)),
    "not UTF-8": b"a: \xff\xfe", "UTF-16": "scale: 4".encode("utf-16"), "BOM": b"\xef\xbb\xbfscale: 4",
    "unknown key": b"scael: 4", "key twice": b"scale: 4\nscale: 2", "number as key": b"1: 2",
    "null as key": b"null: 2", "list as key": b"? [1]\n: 2", "billion laughs": LAUGHS.encode(),
    "holds itself": b"a: &a\n  b: *a\n", "unknown anchor": b"a: *b",
    "python object": b"a: !!python/object/apply:os.system ['touch hacked']",
    "python name": b"a: !!python/name:os.system", "unknown tag": b"a: !x 1", "deep": b"[" * 5000,
    "deep mapping": b"{a: " * 3000, "interpolation": b"seed: ${nothing}", "circle": b"seed: ${seed}",
    "environment": b"seed: ${oc.env:NO_SUCH_VARIABLE}", "missing value": b"seed: ???",
    "two documents": b"scale: 4\n---\nscale: 2\n", "long": b"a: " + b"x" * (2**20 + 1),
    "number in options": b"model: {options: {1: 2}}", "option unknown": b"model: {options: {x: 2}}",
    "loss without a type": b"losses: [{weight: 1}]", "loss unknown": b"losses: [{type: Nothing}]",
    "NUL": b"a: \0", "date": b"seed: 2020-01-01", "sexagesimal": b"seed: 1:2:3", "set": b"a: !!set {x}",
}  # fmt: skip

OVERRIDES = (
    "", "=", "=1", "x", "x=1", "scale", "scale=", "scale=x", "scale=[", "losses.9.type=L1Loss",
    "losses.-1.type=L1Loss", "losses.x=1", "a.b.c.d=1", "scale.x=1", "seed=${seed}", "seed=*a",
    "..=1", ".=1", "a..b=1", "seed=" + "9" * 5000, "model.options.blocks=999999999",
    "data.train=" + "[" * 3000, "\0=1", "seed=\ud800",
)  # fmt: skip


def cases(folder: Path) -> Iterator[Case]:
    """All cases; those of trainings only if omegaconf and Fabric are installed."""
    folder.mkdir(parents=True)
    for field in dataclasses.fields(AnalysisConfig):
        for number, value in enumerate(VALUES):
            yield Case("configuration: value", f"{field.name}-{number}",
                       partial(_analysis, {"dataset": "sample", field.name: value}))  # fmt: skip
    for name, values in {"a list": [1], "nothing": None, "empty": {}, "no data set": {"k": 8},
                         "unknown": {"dataset": "x", "foo": 1}, "number": {"dataset": "x", 1: 2},
                         "mixed": {"dataset": "x", 1: 2, "b": 1}, "text": "x"}.items():  # fmt: skip
        yield Case("configuration: shape", name, partial(_analysis, values))
    analysis = AnalysisConfig("sample")
    wrong: dict[str, dict[str, Any]] = {
        "no models": {"models": ()}, "twice": {"models": ("a", "a")},
        "baseline": {"models": ("a",), "baseline": "b"}, "metrics": {"models": ("a",), "metrics": ()},
        "strata": {"models": ("a",), "strata": 0}, "crops": {"models": ("a",), "crops": "x"},
    }  # fmt: skip
    for name, options in wrong.items():
        yield Case("configuration: comparison", name, partial(CompareConfig, analysis, **options))
    try:
        import lightning_fabric  # noqa: F401
        import omegaconf  # noqa: F401
    except ImportError:
        return
    yield from _training(folder)


def _analysis(values: Any) -> None:
    config = AnalysisConfig.from_dict(values)
    config.fingerprint()
    assert AnalysisConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def _training(folder: Path) -> Iterator[Case]:
    import os

    from cooanalysis.training import read_config

    for name, data in YAML.items():
        path = folder / f"{name}.yaml"
        path.write_bytes(data)
        yield Case("training: YAML", name, partial(_built, [path], []))
    for key in KEYS:
        for text in TEXTS:
            yield Case("training: value", f"{key}={text}", partial(_built, [], [f"{key}={text}"]))
    for text in OVERRIDES:
        yield Case("training: override", repr(text[:40]), partial(_built, [], [text]))
    os.mkfifo(folder / "pipe.yaml")
    for path in (folder, folder / "none.yaml", folder / "pipe.yaml", Path("/dev/zero")):
        yield Case("training: no file", str(path), partial(read_config, [path]))


def _built(paths: list[Path], overrides: list[str]) -> None:
    """Read a configuration and build its networks and losses."""
    from cooanalysis.training import read_config
    from cooanalysis.training.setup import build_discriminator, build_generator, build_objective

    config = read_config(paths, overrides)
    config.fingerprint()
    build_generator(config), build_objective(config), build_discriminator(config)
