"""Several worker processes, over TCP: the same result as one process, also when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cooanalysis as coo
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.run import run_analysis
from cooanalysis.data import sample_pairs
from cooanalysis.errors import ClusterError, ConfigError, MissingDependencyError

pytest.importorskip("distributed", reason="needs Dask: pip install 'cooanalysis[cluster]'")

from cooanalysis.cluster import Cluster, open_cluster

OPTIONS: dict[str, Any] = {
    "queries": 500, "k": 32, "subspace_dim": 8, "ceiling_queries": 50, "stride": 1,
    "manifold_reference": 1000, "map_images": 1, "features": ("subbands",), "index": "exact",
}  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Crops of photographs, and flat images whose patches tie by the hundred."""
    folder = tmp_path_factory.mktemp("photos")
    for pair in sample_pairs()[:5]:
        with Image.open(pair.hr_path) as image:
            image.convert("RGB").crop((0, 0, 200, 160)).save(folder / f"{pair.name}.png")
    for number in range(2):
        levels = np.full((160, 120, 3), 255, np.uint8)
        levels[40:80, 40:80] = np.random.default_rng(number).integers(0, 256, (40, 40, 3))
        Image.fromarray(levels).save(folder / f"flat{number}.png")
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COO_CACHE_HOME", str(cache))
        yield folder


@pytest.fixture(scope="module")
def alone(photos: Path) -> coo.Result:
    return coo.analyze(photos, **OPTIONS)


@pytest.fixture(scope="module")
def four(photos: Path) -> Iterator[Cluster]:
    config = coo.AnalysisConfig(dataset=str(photos), **OPTIONS)
    with open_cluster(workers=4, config=config) as cluster:
        assert cluster is not None
        yield cluster


class Recorder:
    """Calls a function the first time a stage has advanced."""

    def __init__(self, stage: str, function: Any) -> None:
        self.wanted, self.function = stage, function
        self.stage, self.stages = "", []

    def start(self, stage: str, total: int) -> None:
        self.stage = stage
        self.stages.append(stage)
        if stage == self.wanted and self.function is not None:
            function, self.function = self.function, None
            function()

    def advance(self, steps: int = 1) -> None:
        pass


#: Computed by the client from products of large matrices, whose rounding may depend on how many
#: threads BLAS finds free at that moment.
BY_CLIENT = ("mmse_floor", "manifold_")


def assert_same(found: coo.Result, expected: coo.Result) -> None:
    """What workers do is equal bit by bit; what the client does with it, within rounding."""
    assert list(found.groups) == list(expected.groups)
    theirs = [name for name in expected.groups if not name.startswith(BY_CLIENT)]
    assert len(theirs) > 15
    pd.testing.assert_frame_equal(found.groups[theirs], expected.groups[theirs], check_exact=True)
    pd.testing.assert_frame_equal(found.groups, expected.groups, check_exact=False, rtol=1e-5)
    pd.testing.assert_frame_equal(found.maps, expected.maps, check_exact=True)
    assert found.summary.leakage == expected.summary.leakage
    for name, entropy in expected.summary.entropy.items():
        assert found.summary.entropy[name].mean == entropy.mean
    ceiling = expected.summary.psnr_ceiling_db.value
    assert found.summary.psnr_ceiling_db.value == pytest.approx(ceiling, rel=1e-5)


def test_four_workers_give_what_one_process_does(
    photos: Path, alone: coo.Result, four: Cluster
) -> None:
    plan = Plan.make(coo.AnalysisConfig(dataset=str(photos), **OPTIONS))
    found = run_analysis(plan, workers=four)
    assert_same(found, alone)
    assert found.summary.engine.workers == 4
    assert alone.summary.engine.workers is None


