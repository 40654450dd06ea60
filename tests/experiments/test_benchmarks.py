"""The benchmarks at tiny sizes: that they run and are consistent, never how fast."""

from __future__ import annotations

import importlib
import importlib.util
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cooanalysis.data import read_image, sample_pairs
from cooanalysis.neighbors import recall_at_k
from tests.helpers import ROOT

FOLDER = ROOT / "experiments" / "benchmarks"
COMMANDS = sorted(
    path.stem for path in FOLDER.glob("*.py") if "typer.run(" in path.read_text(encoding="utf-8")
)
PLENTY = 2**40


@pytest.fixture
def processes() -> ModuleType:
    return importlib.import_module("experiments.benchmarks.processes")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    by_name = {pair.name: pair.hr_path for pair in sample_pairs()}
    for name in ("astronaut", "camera", "chelsea", "coffee", "rocket"):
        image = read_image(by_name[name])
        Image.fromarray(np.squeeze(image[60:252, 60:252])).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def patches(
    photographs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.setenv("COO_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    return {"dataset": str(photographs), "n": 1500, "n_queries": 40}


# -- Candidates in separate processes ----------------------------------------------------------


def test_a_candidate_returns_from_its_own_process(processes: ModuleType) -> None:
    limits = processes.Limits(60.0, PLENTY)
    outcome = processes.compete("processes:numbers", {"text": "1e2,3"}, limits)
    assert outcome.values == [100, 3] and outcome.skipped is None
    assert outcome.peak_bytes > 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux inherits the peak")
def test_the_peak_of_the_parent_is_not_the_childs(processes: ModuleType) -> None:
    ballast = np.ones(300 * 2**20, np.uint8)
    limits = processes.Limits(60.0, PLENTY)
    outcome = processes.compete("processes:numbers", {"text": "1"}, limits)
    assert outcome.peak_bytes < ballast.nbytes


def test_who_cannot_says_why(processes: ModuleType) -> None:
    call = {"candidate": "processes:numbers", "options": {"text": "1"}}
    slow = processes.compete(**call, limits=processes.Limits(0.0, PLENTY))
    assert slow.skipped == "more than 0 s" and 0 < slow.seconds < 60
    large = processes.compete(**call, limits=processes.Limits(60.0, 1))
    assert large.skipped == "more than 0.0 GiB" and large.peak_bytes > 1
    missing = processes.compete("no_such_module:run", {}, processes.Limits(60.0, PLENTY))
    assert missing.skipped == "not importable: no_such_module"
    wrong = processes.compete("processes:numbers", {"text": "x"}, processes.Limits(60.0, PLENTY))
    assert wrong.skipped == "ended with exit status 1"


def test_results_are_written_twice_and_alike(processes: ModuleType, tmp_path: Path) -> None:
    rows = [{"who": "a", "seconds": 1.23456}, {"who": "b", "note": "too large"}]
    ratios = [processes.Ratio("b / a", 12.0, (">=", 10.0)), processes.Ratio("c", 2.0, ("<=", 1.0))]
    processes.publish("some", "Some", rows, ratios, ["A note."], tmp_path, ["pytest"])
    found = json.loads((tmp_path / "some.json").read_text(encoding="utf-8"))
    assert found["rows"] == rows
    assert [row["verdict"] for row in found["ratios"]] == ["PASS", "FAIL"]
    assert {"numpy", "pytest"} <= set(found["machine"]["versions"])
    text = (tmp_path / "some.md").read_text(encoding="utf-8")
    assert "| who | seconds | note |" in text and "| b |  | too large |" in text
    collector = _collector()
    assert collector.lines("some", tmp_path, {}, False)[0] == {
        "part": "some", "ratio": "b / a", "value": 12.0,
    }  # fmt: skip
    assert collector.lines("some", tmp_path, {}, True)[1]["verdict"] == "FAIL"
    assert collector.lines("other", tmp_path, {"other": "failed"}, True) == [
        {"part": "other", "ratio": "failed"}
    ]


def _collector() -> ModuleType:
    return importlib.import_module("experiments.benchmarks.__main__")


@pytest.mark.parametrize("script", COMMANDS)
def test_every_script_explains_itself(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER / f"{script}.py").read_text(encoding="utf-8")
    if "import torch" in text:
        pytest.importorskip("torch")
    # In this process: to import everything again for each of them takes half a minute.
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"experiments.benchmarks.{script}", run_name="__main__")
    assert not ended.value.code
    assert "Usage" in capsys.readouterr().out


# -- Search -------------------------------------------------------------------------------------


def test_queries_are_held_out_and_the_same_for_all_sizes(patches: dict[str, Any]) -> None:
    module = importlib.import_module("experiments.benchmarks.real_patches")
    few, many = (module.real_patches(**patches | {"n": n}) for n in (100, None))
    np.testing.assert_array_equal(few.queries, many.queries)
    assert len(few.reference) == 100 and len(few.queries) == 40
    assert len(many.reference) == module.most_patches(patches["dataset"], 2)
    assert len(many.reference.source.store.names) == 4  # the fifth lends the queries
    np.testing.assert_array_equal(few.array(), many.array()[:100])
    with pytest.raises(ValueError, match="holds"):
        module.real_patches(**patches | {"n": 10**9})


@pytest.mark.parametrize(
    "name",
    [
        "ours",
        "faiss_exact",
        "sklearn_brute",
        pytest.param("pynndescent", marks=pytest.mark.slow),  # compiles for half a minute
    ],
)
def test_searchers_find_the_same(name: str, patches: dict[str, Any], tmp_path: Path) -> None:
    if name == "pynndescent":
        pytest.importorskip("pynndescent")
    searchers = importlib.import_module("experiments.benchmarks.searchers")
    options = {"k": 16, "recall": 0.9, "patches": patches}
    searchers.ours_exact(str(tmp_path / "exact.npy"), **options)
    answer = getattr(searchers, name)(str(tmp_path / "found.npy"), **options)
    assert answer["seconds"]["search"] > 0.0
    found, exact = (np.load(tmp_path / f"{each}.npy") for each in ("found", "exact"))
    # Not equal: flat patches are all alike.
    assert recall_at_k(found, exact).value > (0.8 if name == "pynndescent" else 0.95)


def test_ratios_of_the_search_take_the_largest_common_size(processes: ModuleType) -> None:
    module = importlib.import_module("experiments.benchmarks.search_peers")
    ours, peer, slow = module.OURS, "FAISS IndexFlatL2", "pynndescent"
    rows = [
        {"reference patches": n, "method": who, "total s": total, "search s": total,
         "peak GiB": 1.0}
        for n, who, total in ((10, ours, 1.0), (20, ours, 2.0), (10, peer, 3.0), (20, peer, 8.0))
    ] + [{"reference patches": 20, "method": slow, "note": "more than 1 s"}]  # fmt: skip
    found = {ratio.name: ratio.value for ratio in module.ratios(rows)}
    assert found[f"{peer} / default, total time, N = 20"] == 4.0
    assert not any(slow in name for name in found)


def test_scaling_fits_a_power(patches: dict[str, Any]) -> None:
    scaling = importlib.import_module("experiments.benchmarks.scaling")
    slope, half, r2 = scaling.fit([100, 1000, 10_000, 100_000], [2.0, 4.0, 8.0, 16.0])
    assert slope == pytest.approx(np.log10(2.0)) and half < 1e-6 and r2 == pytest.approx(1.0)
    found = scaling.search(
        k=16, recall=0.9, kind="ivf", memory=None, repeats=1, patches=patches
    )  # fmt: skip
    assert found["kind"] == "ivf" and found["recall"] > 0.8
    assert set(found["seconds"]) == {"build", "tune", "search"}


# -- The whole job ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_the_naive_job_equals_ours(photographs: Path, tmp_path: Path) -> None:
    job_peers = importlib.import_module("experiments.benchmarks.job_peers")
    naive_job = importlib.import_module("experiments.benchmarks.naive_job")
    shared = {"dataset": str(photographs), "n_queries": 100, "k": 128, "stride": 2}
    ours = job_peers.ours(**shared, out=str(tmp_path / "run"), memory=16.0, same=True)
    positions = str(tmp_path / "run" / "groups.parquet")
    naive = naive_job.run(**shared, positions=positions)
    assert ours["reference patches"] == naive["reference patches"]
    assert job_peers.compare(5, ours, naive) == []
    # Were the method another one, the comparison would say so.
    wrong = job_peers.compare(5, ours, naive | {"entropy": ours["entropy"] + 0.05})
    assert len(wrong) == 1
    assert job_peers._agreement([5], []).startswith("All met")
    assert job_peers._agreement([5], wrong) == wrong[0]
    assert job_peers._agreement([], []).startswith("Nothing was compared")


def test_a_subset_keeps_the_low_resolution_images(photographs: Path, tmp_path: Path) -> None:
    job_peers = importlib.import_module("experiments.benchmarks.job_peers")
    from cooanalysis.data import find_pairs

    assert job_peers.subset(str(photographs), 3, tmp_path / "plain", None) == 3
    assert [pair.lr_path for pair in find_pairs(tmp_path / "plain", 4)] == [None] * 3
    paired = tmp_path / "paired"
    for number in range(2):
        for path, side in (("HR/{}.png", 48), ("LR_bicubic/X4/{}x4.png", 12)):
            target = paired / path.format(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((side, side), np.uint8)).save(target)
    assert job_peers.subset(str(paired), 99, tmp_path / "links", None) == 2
    assert all(pair.lr_path is not None for pair in find_pairs(tmp_path / "links", 4))


# -- Estimators ---------------------------------------------------------------------------------

estimator_names = [
    "cooanalysis, Gaussian", "cooanalysis, Kozachenko-Leonenko", "cooanalysis, copula",
    "SciPy multivariate_normal.fit", "infomeasure, Kozachenko-Leonenko",
    "npeet-plus, Kozachenko-Leonenko", "DADApy, nearest-neighbor density",
    "cooanalysis, spacings", "SciPy, vasicek", "SciPy, van es", "SciPy, ebrahimi", "SciPy, correa",
]  # fmt: skip


@pytest.mark.parametrize("name", estimator_names)
def test_estimators_speak_nats_per_dimension(name: str, tmp_path: Path) -> None:
    estimators = importlib.import_module("experiments.benchmarks.estimators")
    assert set(estimator_names) == set(estimators.CONTESTANTS)
    for package in ("infomeasure", "npeet", "DADApy"):
        if name.startswith(package):
            pytest.importorskip({"npeet": "npeet_plus", "DADApy": "dadapy"}.get(package, package))
    d = 1 if name in estimators.MARGINAL else 2
    groups, truth = importlib.import_module("experiments.benchmarks.estimators_peers").gaussian(
        np.random.default_rng(0), (40, 128, d)
    )
    np.save(tmp_path / "groups.npy", 3.0 * groups)
    estimators.estimate(name, str(tmp_path / "groups.npy"), str(tmp_path / "values.npy"))
    values = np.load(tmp_path / "values.npy")
    assert values.shape == (40,)
    # The largest known bias of these is that of van Es, -0.15.
    assert values.mean() == pytest.approx(truth + np.log(3.0), abs=0.2)


# -- A GPU, tried without one ------------------------------------------------------------------


def test_a_gpu_is_held_against_its_own_rates_and_two_cores(
    patches: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    gpu = importlib.import_module("experiments.benchmarks.gpu")
    monkeypatch.setattr(gpu, "_use_cores", lambda: None)  # they would stay with this process
    asked = {"repeats": 1, "device": "cpu", "patches": patches | {"stride": 2}}
    rate = gpu.rates(groups=20, k=128, matrix=64, **asked)
    ours = gpu.search_on_gpu(str(tmp_path / "a.npy"), engine="torch", k=16, **asked)
    cores = gpu.search_on_cores(str(tmp_path / "b.npy"), k=16, n_queries=30, patches=patches)
    found, truth = (np.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(found[:30], truth)
    assert (ours["size"], ours["dim"], len(found)) == (1500, 25, 40)
    rows, ratios = gpu.table(rate, {"torch": ours | {"same": 1.0}}, cores["search"] / 30, 40, 16)
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    assert len(numbers) > 15 and min(numbers) > 0.0
    value = {ratio.name: ratio.value for ratio in ratios}
    assert value["torch, candidates / matrix product of the search, time"] == pytest.approx(
        ours["candidates"] / ours["product"]
    )
    assert value["2 cores / torch, search time"] == pytest.approx(
        cores["search"] / 30 * 40 / ours["search"]
    )


# -- Larger sets, and workers ------------------------------------------------------------------


def test_a_capacity_plan_gives_every_worker_a_measured_share(tmp_path: Path) -> None:
    capacity = importlib.import_module("experiments.benchmarks.capacity")
    stages = {"load": 10.0, "index": 20.0, "search": 30.0, "centers": 4.0, "entropy gaussian": 2.0}
    made_up = {
        "rows": [{"stage": stage, "seconds": value} for stage, value in stages.items()],
        "ratios": [
            {"ratio": "reference patches", "value": 1e6},
            {"ratio": "peak resident memory, GiB", "value": 1.0},
        ],
        "machine": {"cores": 2, "cpu": "made up"},
    }
    (tmp_path / "div2k.json").write_text(json.dumps(made_up))
    capacity.main("1e7", tmp_path, 20_000, 10, 4, 2, 25, tmp_path)
    first, last = json.loads((tmp_path / "capacity.json").read_text())["rows"]
    assert (first["workers"], last["workers"]) == (1, 10)
    assert first["index, s"] == last["index, s"] == 20.0
    assert last["decoded images, GiB"] == pytest.approx(1e7 * 196 / 2**30)
    assert last["decoding, s x workers"] == 100.0
    assert last["measuring groups, s"] == pytest.approx(0.6)
    with pytest.raises(capacity.typer.BadParameter, match=r"div2k_run\.py"):
        capacity.main("1e9", tmp_path / "nothing", 1, 1, 4, 2, 25, tmp_path)


def test_workers_do_what_one_process_does(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs Dask: pip install 'cooanalysis[cluster]'")
    monkeypatch.setenv("COO_CACHE_HOME", str(tmp_path))
    workers = importlib.import_module("experiments.benchmarks.workers")
    options = (str(photographs), None, 200, 128)
    alone, two = (workers.analysis(*options, number, None) for number in (None, 2))
    assert alone["digest"] == two["digest"]
    assert two["start"] > alone["start"] and min(two["search"], two["measuring groups"]) > 0
