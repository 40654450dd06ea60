"""Taking outputs apart in experiments: the battery of artifacts, and the shipped models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.patches import DETAIL_UNITS_PER_LEVEL, PEAK, PatchStore
from experiments.detail import MEASURES, Apart, columns_of, detail_of, totals_of
from tests.helpers.photographs import write_crops

NEEDS_MODELS = pytest.mark.needs("torch", "safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six crops of 128 × 128 pixels."""
    return write_crops(tmp_path_factory.mktemp("crops"), 128, 6)


@pytest.fixture(scope="module")
def pairs(folder: Path) -> list[LoadedPair]:
    found = iter_pairs(resolve(folder, scale=4), color="rgb")
    return [pair for pair in found if isinstance(pair, LoadedPair)]


def test_details_are_those_of_a_comparison(folder: Path, pairs: list[LoadedPair]) -> None:
    luma = [p for p in iter_pairs(resolve(folder, scale=4), color="y") if isinstance(p, LoadedPair)]
    store = PatchStore.from_pairs(luma, scale=4, width=5)
    theirs = store.detail_image(0)[:, :, 0] / (PEAK * DETAIL_UNITS_PER_LEVEL)
    ours = detail_of(pairs[0].hr, pairs[0].lr, 4)
    np.testing.assert_allclose(ours, theirs, atol=0.51 / (PEAK * DETAIL_UNITS_PER_LEVEL))


def test_totals_have_all_measures_and_differences(pairs: list[LoadedPair]) -> None:
    lr = [pair.lr for pair in pairs]
    truth = [pair.hr for pair in pairs]
    blurred = [
        np.rint(0.5 * pair.hr + 0.5 * np.clip(pair.upsampled, 0, 255)).astype(np.uint8)
        for pair in pairs
    ]
    apart = Apart(truth, lr, blurred, 4)
    table = totals_of({"half": apart.of(blurred), "truth": apart.of(truth)}, "half")
    assert set(table["measure"]) == {measure.name for measure in MEASURES}
    half = columns_of(table[table["model"] == "half"])
    # Half of the detail knows all of it, and shows half.
    assert half["explained"] == pytest.approx(1.0, abs=0.02)
    assert half["gain"] == pytest.approx(0.5, abs=0.02)
    assert half["detail_energy"] == pytest.approx(0.25, abs=0.02)
    assert half["gain_ci_low"] <= half["gain"] <= half["gain_ci_high"]
    other = table[(table["model"] == "truth") & (table["measure"] == "gain")]
    assert other["difference"].item() == pytest.approx(0.5, abs=0.02)


@NEEDS_MODELS
@pytest.mark.slow
def test_the_battery_tells_artifacts_from_knowledge(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.realism import detail_battery

    detail_battery.main(str(folder), "white noise 5,nearest neighbor", None, 0, tmp_path)
    table = pd.read_csv(tmp_path / "detail.csv").set_index("output")
    assert list(table.index) == [
        "bicubic", "l1", "l1-decloss", "ragan", "ragan-decloss", "l1, detail × 1.3",
        "l1, detail × 1.5", "l1, white noise 5", "bicubic, white noise 5", "nearest neighbor",
    ]  # fmt: skip
    sharpened, noisy, plain = (
        table.loc[name] for name in ("l1, detail × 1.5", "l1, white noise 5", "l1")
    )
    assert sharpened["gain"] == pytest.approx(1.5 * plain["gain"], rel=0.05)
    assert sharpened["explained"] == pytest.approx(plain["explained"], abs=0.01)
    assert noisy["invented"] > plain["invented"] + 0.01
    assert np.isnan(plain["explained_difference"])
    text = (tmp_path / "detail.md").read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert "6 images, anchor l1." in text


@NEEDS_MODELS
def test_measures_of_cards_are_those_of_the_shipped_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.models.shipped import shipped
    from experiments.decloss import shipped as command
    from experiments.decloss.ship import MEASURES as ON_CARDS
    from experiments.decloss.ship import measured_part

    weights = {name: shipped()[f"edsr-small-x4-{name}"] for name in command.TITLES}
    published = command._published(weights)
    totals = pd.read_csv(command.MEASURED / "shipped.csv")
    for name, path in weights.items():
        row = published[name] | columns_of(totals[totals["model"] == name])
        assert set(ON_CARDS) <= set(row)
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert measured_part(pd.Series(row), "shipped") in card
        copy = tmp_path / "card.md"
        copy.write_text(card, encoding="utf-8")
        command._renew(copy, pd.Series(row))
        assert copy.read_text(encoding="utf-8") == card
    origin = json.loads((command.MEASURED / "provenance.json").read_text(encoding="utf-8"))
    for own in origin.values():
        own["weights_sha256"] = "other"
    (tmp_path / "provenance.json").write_text(json.dumps(origin), encoding="utf-8")
    (tmp_path / "models.csv").write_bytes((command.MEASURED / "models.csv").read_bytes())
    monkeypatch.setattr(command, "MEASURED", tmp_path)
    with pytest.raises(command.CooError, match="nothing was published"):
        command._published(weights)


@NEEDS_MODELS
def test_a_trained_model_is_taken_apart_against_its_matched_model(pairs: list[LoadedPair]) -> None:
    from cooanalysis.models import load_weights
    from cooanalysis.models.shipped import shipped
    from experiments.decloss.evaluate import coo_measures, upscaled

    plain, sharp = (
        upscaled(load_weights(shipped()[f"edsr-small-x4-{name}"]), pairs, 4)
        for name in ("l1", "l1-decloss")
    )
    found = coo_measures(sharp, plain, pairs, 4)
    assert {"explained", "psnr_explained_db", "gain", "invented", "collapse_index",
            "detail_energy"} <= set(found)  # fmt: skip
    assert found["collapse_index"] == pytest.approx(1.0 - found["invented"])
    assert found["gain"] > coo_measures(plain, plain, pairs, 4)["gain"]
