"""Down- and upsampling: known answers, symmetries, and agreement with MATLAB's images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cooanalysis.data.degradation import downsample, modcrop, upsample
from cooanalysis.data.images import read_image, rgb_to_y
from cooanalysis.data.layouts import find_pairs
from cooanalysis.errors import ConfigError, ImageError

SCALES = st.integers(1, 5)
IMAGES = arrays(np.uint8, st.tuples(st.integers(5, 23), st.integers(5, 23)))


def keys(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The cubic kernel with a = -0.5, written down a second time."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def resize_matrix(size: int, ratio: float) -> npt.NDArray[np.float64]:
    """Weights of imresize along one axis, by its definition and with mirrored borders."""
    out = round(size * ratio)
    stretch = min(ratio, 1.0)
    matrix = np.zeros((out, size))
    reach = int(np.ceil(2 / stretch)) + 1
    for i in range(out):
        center = (i + 0.5) / ratio - 0.5
        taps = np.arange(int(np.floor(center)) - reach, int(np.floor(center)) + reach + 2)
        weights = keys((taps - center) * stretch)
        weights /= weights.sum()
        mirrored = taps % (2 * size)
        mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
        np.add.at(matrix[i], mirrored, weights)
    return matrix


@settings(deadline=None)
@given(IMAGES, st.integers(2, 5))
def test_downsample_is_the_definition_of_imresize(image: npt.NDArray[np.uint8], scale: int) -> None:
    image = modcrop(image, scale)
    down = resize_matrix(image.shape[0], 1 / scale)
    across = resize_matrix(image.shape[1], 1 / scale)
    between = np.clip(np.floor(down @ image + 0.5), 0, 255)
    exact = np.clip(between @ across.T, 0, 255)
    # 0.5 for the rounding, the rest for a tie in the first pass that falls the other way.
    assert np.abs(downsample(image, scale) - exact).max() <= 1.6


@settings(deadline=None)
@given(IMAGES, st.integers(2, 5))
def test_upsample_is_the_definition_of_imresize(image: npt.NDArray[np.uint8], scale: int) -> None:
    exact = resize_matrix(image.shape[0], scale) @ image @ resize_matrix(image.shape[1], scale).T
    np.testing.assert_allclose(upsample(image, scale), exact, atol=1e-3)


@given(SCALES, st.integers(0, 255), st.integers(5, 20), st.integers(5, 20))
def test_a_constant_stays_constant(scale: int, level: int, height: int, width: int) -> None:
    image = np.full((height, width, 3), level, dtype=np.uint8)
    small = downsample(image, scale)
    assert small.shape == (height // scale, width // scale, 3)
    assert (small == level).all()
    np.testing.assert_allclose(upsample(small, scale), level, atol=1e-3)


@given(IMAGES, SCALES)
def test_shapes_and_types(image: npt.NDArray[np.uint8], scale: int) -> None:
    small = downsample(image, scale)
    assert small.shape == (image.shape[0] // scale, image.shape[1] // scale)
    assert small.dtype == np.uint8
    large = upsample(small, scale)
    assert large.shape == modcrop(image, scale).shape
    assert large.dtype == np.float32
    assert large.flags["C_CONTIGUOUS"] and large.flags["WRITEABLE"]


@given(IMAGES, SCALES)
def test_channels_are_independent(image: npt.NDArray[np.uint8], scale: int) -> None:
    stack = np.stack([image, image[::-1], 255 - image], axis=2)
    np.testing.assert_array_equal(downsample(stack, scale)[:, :, 2], downsample(255 - image, scale))
    np.testing.assert_array_equal(upsample(stack, scale)[:, :, 0], upsample(image, scale))
    one = image[:, :, np.newaxis]
    np.testing.assert_array_equal(downsample(one, scale)[:, :, 0], downsample(image, scale))


@given(IMAGES, SCALES, st.sampled_from([0, 1]))
def test_flips_commute(image: npt.NDArray[np.uint8], scale: int, axis: int) -> None:
    image = modcrop(image, scale)
    flipped = np.flip(image, axis)
    np.testing.assert_array_equal(
        downsample(flipped, scale), np.flip(downsample(image, scale), axis)
    )
    np.testing.assert_allclose(
        upsample(flipped, scale), np.flip(upsample(image, scale), axis), atol=1e-3
    )


@given(st.integers(2, 4), st.floats(-3, 3), st.floats(-3, 3))
def test_upsample_reproduces_ramps_inside(scale: int, down: float, across: float) -> None:
    rows, columns = np.mgrid[0:12, 0:14]
    large = upsample(down * rows + across * columns, scale)
    rows, columns = np.mgrid[0 : 12 * scale, 0 : 14 * scale]
    exact = down * ((rows + 0.5) / scale - 0.5) + across * ((columns + 0.5) / scale - 0.5)
    inner = (slice(2 * scale, -2 * scale),) * 2
    np.testing.assert_allclose(large[inner], exact[inner], atol=1e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downsample_undoes_upsample_of_something_smooth(scale: int) -> None:
    rows, columns = np.mgrid[0:40, 0:50]
    smooth = 128 + 60 * np.sin(rows / 9) * np.cos(columns / 11)
    large = np.round(upsample(smooth, scale)).astype(np.uint8)
    assert np.abs(downsample(large, scale) - smooth)[2:-2, 2:-2].max() < 1.5


def test_modcrop_cuts_bottom_and_right() -> None:
    image = np.arange(7 * 9).reshape(7, 9)
    np.testing.assert_array_equal(modcrop(image, 4), image[:4, :8])
    assert modcrop(image, 1).shape == (7, 9)


def test_arguments_are_checked() -> None:
    image = np.zeros((8, 8), dtype=np.uint8)
    for wrong in (0, -2, 1.5, True, "4"):
        with pytest.raises(ConfigError, match="scale must be a whole number"):
            downsample(image, wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="scale must be a whole number"):
            upsample(image, wrong)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="uint8, not float64"):
        downsample(np.zeros((8, 8)), 2)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="3 x 8 pixels is too small for scale 4"):
        downsample(image[:3], 4)
    with pytest.raises(ImageError, match="not empty"):
        upsample(np.zeros((0, 8)), 2)
    with pytest.raises(ImageError, match=r"not \(8,\)"):
        upsample(np.zeros(8), 2)


# --- images made by MATLAB ----------------------------------------------------------------------


def archive(name: str) -> Path:
    return Path(os.environ["COO_DATA_HOME"]) / name


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_equal_to_matlab_bit_by_bit(name: str, scale: int) -> None:
    compared = 0
    for pair in find_pairs(archive(name), scale):
        if pair.lr_path is None:
            continue
        hr, lr = read_image(pair.hr_path), read_image(pair.lr_path)
        inner = (slice(2, -2), slice(2, -2))
        np.testing.assert_array_equal(downsample(hr, scale)[inner], lr[inner])
        # The archives' MATLAB repeated the border instead of mirroring it. Give it to our function
        # as part of the image, and the outermost pixels agree as well.
        sides = [(3 * scale, 3 * scale)] * 2 + [(0, 0)] * (hr.ndim - 2)
        repeated = downsample(np.pad(hr, sides, mode="edge"), scale)[3:-3, 3:-3]
        np.testing.assert_array_equal(repeated, lr)
        compared += 1
    if not compared:
        pytest.skip(f"{name} has no low-resolution images of scale {scale}")


# PSNR in dB of bicubic enlargement, as every paper on super-resolution prints it.
@pytest.mark.parametrize(("scale", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_psnr_on_set5_is_the_published_one(scale: int, published: float) -> None:
    psnr = []
    for pair in find_pairs(archive("Set5"), scale):
        if pair.lr_path is None:
            pytest.skip(f"Set5 has no low-resolution images of scale {scale}")
        hr, lr = (rgb_to_y(read_image(path)) for path in (pair.hr_path, pair.lr_path))
        error = (np.clip(np.round(upsample(lr, scale)), 0, 255) - hr)[scale:-scale, scale:-scale]
        psnr.append(10 * np.log10(255**2 / np.mean(error**2)))
    assert np.mean(psnr) == pytest.approx(published, abs=0.03)
