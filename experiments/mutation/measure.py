"""Mutation run: make small mistakes in plots, reports and statistics; see which ones tests notice.

    python -m experiments.mutation.measure --sample 150 --seed 0 --minutes 5

Writes measured.json and measured.md beside this file: how many mistakes were made, how many a test
noticed, and each that none did. Each mistake runs in a process of its own, on the tests that run
the changed line; the lines of each test are recorded first.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from experiments.mutation.operators import Mutant, mutants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGETS = (
    "cooanalysis/plots/**/*.py", "cooanalysis/report/*.py", "cooanalysis/comparison/statistics.py",
    "cooanalysis/comparison/verdict.py", "cooanalysis/measures/bootstrap.py",
)  # fmt: skip
TESTS = (
    "plots/test_*.py", "**/test_report.py", "**/test_text.py", "**/test_*tables.py",
    "**/test_*statistics.py", "**/test_*verdict.py", "**/test_stats.py", "**/test_bootstrap.py",
)  # fmt: skip
SLOWEST = 10.0
"""Seconds: slower tests are left out."""
LIMIT = 60
"""CPU seconds after which a mistake counts as noticed: something never ends."""

Lines = dict[str, set[int]]
"""Path below the root to line numbers."""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, default=150, help="how many mistakes to make")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop earlier after these")
    options = parser.parse_args()
    started = time.perf_counter()
    _preload()
    coverage = Coverage.record()
    everything = [(path, m) for path in targets() for m in mutants(path.read_text("utf-8"))]
    chosen = random.Random(options.seed).sample(everything, min(options.sample, len(everything)))
    rows: list[dict[str, str]] = []
    for number, (path, mutant) in enumerate(chosen, 1):
        name = str(path.relative_to(ROOT))
        verdict = judge(path, mutant, coverage.tests(name, mutant))
        place, change = f"{name}:{mutant.line}", str(mutant)
        rows.append({"place": place, "change": change, "verdict": verdict})
        print(f"{number}/{len(chosen)} {verdict:9} {place} {change}", flush=True)
        if time.perf_counter() - started > 60.0 * options.minutes:
            break
    write(rows, len(everything), options, time.perf_counter() - started)


def targets() -> list[Path]:
    """The mutated files."""
    return sorted({path for pattern in TARGETS for path in ROOT.glob(pattern)})


def tests() -> list[str]:
    """The test files."""
    folder = ROOT / "tests"
    found = {path for pattern in TESTS for path in folder.glob(pattern)}
    return sorted(str(path) for path in found if path.parent.name != "figures")


def _preload() -> None:
    """Import what the package needs, so that each process has it already, but not the package."""
    import hypothesis
    import matplotlib.backends.backend_agg  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401

    # The same examples each time, whatever the load of the machine.
    hypothesis.settings.register_profile(
        "mutation", deadline=None, derandomize=True, database=None, max_examples=20
    )
    hypothesis.settings.load_profile("mutation")


# -- which test runs which line ------------------------------------------------------------------


class Coverage:
    """Lines that each test runs, and how long it takes."""

    def __init__(self, lines: dict[str, Lines], seconds: dict[str, float]) -> None:
        self._lines, self._seconds = lines, seconds

    @classmethod
    def record(cls) -> Coverage:
        """Run all tests once, in a process of its own; those that fail are left out.

        Raises
        ------
        SystemExit
            If they cannot be run.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "lines.json"
            if _in_child(lambda: _traced(out)) not in (0, 1) or not out.exists():
                sys.exit("the tests could not be run")
            found = json.loads(out.read_text())
        lines = {test: {name: set(numbers) for name, numbers in files.items()}
                 for test, files in found["lines"].items()}  # fmt: skip
        return cls(lines, found["seconds"])

    def tests(self, name: str, mutant: Mutant) -> list[str]:
        """Tests that run a line, or, for what runs at import, any line of its file; fast first."""
        chosen = [
            test
            for test, files in self._lines.items()
            if self._seconds[test] <= SLOWEST
            and (mutant.line in files.get(name, ()) if mutant.function else files.get(name))
        ]
        return sorted(chosen, key=self._seconds.__getitem__)


