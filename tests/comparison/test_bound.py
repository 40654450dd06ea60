"""The table of places in the perception-distortion plane."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from cooanalysis.comparison.bound import COLUMNS, bound_table
from cooanalysis.comparison.files import read_files, write_files
from cooanalysis.errors import ImageError
from tests.helpers.fake_comparison import fake_comparison

Image = NDArray[np.uint8]


def images(seed: int, n: int = 4) -> list[Image]:
    return list(np.random.default_rng(seed).integers(60, 190, (n, 24, 30, 1), np.uint8))


def near(truth: list[Image], noise: float, seed: int) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [np.rint(t + noise * rng.standard_normal(t.shape)).astype(np.uint8) for t in truth]


def test_the_model_of_the_smallest_error_sets_the_bound() -> None:
    truth = images(0)
    table = bound_table({"far": near(truth, 9.0, 1), "best": near(truth, 3.0, 2)}, truth)
    assert list(table.columns) == list(COLUMNS)
    far, best = (table.set_index("model").loc[name] for name in ("far", "best"))
    assert set(table["predictor"]) == {"best"}
    assert best["excess_db"] == best["excess_low"] == best["excess_high"] == 0.0
    assert (best["mse"], best["wasserstein"]) == (best["best_mse"], best["best_wasserstein"])
    assert far["mse"] == pytest.approx((9.0 / 255.0) ** 2, rel=0.1)
    assert far["excess_db"] > 1.0


def test_a_predictor_of_its_own() -> None:
    truth = images(0)
    table = bound_table({"a": near(truth, 9.0, 1)}, truth, near(truth, 3.0, 2))
    assert table["predictor"].item() == ""
    assert table["best_mse"].item() == pytest.approx((3.0 / 255.0) ** 2, rel=0.1)
    assert table["excess_db"].item() > 1.0


def test_small_images_are_left_out() -> None:
    truth = images(0)
    outputs = near(truth, 5.0, 1)
    small = [truth[0][:11], *truth]
    with_small = bound_table({"a": [outputs[0][:11], *outputs]}, small)
    pd.testing.assert_frame_equal(with_small, bound_table({"a": outputs}, truth))
    assert bound_table({"a": [outputs[0][:11]]}, [truth[0][:11]]).empty
    assert bound_table({}, truth).empty


def test_missing_images() -> None:
    truth = images(0)
    with pytest.raises(ImageError, match="3 outputs of 'a' for 4 images"):
        bound_table({"a": truth[:3]}, truth)
    with pytest.raises(ImageError, match="3 images of the predictor for 4 images"):
        bound_table({"a": truth}, truth, truth[:3])


def test_runs_with_and_without_it_are_read(tmp_path: Path) -> None:
    record = fake_comparison()
    for name, bound in (("new", record.bound), ("old", None)):
        folder = tmp_path / name
        folder.mkdir()
        write_files(replace(record, bound=bound), folder)
        found = read_files(folder).bound
        if bound is None:
            assert found is None
        else:
            pd.testing.assert_frame_equal(found, bound)
