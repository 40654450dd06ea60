"""Kill a command at random moments, start it again, and compare with an uninterrupted run.

    python -m experiments.robustness.kills --kills 50 --command analyze

Each run is killed several times in a row, each time at a random moment of the remaining work,
then finished. After every kill the directory must be absent, complete, or resumable with nothing
in the wrong place. In the end every file must equal that of the uninterrupted run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KILLS_A_DIRECTORY = 5
COMMANDS = ("analyze", "compare", "train")

PATCHES = ["--scale=2", "--patch-width=3", "--queries=300", "--k=32", "--stride=1", "--device=cpu"]
OPTIONS = {
    "analyze": [*PATCHES, "--estimators=gaussian", "--subspace-dim=8", "--features=subbands",
                "--ceiling-queries=50", "--manifold-reference=500", "--map-images=1"],
    "compare": [*PATCHES, "--model=bicubic", "--model=hr", "--metrics=psnr_y",
                "--features=subbands", "--map-images=1", "--no-cache"],
}  # fmt: skip

TRAINING = """
scale: 2
model: {{name: edsr, options: {{features: 8, blocks: 2}}}}
data: {{train: "{folder}", validation: "{folder}", crop: 8, batch_size: 2}}
losses: [{{type: L1Loss}}]
iterations: 60
checkpoint_every: 5
log_every: 3
validate_every: 20
"""


@dataclass
class Outcome:
    """What happened to one command."""

    command: str
    kills: int = 0
    directories: int = 0
    survived: int = 0
    complete_when_killed: int = 0
    seconds: float = 0.0


def write_images(folder: Path, n: int = 4, size: int = 64) -> None:
    """Write smooth noise, the same at every call."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i}.png")


def arguments(command: str, images: Path, out: Path) -> list[str]:
    """The command line without its first word."""
    if command == "train":
        config = images.parent / "train.yaml"
        if not config.exists():
            config.write_text(TRAINING.format(folder=images), encoding="utf-8")
        return ["--config", str(config), "--out", str(out), "--device=cpu", "--quiet"]
    return ["--dataset", str(images), "--out", str(out), "--quiet", *OPTIONS[command]]


def call(command: str, words: list[str], figures: bool = True) -> None:
    """Run a command in this process, as its entry point does."""
    import importlib

    if not figures:
        import cooanalysis.plots

        cooanalysis.plots.save_figures = lambda record, folder: []

    if command == "train":
        import torch

        torch.set_num_threads(1)
    os.environ.pop("COO_DATA_HOME", None)
    sys.argv = [f"coo-{command}", *words]
    importlib.import_module(f"cooanalysis.cli.{command}").main()


