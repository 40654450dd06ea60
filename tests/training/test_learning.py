"""What a run learns, in which order, and what it logs of it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("tensorboardX")
pytest.importorskip("omegaconf")
safetensors = pytest.importorskip("safetensors.torch")

from cooanalysis import models  # noqa: E402
from cooanalysis.errors import (  # noqa: E402
    ConfigError,
    DatasetNotFoundError,
    NotEnoughDataError,
    RunDirectoryError,
    TrainingError,
)
from cooanalysis.training import TrainConfig, checkpoint, dry_run, read_config, setup, train  # noqa: E402  # noqa: E402

OPTIONS = {"features": 8, "blocks": 1, "direct": True, "skip": True}
DECLOSS = [{"type": "L1Loss"}, {"type": "DECLoss", "loss_weight": 0.1, "patch_size": 4}]
GAN = {"weight": 0.01, "learning_rate": 1e-3, "options": {"features": 4, "layers": 2}}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small images with structure: coarse noise, enlarged."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in "abc":
        coarse = Image.fromarray(rng.integers(0, 256, (14, 16, 3), np.uint8))
        coarse.resize((48, 42), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


def config(photos: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "scale": 2,
        "model": {"name": "edsr", "options": OPTIONS},
        "data": {"train": [str(photos)], "crop": 8, "batch_size": 2},
        "optimizer": {"learning_rate": 1e-3},
        "iterations": 4,
        "checkpoint_every": 2,
        "log_every": 1,
    }
    return TrainConfig.from_dict(values | changes)


def fit(asked: TrainConfig, out: Path, **arguments: Any) -> dict[str, Any]:
    return train(asked, out=out, download=False, device="cpu", **arguments)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.load_file(str(folder / "weights.safetensors"))


def equal(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return set(one) == set(two) and all(torch.equal(one[key], two[key]) for key in one)


class StopAt:
    """Progress that interrupts the run as Ctrl-C does, after some steps of this sitting."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def start(self, stage: str, total: int) -> None:
        self.seen = -1  # the first call reports how far an earlier run came

    def advance(self, steps: int = 1) -> None:
        import signal

        self.seen += 1
        if self.seen == self.steps:
            signal.raise_signal(signal.SIGINT)


class FallAt(StopAt):
    """Progress that breaks off as a crash does: nothing more is saved."""

    def advance(self, steps: int = 1) -> None:
        self.seen += 1
        if self.seen == self.steps:
            raise ZeroDivisionError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_row_is_the_mean_since_the_last_row(photos: Path, tmp_path: Path) -> None:
    fit(config(photos, iterations=5), tmp_path / "each")
    fit(config(photos, iterations=5, log_every=3), tmp_path / "third")
    each, third = (pd.read_csv(tmp_path / name / "metrics.csv") for name in ("each", "third"))
    assert list(third["iteration"]) == [3, 5]
    assert third["L1Loss"].tolist() == pytest.approx(
        [each["L1Loss"][:3].mean(), each["L1Loss"][3:].mean()]
    )
    assert equal(tmp_path / "each", tmp_path / "third")


def test_training_learns_and_depends_on_the_seed_alone(photos: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 2**31)
        fit(config(photos, iterations=40, optimizer={"learning_rate": 3e-3}), tmp_path / name)
    assert equal(tmp_path / "a", tmp_path / "b")
    losses = pd.read_csv(tmp_path / "a" / "metrics.csv")["L1Loss"]
    assert losses[-8:].mean() < 0.8 * losses[:4].mean()
    fit(config(photos, iterations=40, optimizer={"learning_rate": 3e-3}, seed=1), tmp_path / "c")
    assert not equal(tmp_path / "a", tmp_path / "c")


def board_rows(folder: Path) -> list[tuple[int, dict[str, float]]]:
    from tensorboardX.proto.event_pb2 import Event

    rows = []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.summary.value:
                rows.append((event.step, {v.tag: v.simple_value for v in event.summary.value}))
    return rows


# --- what it trains -----------------------------------------------------------------------------


def test_init_is_where_training_starts(photos: Path, tmp_path: Path) -> None:
    fit(config(photos), tmp_path / "start")
    start = tmp_path / "start" / "weights.safetensors"
    frozen = config(photos, init=str(start), optimizer={"learning_rate": 1e-30})
    fit(frozen, tmp_path / "same")
    assert equal(tmp_path / "start", tmp_path / "same")


