"""Spectra, crops and the validation of estimators: known values, and reproducible files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cooanalysis.measures.entropy import TOLERANCE
from cooanalysis.measures.known_answers import known_distributions
from cooanalysis.metrics.registry import METRICS
from figures import estimator_validation, oversmoothed_crops, power_spectra
from figures.contract import SHIPPED, Inputs
from figures.writing import write_figure

NEEDS_MODELS = pytest.mark.needs("torch", "safetensors")


@pytest.fixture(scope="module")
def inputs(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(str(photographs), None, None, tmp_path_factory.mktemp("runs"), queries=200)


@pytest.fixture(autouse=True)
def _fidelity_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No learned metrics: their networks take long."""
    import cooanalysis.api as api

    monkeypatch.setattr(api, "resolve_metrics", lambda names: [METRICS["psnr_y"]])


def _twice(module: Any, inputs: Inputs, out: Path) -> None:
    for name in ("first", "second"):
        write_figure("figure", module, inputs, out / name)
    first = {path.name: path.read_bytes() for path in (out / "first").iterdir()}
    assert {"figure.md", "figure.pdf", "figure.png", "figure.json"} <= set(first)
    assert first == {path.name: path.read_bytes() for path in (out / "second").iterdir()}
    assert "nan" not in first["figure.md"].decode().lower()


# -- power spectra --------------------------------------------------------------------------


def test_missing_power_is_a_share_of_the_plane() -> None:
    frequency = np.array([0.05, 0.1, 0.2, 0.4])
    truth = pd.DataFrame({"model": "hr", "frequency": frequency, "power": [8.0, 4.0, 2.0, 1.0]})
    # Nothing is missing below the limit of 0.125, half of the ring at 0.2 and all of that at 0.4.
    rows = [
        pd.DataFrame({"model": name, "frequency": frequency, "power": [8.0, 4.0, 1.0, 0.0]})
        for name in power_spectra.SHOWN
    ]
    found = power_spectra.missing_power(pd.concat([truth, *rows]), 0.125)["l1"]
    assert found["below"] == pytest.approx(0.0)
    # Rings weigh by circumference: (0.5 * 0.2 * 2 + 1 * 0.4 * 1) / (0.2 * 2 + 0.4 * 1).
    assert found["above"] == pytest.approx(0.6 / 0.8)


@NEEDS_MODELS
def test_power_spectra(inputs: Inputs, tmp_path: Path) -> None:
    _twice(power_spectra, inputs, tmp_path)
    found = power_spectra.data(inputs)
    spectra = found.frames["spectra"].set_index("model")
    assert np.allclose(spectra.loc["hr", "power_ratio"], 1.0)
    missing = found.facts["missing"]
    # Interpolation lacks most of what lies above the LR Nyquist frequency, more than a network.
    assert missing["bicubic"]["above"] > 0.8 > missing["bicubic"]["below"]
    assert missing["bicubic"]["above"] > missing["l1"]["above"] > missing["l1-decloss"]["above"]


# -- crops ----------------------------------------------------------------------------------


def test_measures_of_a_crop_have_known_values() -> None:
    rng = np.random.default_rng(0)
    bicubic = np.full((16, 16, 3), 100, np.uint8)
    truth = bicubic + rng.integers(0, 40, (16, 16, 1)).astype(np.uint8)
    assert oversmoothed_crops.measures(truth, truth, bicubic) == {
        "detail_energy": pytest.approx(1.0),
        "psnr_y": float("inf"),
    }
    assert oversmoothed_crops.measures(bicubic, truth, bicubic)["detail_energy"] == 0.0
    half = (bicubic + (truth - bicubic) // 2 * 1).astype(np.uint8)
    found = oversmoothed_crops.measures(half, truth, bicubic)
    assert found["detail_energy"] == pytest.approx(0.25, abs=0.03)
    assert found["psnr_y"] == pytest.approx(METRICS["psnr_y"](half, truth, border=0))


@NEEDS_MODELS
def test_crops_are_where_the_rule_says(inputs: Inputs, tmp_path: Path) -> None:
    _twice(oversmoothed_crops, inputs, tmp_path)
    found = oversmoothed_crops.data(inputs)
    table = found.frames["crops"]
    assert list(dict.fromkeys(table["model"])) == ["hr", "bicubic", *SHIPPED]
    # One place an image, best first, by the baseline's own distances.
    patches = inputs.comparison.patches
    l1 = patches[patches["model"] == "l1"]
    gain = l1["known_output"].sum() / l1["known_energy"].sum()
    unknown = l1["truth_energy"] - 2 * l1["known_truth"] + l1["known_energy"]
    made_up = l1["output_energy"] - 2 * gain * l1["known_output"] + gain**2 * l1["known_energy"]
    score = unknown - made_up
    expected = score.groupby(l1["image"]).max().sort_values(ascending=False).index
    shown = list(table.drop_duplicates("place")["image"])
    assert shown == list(expected[: len(shown)])
    assert oversmoothed_crops.RULE in oversmoothed_crops.caption(found)
    assert found.arrays["0_hr"].shape[2] == 3


# -- estimators -----------------------------------------------------------------------------


def _errors(title: str, n: int, d: int) -> pd.DataFrame:
    known = {one.title: one for one in known_distributions()}[title]
    return pd.DataFrame(estimator_validation.errors(known, n, d, seed=1)).set_index("method")


def test_the_gaussian_fit_is_unbiased_on_gaussians_and_only_there() -> None:
    gaussian = _errors("Gaussian, neighbors correlated 0.9", 128, 8).loc["gaussian"]
    assert gaussian["ci_low"] < 0.005 and gaussian["ci_high"] > -0.005
    # A box of unit variance has log(12)/2 nats where a Gaussian has log(2 pi e)/2.
    box = _errors("uniform box", 512, 4).loc["gaussian"]
    assert box["bias"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e / 12.0), abs=0.02)


def test_estimators_that_need_larger_groups_are_left_out() -> None:
    (laplace,) = (one for one in known_distributions() if one.title == "Laplace")
    assert estimator_validation.errors(laplace, 16, 24, seed=1) == []


def test_scatter_falls_with_the_size_of_the_group() -> None:
    scatter = [_errors("Laplace", n, 2)["scatter"] for n in (32, 512)]
    assert (scatter[1] < 0.5 * scatter[0]).all()


def test_reliability_is_that_of_the_tool() -> None:
    assert estimator_validation._reliable({"bias": TOLERANCE, "scatter": 0.0}, TOLERANCE)
    assert not estimator_validation._reliable({"bias": -0.03, "scatter": 0.0}, TOLERANCE)


def test_estimator_validation(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator_validation, "GROUPS", 8)
    monkeypatch.setattr(estimator_validation, "SIZES", (32, 128))
    monkeypatch.setattr(estimator_validation, "DIMENSIONS", (1, 24))
    _twice(estimator_validation, inputs, tmp_path)
    caption = estimator_validation.caption(estimator_validation.data(inputs))
    assert "128 members in 24 dimensions" in caption
    assert "Gaussian fit" in caption
