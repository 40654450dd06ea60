"""A whole training run in this process: what it leaves, reuses and refuses."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("tensorboardX")

from PIL import Image  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from cooanalysis import models  # noqa: E402
from cooanalysis.data import downsample, upsample  # noqa: E402
from cooanalysis.data.images import rgb_to_y  # noqa: E402
from cooanalysis.errors import (  # noqa: E402
    ConfigError,
    DatasetNotFoundError,
    ModelError,
    NotEnoughDataError,
    RunDirectoryError,
    TrainingError,
)
from cooanalysis.metrics import psnr  # noqa: E402
from cooanalysis.models.tiling import upscale  # noqa: E402
from cooanalysis.training import TrainConfig, checkpoint, dry_run, read_config  # noqa: E402
from cooanalysis.training import run as runs  # noqa: E402
from cooanalysis.training import train as training  # noqa: E402
from cooanalysis.training.logs import Board  # noqa: E402
from tests.helpers.tiny_training import GAN, tiny, write_images  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


def train(values: dict[str, Any], out: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    config = TrainConfig.from_dict(values)
    summary = training(config, out=out, device="cpu", note=notes.append, **options)
    return summary, notes


def same(one: Path, other: Path) -> bool:
    a, b = (load_file(path / "weights.safetensors") for path in (one, other))
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


def events(folder: Path) -> list[tuple[int, str, float]]:
    """(step, tag, value) that TensorBoard would show, in the order of the files."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found: list[tuple[int, str, float]] = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            if event.session_log.status == SessionLog.START:
                found = [entry for entry in found if entry[0] < event.step]
            for value in event.summary.value:
                found.append((event.step, value.tag, value.simple_value))
    return found


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(images, **GAN), out)
    return out


def test_what_a_run_leaves(images: Path, finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        ".lock", "config.yaml", "fingerprint", "images", "metrics.csv", "summary.json",
        "tensorboard", "weights.safetensors",
    }  # fmt: skip
    config = TrainConfig.from_dict(tiny(images, **GAN))
    assert read_config([finished / "config.yaml"]) == config
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["iterations"] == 24 and summary["seed"] == 0 and summary["device"] == "cpu"
    assert summary["data"] == ["train"] and "lightning-fabric" in summary["versions"]
    assert set(summary["metrics"]) == {
        "L1Loss", "DECLoss", "RaGAN", "discriminator", "psnr_y", "detail_energy", "explained",
        "gain", "invented_at_least",
    }  # fmt: skip
    info = models.read_info(finished / "weights.safetensors")
    assert (info.name, info.scale) == ("edsr", 2) and info.metadata["iterations"] == "24"
    assert [int(row["iteration"]) for row in rows(finished)] == [
        3,
        6,
        9,
        10,
        12,
        15,
        18,
        20,
        21,
        24,
    ]


def test_the_logged_psnr_is_that_of_the_weights_that_are_left(finished: Path, images: Path) -> None:
    network = models.load_weights(finished / "weights.safetensors")
    values = []
    for i in range(2):
        hr = np.asarray(Image.open(images / "valid" / f"{i}.png"))
        output = upscale(network, downsample(hr, 2), scale=2)
        assert np.array_equal(
            np.asarray(Image.open(finished / "images" / f"valid-{i}.png")), output
        )
        values.append(psnr(output, hr, border=2))
    assert float(rows(finished)[-1]["psnr_y"]) == pytest.approx(np.mean(values), abs=1e-9)


def test_the_logged_detail_is_that_of_the_images(finished: Path, images: Path) -> None:
    ratios = []
    for i in range(2):
        hr = np.asarray(Image.open(images / "valid" / f"{i}.png"))
        output = np.asarray(Image.open(finished / "images" / f"valid-{i}.png"))
        lr = downsample(hr, 2)
        base = rgb_to_y(np.rint(np.clip(upsample(lr, 2), 0, 255)).astype(np.uint8), rounded=False)
        inside = np.s_[2:-2, 2:-2]
        ratios.append(
            [
                float(np.sum((rgb_to_y(image, rounded=False) - base)[inside] ** 2))
                for image in (output, hr)
            ]
        )
    shown, true = np.sum(ratios, axis=0)
    assert float(rows(finished)[-1]["detail_energy"]) == pytest.approx(shown / true, rel=1e-4)


