"""Candidates compared: each runs in a fresh process, so that time and peak memory are its own.

A candidate is a function of a module in this folder that returns plain values. It is named as
``module:function`` and called in a separate process, with limits on time and memory; if it cannot
run, the table says why, and the others continue. Results go to ``results/benchmarks`` as a
Markdown table and as JSON with the machine and the versions.

The child process needs only the standard library, so that a candidate may run in another
Python environment than ours.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = "experiments.benchmarks"
OUT = Path("results/benchmarks")
GIB = 2**30
POLL_SECONDS = 0.1

Row = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """Limits on the resources of a candidate.

    Attributes
    ----------
    seconds, bytes
        Wall time of its process, and its resident memory.
    """

    seconds: float
    bytes: int

    @classmethod
    def of(cls, seconds: float, gib: float | None) -> Limits:
        """Limits in seconds and GiB; None for nine tenths of the memory that is free now."""
        import psutil

        free = 0.9 * psutil.virtual_memory().available
        return cls(seconds, int(free if gib is None else gib * GIB))


@dataclass(frozen=True)
class Outcome:
    """Result of running a candidate.

    Attributes
    ----------
    values
        The values that its function returned.
    seconds
        Wall time of the whole process, imports included, or until it was killed.
    peak_bytes
        Peak resident memory of the process, as reported by itself, or as observed
        until it was killed.
    skipped
        Reason why there are no values; None if there are.
    """

    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = float("nan")
    peak_bytes: int = 0
    skipped: str | None = None

    @property
    def peak_gib(self) -> float:
        """Peak resident memory in GiB."""
        return self.peak_bytes / GIB


def compete(
    candidate: str, options: dict[str, Any], limits: Limits, *, python: str = sys.executable
) -> Outcome:
    """Call a candidate in a fresh process.

    Parameters
    ----------
    candidate
        ``module:function``; the module lies in this folder.
    options
        Arguments of the function, plain values.
    limits
        Its limits; it is killed when it exceeds them.
    python
        The interpreter that runs it.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [
            python,
            "-m",
            f"{PACKAGE}.processes",
            candidate,
            json.dumps(options),
            str(result),
        ]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        process, seconds, largest, reason = watch(
            command, limits, stdout=subprocess.DEVNULL, env=environment
        )
        if reason is None and process.returncode == 0:
            found = json.loads(result.read_text(encoding="utf-8"))
            return Outcome(found["values"], seconds, found["peak_bytes"], found["skipped"])
    return Outcome(
        seconds=seconds,
        peak_bytes=largest,
        skipped=reason or f"ended with exit status {process.returncode}",
    )


def watch(
    command: Sequence[str], limits: Limits, **options: Any
) -> tuple[subprocess.Popen[bytes], float, int, str | None]:
    """Run a command and watch its memory.

    Returns
    -------
    tuple
        The finished process; seconds; peak resident memory; why it was killed, or None.
    """
    import psutil

    started = time.perf_counter()
    process = subprocess.Popen(command, **options)
    largest, reason = 0, None
    try:
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                largest = max(largest, psutil.Process(process.pid).memory_info().rss)
            if time.perf_counter() - started > limits.seconds:
                reason = f"more than {limits.seconds:.0f} s"
            elif largest > limits.bytes:
                reason = f"more than {limits.bytes / GIB:.1f} GiB"
            if reason is not None:
                break
            time.sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return process, time.perf_counter() - started, largest, reason


