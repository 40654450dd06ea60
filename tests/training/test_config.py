"""Configuration of a training run: merging, one clear sentence for each mistake, fingerprints."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("omegaconf")

from cooanalysis.errors import ConfigError  # noqa: E402
from cooanalysis.training.config import (  # noqa: E402
    GanConfig,
    ModelConfig,
    TrainConfig,
    read_config,
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- merging ------------------------------------------------------------------------------------


def test_later_files_win_and_overrides_win_over_all(tmp_path: Path) -> None:
    first = write(
        tmp_path, "a.yaml",
        "iterations: 10\nseed: 1\nmodel: {name: rrdb, options: {features: 8, blocks: 2}}\n"
        "losses: [{type: L1Loss}, {type: DECLoss, loss_weight: 0.02}]\n",
    )  # fmt: skip
    second = write(
        tmp_path, "b.yaml",
        "iterations: 20\nmodel: {options: {blocks: 3}}\nlosses: [{type: MSELoss}]\n",
    )  # fmt: skip
    config = read_config([first, second], ["iterations=30", "optimizer.learning_rate=1e-5"])
    assert config.iterations == 30
    assert config.seed == 1
    # Mappings are merged, lists replaced.
    assert config.model == ModelConfig("rrdb", {"features": 8, "blocks": 3})
    assert config.losses == ({"type": "MSELoss"},)
    assert config.optimizer.learning_rate == 1e-5
    assert read_config([second, first]).iterations == 10


def test_overrides_reach_into_lists(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.yaml", "losses: [{type: L1Loss}, {type: DECLoss, loss_weight: 0.02}]\n"
    )
    config = read_config([path], ["losses.1.loss_weight=0.5", "data.train=[one,two]"])
    assert config.losses == ({"type": "L1Loss"}, {"type": "DECLoss", "loss_weight": 0.5})
    assert config.data.train == ("one", "two")


def test_nothing_asked_gives_the_defaults(tmp_path: Path) -> None:
    assert read_config([]) == TrainConfig()
    assert read_config([write(tmp_path, "empty.yaml", "")]) == TrainConfig()


def test_an_adversary_can_be_taken_back(tmp_path: Path) -> None:
    path = write(tmp_path, "gan.yaml", "gan: {weight: 0.1, options: {features: 8}}\n")
    assert read_config([path]).gan == GanConfig(weight=0.1, options={"features": 8})
    assert read_config([path], ["gan=null"]).gan is None


def test_one_name_stands_for_a_list_of_one_and_whole_numbers_for_numbers() -> None:
    config = read_config([], ["data.train=folder", "gradient_clip=1", "optimizer.betas=[0,0.5]"])
    assert config.data.train == ("folder",)
    assert config.gradient_clip == 1.0 and isinstance(config.gradient_clip, float)
    assert config.optimizer.betas == (0.0, 0.5)


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("scale=5", ["scale", "2, 3, 4, 8", "5"]),
        ("precision=fp8", ["precision", "32-true", "bf16-mixed", "16-mixed", "'fp8'"]),
        ("optimizer.name=sgd", ["optimizer.name", "adam, adamw", "'sgd'"]),
        ("schedule.name=linear", ["schedule.name", "constant, cosine, multistep", "'linear'"]),
        ("iterations=0", ["iterations", "whole number of at least 1", "got 0"]),
        ("iterations=1.5", ["iterations", "whole number", "1.5"]),
        ("iterations=many", ["iterations", "whole number", "'many'"]),
        ("iterations=true", ["iterations", "whole number", "True"]),
        ("iterations=null", ["iterations", "whole number", "None"]),
        ("log_every=0", ["log_every", "at least 1", "got 0"]),
        ("keep=0", ["keep", "at least 1", "got 0"]),
        ("seed=-1", ["seed", "at least 0", "-1"]),
        ("validate_every=-1", ["validate_every", "at least 0", "-1"]),
        ("checkpoint_every=-1", ["checkpoint_every", "at least 0", "-1"]),
        ("validation_images=-1", ["validation_images", "at least 0", "-1"]),
        ("data.crop=3", ["data.crop", "at least 4", "got 3"]),
        ("data.batch_size=0", ["data.batch_size", "at least 1", "got 0"]),
        ("data.workers=-2", ["data.workers", "at least 0", "-2"]),
        ("data.augment=1", ["data.augment", "true or false", "got 1"]),
        ("data.train=[]", ["data.train", "at least one"]),
        ("data.train=[1]", ["data.train", "text", "got 1"]),
        ("data.train={a: b}", ["data.train", "list", "{'a': 'b'}"]),
        ("data.cache=3", ["data.cache", "text", "got 3"]),
        ("init=3", ["init", "text", "got 3"]),
        ("losses=[]", ["losses", "at least one"]),
        ("losses=[L1Loss]", ["losses", "mapping", "'L1Loss'"]),
        ("model=edsr", ["model", "mapping", "'edsr'"]),
        ("model.options=[1]", ["model.options", "mapping", "[1]"]),
        ("gan=true", ["gan", "mapping", "True"]),
        ("gan.weight=0", ["gan.weight", "above 0", "0.0"]),
        ("gan.learning_rate=-1", ["gan.learning_rate", "above 0", "-1"]),
        ("gan.warm_up=-1", ["gan.warm_up", "at least 0", "-1"]),
        ("optimizer.learning_rate=0", ["optimizer.learning_rate", "above 0", "0.0"]),
        ("optimizer.learning_rate=.nan", ["optimizer.learning_rate", "nan"]),
        ("optimizer.learning_rate=.inf", ["optimizer.learning_rate", "inf"]),
        ("optimizer.learning_rate=high", ["optimizer.learning_rate", "number", "'high'"]),
        ("optimizer.weight_decay=-1", ["optimizer.weight_decay", "at least 0", "-1"]),
        ("optimizer.betas=[0.9]", ["optimizer.betas", "two", "0.9"]),
        ("optimizer.betas=[0.9,1.5]", ["optimizer.betas", "1.5"]),
        # Adam refuses a beta of 1: its average would never move.
        ("optimizer.betas=[0.9,1.0]", ["optimizer.betas", "below 1", "1.0"]),
        ("schedule.final=2", ["schedule.final", "at most 1", "2"]),
        ("schedule.gamma=-1", ["schedule.gamma", "at least 0", "-1"]),
        ("schedule.milestones=[500]", ["schedule.milestones", "at most 1", "500"]),
        ("gradient_clip=-1", ["gradient_clip", "at least 0", "-1"]),
        ("ema=1", ["ema", "below 1"]),
        ("ema=-0.1", ["ema", "at least 0", "-0.1"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(
    override: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config([], [override])
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("iteration=5", ["iteration", "did you mean iterations?"]),
        ("optimiser.learning_rate=1", ["optimiser", "did you mean optimizer?"]),
        ("optimizer.lr=1", ["optimizer.lr", "learning_rate"]),
        ("data.batchsize=1", ["data.batchsize", "did you mean data.batch_size?"]),
        ("schedule.milestone=[0.5]", ["did you mean schedule.milestones?"]),
        ("gan.warmup=1", ["did you mean gan.warm_up?"]),
        # Nothing near: all keys.
        ("xyzzy=5", ["xyzzy", "iterations", "optimizer", "precision"]),
        ("data.xyzzy=5", ["data.xyzzy", "batch_size", "crop"]),
    ],
)
def test_an_unknown_key_suggests_the_closest(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError, match="unknown configuration key") as caught:
        read_config([], [override])
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "must be a mapping"),
        ("a: [1\n", "cannot read"),
        ("a: 1\na: 2\n", "cannot read"),
        ("5\n", "cannot read"),
        ("iterations: ${nowhere}\n", "nowhere"),
        ("iterations: ???\n", "iterations"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_named(text: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, "odd.yaml", text)
    with pytest.raises(ConfigError, match=words):
        read_config([path])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read configuration .*none.yaml"):
        read_config([tmp_path / "none.yaml"])
    with pytest.raises(ConfigError, match="cannot read configuration"):
        read_config([tmp_path])
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x9f" * 8)
    with pytest.raises(ConfigError, match="cannot read configuration .*binary.yaml"):
        read_config([binary])


@pytest.mark.parametrize("override", ["iterations", "=5", ""])
def test_an_override_needs_key_and_value(override: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        read_config([], [override])


@pytest.mark.parametrize(
    "override", ["model={name", "losses.x.weight=1", "losses.7.weight=1", "iterations.a.b=1"]
)
def test_an_override_that_cannot_be_merged_is_one_clear_error(
    override: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "a.yaml", "iterations: 5\nlosses: [{type: L1Loss}]\n")
    with pytest.raises(ConfigError):
        read_config([path], [override])


def test_python_callers_get_the_same_errors() -> None:
    with pytest.raises(ConfigError, match="iterations must be a whole number"):
        TrainConfig(iterations=2.0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="scale must be one of 2, 3, 4, 8; got 1"):
        TrainConfig(scale=1)
    with pytest.raises(ConfigError, match="must be a mapping"):
        TrainConfig.from_dict([])  # type: ignore[arg-type]


# --- round trip and fingerprint -----------------------------------------------------------------

FULL = {
    "scale": 2,
    "model": {"name": "edsr", "options": {"features": 8, "blocks": 1, "direct": True}},
    "init": "start.safetensors",
    "data": {
        "train": ["a", "b"], "validation": ["c"], "crop": 12, "batch_size": 2, "workers": 1,
        "augment": False, "cache": "cached", "memory": 2.0,
    },
    "losses": [{"type": "L1Loss"}, {"type": "DECLoss", "loss_weight": 0.1}],
    "gan": {
        "weight": 0.01, "learning_rate": 0.001, "warm_up": 3, "follow_schedule": True,
        "name": "patch", "options": {"features": 8},
    },
    "optimizer": {
        "name": "adamw", "learning_rate": 0.01, "betas": [0.8, 0.9], "weight_decay": 0.1,
    },
    "schedule": {"name": "multistep", "final": 0.5, "milestones": [0.5, 0.75], "gamma": 0.1},
    "iterations": 7,
    "gradient_clip": 2.0,
    "ema": 0.9,
    "precision": "bf16-mixed",
    "seed": 5,
    "validate_every": 2,
    "checkpoint_every": 3,
    "log_every": 4,
    "keep": 5,
    "validation_images": 6,
    "deterministic": True,
}  # fmt: skip


def test_plain_values_and_back(tmp_path: Path) -> None:
    config = TrainConfig.from_dict(FULL)
    assert config.as_dict() == FULL
    # Every key is written, so that a directory stays complete when a default changes.
    assert set(FULL) == {f.name for f in dataclasses.fields(TrainConfig)}
    assert TrainConfig.from_dict(config.as_dict()) == config
    # JSON is YAML: what a summary records can be given to --config.
    assert read_config([write(tmp_path, "full.yaml", json.dumps(config.as_dict()))]) == config
    assert TrainConfig.from_dict(TrainConfig().as_dict()) == TrainConfig()


CHANGED: dict[str, Any] = {
    "scale": 4, "init": None, "iterations": 8, "gradient_clip": 1.0, "ema": 0.5,
    "precision": "32-true", "seed": 6, "losses": [{"type": "L1Loss"}], "gan": None,
    "model.name": "rrdb", "model.options": {"features": 9}, "data.train": ["a"],
    "data.validation": [], "data.crop": 13, "data.batch_size": 4, "data.augment": True,
    "gan.weight": 0.02, "gan.learning_rate": 0.002, "gan.warm_up": 4, "gan.options": {},
    "gan.name": "other", "gan.follow_schedule": False, "deterministic": False,
    "optimizer.name": "adam", "optimizer.learning_rate": 0.02, "optimizer.betas": [0.7, 0.9],
    "optimizer.weight_decay": 0.2, "schedule.name": "cosine", "schedule.final": 0.6,
    "schedule.milestones": [0.5], "schedule.gamma": 0.2,
}  # fmt: skip
FREE: dict[str, Any] = {
    "validate_every": 9, "checkpoint_every": 9, "log_every": 9, "keep": 9, "validation_images": 9,
    "data.workers": 0, "data.cache": None, "data.memory": 1.0,
}  # fmt: skip


def changed(key: str, value: Any) -> TrainConfig:
    values = json.loads(json.dumps(FULL))
    at = values
    *parents, leaf = key.split(".")
    for parent in parents:
        at = at[parent]
    at[leaf] = value
    return TrainConfig.from_dict(values)


def test_the_fingerprint_forgets_the_cadence_and_nothing_else() -> None:
    leaves = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in FULL.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert leaves | {"gan"} == set(CHANGED) | set(FREE), "a new key must be sorted in here"
    before = TrainConfig.from_dict(FULL).fingerprint()
    assert {changed(key, value).fingerprint() for key, value in FREE.items()} == {before}
    after = [changed(key, value).fingerprint() for key, value in CHANGED.items()]
    assert before not in after
    assert len(set(after)) == len(after)


def test_the_fingerprint_does_not_depend_on_order_or_spelling(tmp_path: Path) -> None:
    values = dict(reversed(list(FULL.items())))
    assert TrainConfig.from_dict(values).fingerprint() == TrainConfig.from_dict(FULL).fingerprint()
    assert (
        read_config([], ["gradient_clip=1"]).fingerprint()
        == read_config([], ["gradient_clip=1.0"]).fingerprint()
    )
