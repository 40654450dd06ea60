"""Spread and residual entropy against known values; outputs that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis import AnalysisConfig
from cooanalysis.comparison import (
    QueryGroups,
    find_query_groups,
    group_spread,
    residual_entropy,
    with_outputs,
)
from cooanalysis.data.degradation import upsample
from cooanalysis.errors import ConfigError, ModelError


@pytest.fixture(scope="module")
def groups() -> QueryGroups:
    config = AnalysisConfig("sample", queries=300, k=32, subspace_dim=8, scale=4)
    return find_query_groups(config)


def truths(groups: QueryGroups) -> list[np.ndarray]:
    return [groups.store.hr_image(n) for n in range(len(groups.store.names))]


def bicubic(groups: QueryGroups) -> list[np.ndarray]:
    return [
        np.rint(np.clip(upsample(groups.store.lr_image(n), 4), 0, 255)).astype(np.uint8)
        for n in range(len(groups.store.names))
    ]


def test_spread_of_the_ground_truth_is_that_of_the_groups(groups: QueryGroups) -> None:
    spread = group_spread(groups, with_outputs(groups.store, truths(groups)))
    assert spread == pytest.approx(groups.measures["center_rms"].astype(float) ** 2, rel=1e-5)
    assert group_spread(groups, with_outputs(groups.store, bicubic(groups))).sum() < (
        0.05 * spread.sum()
    )


def test_features_that_know_the_detail_leave_less_entropy(groups: QueryGroups) -> None:
    rng = np.random.default_rng(0)
    telling, noise = [], []
    for number in range(len(groups.store.names)):
        height, width, _ = groups.store.lr_image(number).shape
        detail = groups.store.hr_image(number).astype(np.float32) - bicubic(groups)[number]
        blocks = detail.reshape(height, 4, width, 4).transpose(0, 2, 1, 3)
        telling.append(np.ascontiguousarray(blocks.reshape(height, width, 16)))
        noise.append(rng.normal(size=(height, width, 16)).astype(np.float32))
    known = residual_entropy(groups, telling)
    unknown = residual_entropy(groups, noise)
    finite = np.isfinite(known) & np.isfinite(unknown)
    assert finite.mean() > 0.9
    assert known[finite].mean() < unknown[finite].mean() - 0.2


def test_color_outputs_are_turned_into_luma(groups: QueryGroups) -> None:
    gray = truths(groups)
    color = [np.repeat(np.full_like(image, 128), 3, axis=2) for image in gray]
    store = with_outputs(groups.store, color)
    # BT.601: the value 128 of RGB is 16 + 219 * 128 / 255 = 126 of luma.
    assert set(np.unique(store.hr)) == {126}


def test_wrong_outputs_are_named(groups: QueryGroups) -> None:
    outputs = truths(groups)
    with pytest.raises(ModelError, match=f"outputs for {len(outputs)} images"):
        with_outputs(groups.store, outputs[:-1])
    outputs[1] = outputs[1][:-4]
    with pytest.raises(ModelError, match=f"the output for '{groups.store.names[1]}' is"):
        with_outputs(groups.store, outputs)


def test_feature_maps_of_another_size_are_refused(groups: QueryGroups) -> None:
    maps = [np.zeros((3, 3, 1), np.float32) for _ in groups.store.names]
    with pytest.raises(ConfigError, match="feature map 0 has another size"):
        residual_entropy(groups, maps)