def peak_bytes() -> int:
    """Peak resident memory of this process so far.

    ``ru_maxrss`` does not work on Linux: a new process inherits it from its parent.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        if sys.platform == "win32":
            import psutil

            return int(psutil.Process().memory_info().peak_wset)
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    (line,) = (line for line in lines.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def run_candidate(candidate: str, options: str, target: str) -> None:
    """Run a candidate in the child process of :func:`compete`."""
    module, function = candidate.split(":")
    values, skipped = {}, None
    try:
        values = getattr(importlib.import_module(f"{PACKAGE}.{module}"), function)(
            **json.loads(options)
        )
    except ImportError as error:
        name = error.name or str(error).splitlines()[0]
        skipped = f"not importable: {name.removeprefix(f'{PACKAGE}.')}"
    except MemoryError:
        skipped = "out of memory"
    found = {"values": values, "peak_bytes": peak_bytes(), "skipped": skipped}
    Path(target).write_text(json.dumps(found), encoding="utf-8")


# -- Output -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio:
    """One line of the table of ratios.

    Attributes
    ----------
    name, value
        What is compared, and the ratio.
    wanted
        A required limit, such as ``(">=", 10.0)``; None without one.
    """

    name: str
    value: float
    wanted: tuple[str, float] | None = None

    @property
    def verdict(self) -> str:
        """``PASS``, ``FAIL``, or nothing without a limit."""
        if self.wanted is None:
            return ""
        sign, limit = self.wanted
        kept = self.value >= limit if sign == ">=" else self.value <= limit
        return "PASS" if kept else "FAIL"

    def row(self) -> Row:
        """The line as columns."""
        wanted = "" if self.wanted is None else f"{self.wanted[0]} {shown(self.wanted[1])}"
        return {
            "ratio": self.name, "value": self.value, "target": wanted, "verdict": self.verdict,
        }  # fmt: skip


def publish(
    name: str,
    title: str,
    rows: list[Row],
    ratios: Iterable[Ratio] = (),
    notes: Iterable[str] = (),
    out: Path = OUT,
    packages: Iterable[str] = (),
) -> None:
    """Print the tables, and write them as Markdown and JSON.

    Parameters
    ----------
    name, title
        Name of the files; what was measured.
    rows, ratios, notes
        The measurements, ratios of them, and notes for the reader.
    out
        Folder for the files.
    packages
        Further packages whose versions matter.
    """
    ratios, notes, where = list(ratios), list(notes), machine(packages)
    lines = [f"# {title}", "", markdown(rows)]
    if ratios:
        lines += ["", markdown([ratio.row() for ratio in ratios])]
    gpu = "" if where["gpu"] is None else f"{where['gpu']}, "
    lines += ["", *notes, "", f"{where['date']}, {gpu}{where['cpu']}, {where['cores']} cores, "
              f"load {where['load']} at the end."]  # fmt: skip
    text = "\n".join(lines) + "\n"
    print(f"\n{text}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    content = {
        "name": name,
        "title": title,
        "machine": where,
        "rows": rows,
        "ratios": [ratio.row() for ratio in ratios],
        "notes": notes,
    }
    (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def machine(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Machine, versions and time of a run."""
    import datetime as dt
    from importlib import metadata

    import psutil

    from cooanalysis.runtime.environment import versions

    found = versions()
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    known = hasattr(os, "sched_getaffinity")
    return {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "gpu": gpu_model(),
        "cores": len(os.sched_getaffinity(0)) if known else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "load": round(psutil.getloadavg()[0], 1),
        "versions": found,
    }  # fmt: skip


def cpu_model() -> str:
    """Name of the processor."""
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_model() -> str | None:
    """Name of the GPU that torch would use; None where there is none."""
    from cooanalysis.neighbors.engines import torch_cuda_available

    if not torch_cuda_available():
        return None
    import torch

    return str(torch.cuda.get_device_name())


def markdown(rows: list[Row]) -> str:
    """Rows as a table; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(shown(row.get(column)) for column in columns) + " |")
    return "\n".join(lines)


def shown(value: object) -> str:
    """A value as a table cell: three or four significant digits."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def numbers(text: str) -> list[int]:
    """``"1e5,3e5"`` as integers."""
    return [int(float(each)) for each in text.split(",")]


def say(line: str) -> None:
    """Report progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of several calls, after one that is not counted."""
    import statistics

    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    run_candidate(*sys.argv[1:])
