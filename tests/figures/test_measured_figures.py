"""Figures of groups, entropy, detail, manifold and models: data, determinism, words."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from cooanalysis.measures import known_answers
from cooanalysis.measures.bootstrap import ImageBootstrap
from figures import (
    coo_picture,
    detail_energy_vs_entropy,
    entropy_vs_center_distance,
    manifold_vs_entropy,
    oversmoothing_maps,
    patch_embedding,
)
from figures.contract import SHIPPED, Data, FigureModule, Inputs, MissingData
from figures.text import listed
from figures.writing import write_figure
from tests.helpers import ROOT

NEEDS_MODELS = pytest.mark.needs("torch", "safetensors")


@pytest.fixture(scope="module")
def inputs(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(str(photographs), None, None, tmp_path_factory.mktemp("runs"), queries=200)


def check(module: Any, inputs: Inputs, out: Path) -> Data:
    """Write a figure, and its data made once more; the bytes of the data must be equal."""
    written: FigureModule = module
    found = written.data(inputs)
    for folder, data, draw in (
        (out / "first", found, module.draw),
        (out / "second", written.data(inputs), lambda data: None),
    ):
        same: Any = SimpleNamespace(
            TITLE=module.TITLE, data=lambda inputs, data=data: data, draw=draw,
            caption=module.caption,
        )  # fmt: skip
        write_figure("figure", same, inputs, folder)
    first = {path.name: path.read_bytes() for path in (out / "first").iterdir()}
    assert {"figure.md", "figure.pdf", "figure.png", "figure.json"} <= set(first)
    for path in (out / "second").iterdir():
        assert first[path.name] == path.read_bytes(), path.name
    caption = written.caption(found)
    assert "nan" not in caption.lower() and "not available" not in caption
    return found


# -- what several figures share -------------------------------------------------------------


def test_binned_medians_are_medians_with_intervals_around_them() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    y = 2.0 * x + rng.normal(size=600)
    bootstrap = ImageBootstrap(np.arange(600) % 12)
    found = entropy_vs_center_distance.binned_medians(x, y, 6, bootstrap)
    first = np.argsort(x)[:100]
    assert found[0][0] == pytest.approx(np.median(x[first]))
    assert found[0][1].value == pytest.approx(np.median(y[first]))
    assert all(median.ci_low <= median.value <= median.ci_high for _, median in found)


def test_lists_are_read_like_sentences() -> None:
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"


def test_figures_without_models_need_no_torch() -> None:
    names = ("entropy_vs_center_distance", "detail_energy_vs_entropy", "manifold_vs_entropy")
    lines = [f"import figures.{name}" for name in names]
    code = "; ".join([*lines, "import sys", "sys.exit('torch' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# -- entropy and center distance ------------------------------------------------------------


def test_known_entropies_obey_the_bound_and_are_right() -> None:
    d = 6
    known = entropy_vs_center_distance.measure_known(64, d, ("copula",), 0).set_index(
        "distribution"
    )
    assert (known["exact_distance"] >= known["bound"] - 1e-9).all()
    assert known.loc["Gaussian", "bound"] == pytest.approx(1.0)
    student = multivariate_t(np.zeros(d), np.eye(d), df=known_answers.FREEDOM)
    found = known.loc["Student, 5 degrees", "exact_entropy"]
    assert found == pytest.approx(student.entropy() / d, abs=1e-9)
    correlated = known_answers.CORRELATION ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    found = known.loc["Gaussian, neighbors correlated 0.9", "exact_entropy"]
    truth = multivariate_normal(np.zeros(d), correlated).entropy() / d
    assert found == pytest.approx(truth, abs=1e-9)
    # Two far clusters add a little less than one bit to the axis on which they lie.
    added = known.loc["two clusters, every axis", "exact_entropy"] - 0.5 * math.log(
        2.0 * math.pi * math.e
    )
    rng = np.random.default_rng(0)
    side = known_answers.SEPARATION
    x = rng.normal(size=200_000) + side * rng.choice((-1.0, 1.0), size=200_000)
    density = 0.5 * (np.exp(-0.5 * (x - side) ** 2) + np.exp(-0.5 * (x + side) ** 2))
    sampled = -np.log(density / math.sqrt(2.0 * math.pi)).mean()
    assert added + 0.5 * math.log(2.0 * math.pi * math.e) == pytest.approx(sampled, abs=0.01)
    assert (known["distance"] / known["exact_distance"]).between(0.9, 1.1).all()


def test_entropy_and_center_distance(inputs: Inputs, tmp_path: Path) -> None:
    found = check(entropy_vs_center_distance, inputs, tmp_path)
    assert set(found.frames) == {"patches", "medians", "known"}
    assert len(found.frames["medians"]) == entropy_vs_center_distance.BINS
    caption = entropy_vs_center_distance.caption(found)
    assert f"{found.facts['spearman']['value']:.3f}" in caption
    assert "200 groups holds the 128" in caption and "(Gaussian fit: two clusters" in caption


def test_too_few_queries_are_missing_data(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy_vs_center_distance, "BINS", 100)
    with pytest.raises(MissingData, match="raise --queries"):
        entropy_vs_center_distance.data(inputs)


# -- detail energy --------------------------------------------------------------------------


def test_unrelated_details_keep_nothing_but_chance() -> None:
    members = np.random.default_rng(0).normal(size=(2000, 16, 10))
    center = members.mean(axis=1)
    rms = np.sqrt(np.mean((members - center[:, None]) ** 2, axis=(1, 2)))
    energy = (center**2).mean(axis=1)
    assert energy.mean() == pytest.approx(1 / 16, rel=0.05)
    kept = detail_energy_vs_entropy._without_chance(energy, rms, 16)
    assert kept.mean() == pytest.approx(0.0, abs=0.002)


def test_detail_energy(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail_energy_vs_entropy, "SCALES", (2, 8))
    found = check(detail_energy_vs_entropy, inputs, tmp_path)
    frames = found.frames
    assert frames["scales"]["scale"].tolist() == list(detail_energy_vs_entropy.SCALES)
    assert len(frames["scale_deciles"]) == 10 * len(detail_energy_vs_entropy.SCALES)
    contexts = frames["contexts"]
    whole = contexts[contexts["share"] == 1.0]
    assert whole["width"].tolist() == list(detail_energy_vs_entropy.WIDTHS)
    # More context or fewer patches: neighbors lie farther away.
    assert whole["neighbor"].is_monotonic_increasing
    assert contexts.groupby("width")["neighbor"].apply(lambda n: n.is_monotonic_increasing).all()
    caption = detail_energy_vs_entropy.caption(found)
    assert f"{100 * frames['scales']['value'].iloc[0]:.1f} %" in caption
    assert "unrelated" in caption and "1/128" in caption
    assert "Detail is what" in caption and "The center of a group" in caption


def test_small_images_are_missing_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    folder = tmp_path / "small"
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    monkeypatch.setattr(detail_energy_vs_entropy, "SCALES", (8,))
    small = Inputs(str(folder), None, None, tmp_path / "runs", queries=50)
    with pytest.raises(MissingData, match="larger"):
        detail_energy_vs_entropy.data(small)


# -- clean manifold -------------------------------------------------------------------------


def test_manifold(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = ("sparsity", "subbands", "pixels")  # deep features take too long here
    monkeypatch.setattr(manifold_vs_entropy, "SPACES", spaces)
    found = check(manifold_vs_entropy, inputs, tmp_path)
    overall = found.frames["overall"].set_index(["space", "kind"])["value"]
    assert overall["subbands", "bicubic"] > 1.0
    assert overall["pixels", "bicubic"] < overall["subbands", "bicubic"]
    assert overall["subbands", "clean"] == pytest.approx(1.0, abs=0.25)
    assert len(found.frames["deciles"]) == 3 * len(spaces) * 10
    caption = manifold_vs_entropy.caption(found)
    assert f"{overall['subbands', 'center']:.2f}" in caption and "must not be used" in caption
    # Every panel is explained, and the naive one named by its letter.
    assert "(a) how much fine detail" in caption and "hatched panel (c)" in caption
    assert set(manifold_vs_entropy.SPACES) <= set(manifold_vs_entropy.MEANING)


def test_pixels_alone_are_missing_data() -> None:
    result = SimpleNamespace(
        groups=pd.DataFrame({"manifold_pixels_center": [1.0]}),
        summary=SimpleNamespace(
            manifold={
                "pixels": SimpleNamespace(missing=None),
                "deep": SimpleNamespace(missing="there are no weights"),
            }
        ),
    )
    lacking: Any = SimpleNamespace(queries=100, analysis=lambda **options: result)
    with pytest.raises(MissingData, match="no weights"):
        manifold_vs_entropy.data(lacking)


# -- models ---------------------------------------------------------------------------------


def test_patches_are_chosen_by_rule() -> None:
    values = np.arange(1000.0)
    contrast = np.ones(1000)
    image = np.arange(1000) % 7
    contrast[[110, 480, 905]] = 5.0
    assert coo_picture.choose(values, contrast, image) == [110, 480, 905]
    # The same image is not taken twice.
    image[480] = image[110]
    assert coo_picture.choose(values, contrast, image)[1] != 480


def test_missing_models_are_missing_data(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHIPPED, "l1", "no-such-weights")
    lacking = Inputs(str(photographs), None, None, tmp_path, queries=50)
    for module in (coo_picture, patch_embedding):
        with pytest.raises(MissingData, match="no-such-weights"):
            module.data(lacking)


@NEEDS_MODELS
def test_coo_picture(inputs: Inputs, tmp_path: Path) -> None:
    found = check(coo_picture, inputs, tmp_path)
    distances = found.frames["distances"].set_index(["place", "what"])["relative"]
    assert (distances.xs("center", level="what") == 0.0).all()
    assert set(SHIPPED) <= set(found.frames["distances"]["what"])
    assert found.arrays["0_members"].shape[1:] == found.arrays["0_truth"].shape == (20, 20, 1)
    assert found.frames["patches"]["entropy gaussian"].is_monotonic_increasing
    caption = coo_picture.caption(found)
    assert "not picked by eye" in caption
    # A mean of 128 keeps less of their energy than any of them.
    bicubic = distances.xs("bicubic", level="what") ** 2
    assert f"{100 * (bicubic / (1 + bicubic)).max():.1f} %" in caption


def test_a_model_is_called_nearer_only_where_it_is_in_every_row() -> None:
    frame = pd.DataFrame({0: [0.8, 0.5, 0.5], 1: [0.7, 0.6, 0.9]}, index=["truth", "l1", "ragan"])
    assert coo_picture._nearer(frame, ["l1", "ragan"]).endswith("every row: l1")
    assert coo_picture._nearer(frame, ["ragan"]) == ""


def test_shares_are_distinguished_only_beyond_their_intervals() -> None:
    def ends(scale: int, first: float, last: float, half: float) -> list[dict[str, float]]:
        return [{"scale": scale, "value": v, "ci_low": v - half, "ci_high": v + half}
                for v in (first, last)]  # fmt: skip

    rows = [*ends(2, 0.06, 0.01, 0.01), *ends(4, 0.02, 0.01, 0.01), *ends(8, 0.01, 0.06, 0.01)]
    text = detail_energy_vs_entropy._falls(Data({"scale_deciles": pd.DataFrame(rows)}))
    assert "less at ×2 (6.0 % to 1.0 %)" in text and "more at ×8 (1.0 % to 6.0 %)" in text
    assert "no significantly different share at ×4" in text


@NEEDS_MODELS
def test_patch_embedding(inputs: Inputs, tmp_path: Path) -> None:
    found = check(patch_embedding, inputs, tmp_path)
    kinds = found.frames["kinds"].set_index("kind")
    assert list(kinds.index) == ["clean", "member", "center", "bicubic", *SHIPPED]
    assert kinds.loc["clean", "value"] == 1.0
    assert kinds.loc["bicubic", "inside"] < kinds.loc["clean", "inside"]
    assert len(found.frames["points"]) == 200 * len(kinds)
    assert f"{kinds.loc['center', 'value']:.2f}" in patch_embedding.caption(found)


def test_plane_holds_the_share_of_clean_patches_that_it_says() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 8)).astype(np.float32)
    features[:, 1] = features[:, 0] + 0.1 * features[:, 1]
    plane = patch_embedding.Plane.fit(features, 0)
    fresh = rng.normal(size=(2000, 8)).astype(np.float32)
    fresh[:, 1] = fresh[:, 0] + 0.1 * fresh[:, 1]
    assert plane.inside(plane.project(fresh)).mean() == pytest.approx(0.9, abs=0.03)
    assert plane.inside(plane.project(fresh + 20.0)).mean() == 0.0


@NEEDS_MODELS
def test_maps(inputs: Inputs, tmp_path: Path) -> None:
    found = check(oversmoothing_maps, inputs, tmp_path)
    overall = found.frames["overall"].set_index("model")
    assert list(overall.index) == ["bicubic", *SHIPPED]
    assert overall.loc["bicubic", "value"] > overall.loc["l1", "value"]
    assert np.isfinite(overall.loc["l1-decloss", "change"])
    parts = found.frames["quarters"].groupby("model")["part"].sum()
    assert np.allclose(parts, 1.0)
    caption = oversmoothing_maps.caption(found)
    assert f"{100 * overall.loc['l1', 'value']:.0f} %" in caption


def test_changes_are_claimed_only_beyond_their_intervals() -> None:
    row = {"model": "l1-decloss", "change": -0.1, "change_low": -0.2, "change_high": 0.05}
    assert "no significant change" in oversmoothing_maps._changes([row])
    assert "less" in oversmoothing_maps._changes([row | {"change_high": -0.05}])
    unknown = dict.fromkeys(("change", "change_low", "change_high"), float("nan"))
    empty: dict[str, Any] = {"model": "l1", **unknown}
    assert oversmoothing_maps._changes([empty]) == ""