def server() -> Any:
    """A context whose processes are forked from one that has imported the package already.

    There is one such server for each process and the first call starts it, so it imports what any
    of the commands needs; what is not installed is left out.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["cooanalysis.cli.analyze", "cooanalysis.cli.compare", "cooanalysis.cli.train",
         "cooanalysis.api", "cooanalysis.analysis.run", "cooanalysis.plots.analysis.psnr_ceiling",
         "cooanalysis.plots.comparison.maps", "cooanalysis.report.analysis",
         "cooanalysis.report.comparison", "cooanalysis.report.tables", "faiss", "pandas",
         "cooanalysis.metrics", "cooanalysis.models.tiling", "cooanalysis.training",
         "lightning_fabric", "omegaconf", "safetensors.torch", "tensorboardX.summary"]
    )  # fmt: skip
    return context


def start(command: str, words: list[str], *, figures: bool = True) -> Any:
    """Start a command in a separate process; see :func:`server`."""
    process = server().Process(target=call, args=(command, words, figures))
    process.start()
    return process


def state(command: str, out: Path) -> str:
    """``absent``, ``complete`` or ``resumable``; anything else is an error.

    Raises
    ------
    AssertionError
        If an incomplete run has the name of a complete one.
    """
    if command == "train":
        if not out.exists():
            return "absent"
        if (out / "summary.json").exists():
            json.loads((out / "summary.json").read_text(encoding="utf-8"))
            assert (out / "weights.safetensors").exists(), "a record without weights"
            return "complete"
        return "resumable"
    if out.exists():
        load(command, out)
        return "complete"
    return "resumable" if out.with_name(out.name + ".partial").exists() else "absent"


def load(command: str, out: Path) -> Any:
    """Read a run directory back; a broken one raises."""
    import cooanalysis as coo

    return coo.load(out) if command == "analyze" else coo.load_comparison(out)


def differences(command: str, out: Path, truth: Path) -> list[str]:
    """Differences from the uninterrupted run, except for times and memory."""
    import pandas as pd

    names = {str(p.relative_to(truth)) for p in truth.rglob("*") if p.is_file()}
    found = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    free = ("tensorboard/", ".lock")
    wrong = sorted(name for name in names ^ found if not name.startswith(free))
    for name in sorted(names & found):
        a, b = out / name, truth / name
        if name.endswith(".parquet"):
            if not pd.read_parquet(a).equals(pd.read_parquet(b)):
                wrong.append(name)
        elif name.endswith(".safetensors"):
            if _weights(a) != _weights(b):
                wrong.append(name)
        elif name.endswith((".csv", ".tex", ".md", "config.yaml")):
            if a.read_bytes() != b.read_bytes():
                wrong.append(name)
        elif name.endswith(".npz"):
            with np.load(a) as one, np.load(b) as two:
                if one.files != two.files or any(
                    not np.array_equal(one[key], two[key]) for key in one.files
                ):
                    wrong.append(name)
        elif name == "summary.json" and _timeless(a) != _timeless(b):
            wrong.append(name)
    return wrong


def _weights(path: Path) -> Any:
    """Tensors bit by bit, and the metadata, whose order in the file is arbitrary."""
    from safetensors import safe_open

    with safe_open(str(path), framework="numpy") as file:
        tensors = {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118
        return tensors, dict(file.metadata())


def _timeless(path: Path) -> Any:
    summary = json.loads(path.read_text(encoding="utf-8"))
    for key in ("created", "timings_s", "peak_rss_bytes", "seconds", "command"):
        summary.pop(key, None)
    return summary


def remains(folder: Path, out: Path) -> list[str]:
    """Leftovers next to a finished run."""
    return sorted(p.name for p in folder.iterdir() if out.name in p.name and p != out)


def torture(
    command: str, kills: int, folder: Path, seed: int = 0, *, warm: bool = True,
    figures: bool = True,
) -> Outcome:  # fmt: skip
    """Kill a command ``kills`` times at random moments.

    Without ``figures``, whose drawing takes most of the time of so small a run, more kills hit
    the computations.

    Raises
    ------
    AssertionError
        At the first directory that is broken, or differs from the uninterrupted one in the end.
    """
    rng, outcome, began = random.Random(seed), Outcome(command), time.perf_counter()
    images, truth = folder / "images", folder / "undisturbed"
    if not images.exists():
        write_images(images)
    # The first run compiles code that later ones reuse.
    for out in (folder / "warm-up", truth) if warm else (truth,):
        started = time.perf_counter()
        process = start(command, arguments(command, images, out), figures=figures)
        process.join()
        assert process.exitcode == 0, f"the undisturbed run ends with {process.exitcode}"
        whole = time.perf_counter() - started
    while outcome.kills < kills:
        out = folder / f"run-{outcome.directories:03d}"
        words = arguments(command, images, out)
        killed = 0
        for _ in range(min(KILLS_A_DIRECTORY, kills - outcome.kills)):
            process = start(command, words, figures=figures)
            process.join(rng.uniform(0.0, 1.0) * whole)
            if not process.is_alive():
                assert process.exitcode == 0, f"{out} ends with {process.exitcode}"
                break
            process.kill()
            process.join()
            killed += 1
            outcome.complete_when_killed += state(command, out) == "complete"
        process = start(command, words, figures=figures)
        process.join(20 * whole + 60)
        assert process.exitcode == 0, f"the resumed run in {out} ends with {process.exitcode}"
        wrong = differences(command, out, truth)
        assert not wrong, f"{out} differs from the undisturbed run in {', '.join(wrong)}"
        left = remains(folder, out)
        assert not left, f"beside {out} there is still {', '.join(left)}"
        outcome.kills += killed
        outcome.survived += killed
        outcome.directories += 1
    outcome.seconds = round(time.perf_counter() - began, 1)
    return outcome


def interrupt(command: str, n: int, folder: Path, seed: int = 0, *, cold: bool = False) -> Outcome:
    """Press Ctrl-C ``n`` times at random moments: one line, exit code 130, resumable.

    With ``cold``, each interrupted run starts with an empty cache of compiled functions, and the
    run that resumes it finds what it left there.

    Raises
    ------
    AssertionError
        At the first run that behaves differently.
    """
    rng, outcome, began = random.Random(seed), Outcome(command), time.perf_counter()
    images = folder / "images"
    if not images.exists():
        write_images(images)
    environment = {k: v for k, v in os.environ.items() if k != "COO_DATA_HOME"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])

    def begin(out: Path) -> subprocess.Popen[str]:
        words = [f"coo-{command}", *arguments(command, images, out)]
        # A shell's background jobs ignore Ctrl-C, and so would their children.
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            f"from cooanalysis.cli.{command} import main; sys.argv = {words!r}; "
            "print('ready', flush=True); main()"
        )
        cache = {"NUMBA_CACHE_DIR": str(out.with_name(f"{out.name}-compiled"))} if cold else {}
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment | cache,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()  # until here it is Python that starts, not the command
        return process

    started = time.perf_counter()
    assert begin(folder / "undisturbed").wait() == 0
    whole = time.perf_counter() - started
    while outcome.kills < n:
        out = folder / f"interrupted-{outcome.directories:03d}"
        outcome.directories += 1
        assert outcome.directories <= 20 * n + 20, "runs are over before Ctrl-C reaches them"
        process = begin(out)
        try:
            process.wait(rng.uniform(0.0, 1.0) * whole)
            continue  # it was over already
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=300)
        if process.returncode == 0:
            continue
        if process.returncode == -signal.SIGINT and not error:
            # Python itself was exiting after all work was done: a shell reports this as 130, too.
            assert state(command, out) == "complete"
            continue
        outcome.kills += 1
        said = f"coo-{command}: interrupted; run the same command again to resume\n"
        assert (process.returncode, error) == (130, said), (process.returncode, error)
        state(command, out)
        process = begin(out)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        wrong = differences(command, out, folder / "undisturbed")
        assert not wrong, f"{out} differs from the undisturbed run in {', '.join(wrong)}"
        outcome.survived += 1
    outcome.seconds = round(time.perf_counter() - began, 1)
    return outcome


def main() -> None:
    """Kill, resume, compare, and print what happened as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--command", choices=COMMANDS, action="append")
    parser.add_argument("--kills", type=int, default=50, help="for each command")
    parser.add_argument("--interrupts", type=int, default=0, help="Ctrl-C instead of SIGKILL")
    parser.add_argument("--cold", action="store_true", help="Ctrl-C with nothing compiled before")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for command in options.command or COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            if options.interrupts:
                outcome = interrupt(
                    command, options.interrupts, Path(folder), options.seed, cold=options.cold
                )
            else:
                outcome = torture(command, options.kills, Path(folder), options.seed)
        print(json.dumps(outcome.__dict__), flush=True)


if __name__ == "__main__":
    main()
