"""``coo-train`` on the command line: exit codes, one line per error, several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning_fabric")
pytest.importorskip("tensorboardX")

import numpy as np  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from tests.helpers import commands  # noqa: E402
from tests.helpers.tiny_training import tiny, train_here, write_images  # noqa: E402

ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("COO_DATA_HOME", "LOCAL_RANK")}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1"}


def command() -> list[str]:
    """The console script beside this interpreter."""
    path = Path(sys.executable).with_name("coo-train")
    if not path.exists():
        pytest.skip("coo-train is not installed in this environment")
    return [str(path)]


def run(*arguments: str, start: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(start or command()), *arguments],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.fixture
def config(images: Path, tmp_path: Path) -> str:
    # JSON is YAML.
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(tiny(images)))
    return str(path)


def test_help_is_complete_and_imports_nothing_heavy() -> None:
    probe = (
        "import sys\n"
        "sys.argv = ['coo-train', '--help']\n"
        "from cooanalysis.cli.train import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'numpy', 'pandas', 'lightning_fabric', 'omegaconf', 'scipy'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True,
        env=ENVIRONMENT | {"COLUMNS": "100"},
    )  # fmt: skip
    assert shown.returncode == 0 and "heavy: []" in shown.stdout
    for text in ("--config", "--dry-run", "--devices", "--overwrite", "Examples", "Exit codes"):
        assert text in shown.stdout


def test_a_mistake_is_one_line_with_its_exit_code(config: str, tmp_path: Path) -> None:
    done = commands.run("train", "-c", config, "iteratons=3", "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "coo-train: error: unknown configuration key iteratons; did you mean iterations?\n"
    )
    assert not (tmp_path / "run").exists()


def test_dry_run_says_what_is_missing_and_writes_nothing(config: str, tmp_path: Path) -> None:
    words = ["-c", config, "data.train=./nowhere", "--dry-run", "--device", "cpu"]
    done = commands.run("train", *words)
    assert done.returncode == 0, done.stderr
    for text in ("parameters", "an iteration", "missing: data set ./nowhere", "valid"):
        assert text in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def test_ctrl_c_saves_and_the_same_command_resumes(config: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [*command(), "-c", config, "--out", str(out), "--device", "cpu", "--json",
                 "iterations=100000", "data.workers=1", "checkpoint_every=0"]  # fmt: skip
    process = subprocess.Popen(
        arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    board = out / "tensorboard"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if board.is_dir() and any(path.stat().st_size > 500 for path in board.iterdir()):
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the loader process gets it too
    shown, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and shown == ""
    assert errors == "coo-train: interrupted; run the same command again to resume\n"
    assert len(list(out.glob("checkpoint-*.pt"))) == 1


_FULL_DISK = (
    "import resource, signal\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "from cooanalysis.training import checkpoint\n"
    "real = checkpoint.save\n"
    "def save(folder, iteration, state, *, keep):\n"
    "    if iteration == 12:\n"
    "        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
    "    real(folder, iteration, state, keep=keep)\n"
    "checkpoint.save = save\n"
)


def test_a_full_disk_is_one_line_and_loses_nothing(config: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["-c", config, "--out", str(out), "--device", "cpu"]
    done = commands.run("train", *words, prepare=_FULL_DISK)
    assert done.returncode == 6
    assert done.stderr.startswith("coo-train: error: cannot write")
    assert "File too large" in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in out.glob("*.pt")) == [
        "checkpoint-00000004.pt",
        "checkpoint-00000008.pt",
    ]
    assert not list(out.glob(".*.tmp"))


def weights(out: Path) -> dict[str, Any]:
    return load_file(out / "weights.safetensors")


def test_two_processes_give_the_weights_of_one(config: str, images: Path, tmp_path: Path) -> None:
    train_here(tiny(images), str(tmp_path / "one"))
    out = tmp_path / "two"
    done = run("-c", config, "--out", str(out), "--device", "cpu", "--devices", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["processes"] == 2  # printed once
    found, wanted = weights(out), weights(tmp_path / "one")
    assert all(np.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


def test_two_processes_fail_together_and_one_speaks(config: str, tmp_path: Path) -> None:
    done = run(
        "-c", config, "--out", str(tmp_path / "run"), "--device", "cpu", "--devices", "2",
        "optimizer.learning_rate=1e30", "checkpoint_every=1",
        start=[sys.executable, "-m", "cooanalysis.cli.train"],
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("coo-train: error:") == 1 and "Traceback" not in done.stderr


def test_json_alone_goes_to_standard_output(config: str, tmp_path: Path) -> None:
    out = tmp_path / "json"
    arguments = ["-c", config, "iterations=2", "--device", "cpu", "--json", "--out", str(out)]
    done = commands.run("train", *arguments)
    assert done.returncode == 0 and done.stderr == ""
    summary = json.loads(done.stdout)
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["iterations"] == 2 and summary["metrics"]["L1Loss"] > 0
    dry = commands.run("train", *arguments, "--dry-run")
    assert dry.returncode == 0 and json.loads(dry.stdout)["missing"] == []


def test_usage_and_version(config: str) -> None:
    assert run().returncode == 2
    assert run("-c", config, "--devices", "none").returncode == 2
    assert run("--version").stdout.startswith("cooanalysis 0.")
