"""From pairs of files to arrays: colors, sizes, sources, and what does not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cooanalysis.data.datasets import Dataset, resolve
from cooanalysis.data.degradation import downsample, upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.data.layouts import ImagePair
from cooanalysis.data.loading import LoadedPair, SkippedImage, iter_pairs, load_pair
from cooanalysis.errors import ConfigError, ImageError

RNG = np.random.default_rng(1)


def picture(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Something smooth in color, different for each seed."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 6 + 1, width // 6 + 1, 3))
    return np.clip(upsample(coarse, 6)[:height, :width], 0, 255).astype(np.uint8)


def save(path: Path, array: npt.NDArray[np.uint8]) -> Path:
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    return save(tmp_path / "hr.png", picture(50, 61))


def pair_of(hr: Path, lr: Path | None = None) -> ImagePair:
    return ImagePair("a", hr, lr)


def test_made_pair_in_color(hr: Path) -> None:
    loaded = load_pair(pair_of(hr), scale=4, color="rgb")
    image = picture(50, 61)
    np.testing.assert_array_equal(loaded.hr, image[:48, :60])
    np.testing.assert_array_equal(loaded.lr, downsample(image, 4))
    np.testing.assert_array_equal(loaded.upsampled, upsample(loaded.lr, 4))
    assert loaded.hr.dtype == loaded.lr.dtype == np.uint8
    assert loaded.upsampled.dtype == np.float32
    assert (loaded.name, loaded.lr_source) == ("a", "made")
    assert loaded.hr.flags["C_CONTIGUOUS"]


def test_made_pair_in_luma_is_converted_after_shrinking(hr: Path) -> None:
    loaded = load_pair(pair_of(hr), scale=4, color="y")
    image = picture(50, 61)
    assert loaded.hr.shape == (48, 60, 1) and loaded.lr.shape == (12, 15, 1)
    np.testing.assert_array_equal(loaded.hr[:, :, 0], rgb_to_y(image[:48, :60]))
    np.testing.assert_array_equal(loaded.lr[:, :, 0], rgb_to_y(downsample(image, 4)))
    np.testing.assert_array_equal(loaded.upsampled[:, :, 0], upsample(loaded.lr[:, :, 0], 4))


def test_gray_images(tmp_path: Path) -> None:
    gray = picture(40, 40)[:, :, 0]
    hr = save(tmp_path / "gray.png", gray)
    in_color = load_pair(pair_of(hr), scale=2, color="rgb")
    np.testing.assert_array_equal(in_color.hr, np.stack([gray] * 3, axis=2))
    assert in_color.upsampled.shape == (40, 40, 3)
    in_luma = load_pair(pair_of(hr), scale=2, color="y")
    np.testing.assert_array_equal(in_luma.hr[:, :, 0], rgb_to_y(gray))


def test_the_data_sets_own_lr_image_is_used(hr: Path, tmp_path: Path) -> None:
    noisy = downsample(picture(50, 61), 4) // 2 + RNG.integers(0, 9, (12, 15, 3), dtype=np.uint8)
    lr = save(tmp_path / "lr.png", noisy)
    loaded = load_pair(pair_of(hr, lr), scale=4, color="rgb")
    np.testing.assert_array_equal(loaded.lr, noisy)
    assert loaded.lr_source == "dataset"


def test_an_lr_image_of_the_wrong_size_is_refused(hr: Path, tmp_path: Path) -> None:
    lr = save(tmp_path / "lr.png", downsample(picture(50, 61), 2))
    with pytest.raises(ImageError, match=r"lr\.png: it has 25 x 30 .* needs 12 x 15"):
        load_pair(pair_of(hr, lr), scale=4, color="y")


def test_an_lr_image_of_another_image_is_refused(hr: Path, tmp_path: Path) -> None:
    lr = save(tmp_path / "lr.png", downsample(picture(50, 61, seed=9), 4))
    with pytest.raises(ImageError, match=r"different scenes \(correlation"):
        load_pair(pair_of(hr, lr), scale=4, color="y")


def test_flat_images_are_not_compared(tmp_path: Path) -> None:
    hr = save(tmp_path / "hr.png", np.full((16, 16, 3), 90, np.uint8))
    lr = save(tmp_path / "lr.png", np.full((4, 4, 3), 90, np.uint8))
    assert load_pair(pair_of(hr, lr), scale=4, color="y").lr_source == "dataset"


def test_small_images(tmp_path: Path) -> None:
    hr = save(tmp_path / "hr.png", picture(4, 5))
    assert load_pair(pair_of(hr), scale=4, color="y").lr.shape == (1, 1, 1)
    tiny = save(tmp_path / "tiny.png", picture(3, 5))
    with pytest.raises(ImageError, match=r"tiny\.png: .*3 x 5 pixels is too small for scale 4"):
        load_pair(pair_of(tiny), scale=4, color="y")


def test_arguments_are_checked(hr: Path) -> None:
    with pytest.raises(ConfigError, match="color must be 'y' or 'rgb', not 'lab'"):
        load_pair(pair_of(hr), scale=4, color="lab")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="scale"):
        load_pair(pair_of(hr), scale=0, color="y")


def test_a_bad_file_is_skipped_or_raised(hr: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    pairs = (ImagePair("bad", bad, None), ImagePair("good", hr, None))
    dataset = Dataset("d", "D", tmp_path, 4, pairs)
    skipped, loaded = iter_pairs(dataset, color="y")
    assert isinstance(skipped, SkippedImage) and isinstance(loaded, LoadedPair)
    assert (skipped.name, skipped.path) == ("bad", bad)
    assert "bad.png" in skipped.reason
    with pytest.raises(ImageError, match=r"bad\.png"):
        list(iter_pairs(dataset, color="y", strict=True))


def test_every_sample_image_loads() -> None:
    for loaded in iter_pairs(resolve("sample", scale=3), color="rgb", strict=True):
        assert isinstance(loaded, LoadedPair)
        assert loaded.hr.shape == loaded.upsampled.shape
        assert loaded.lr.shape[0] * 3 == loaded.hr.shape[0]


@pytest.mark.data("Set5", "Set14")
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_real_pairs_belong_together(name: str) -> None:
    for loaded in iter_pairs(resolve(name, scale=4, download=False), color="y", strict=True):
        assert isinstance(loaded, LoadedPair)
