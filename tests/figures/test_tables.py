"""Figures and tables of trained models: from what an experiment published, never made up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cooanalysis.metrics.registry import METRICS
from experiments.decloss import publish
from figures import ablation_table, benchmark_table, decloss_effect, measured
from figures.contract import SHIPPED, Inputs, MissingData
from figures.writing import write_figure

NEEDS_MODELS = pytest.mark.needs("torch", "safetensors")


@pytest.fixture(scope="module")
def inputs(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(str(photographs), None, None, tmp_path_factory.mktemp("runs"), queries=200)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was published, to be spoiled."""
    folder = tmp_path / "measured"
    shutil.copytree(measured.FOLDER, folder)
    monkeypatch.setattr(measured, "FOLDER", folder)
    return folder


def _twice(module: Any, inputs: Inputs, out: Path) -> set[str]:
    """Names of the files that a figure writes; the second time must give the same bytes."""
    for name in ("first", "second"):
        write_figure("figure", module, inputs, out / name)
    first = {path.name: path.read_bytes() for path in (out / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (out / "second").iterdir()}
    return set(first)


# -- what was published ---------------------------------------------------------------------


def test_published_weights_are_distinguished_and_belong_to_finished_trainings() -> None:
    origin = measured.provenance()
    trained = measured.models().query("variant != 'bicubic'")
    assert len(origin) == len(trained)
    assert all(run["iterations"] > 0 and run["seconds"] > 0 for run in origin.values())
    # The ablation's baseline is the small tier's; all others are weights of their own.
    assert len({run["weights_sha256"] for run in origin.values()}) >= len(origin) - 2


def test_what_is_not_published_is_said_with_the_way_to_get_it(published: Path) -> None:
    (published / "models.csv").unlink()
    with pytest.raises(MissingData, match=r"models\.csv is not there; train .*publish\.py"):
        measured.models()


def test_publishing_refuses_measures_of_other_weights(tmp_path: Path) -> None:
    home = tmp_path / "small" / "l1-seed0"
    measures = tmp_path / "small" / "measures" / "l1-seed0"
    for folder in (home, measures, tmp_path / "ablation" / "measures"):
        folder.mkdir(parents=True)
    (home / "weights.safetensors").write_bytes(b"new")
    record = {"weights": "old", "reference": "BSDS400"}
    (measures / "record.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(publish.CooError, match="other weights"):
        publish.main(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- statistics -----------------------------------------------------------------------------


def test_an_interval_over_seeds_is_students() -> None:
    found = measured.over_seeds(pd.Series([1.0, 2.0, 3.0]))
    # t(0.975, 2 degrees of freedom) = 4.302653, standard error 1 / sqrt(3).
    assert found.value == pytest.approx(2.0)
    assert found.ci_high - 2.0 == pytest.approx(4.302653 / np.sqrt(3.0), rel=1e-6)
    assert np.isnan(measured.over_seeds(pd.Series([1.0])).ci_low)


def test_matched_models_are_compared_seed_by_seed() -> None:
    table = pd.DataFrame(
        {
            "experiment": "small",
            "variant": ["a", "a", "b", "b"],
            "seed": [0, 1, 1, 0],
            "m": [1.0, 5.0, 6.0, 2.0],
        }
    )
    found = measured.paired(table, "b", "a", "m")
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((1.0, 1.0, 1.0))


def test_the_price_of_training_is_relative_to_the_same_crops() -> None:
    rows = [
        (name, seed, 50, "L1Loss", loss * hard)
        for name, loss in zip(SHIPPED, (1.0, 1.1, 1.2, 1.3), strict=True)
        for seed, hard in enumerate((0.02, 0.04, 0.03))
    ]
    columns = ["variant", "seed", "iteration", "quantity", "value"]
    found = decloss_effect.training_cost(pd.DataFrame(rows, columns=columns))
    cost = found.set_index("variant")
    assert cost["value"].to_dict() == pytest.approx(
        {"l1-decloss": 1.1, "ragan": 1.2, "ragan-decloss": 1.3}
    )
    assert np.allclose(cost["ci_low"], cost["ci_high"])


def test_decloss_of_the_training_has_its_course_and_no_claim_beyond_it() -> None:
    rows = [(seed, step, "l1-decloss", "DECLoss", 5.0 - step / 100 + 0.01 * seed)
            for seed in range(3) for step in (50, 100)]  # fmt: skip
    rows.append((0, 50, "l1", "L1Loss", 1.0))
    log = pd.DataFrame(rows, columns=["seed", "iteration", "variant", "quantity", "value"])
    course = decloss_effect.training_decloss(log)
    assert course["value"].tolist() == pytest.approx([4.51, 4.01])
    assert "no fall" not in decloss_effect._course(course)
    flat = log.assign(value=4.0 + 0.1 * log["seed"])
    assert "no fall" in decloss_effect._course(decloss_effect.training_decloss(flat))


# -- tables ---------------------------------------------------------------------------------


def test_the_ablation_is_the_published_one(inputs: Inputs, tmp_path: Path) -> None:
    names = _twice(ablation_table, inputs, tmp_path)
    assert names == {
        "figure.md", "figure.json", "figure.models.csv", "figure.models.md", "figure.models.tex",
    }  # fmt: skip
    found = ablation_table.data(inputs)
    frame, (text, bold) = found.frames["models"], found.tables["models"]
    published = measured.models().query("experiment == 'ablation'")
    assert sorted(frame["psnr_y"]) == sorted(published["psnr_y"])
    # The strongest loss is the farthest from the ground truth in PSNR, and L1 alone the nearest.
    assert (0, "PSNR-Y [dB]") in bold
    assert {title for _, title in bold} == {"PSNR-Y [dB]", "SSIM-Y"}
    assert text.loc[0, "temperature"] == "–"


def test_the_ablation_follows_its_numbers(inputs: Inputs, published: Path) -> None:
    table = pd.read_csv(published / "models.csv")
    table.loc[table["weight"] == 0.08, "psnr_y"] = 99.0
    table.to_csv(published / "models.csv", index=False)
    found = ablation_table.data(inputs)
    best = {place for place, title in found.tables["models"][1] if title == "PSNR-Y [dB]"}
    assert set(found.frames["models"].loc[sorted(best), "weight"]) == {0.08}


def test_an_ablation_without_its_baseline_is_not_tabulated(inputs: Inputs, published: Path) -> None:
    table = pd.read_csv(published / "models.csv")
    table[table["weight"] != 0.0].to_csv(published / "models.csv", index=False)
    with pytest.raises(MissingData, match=r"ablation\.py"):
        ablation_table.data(inputs)


@pytest.fixture
def fidelity_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No learned metrics, and no benchmark sets: both take long."""
    monkeypatch.delenv("COO_DATA_HOME", raising=False)
    chosen = [METRICS["psnr_y"], METRICS["ssim_y"]]
    monkeypatch.setattr(benchmark_table, "resolve_metrics", lambda names: chosen)
    yield


def test_no_learned_metric_makes_a_model_the_best() -> None:
    metrics = [METRICS["psnr_y"], METRICS["st-lpips"]]
    rows = [("set", 3, model, metric, value, value, value)
            for model, values in (("a", (30.0, 0.2)), ("b", (29.0, 0.1)))
            for metric, value in zip(("psnr_y", "st-lpips"), values, strict=True)]  # fmt: skip
    columns = ["dataset", "n_images", "model", "metric", "value", "ci_low", "ci_high"]
    _, bold = benchmark_table.as_text(pd.DataFrame(rows, columns=columns), metrics)
    assert bold == {(0, "PSNR-Y [dB]")}


@NEEDS_MODELS
@pytest.mark.usefixtures("fidelity_alone")
def test_the_benchmark_measures_what_is_there_and_names_what_is_not(
    inputs: Inputs, tmp_path: Path
) -> None:
    names = _twice(benchmark_table, inputs, tmp_path)
    assert {"figure.totals.csv", "figure.totals.md", "figure.totals.tex"} <= names
    found = benchmark_table.data(inputs)
    frame, (text, bold) = found.frames["totals"], found.tables["totals"]
    assert list(text["model"]) == ["bicubic", *SHIPPED]
    assert set(found.facts["missing_sets"]) == set(benchmark_table.BENCHMARKS)
    assert "urban100" in benchmark_table.caption(found)
    psnr = frame[frame["metric"] == "psnr_y"].set_index("model")
    # A trained network beats interpolation, and the best number is the bold one.
    assert psnr.loc["l1", "value"] > psnr.loc["bicubic", "value"]
    best = int(np.argmax(psnr["value"].to_numpy()))
    assert {place for place, title in bold if title == "PSNR-Y [dB]"} == {best}


@NEEDS_MODELS
@pytest.mark.usefixtures("fidelity_alone")
def test_the_benchmark_is_the_metric_of_the_output(inputs: Inputs) -> None:
    found = benchmark_table.data(inputs)
    from cooanalysis.data import LoadedPair, iter_pairs, resolve

    dataset = resolve(inputs.dataset, scale=benchmark_table.SCALE)
    values = [
        METRICS["psnr_y"](
            np.rint(np.clip(pair.upsampled, 0, 255)).astype(np.uint8), pair.hr, border=4
        )
        for pair in iter_pairs(dataset, color="rgb")
        if isinstance(pair, LoadedPair)
    ]
    frame = found.frames["totals"].set_index(["model", "metric"])
    assert frame.loc[("bicubic", "psnr_y"), "value"] == pytest.approx(np.mean(values))


# -- the figure -----------------------------------------------------------------------------


@NEEDS_MODELS
@pytest.mark.usefixtures("_only_fidelity")
def test_the_effect_of_decloss_is_drawn_from_trainings_and_deciles(
    inputs: Inputs, tmp_path: Path
) -> None:
    names = _twice(decloss_effect, inputs, tmp_path)
    assert {"figure.png", "figure.pdf", "figure.plane.csv", "figure.training.csv"} <= names
    found = decloss_effect.data(inputs)
    deciles = found.frames["deciles"]
    assert set(deciles["model"]) == set(SHIPPED)
    assert deciles["stratum"].nunique() == 10
    assert set(deciles["measure"]) == set(decloss_effect.PARTS)
    caption = decloss_effect.caption(found)
    assert "nan" not in caption.lower()
    change = measured.paired(measured.models(), "l1-decloss", "l1", "st_lpips").value
    assert f"{change:+.4f}".replace("-", "−") in caption


@pytest.fixture
def _only_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    import cooanalysis.api as api

    chosen = [METRICS["psnr_y"]]
    monkeypatch.setattr(api, "resolve_metrics", lambda names: chosen)


def test_a_caption_says_whether_a_change_is_significant() -> None:
    from figures.contract import Data

    rows = [("l1-decloss", -0.2, -0.3, -0.1), ("ragan-decloss", 0.1, -0.1, 0.3)]
    columns = ["variant", "value", "ci_low", "ci_high"]
    table = pd.DataFrame(rows, columns=columns).assign(measure="psnr_y")
    text = decloss_effect._pair(Data({"changes": table}), "psnr_y", "PSNR", 2)
    assert text == (
        "PSNR changes by −0.20 (−0.30 to −0.10) for l1 and "
        "+0.10 (−0.10 to +0.30) for ragan, not significant"
    )