class _Recorder:
    """A plug-in of pytest that notes the lines of the targets that each test runs."""

    def __init__(self) -> None:
        self.lines: dict[str, Lines] = defaultdict(lambda: defaultdict(set))
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        self._names = {str(path): str(path.relative_to(ROOT)) for path in targets()}
        self._current: Lines = {}
        self._shared: dict[str, list[Lines]] = defaultdict(list)

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        name = self._names.get(frame.f_code.co_filename)
        if name is None:
            return None
        found = self._current.setdefault(name, set())
        found.add(frame.f_lineno)

        def line(frame: FrameType, event: str, argument: object) -> Any:
            found.add(frame.f_lineno)
            return line

        return line

    @contextlib.contextmanager
    def during(self, test: str, phase: str) -> Iterator[None]:
        self._current = {}
        before = time.perf_counter()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(None)
            self.seconds[test] += time.perf_counter() - before
            if phase == "setup":  # fixtures may serve all tests of a file
                self._shared[test.split("::")[0]].append(self._current)
            for name, numbers in self._current.items():
                self.lines[test][name] |= numbers

    def finish(self) -> None:
        """Add the lines of fixtures to all tests of their files; drop tests that failed."""
        for test in self.failed:
            self.seconds.pop(test, None)
            self.lines.pop(test, None)
        for test in self.seconds:
            for shared in self._shared[test.split("::")[0]]:
                for name, numbers in shared.items():
                    self.lines[test][name] |= numbers


def _traced(out: Path) -> int:
    import pytest

    recorder = _Recorder()

    class Plugin:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
            with recorder.during(item.nodeid, "setup"):
                return (yield)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
            with recorder.during(item.nodeid, "call"):
                return (yield)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if not report.passed:
                recorder.failed.add(report.nodeid)

    code = int(pytest.main([*_OPTIONS, *tests()], plugins=[Plugin()]))
    recorder.finish()
    lines = {test: {name: sorted(numbers) for name, numbers in files.items()}
             for test, files in recorder.lines.items()}  # fmt: skip
    out.write_text(json.dumps({"lines": lines, "seconds": recorder.seconds}))
    return code


_OPTIONS = (
    "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", f"--rootdir={ROOT}",
    f"--config-file={ROOT / 'pyproject.toml'}",
)  # fmt: skip


# -- mistakes ------------------------------------------------------------------------------------


def judge(path: Path, mutant: Mutant, chosen: Sequence[str]) -> str:
    """``killed`` where a test fails, ``survived`` where none does; ``not run`` without tests."""
    if not chosen:
        return "not run"
    return "survived" if _in_child(lambda: _with_mutant(path, mutant, chosen)) == 0 else "killed"


def _with_mutant(path: Path, mutant: Mutant, chosen: Sequence[str]) -> int:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 5))
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    sys.meta_path.insert(0, _Finder(name, path, mutant.tree()))
    return int(pytest.main([*_OPTIONS, "-x", *(str(ROOT / test) for test in chosen)]))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the mutated module in place of the real one."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._path))
        loader.tree = self._tree
        return importlib.util.spec_from_file_location(fullname, self._path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    tree: ast.Module

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec", dont_inherit=True)


def _in_child(work: Any) -> int:
    """Exit status of a function in a process of its own, whose output is discarded."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 1)
                os.dup2(nothing.fileno(), 2)
                code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- the record ----------------------------------------------------------------------------------


def write(rows: list[dict[str, str]], n_all: int, options: Any, seconds: float) -> None:
    """Write measured.json and measured.md."""

    def order(row: dict[str, str]) -> tuple[str, int]:
        name, line = row["place"].rsplit(":", 1)
        return name, int(line)

    rows = sorted(rows, key=order)
    counts = {verdict: sum(row["verdict"] == verdict for row in rows)
              for verdict in ("killed", "survived", "not run")}  # fmt: skip
    facts = {"possible": n_all, "made": len(rows), "seed": options.seed, **counts}
    (HERE / "measured.json").write_text(
        json.dumps({**facts, "mutants": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    lines = [
        "# Mutation run",
        "",
        "`python -m experiments.mutation.measure "
        f"--sample {options.sample} --seed {options.seed} "
        f"--minutes {options.minutes:g}` ({seconds / 60:.0f} minutes): of {n_all} possible "
        f"mistakes in plots, reports and statistics, {len(rows)} were made. Tests noticed "
        f"{counts['killed']}, did not notice {counts['survived']}, and never ran "
        f"{counts['not run']} of the changed lines.",
        "",
        "| place | change | |",
        "|---|---|---|",
    ]
    for row in rows:
        if row["verdict"] != "killed":
            change = row["change"].replace("|", "\\|").replace("`", "'")
            lines.append(f"| {row['place']} | `{change}` | {row['verdict']} |")
    (HERE / "measured.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
