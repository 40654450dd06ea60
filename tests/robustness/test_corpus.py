"""Bad input: each gets a clear line or is handled; no traceback, no hang, nothing half-written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("pipes, alarms and file names of POSIX", allow_module_level=True)

from cooanalysis.errors import ConfigError
from experiments.robustness import bad_files, bad_folders, bad_images, bad_settings
from experiments.robustness.corpus import table, try_all, whole_runs
from experiments.robustness.outcome import Case, Outcome, try_case


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first case may have to compile, on a machine that runs other tests at the same time."""
    monkeypatch.setattr("experiments.robustness.outcome.SECONDS", 120)


def faults(outcomes: list[Outcome]) -> list[str]:
    return [
        f"{outcome.case.kind} | {outcome.case.name} | {outcome.detail}"
        for outcome in outcomes
        if outcome.verdict == "fault"
    ]


def check(outcomes: list[Outcome], at_least: int) -> None:
    assert not faults(outcomes), "\n\n".join(faults(outcomes)[:10])
    assert len(outcomes) >= at_least, len(outcomes)
    counts = table(outcomes).values()
    # A corpus that nothing refuses, or that all refuse, tests nothing.
    assert sum(found["refused"] for found in counts) > at_least // 10
    assert sum(found["handled"] for found in counts) > 0


def test_images(tmp_path: Path) -> None:
    check(try_all(bad_images.cases(tmp_path / "images")), 400)


def test_folders(tmp_path: Path) -> None:
    check(try_all(bad_folders.cases(tmp_path / "folders")), 150)


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(try_all(bad_settings.cases(tmp_path / "settings")), 450)
    assert [path.name for path in tmp_path.iterdir()] == ["settings"]  # no code of theirs ran


@pytest.mark.usefixtures("no_figures")
def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = whole_runs(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    check(try_all(bad_files.cases(tmp_path / "files", *whole)), 400)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "runs"]
    assert not Path("/tmp/coo-evil").exists()


def test_the_judge_sees_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> None:
        raise KeyError("x")

    def slow() -> None:
        import time

        time.sleep(30)

    def loud() -> None:
        import warnings

        warnings.warn("look", stacklevel=1)

    def refused() -> None:
        raise ConfigError("what is wrong")

    monkeypatch.setattr("experiments.robustness.outcome.SECONDS", 1)
    verdicts = [try_case(Case("kind", "name", run)).verdict for run in (wrong, slow, loud)]
    assert verdicts == ["fault", "fault", "fault"]
    assert try_case(Case("kind", "name", refused)).verdict == "refused"
    assert try_case(Case("kind", "name", lambda: None)).verdict == "handled"


NOBODY = 65534


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="root alone can become nobody")
@pytest.mark.parametrize(
    ("mode", "where"), [(0, "image"), (0, "folder"), (0o444, "folder"), (0o111, "folder"),
                        (0, "above"), (0, "summary"), (0, "weights"), (0o555, "out")],
)  # fmt: skip
def test_without_permission(
    mode: int, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the case is run by a child process of the user nobody."""
    monkeypatch.setenv("COO_CACHE_HOME", str(tmp_path / "cache"))
    images = tmp_path / "above" / "images"
    images.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (images / name).write_bytes(bad_folders.PNG)
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text("{}")
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"x")
    (tmp_path / "out").mkdir()
    places = {
        "image": images / "a.png",
        "folder": images,
        "above": images.parent,
        "summary": run / "summary.json",
        "weights": weights,
        "out": tmp_path / "out",
    }
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    places[where].chmod(mode)
    # Here, because the child may not be allowed to read the packages.
    import pandas  # noqa: F401

    import cooanalysis.models.sources
    import cooanalysis.results  # noqa: F401

    if where == "weights":
        pytest.importorskip("torch")
        pytest.importorskip("spandrel")
    child = os.fork()
    if child == 0:  # pragma: no cover - not this process
        code = 1
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            outcome = try_case(Case("permission", where, lambda: _use(where, places)))
            os.write(2, outcome.detail.encode())
            code = {"refused": 0, "handled": 2}.get(outcome.verdict, 1)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    places[where].chmod(0o755)
    # An image that cannot be read is skipped with its reason; all else is refused.
    assert os.waitstatus_to_exitcode(status) == (2 if where == "image" else 0)


def _use(where: str, places: dict[str, Path]) -> None:
    import cooanalysis as coo
    from cooanalysis.models.sources import open_source
    from cooanalysis.runtime.run_directory import checkpoints

    if where == "summary":
        coo.load(places["summary"].parent)
    elif where == "weights":
        open_source("m", places["weights"], [], scale=4)
    elif where == "out":
        with checkpoints(places["out"] / "run", "fingerprint"):
            pass
    else:
        bad_folders._use(places["folder"])