def test_workers_share_the_cores_and_keep_memory_that_they_freed(four: Cluster) -> None:
    environments = four._client.run(lambda: dict(os.environ)).values()
    assert len(environments) == 4
    for environment in environments:
        assert environment["OMP_NUM_THREADS"] == str(max(1, (os.cpu_count() or 1) // 4))
        # Dask sets it so that every large array is new pages: groups took half as long again.
        assert "MALLOC_TRIM_THRESHOLD_" not in environment


@pytest.mark.parametrize("stage", ["finding potential-HR groups", "measuring groups"])
def test_a_killed_worker_costs_time_not_results(
    photos: Path, alone: coo.Result, four: Cluster, stage: str
) -> None:
    pids = four._client.run(os.getpid)
    victim = pids[four.workers[1]] if four.workers[1] in pids else next(iter(pids.values()))
    recorder = Recorder(stage, lambda: os.kill(victim, signal.SIGKILL))
    # Another seed of nothing that matters here: workers start afresh for another plan.
    config = coo.AnalysisConfig(dataset=str(photos), **OPTIONS, memory=4.0)
    found = run_analysis(Plan.make(config), progress=recorder, workers=four)
    assert recorder.function is None, "no worker was killed"
    assert_same(found, alone)


def test_approximate_shards_reach_the_recall(photos: Path, four: Cluster) -> None:
    options = OPTIONS | {"index": "ivf", "recall": 0.9}
    plan = Plan.make(coo.AnalysisConfig(dataset=str(photos), **options))
    recall = run_analysis(plan, workers=four).summary.recall_at_k
    assert recall is not None and recall.n_queries > 0 and (recall.value or 0.0) >= 0.88


def test_workers_that_see_other_images_are_refused(
    photos: Path, four: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    begin = four.begin

    def other(job: Any) -> None:
        begin(dataclasses.replace(job, key="other", digests=("a", "b")))

    monkeypatch.setattr(four, "begin", other)
    plan = Plan.make(coo.AnalysisConfig(dataset=str(photos), **OPTIONS))
    with pytest.raises(ClusterError, match="other images"):
        run_analysis(plan, workers=four)


def test_another_version_is_refused(four: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from cooanalysis.cluster import client

    monkeypatch.setattr(client, "__version__", "99.0")
    with pytest.raises(ClusterError, match=r"99\.0.*same version"):
        Cluster(four._client)


def test_the_command_line_starts_workers(photos: Path, alone: coo.Result, tmp_path: Path) -> None:
    code = (
        "from cooanalysis import plots; plots.save_figures = lambda *_: []; "  # drawing is slow
        "from cooanalysis.cli.analyze import main; main()"
    )
    command = [
        sys.executable, "-c", code, "--dataset", str(photos), "--out", str(tmp_path / "run"),
        "--workers", "2", "--quiet",
    ]  # fmt: skip
    for name, value in OPTIONS.items():
        value = ",".join(value) if isinstance(value, tuple) else str(value)
        command += [f"--{name.replace('_', '-')}", value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # Another process may use another number of threads in products of matrices.
    found = coo.load(tmp_path / "run").groups
    pd.testing.assert_frame_equal(found, alone.groups, check_exact=False, rtol=1e-5)


@pytest.mark.slow
def test_a_comparison_by_two_workers_is_that_of_one_process(photos: Path) -> None:
    options = {name: value for name, value in OPTIONS.items() if name != "queries"}
    options |= {"queries": 200, "crops": 2, "metrics": "psnr_y", "cache": False}
    one, two = (
        coo.compare(photos, ["bicubic", "hr"], workers=workers, **options) for workers in (None, 2)
    )
    for name in ("models", "patches", "totals", "strata", "spectra", "maps"):
        expected, found = getattr(one, name), getattr(two, name)
        assert len(expected), name
        # Another process may use another number of threads in products of matrices.
        pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-5)


def test_no_scheduler_is_one_clear_line(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cooanalysis.cluster import client

    monkeypatch.setattr(client, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:1.*--workers"):
        coo.analyze(photos, cluster="tcp://127.0.0.1:1", **OPTIONS)


def test_arguments_are_checked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="choose one"):
        coo.analyze(photos, cluster="tcp://127.0.0.1:1", workers=1, **OPTIONS)
    with pytest.raises(ConfigError, match="at least 1"):
        coo.analyze(photos, workers=0, **OPTIONS)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"cooanalysis\[cluster\]"):
        coo.analyze(photos, workers=1, **OPTIONS)