def test_the_moving_average_is_what_is_saved(photos: Path, tmp_path: Path) -> None:
    steps = []
    for n in (1, 2, 3):
        fit(config(photos, iterations=n), tmp_path / f"plain{n}")
        steps.append(weights(tmp_path / f"plain{n}"))
    fit(config(photos, iterations=3, ema=0.75), tmp_path / "average")
    # The average starts with the first weights there are.
    for key, value in weights(tmp_path / "average").items():
        expected = 0.75 * (0.75 * steps[0][key] + 0.25 * steps[1][key]) + 0.25 * steps[2][key]
        assert torch.allclose(value, expected, atol=1e-7)


def test_everything_at_once_and_resumed(photos: Path, tmp_path: Path) -> None:
    """GAN, DECLoss (which draws at random), average, schedule, clipping, interrupted twice."""
    asked = config(
        photos, losses=DECLOSS, gan=GAN | {"warm_up": 2}, ema=0.5, iterations=7, log_every=2,
        schedule={"name": "cosine", "final": 0.1}, gradient_clip=0.5, checkpoint_every=3,
    )  # fmt: skip
    fit(asked, tmp_path / "whole")
    table = pd.read_csv(tmp_path / "whole" / "metrics.csv")
    assert set(table.columns) == {
        "iteration", "L1Loss", "DECLoss", "RaGAN", "discriminator", "learning_rate",
    }  # fmt: skip
    # The generator does not learn in the first two iterations.
    assert table["L1Loss"].isna().tolist() == [True, False, False, False]
    assert table["discriminator"].notna().all()

    for steps in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            fit(asked, tmp_path / "parts", progress=StopAt(steps))
        assert not (tmp_path / "parts" / "weights.safetensors").exists()
    fit(asked, tmp_path / "parts")
    assert equal(tmp_path / "whole", tmp_path / "parts")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "parts" / "metrics.csv"), table)
    steps = [step for step, _ in board_rows(tmp_path / "parts" / "tensorboard")]
    assert sorted(set(steps)) == [2, 4, 6, 7]


def test_an_adversary_changes_the_result(photos: Path, tmp_path: Path) -> None:
    fit(config(photos), tmp_path / "plain")
    fit(config(photos, gan=GAN), tmp_path / "gan")
    assert not equal(tmp_path / "plain", tmp_path / "gan")


def test_the_learning_rate_of_a_row_is_that_of_its_step(photos: Path, tmp_path: Path) -> None:
    schedule = {"name": "multistep", "milestones": [0.5], "gamma": 0.1}
    fit(config(photos, schedule=schedule), tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert table["learning_rate"].tolist() == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_optimizers_are_those_of_torch(name: str) -> None:
    from cooanalysis.training.config import OptimizerConfig

    asked = OptimizerConfig(name=name, betas=(0.5, 0.75), weight_decay=0.1)
    found = setup.build_optimizer(torch.nn.Linear(2, 2), asked, 0.25)
    assert type(found).__name__.lower() == name
    group = found.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.25, (0.5, 0.75), 0.1)


def test_half_precision_trains(photos: Path, tmp_path: Path) -> None:
    fit(config(photos, precision="bf16-mixed", gan=GAN, losses=DECLOSS), tmp_path / "run")
    for value in weights(tmp_path / "run").values():
        assert value.dtype == torch.float32 and torch.isfinite(value).all()


