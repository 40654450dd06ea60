"""``coo-train`` as a stranger types it: killed, interrupted, without disk space, in processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("tensorboardX")
yaml = pytest.importorskip("yaml")
safetensors = pytest.importorskip("safetensors.torch")

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")

PLAIN = {
    "scale": 2,
    "model": {
        "name": "edsr",
        "options": {"features": 8, "blocks": 1, "direct": True, "skip": True},
    },
    "data": {"train": ["photos"], "crop": 8, "batch_size": 2},
    "optimiser": {"learning_rate": 1.0e-3},
    "schedule": {"name": "cosine", "final": 0.1},
    "checkpoint_every": 1,
    "log_every": 1,
    "iterations": 60,
}
EVERYTHING = PLAIN | {
    "losses": [{"type": "L1Loss"}, {"type": "DECLoss", "loss_weight": 0.1, "patch_size": 4}],
    "gan": {"weight": 0.01, "warm_up": 3, "options": {"features": 4, "layers": 2}},
    "ema": 0.9,
    "gradient_clip": 1.0,
    "iterations": 30,
}


def command() -> str:
    """The console script beside this interpreter."""
    name = "coo-train.exe" if sys.platform == "win32" else "coo-train"
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip("coo-train is not installed in this environment")
    return str(path)


def environment() -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key != "COO_DATA_HOME"}
    return env | {"OMP_NUM_THREADS": "1"}


def call(
    *arguments: str, cwd: Path, prefix: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(prefix or [command()]), *arguments], cwd=cwd, env=environment(), capture_output=True,
        text=True, timeout=900,
    )  # fmt: skip


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [command(), *arguments], cwd=cwd, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, configurations, and what undisturbed runs give."""
    base = tmp_path_factory.mktemp("faults")
    (base / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        coarse = Image.fromarray(rng.integers(0, 256, (14, 16, 3), np.uint8))
        coarse.resize((48, 42), Image.Resampling.BICUBIC).save(base / "photos" / f"{name}.png")
    for name, config in {"plain": PLAIN, "everything": EVERYTHING}.items():
        (base / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return base


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Callable[[str], dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}

    def weights_of(name: str) -> dict[str, Any]:
        if name not in known:
            out = f"undisturbed-{name}"
            done = call("-c", f"{name}.yaml", "--out", out, "--device", "cpu", cwd=folder)
            assert done.returncode == 0, done.stderr
            assert done.stderr == "", "nothing but errors belongs on standard error"
            known[name] = load(folder / out)
        return known[name]

    return weights_of


def load(out: Path) -> dict[str, Any]:
    return safetensors.load_file(str(out / "weights.safetensors"))


def identical(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return set(one) == set(two) and all(torch.equal(one[key], two[key]) for key in one)


def one_line(done: subprocess.CompletedProcess[str]) -> bool:
    return done.stderr.count("\n") == 1 and done.stderr.startswith("coo-train: error: ")


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Whether it came true before the process ended."""
    deadline = time.monotonic() + 900
    while process.poll() is None:
        if condition():
            return True
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    return False


def checkpoints(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("checkpoint-*.pt"))


# --- killed -------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("name", ["plain", "everything"])
def test_killed_again_and_again_the_result_is_the_same_bit_by_bit(
    name: str, folder: Path, undisturbed: Callable[[str], dict[str, Any]]
) -> None:
    expected = undisturbed(name)
    out = folder / f"killed-{name}"
    arguments = ["-c", f"{name}.yaml", "--out", out.name, "--device", "cpu"]

    def writing() -> bool:
        return any(out.glob(".checkpoint-*.tmp"))

    def newest() -> int:
        return max((int(name[11:19]) for name in checkpoints(out)), default=-1)

    last = -1
    moments: list[Callable[[], bool]] = [
        lambda: out.is_dir(),  # hardly begun
        lambda: len(checkpoints(out)) > 0 and writing(),  # while a checkpoint is written
        lambda: newest() >= last + 5 and writing(),
    ]
    killed = 0
    for moment in moments:
        process = start(*arguments, cwd=folder)
        if wait_until(moment, process):
            process.kill()
            killed += 1
        _, error = process.communicate(timeout=900)
        assert "Traceback" not in error and "damaged" not in error
        last = newest()
    if not killed:
        pytest.skip("the runs were over before they could be killed")
    done = call(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert identical(load(out), expected)
    # Nothing is left of what the killed processes had half written.
    assert not list(out.glob(".*.tmp")) and not checkpoints(out)


@posix
def test_interrupted_it_says_how_to_go_on_and_does(
    folder: Path, undisturbed: Callable[[str], dict[str, Any]]
) -> None:
    expected = undisturbed("plain")
    out = folder / "interrupted"
    # Only the signal makes it save.
    arguments = [
        "-c", "plain.yaml", "checkpoint_every=0", "--out", out.name, "--device", "cpu",
    ]  # fmt: skip
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(*arguments, cwd=folder)
        before = len(list(out.glob("tensorboard/*")))

        def logged(before: int = before) -> bool:
            found = sorted(out.glob("tensorboard/*"), key=lambda path: path.stat().st_mtime_ns)
            return len(found) > before and found[-1].stat().st_size > 1000

        if not wait_until(logged, process):
            pytest.skip("the run was over before it could be interrupted")
        process.send_signal(number)
        _, error = process.communicate(timeout=900)
        assert process.returncode == 130, error
        assert error == "coo-train: interrupted; run the same command again to resume\n"
        assert len(checkpoints(out)) >= 1 and not (out / "weights.safetensors").exists()
    done = call(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert identical(load(out), expected)


@posix
def test_a_directory_is_used_by_one_process_at_a_time(folder: Path) -> None:
    arguments = [
        "-c", "plain.yaml", "iterations=100000", "checkpoint_every=0", "--out", "shared",
        "--device", "cpu",
    ]  # fmt: skip
    process = start(*arguments, cwd=folder)
    try:
        assert wait_until(lambda: any((folder / "shared").glob("tensorboard/*")), process)
        done = call(*arguments, cwd=folder)
        assert done.returncode == 6
        assert one_line(done) and "another process is training in shared" in done.stderr
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


# --- no space -----------------------------------------------------------------------------------

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv[0] = "coo-train"
from cooanalysis.cli.train import main
main()
"""


@posix
@pytest.mark.parametrize(
    ("limit", "changes", "words"),
    [
        # config.yaml has about a kilobyte, a checkpoint of this network 60.
        (100, [], "config.yaml"),
        (30_000, [], "checkpoint-"),
        # TensorBoard's file is the only one that grows.
        (2_500, ["checkpoint_every=0"], "tensorboard"),
        (6_000, ["checkpoint_every=0", "log_every=1000"], "limited"),
    ],
    ids=["configuration", "checkpoint", "log", "weights"],
)
def test_a_full_disk_is_one_line(
    limit: int, changes: list[str], words: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    out = f"limited-{request.node.callspec.id}"
    arguments = ["-c", "plain.yaml", *changes, "--out", out, "--device", "cpu"]
    done = call(*arguments, cwd=folder, prefix=[sys.executable, "-c", LIMITED, str(limit)])
    assert done.returncode == 6, done.stderr
    assert one_line(done), done.stderr
    assert "cannot write" in done.stderr and words in done.stderr
    assert not list((folder / out).glob(".*.tmp"))


@posix
def test_a_disk_that_fills_up_leaves_the_earlier_checkpoint(
    folder: Path, undisturbed: Callable[[str], dict[str, Any]]
) -> None:
    expected = undisturbed("plain")
    out = folder / "full-disk"
    arguments = ["-c", "plain.yaml", "--out", out.name, "--device", "cpu"]
    process = start(*arguments, cwd=folder)
    if not wait_until(lambda: len(checkpoints(out)) >= 2, process):
        pytest.skip("the run was over before it could be killed")
    process.kill()
    process.communicate()
    before = {name: (out / name).read_bytes() for name in checkpoints(out)}
    done = call(*arguments, cwd=folder, prefix=[sys.executable, "-c", LIMITED, "30000"])
    assert done.returncode == 6 and one_line(done), done.stderr
    assert "is the disk full?" in done.stderr
    assert {name: (out / name).read_bytes() for name in checkpoints(out)} == before
    assert call(*arguments, cwd=folder).returncode == 0
    assert identical(load(out), expected)


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["iteration=5"], 2, "did you mean iterations?"),
        (["data.train=[./nowhere]"], 3, "nowhere"),
        (["init=none.safetensors"], 7, "none.safetensors"),
        (["optimiser.learning_rate=1e30"], 1, "learning_rate"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str], code: int, words: str, folder: Path, tmp_path: Path
) -> None:
    done = call("-c", "plain.yaml", *arguments, "--out", str(tmp_path / "run"), cwd=folder)
    assert done.returncode == code, done.stderr
    assert one_line(done), done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def test_usage_and_version(folder: Path) -> None:
    assert call(cwd=folder).returncode == 2
    assert call("-c", "plain.yaml", "--devices", "none", cwd=folder).returncode == 2
    assert call("--version", cwd=folder).stdout.startswith("cooanalysis 0.")


def test_help_is_complete_and_imports_nothing_heavy(tmp_path: Path) -> None:
    probe = (
        "import sys, contextlib, io\n"
        "sys.argv = ['coo-train', '--help']\n"
        "from cooanalysis.cli.train import main\n"
        "shown = io.StringIO()\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):\n"
        "    main()\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pandas', 'omegaconf', 'tensorboardX',\n"
        "         'lightning_fabric', 'safetensors'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "print(shown.getvalue())\n"
    )
    env = environment() | {"COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=env)
    first, _, shown = done.stdout.partition("\n")
    assert first == "[]", done.stderr
    for text in ("--config", "--devices", "--dry-run", "--json", "Examples", "Exit codes"):
        assert text in shown


# --- output and processes -----------------------------------------------------------------------


def test_json_alone_goes_to_standard_output(folder: Path) -> None:
    arguments = ["-c", "plain.yaml", "iterations=2", "--device", "cpu", "--json"]
    done = call(*arguments, "--out", "json", cwd=folder)
    assert done.returncode == 0 and done.stderr == ""
    summary = json.loads(done.stdout)
    assert summary == json.loads((folder / "json" / "summary.json").read_text())
    assert summary["iterations"] == 2 and summary["metrics"]["L1Loss"] > 0
    dry = call(*arguments, "--dry-run", cwd=folder)
    assert dry.returncode == 0 and json.loads(dry.stdout)["missing"] == []
    assert not (folder / "runs").exists()


@posix
def test_two_processes_learn_what_one_does(folder: Path) -> None:
    """The loss of a batch is the mean over its halves, and so are gradients."""
    arguments = [
        "-c", "plain.yaml", "ema=0.5", "data.batch_size=4", "iterations=8",
        "checkpoint_every=3", "--device", "cpu", "--json",
    ]  # fmt: skip
    one = call(*arguments, "--out", "one", cwd=folder)
    two = call(*arguments, "--out", "two", "--devices", "2", cwd=folder)
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert "Traceback" not in two.stderr
    assert json.loads(two.stdout)["processes"] == 2, "one summary, not one of each process"
    expected, found = load(folder / "one"), load(folder / "two")
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-4, atol=1e-6), key


@posix
def test_two_processes_stop_together_and_resume(folder: Path) -> None:
    """GAN, DECLoss and average in two processes; only one of them gets the signal."""
    arguments = [
        "-c", "everything.yaml", "iterations=30", "checkpoint_every=0", "--device", "cpu",
        "--devices", "2",
    ]  # fmt: skip
    whole = call(*arguments, "--out", "pair", cwd=folder)
    assert whole.returncode == 0, whole.stderr
    out = folder / "pair-interrupted"
    process = start(*arguments, "--out", out.name, cwd=folder)

    def logged() -> bool:
        return any(path.stat().st_size > 500 for path in out.glob("tensorboard/*"))

    if not wait_until(logged, process):
        pytest.skip("the run was over before it could be interrupted")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=900)
    assert process.returncode == 130, error
    assert error.count("coo-train: interrupted") == 1 and "Traceback" not in error
    assert len(checkpoints(out)) == 1
    again = call(*arguments, "--out", out.name, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert identical(load(out), load(folder / "pair"))


@posix
def test_two_processes_fail_together(folder: Path) -> None:
    done = call(
        "-c", "plain.yaml", "optimiser.learning_rate=1e30", "--device", "cpu", "--devices", "2",
        "--out", "pair-broken", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("coo-train: error: ") == 1 and "Traceback" not in done.stderr
