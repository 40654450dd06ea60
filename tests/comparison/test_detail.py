"""A model's detail taken apart on a data set: images, bands and patches tell the same story."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.comparison.detail import BANDS, STEM, take_model_apart
from cooanalysis.comparison.groups import QueryGroups, dense_groups, find_query_groups
from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.data.degradation import upsample
from cooanalysis.data.patches import PEAK
from cooanalysis.measures.detail import SUMS, take_apart

Image = NDArray[np.uint8]
Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def groups() -> QueryGroups:
    config = AnalysisConfig("sample", queries=200, k=16, subspace_dim=8, scale=4, map_images=0)
    return find_query_groups(config)


def mixed(groups: QueryGroups, share: float) -> list[Image]:
    """The ground truth with a share of its detail, and some of another seed's noise."""
    found = []
    for number in range(len(groups.store.names)):
        large = upsample(groups.store.lr_image(number), 4)
        truth = groups.store.hr_image(number).astype(np.float32)
        noise = np.random.default_rng(number).normal(0, 4, truth.shape)
        image = large + share * (truth - large) + noise
        found.append(np.rint(np.clip(image, 0, 255)).astype(np.uint8))
    return found


@pytest.fixture(scope="module")
def found(groups: QueryGroups) -> Arrays:
    maps = [dense_groups(groups, 0, 16)]
    return dict(
        take_model_apart(groups, maps, with_outputs(groups.store, mixed(groups, 0.5)), None)
    )


def column(sums: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    return sums[..., SUMS.index(name)]


def test_shapes_and_units(groups: QueryGroups, found: Arrays) -> None:
    n = len(groups.store.names)
    assert found["image_sums"].shape == (n, len(SUMS))
    assert found["band_sums"].shape == (n, BANDS, len(SUMS))
    assert found[STEM].shape == (len(groups.queries), len(SUMS))
    assert len(found[f"map_0_{STEM}"]) > 0 and f"map_1_{STEM}" not in found
    heights, widths = 4 * groups.store.heights - 8, 4 * groups.store.widths - 8
    assert found["image_pixels"].tolist() == (heights * widths).tolist()
    # A unit of 1 for the peak: detail is a few percent of it.
    rms = np.sqrt(column(found["image_sums"], "truth_energy") / found["image_pixels"])
    assert (rms > 0.005).all() and (rms < 0.2).all()


def test_it_is_what_the_function_for_arrays_finds(groups: QueryGroups, found: Arrays) -> None:
    store, outputs = groups.store, mixed(groups, 0.5)
    numbers = range(len(store.names))
    large = [upsample(store.lr_image(n), 4) for n in numbers]
    truth = [(store.hr_image(n) - u) / PEAK for n, u in zip(numbers, large, strict=True)]
    shown = [(s.astype(np.float32) - u) / PEAK for s, u in zip(outputs, large, strict=True)]
    lr = [store.lr_image(n) / PEAK for n in numbers]
    direct = take_apart(truth, shown, lr, scale=4, seed=groups.run.config.seed)
    for name in SUMS:
        assert column(found["image_sums"], name) == pytest.approx(
            direct.sums[name], rel=0.01, abs=0.01
        ), name


def test_without_an_anchor_known_is_alone(found: Arrays) -> None:
    for sums in (found["image_sums"], found[STEM]):
        for name in ("energy", "truth", "output"):
            np.testing.assert_array_equal(
                column(sums, f"known_{name}"), column(sums, f"alone_{name}")
            )
    assert len(found["strengths"]) == 1


def test_the_sums_of_patches_are_those_of_their_pixels(groups: QueryGroups, found: Arrays) -> None:
    details = groups.store.details(groups.queries.patches).astype(np.float64)
    energy = np.sum(details**2, axis=1)
    own = column(found[STEM], "truth_energy")
    assert own / energy == pytest.approx(np.full(len(own), (own / energy).mean()), rel=1e-4)


def test_bands_add_up_to_the_images(found: Arrays) -> None:
    """Bands fade out images toward their borders; shares of the energy stay nearly the same."""
    bands, images = found["band_sums"].sum(axis=(0, 1)), found["image_sums"].sum(axis=0)
    for name in ("output_energy", "output_truth", "known_energy", "known_truth"):
        shares = [column(s, name) / column(s, "truth_energy") for s in (bands, images)]
        assert shares[0] == pytest.approx(shares[1], rel=0.1), name


def test_the_ground_truth_as_output(groups: QueryGroups) -> None:
    truth = [groups.store.hr_image(n) for n in range(len(groups.store.names))]
    found = take_model_apart(groups, [], with_outputs(groups.store, truth), None)
    sums = dict(zip(SUMS, found["image_sums"].sum(axis=0), strict=True))
    for name in ("output_energy", "output_truth", "alone_energy", "alone_truth"):
        assert sums[name] == pytest.approx(sums["truth_energy"], rel=1e-3), name


def test_an_anchor_brings_its_own_estimate(groups: QueryGroups) -> None:
    store = groups.store
    output, anchor = (with_outputs(store, mixed(groups, share)) for share in (0.2, 0.9))
    found = take_model_apart(groups, [], output, anchor)
    known, alone = (column(found["image_sums"], f"{of}_truth").sum() for of in ("known", "alone"))
    assert known > 1.1 * alone
    assert len(found["strengths"]) == 2