def test_resuming_after_the_last_step(photos: Path, tmp_path: Path) -> None:
    """Interrupted between the last step and the weights file: nothing is left but to write."""
    fit(config(photos), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(config(photos), tmp_path / "parts", progress=StopAt(4))
    fit(config(photos), tmp_path / "parts")
    assert equal(tmp_path / "whole", tmp_path / "parts")


def test_keep_bounds_the_checkpoints(photos: Path, tmp_path: Path) -> None:
    asked = config(photos, checkpoint_every=1, keep=2, iterations=6)
    with pytest.raises(ZeroDivisionError):
        fit(asked, tmp_path / "run", progress=FallAt(5))
    found = [path.name for path in sorted((tmp_path / "run").glob(checkpoint.PATTERN))]
    assert found == ["checkpoint-00000003.pt", "checkpoint-00000004.pt"]


@pytest.mark.parametrize(
    "left", [set(), {"fingerprint"}, {".fingerprint.tmp"}, {"fingerprint", ".config.yaml.tmp"}]
)
def test_a_directory_left_at_its_very_start_is_used(
    left: set[str], photos: Path, tmp_path: Path
) -> None:
    """A process may be killed before its first file is whole; its directory is still its own."""
    out = tmp_path / "run"
    out.mkdir()
    asked = config(photos)
    for name in left:
        (out / name).write_text(asked.fingerprint() if name == "fingerprint" else "half")
    fit(asked, out)
    assert read_config([out / "config.yaml"]) == asked
    assert not list(out.glob(".*.tmp"))


def test_a_path_that_is_not_a_directory_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunDirectoryError, match="cannot write"):
            fit(config(photos), out)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_huge_learning_rate_is_a_training_error(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="learning_rate"):
        fit(config(photos, optimizer={"learning_rate": 1e30}), tmp_path / "run")


def test_missing_data_and_images_that_are_too_small(photos: Path, tmp_path: Path) -> None:
    nowhere = {"train": [str(tmp_path / "nowhere")], "crop": 8, "batch_size": 2}
    with pytest.raises(DatasetNotFoundError, match="nowhere"):
        fit(config(photos, data=nowhere), tmp_path / "run")
    large = {"train": [str(photos)], "crop": 48, "batch_size": 2}
    with pytest.raises(NotEnoughDataError, match=r"48x48 LR pixels.*data\.crop"):
        fit(config(photos, data=large), tmp_path / "run2")


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, {"device": "tpu"}, "device must be one of auto, cpu, cuda; got 'tpu'"),
        ({}, {"device": "cpu", "devices": 3}, r"batch_size \(2\).*devices \(3\)"),
        ({}, {"device": "cpu", "devices": 0}, "devices must be .*at least 1; got 0"),
        ({"losses": [{"type": "L1Loss"}, {"type": "L1Loss"}]}, {}, "one type twice: L1Loss"),
        ({"losses": [{"type": "L3Loss"}]}, {}, "unknown loss 'L3Loss'; did you mean 'L1Loss'"),
        ({"model": {"name": "edrs"}}, {}, "'edrs'; did you mean 'edsr'"),
        ({"model": {"options": {"widht": 3}}}, {}, "no option widht; it has scale, features"),
        ({"gan": {"name": "x"}}, {}, "unknown discriminator 'x'; known ones: patch"),
        ({"gan": {"options": {"depth": 3}}}, {}, "no option depth; it has features, layers"),
    ],
)
def test_arguments_that_make_no_sense(
    changes: dict[str, Any], arguments: dict[str, Any], words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        train(
            config(photos, **changes), out=tmp_path / "run", **({"device": "cpu"} | arguments)
        )  # fmt: skip


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from cooanalysis.errors import MissingDependencyError

    monkeypatch.setattr(setup, "REQUIRED", {"no_such_module": "no-such-package"})
    with pytest.raises(MissingDependencyError, match=r"no-such-package.*cooanalysis\[train\]"):
        setup.require_packages()


# --- dry run ------------------------------------------------------------------------------------


def test_a_dry_run_builds_everything_and_writes_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = config(photos, gan=GAN | {"warm_up": 9}, losses=DECLOSS, ema=0.9)
    found = dry_run(asked, device="cpu")
    assert list(tmp_path.iterdir()) == []
    network = models.build("edsr", scale=2, **OPTIONS)
    assert found["parameters"] == models.count_parameters(network)
    assert found["discriminator_parameters"] > 0
    assert found["data"] == {str(photos): 3} and found["missing"] == []
    assert found["seconds_per_crop"] > 0 and found["device"] == "cpu"
    json.dumps(found)


def test_a_dry_run_finds_mistakes(photos: Path) -> None:
    with pytest.raises(ConfigError, match="no option widht"):
        dry_run(config(photos, model={"name": "edsr", "options": {"widht": 3}}), device="cpu")
    with pytest.raises(ConfigError, match="one type twice"):
        dry_run(config(photos, losses=[{"type": "L1Loss"}, {"type": "L1Loss"}]), device="cpu")
