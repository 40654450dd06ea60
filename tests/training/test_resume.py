"""A run that is killed at any moment and started again ends as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning_fabric")
pytest.importorskip("tensorboardX")

from safetensors.numpy import load_file  # noqa: E402

from experiments.robustness.kills import server  # noqa: E402
from tests.helpers.tiny_training import GAN, tiny, train_here, write_images  # noqa: E402


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.fixture(scope="module", params=["plain", "gan"])
def undisturbed(
    request: pytest.FixtureRequest, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    values = tiny(images, **(GAN if request.param == "gan" else {}))
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run(values, out) == 0
    return values, out


def run(
    values: dict[str, Any], out: Path, *, crash_at: int | str = 0, kill_after: float = 300.0
) -> int:
    """Exit code of a training process that is killed after that many seconds."""
    process = server().Process(target=train_here, args=(values, str(out), crash_at))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return int(process.exitcode)


def assert_same(out: Path, truth: Path) -> None:
    found = load_file(out / "weights.safetensors")
    wanted = load_file(truth / "weights.safetensors")
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].tobytes() == wanted[name].tobytes(), name
    # The whole history, each row once.
    assert (out / "metrics.csv").read_bytes() == (truth / "metrics.csv").read_bytes()
    for i in range(2):
        name = f"images/valid-{i}.png"
        assert (out / name).read_bytes() == (truth / name).read_bytes()
    assert not list(out.glob("checkpoint-*.pt")) and not list(out.glob(".*.tmp"))


def test_killed_at_random_moments(undisturbed: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    values, truth = undisturbed
    out = tmp_path / "run"
    rng = random.Random(5)
    began = time.perf_counter()
    assert run(values, tmp_path / "for-its-time") == 0
    whole = time.perf_counter() - began
    deaths = 0
    while True:
        if run(values, out, kill_after=rng.uniform(0.3, 0.9) * whole) != 0:
            deaths += 1
            assert deaths < 40, "no progress"
            whole *= 1.05  # on a machine that became slower
        elif deaths > 0:
            break
        else:  # it was over already, on a machine that became faster
            shutil.rmtree(out)
            whole *= 0.7
    assert_same(out, truth)


def test_killed_while_writing(undisturbed: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Half-written files, files without their name, checkpoints half tidied up."""
    values, truth = undisturbed
    out = tmp_path / "run"
    deaths = 0
    # Each sitting gets a little further and dies at another kind of write.
    for crash_at in (1, 3, 5, 8, 10, 13, 15, 17, 21, 24, 14, 29, 12):
        if run(values, out, crash_at=crash_at) == 0:
            break
        deaths += 1
    assert deaths >= 8
    assert run(values, out) == 0
    assert_same(out, truth)


@pytest.mark.parametrize("name", ["fingerprint", "config.yaml", "metrics.csv", "summary.json"])
def test_killed_before_a_file_has_its_name(
    undisturbed: tuple[dict[str, Any], Path], tmp_path: Path, name: str
) -> None:
    values, truth = undisturbed
    out = tmp_path / "run"
    assert run(values, out, crash_at=name) == -signal.SIGKILL
    assert not (out / name).exists()
    assert run(values, out) == 0
    assert_same(out, truth)


def test_checkpoints_left_by_a_finished_run_are_tidied_up(
    undisturbed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    values, truth = undisturbed
    out = tmp_path / "run"
    shutil.copytree(truth, out)
    (out / "checkpoint-00000020.pt").write_bytes(b"whatever")
    assert run(values, out) == 0
    assert_same(out, truth)
