"""Start-up time of commands, compared with Python itself.

    python -m experiments.benchmarks.startup

Medians of several runs, interleaved. Other packages in the field are imported for comparison if
they are installed.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from typing import Annotated

import typer

from experiments.benchmarks.options import Out
from experiments.benchmarks.processes import OUT, Ratio, Row, publish, say

CLI = "import sys; sys.argv[0] = 'coo-analyze'; from cooanalysis.cli.analyze import main; main()"
BASE, HELP = "python -c pass", "coo-analyze --help"
COMMANDS = {
    BASE: ["-c", "pass"],
    HELP: ["-c", CLI, "--help"],
    "coo-analyze --version": ["-c", CLI, "--version"],
    "import cooanalysis": ["-c", "import cooanalysis"],
}
OTHERS = ("numpy", "sklearn", "skimage", "faiss", "torch", "infomeasure", "pynndescent")


def main(
    repeats: Annotated[int, typer.Option(help="Runs of every command.")] = 9,
    out: Out = OUT,
) -> None:
    """Measure and print."""
    commands = COMMANDS | {
        f"import {name}": ["-c", f"import {name}"]
        for name in OTHERS
        if importlib.util.find_spec(name) is not None
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(repeats + 1):
        say(f"round {round_number} of {repeats}")
        for name, arguments in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            # The first round reads files from the disk.
            if round_number > 0:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rows: list[Row] = [
        {"command": name, "seconds": value, "relative to python -c pass": value / median[BASE]}
        for name, value in median.items()
    ]
    ratios = [Ratio(f"{name} / {BASE}", median[name] / median[BASE]) for name in list(COMMANDS)[1:]]
    publish("startup", "Start-up time", rows, ratios, [f"Medians of {repeats} runs."], out)


if __name__ == "__main__":
    typer.run(main)
