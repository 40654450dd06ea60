"""The artifact battery: each artifact does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.data.degradation import downsample
from experiments import battery


@pytest.fixture(scope="module")
def images():
    """Ground truth, LR image and bicubic output, in color: 96 × 144 pixels of smoothed noise."""
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal((96, 144, 3)), (1, 1, 0))
    truth = battery.to_8_bit(128 + 40 * noise / noise.std())
    lr = downsample(truth, 4)
    return truth, lr, battery.bicubic(lr, 4)


@pytest.mark.parametrize("name", battery.ARTIFACTS)
@pytest.mark.parametrize("gray", [False, True])
def test_artifacts_change_a_copy_and_keep_shape_and_type(images, name, gray):
    truth, lr, output = (image[..., 0] if gray else image for image in images)
    before = output.copy()
    found = battery.ARTIFACTS[name](output, lr, truth)
    assert found.shape == truth.shape
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(output, before)
    assert (found != output).mean() > 0.05
    np.testing.assert_array_equal(found, battery.ARTIFACTS[name](output, lr, truth))


@pytest.mark.parametrize("noise", [battery.white_noise, battery.low_pass_noise])
def test_noise_has_the_stated_standard_deviation(noise):
    gray = np.full((128, 128), 128, np.uint8)
    assert np.std(noise(gray, 5).astype(float)) == pytest.approx(5, rel=0.03)


def test_checkerboard_alternates():
    found = battery.checkerboard(np.full((4, 4), 100, np.uint8), 3)
    np.testing.assert_array_equal(found[0], [97, 103, 97, 103])
    np.testing.assert_array_equal(found[1], [103, 97, 103, 97])


def test_cartoon_keeps_an_edge_and_wipes_out_texture():
    rng = np.random.default_rng(0)
    edge = np.where(np.arange(64) < 32, 60.0, 190.0) * np.ones((64, 1))
    found = battery.cartoon(battery.to_8_bit(edge + 5 * rng.standard_normal((64, 64))))
    assert np.std(found[:, :28].astype(float)) < 1.5
    assert found[:, 32].mean() - found[:, 31].mean() > 100


def test_nearest_neighbor_repeats_lr_pixels(images):
    _, lr, _ = images
    found = battery.nearest_neighbor(lr, 4)
    np.testing.assert_array_equal(found[2::4, 1::4], lr)


def test_misplaced_detail_has_the_energy_of_the_missing_detail(images):
    truth, lr, output = images
    missing = (truth.astype(float) - output).std()
    for found in (
        battery.shifted_detail(output, truth),
        battery.detail_of_another_patch(output, lr, truth),
    ):
        added = found.astype(float) - output
        assert added.std() == pytest.approx(missing, rel=0.05)
        right = (truth.astype(float) - output).ravel()
        assert abs(np.corrcoef(added.ravel(), right)[0, 1]) < 0.3


def test_shifted_back_is_the_ground_truth(images):
    truth, _, output = images
    np.testing.assert_array_equal(battery.shifted_detail(output, truth, pixels=0), truth)
