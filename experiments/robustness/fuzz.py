"""Coverage-guided fuzzing (atheris) of all our parsers and loaders.

    pip install atheris
    python -m experiments.robustness.fuzz --seconds 120

Each target of experiments/robustness/fuzz_targets.py runs in its own process for the stated time.
Input that raises anything but a CooError, takes longer than 20 seconds or more than 4 GiB is kept
as a file in ``--out``, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

INSTRUMENTED = ["cooanalysis", "PIL", "zipfile", "tarfile", "json", "yaml", "omegaconf",
                "numpy.lib.format", "numpy.lib._format_impl"]  # fmt: skip
_DONE = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; never returns."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from experiments.robustness.fuzz_targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].run)
    atheris.Fuzz()


def write_seeds(name: str, folder: Path) -> None:
    """The inputs that a fuzzer starts from, and those of earlier findings."""
    from experiments.robustness.fuzz_targets import TARGETS

    kept = Path(__file__).parent / "findings" / name
    found = [path.read_bytes() for path in sorted(kept.glob("*"))] if kept.is_dir() else []
    for seed in [*TARGETS[name].seeds(), *found]:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def run(name: str, seconds: int, out: Path) -> dict[str, Any]:
    """Fuzz one target for ``seconds``; returns the number of executions and the findings."""
    kept = out / name
    kept.mkdir(parents=True, exist_ok=True)
    found = []
    executed = 0
    with tempfile.TemporaryDirectory() as folder:
        write_seeds(name, Path(folder))
        command = [
            sys.executable, "-m", "experiments.robustness.fuzz", "--target", name, "--", folder,
            f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=16384",
            "-print_final_stats=1", f"-artifact_prefix={kept}/",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT)
    (kept / "log.txt").write_text(done.stderr[-20_000:] + done.stdout[-5_000:], encoding="utf-8")
    if match := _DONE.search(done.stderr):
        executed = int(match[1])
    found = sorted(path.name for path in kept.iterdir() if path.name != "log.txt")
    failed = done.returncode != 0 and not found
    return {"target": name, "seconds": seconds, "executions": executed, "findings": found,
            "failed": failed}  # fmt: skip


def main() -> None:
    """Fuzz the given targets, one after the other; print one line of JSON each."""
    from experiments.robustness.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--only", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    options = parser.parse_args()
    outcomes = []
    for name in options.only:
        outcomes.append(run(name, options.seconds, options.out))
        print(json.dumps(outcomes[-1]), flush=True)
    sys.exit(any(outcome["findings"] or outcome["failed"] for outcome in outcomes))


if __name__ == "__main__":
    if "--target" in sys.argv[1:2]:
        fuzz(sys.argv[2], sys.argv[4:])
    else:
        main()
