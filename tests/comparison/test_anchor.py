"""The anchor: the baseline if it is a conditional mean, or the model that knows least."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.comparison.anchor import Anchor, find_anchor, shipped_anchor
from cooanalysis.comparison.groups import QueryGroups, find_query_groups
from cooanalysis.data.degradation import upsample
from cooanalysis.data.patches import PatchStore

Images = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def groups() -> QueryGroups:
    config = AnalysisConfig("sample", queries=50, k=16, subspace_dim=8, scale=4, map_images=0)
    return find_query_groups(config)


@pytest.fixture(scope="module")
def truth(groups: QueryGroups) -> PatchStore:
    return groups.store


def shown(truth: PatchStore, share: float, gain: float = 1.0) -> Images:
    """Outputs that behave like a conditional mean of a share of the detail, times a gain.

    With a mask of pixels that are known: ⟨s, y⟩ = ‖s‖², as for a conditional mean.
    """
    found = []
    for number in range(len(truth.names)):
        large = upsample(truth.lr_image(number), truth.scale)
        detail = truth.hr_image(number).astype(np.float32) - large
        known = np.random.default_rng(number).random(detail.shape) < share
        image = large + gain * detail * known
        found.append(np.rint(np.clip(image, 0, 255)).astype(np.uint8))
    return found


def chosen(
    truth: PatchStore, baseline: str, kinds: dict[str, str], **outputs: Images
) -> tuple[str, str] | None:
    found = find_anchor(truth, baseline, kinds, outputs)
    return None if found is None else (found.name, found.chosen)


def test_numbers_of_a_conditional_mean(truth: PatchStore) -> None:
    found = Anchor.of("net", "given", truth, shown(truth, 0.3))
    assert found.closed_form == pytest.approx(1.0, abs=0.02)
    assert found.detail_energy == pytest.approx(0.3, abs=0.03)
    assert found.explained == pytest.approx(0.3, abs=0.03)
    assert (found.name, found.chosen, found.is_mean) == ("net", "given", True)


def test_sharpened_made_up_or_missing_detail_is_no_mean(truth: PatchStore) -> None:
    sharpened = Anchor.of("net", "given", truth, shown(truth, 0.3, gain=1.5))
    assert not sharpened.is_mean and sharpened.closed_form < 0.85
    assert sharpened.explained == pytest.approx(0.3, abs=0.03)
    nothing = Anchor.of("net", "given", truth, shown(truth, 0.0))
    assert nothing.closed_form == pytest.approx(1.0, abs=0.01) and not nothing.is_mean
    itself = [truth.hr_image(number) for number in range(len(truth.names))]
    assert not Anchor.of("hr", "given", truth, itself).is_mean


def test_the_baseline_comes_first(truth: PatchStore) -> None:
    kinds = {"a": "checkpoint", "b": "folder"}
    outputs = {"a": shown(truth, 0.3), "b": shown(truth, 0.2)}
    assert chosen(truth, "a", kinds, **outputs) == ("a", "baseline")
    assert chosen(truth, "b", kinds, **outputs) == ("b", "baseline")


def test_else_the_model_that_knows_least(truth: PatchStore) -> None:
    kinds = {"base": "checkpoint", "a": "checkpoint", "b": "function", "c": "folder"}
    outputs = {"base": shown(truth, 0.3, 1.5), "a": shown(truth, 0.4), "b": shown(truth, 0.2),
               "c": shown(truth, 0.3)}  # fmt: skip
    assert chosen(truth, "base", kinds, **outputs) == ("b", "model")
    for name in "abc":
        outputs[name] = shown(truth, 0.3, 1.5)
    assert chosen(truth, "base", kinds, **outputs) is None


def test_interpolation_and_ground_truth_are_none(truth: PatchStore) -> None:
    """Whatever their outputs look like."""
    kinds = {"bicubic": "bicubic", "hr": "hr"}
    outputs = {name: shown(truth, 0.3) for name in kinds}
    assert chosen(truth, "bicubic", kinds, **outputs) is None
    assert chosen(truth, "hr", kinds, **outputs) is None
    assert chosen(truth, "bicubic", kinds | {"a": "folder"}, a=shown(truth, 0.3), **outputs) == (
        "a", "model",
    )  # fmt: skip


def test_shipped_weights_where_no_model_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped_anchor([], 7, "cpu") is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert shipped_anchor([], 4, "cpu") is None