def test_tensorboard_and_csv_say_the_same(finished: Path) -> None:
    shown = {(step, tag): value for step, tag, value in events(finished / "tensorboard")}
    table = {
        (int(row["iteration"]), key): float(value)
        for row in rows(finished)
        for key, value in row.items()
        if key != "iteration" and value
    }
    assert shown.keys() == table.keys()
    assert all(shown[key] == pytest.approx(table[key], rel=1e-6) for key in table)


def test_a_finished_run_is_reused_and_another_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    values = tiny(images, iterations=4)
    first, _ = train(values, out)
    (out / "my notes.txt").write_text("mine")
    again, notes = train(values | {"log_every": 1}, out)
    assert again == first and "finished" in notes[0]
    with pytest.raises(RunDirectoryError, match="another configuration.*--overwrite"):
        train(values | {"seed": 1}, out)
    other, _ = train(values | {"seed": 1}, out, overwrite=True)
    assert other["seed"] == 1 and (out / "my notes.txt").exists()
    assert len(list((out / "tensorboard").iterdir())) == 1


def test_folders_of_others_are_not_touched(images: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(RunDirectoryError, match="not a training directory"):
            train(tiny(images), tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["thesis.tex"]


def test_one_process_a_directory(images: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    out = tmp_path / "run"
    out.mkdir()
    with (
        FileLock(out / ".lock"),
        pytest.raises(RunDirectoryError, match="another process is training"),
    ):
        train(tiny(images), out)


def test_workers_cache_and_cadence_change_no_weight(images: Path, tmp_path: Path) -> None:
    values = tiny(images, iterations=8)
    train(values, tmp_path / "a")
    data = {"workers": 1, "cache": str(tmp_path / "cache")}
    train(tiny(images, iterations=8, data=data, log_every=1, validate_every=2), tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b")


def interrupted(values: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail while the checkpoint of iteration 12 is written."""
    real = checkpoint.save

    def fail(folder: Path, iteration: int, state: Any, *, keep: int) -> None:
        if iteration == 12:
            raise RunDirectoryError("cannot write: No space left on device")
        real(folder, iteration, state, keep=keep)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", fail)
        with pytest.raises(RunDirectoryError, match="No space left"):
            train(values, out)
    assert checkpoint.path_of(out, 8).exists()


def test_a_full_disk_loses_nothing(
    images: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, out = tiny(images, **GAN), tmp_path / "run"
    interrupted(values, out, monkeypatch)
    _, notes = train(values, out)
    assert notes == ["resuming after iteration 8"]
    assert same(out, finished) and rows(out) == rows(finished)
    assert events(out / "tensorboard") == events(finished / "tensorboard")


def test_a_damaged_checkpoint_falls_back(
    images: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, out = tiny(images, **GAN), tmp_path / "run"
    interrupted(values, out, monkeypatch)
    newest = checkpoint.path_of(out, 8)
    newest.write_bytes(newest.read_bytes()[:1000])
    _, notes = train(values, out)
    assert "damaged" in notes[0] and notes[1] == "resuming after iteration 4" and len(notes) == 2
    assert same(out, finished)


def test_changed_inputs_are_noticed(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, out = tmp_path / "start", tmp_path / "run"
    train(tiny(images, iterations=2), start)
    weights = start / "weights.safetensors"
    values = tiny(images, init=str(weights))
    interrupted(values, out, monkeypatch)
    train(tiny(images, iterations=2, seed=9), start, overwrite=True)
    with pytest.raises(RunDirectoryError, match="the weights file init changed since"):
        train(values, out)
    _, notes = train(values, out, overwrite=True)
    assert notes == []  # from the beginning
    train(tiny(images, iterations=2, seed=10), start, overwrite=True)
    with pytest.raises(RunDirectoryError, match="init changed"):
        train(values, out)
    weights.unlink()  # a finished run needs nothing any more
    assert "finished" in train(values, out)[1][0]


def test_starting_from_weights(images: Path, tmp_path: Path) -> None:
    train(tiny(images, iterations=4), tmp_path / "start")
    weights = tmp_path / "start" / "weights.safetensors"
    slow = {"learning_rate": 1e-12}
    train(tiny(images, iterations=1, init=str(weights), optimizer=slow), tmp_path / "run")
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("start", "run"))
    assert all(np.allclose(a[name], b[name], atol=1e-6) for name in a)
    other = {"name": "edsr", "options": {"features": 4, "blocks": 2}}
    with pytest.raises(ModelError, match="holds edsr x2 .*but the configuration asks for"):
        train(tiny(images, init=str(weights), model=other), tmp_path / "other")
    with pytest.raises(ModelError, match="no weights file"):
        train(tiny(images, init=str(tmp_path / "nothing")), tmp_path / "third")


def test_a_loss_that_explodes_keeps_the_last_good_checkpoint(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, out = tiny(images), tmp_path / "run"
    real = runs.to_unit

    def poison(batch: Any) -> Any:
        found = real(batch)
        if poison.calls >= 20:  # type: ignore[attr-defined]
            found[0, 0, 0, 0] = float("nan")
        poison.calls += 1  # type: ignore[attr-defined]
        return found

    poison.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(runs, "to_unit", poison)
        with pytest.raises(TrainingError, match="L1Loss became nan at iteration 10"):
            train(values, out)
    assert checkpoint.path_of(out, 8).exists() and not (out / "weights.safetensors").exists()
    assert train(values, out)[1] == ["resuming after iteration 8"]


def test_weights_that_are_not_finite_never_become_a_checkpoint(
    images: Path, tmp_path: Path
) -> None:
    # Adam's first step is as long as the rate: the loss was finite, the weights are not.
    values = tiny(images, optimizer={"learning_rate": 1e36}, checkpoint_every=1, log_every=100)
    with pytest.raises(TrainingError, match="iteration"):
        train(values | {"validate_every": 0}, tmp_path / "run")
    for path in (tmp_path / "run").glob("*.pt"):
        state = torch.load(path, weights_only=True)
        assert all(torch.isfinite(value).all() for value in state["generator"].values())


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"data": {"train": ["./no/such/folder"]}}, DatasetNotFoundError, "no/such/folder"),
        ({"precision": "16-mixed"}, ConfigError, "needs a GPU"),
        ({"data": {"crop": 100}}, NotEnoughDataError, "100x100"),
        ({"model": {"name": "unet"}}, ConfigError, "unet"),
        ({"model": {"options": {"wide": 1}}}, ConfigError, "wide"),
        ({"losses": [{"type": "DECLoss", "sharp": 1}]}, ConfigError, "sharp"),
        ({"gan": {"options": {"depth": 3}}}, ConfigError, "depth"),
    ],
)
def test_mistakes_show_before_anything_is_trained(
    images: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        train(tiny(images, **changes), tmp_path / "run")


def test_processes_share_a_batch_evenly(images: Path, tmp_path: Path) -> None:
    for devices, words in ((3, "multiple of the number of devices"), (0, "at least 1; got 0")):
        with pytest.raises(ConfigError, match=words):
            train(tiny(images), tmp_path / "run", devices=devices)


def test_training_goes_on_when_the_log_board_fails(tmp_path: Path) -> None:
    notes: list[str] = []
    (tmp_path / "file").write_text("")
    board = Board(tmp_path / "file" / "x", 0, notes.append)
    board.add(1, {"a": 1.0})
    board.close()
    assert len(notes) == 1 and "TensorBoard" in notes[0]

    board = Board(tmp_path / "board", 3, notes.append)

    def full() -> None:
        raise OSError(28, "No space left on device")

    board._writer.flush = full
    board.add(1, {"a": 1.0})
    board.add(2, {"a": 1.0})
    assert len(notes) == 2 and "ends here" in notes[1]


def test_dry_run_without_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COO_DATA_HOME", raising=False)
    values = tiny(
        tmp_path,
        **GAN,
        precision="16-mixed",
        init="nothing.safetensors",
        data={"train": ["div2k", "./no"]},
    )
    found = dry_run(TrainConfig.from_dict(values), device="cpu")
    assert found["parameters"] > 0 and found["discriminator_parameters"] > 0
    assert found["seconds_per_iteration"] > 0 and found["memory_bytes"] > 0
    text = "\n".join(found["missing"])
    for words in ("div2k", "a GPU", "./no", "nothing.safetensors"):
        assert words in text
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="wide"):
        dry_run(TrainConfig.from_dict(tiny(tmp_path, model={"options": {"wide": 1}})))
