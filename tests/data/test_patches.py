"""The patch store: every gather equals slicing the whole images by hand, at every border."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.data.datasets import resolve
from cooanalysis.data.loading import LoadedPair, iter_pairs
from cooanalysis.data.patches import DETAIL_UNITS_PER_LEVEL, STD_FLOOR, Patches, PatchStore
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.measures.center import center, center_min_distance, center_rms_distance

ROUNDING = 0.5 / DETAIL_UNITS_PER_LEVEL / 255.0
"""Largest error of a stored detail, in units of the peak."""


def make_pair(
    height: int, width: int, *, scale: int = 2, channels: int = 1, seed: int = 0, name: str = "a"
) -> LoadedPair:
    """Unrelated noise in all three arrays, so that a mix-up of any two shows."""
    rng = np.random.default_rng(seed)
    big = (height * scale, width * scale, channels)
    return LoadedPair(
        name,
        rng.integers(0, 256, big, dtype=np.uint8),
        rng.integers(0, 256, (height, width, channels), dtype=np.uint8),
        rng.uniform(-40.0, 295.0, big).astype(np.float32),  # bicubic overshoots
        "made",
    )


def make_pairs(scale: int, channels: int) -> list[LoadedPair]:
    """Unequal sizes, the smallest just one patch of width 3."""
    return [
        make_pair(h, w, scale=scale, channels=channels, seed=number, name=f"image {number}")
        for number, (h, w) in enumerate([(7, 5), (3, 3), (4, 9)])
    ]


def cut(image: np.ndarray, y: int, x: int, size: int) -> np.ndarray:
    """The naive reference: a window of the whole image, flattened."""
    window = image[y : y + size, x : x + size].astype(np.float64)
    assert window.shape[:2] == (size, size)
    return window.ravel()


# -- Gathering -------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_patch_equals_a_slice_of_its_image(scale: int, channels: int) -> None:
    pairs = make_pairs(scale, channels)
    store = PatchStore.from_pairs(pairs, scale=scale, width=3)
    patches = store.grid(1)  # all of them, so all borders and corners of all images
    assert len(patches) == 5 * 3 + 1 + 2 * 7
    assert store.patch_dim == (3 * scale) ** 2 * channels
    hr, detail = store.hr_patches(patches), store.details(patches)
    levels, *_ = store.lr_patches(patches, normalize=False)
    for row, (number, y, x) in enumerate(zip(patches.image, patches.y, patches.x, strict=True)):
        pair = pairs[number]
        at, size = (scale * y, scale * x), 3 * scale
        np.testing.assert_allclose(levels[row], cut(pair.lr, y, x, 3) / 255, atol=1e-6)
        np.testing.assert_allclose(hr[row], cut(pair.hr, *at, size) / 255, atol=1e-6)
        exact = (cut(pair.hr, *at, size) - cut(pair.upsampled, *at, size)) / 255
        np.testing.assert_allclose(detail[row], exact, atol=1.01 * ROUNDING)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalized_lr_patches(channels: int) -> None:
    pairs = make_pairs(2, channels)
    store = PatchStore.from_pairs(pairs, scale=2, width=3)
    patches = store.grid(1)
    features, mean, std = store.lr_patches(patches)
    for row, (number, y, x) in enumerate(zip(patches.image, patches.y, patches.x, strict=True)):
        values = cut(pairs[number].lr, y, x, 3) / 255
        assert mean[row] == pytest.approx(values.mean(), abs=1e-6)
        assert std[row] == pytest.approx(values.std(), abs=1e-6)
        np.testing.assert_allclose(
            features[row], (values - values.mean()) / values.std(), atol=1e-5
        )


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_by_number_are_those_of_the_coordinates(channels: int, normalize: bool) -> None:
    # More than a thread looks ahead, repeated, in any order, and an image without patches.
    pairs = [*make_pairs(2, channels), make_pair(40, 41, channels=channels, seed=9, name="d")]
    store = PatchStore.from_pairs(pairs, scale=2, width=3)
    for some in (store, store.only(np.array([3, 1, 0]))):
        for stride in (1, 2, 7):
            grid = some.patch_grid(stride)
            rows = np.random.default_rng(0).integers(0, len(grid), 300)
            expected = some.lr_patches(grid[rows], normalize=normalize)[0]
            found = some.grid_features(grid, rows, normalize=normalize)
            np.testing.assert_array_equal(found, expected)
    assert store.grid_features(store.patch_grid(1), np.array([], np.int64)).shape == (
        0,
        9 * channels,
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.integers(2, 254))
@settings(deadline=None, max_examples=50)
def test_features_do_not_depend_on_a_patchs_brightness(
    seed: int, channels: int, shift: int
) -> None:
    """Bit for bit, so that equal textures tie instead of being ranked by rounding."""
    pair = make_pair(8, 8, channels=channels, seed=seed)
    levels = pair.lr // 2  # room to be brighter
    stores = [
        PatchStore.from_pairs([dataclasses.replace(pair, lr=lr)], scale=2, width=5)
        for lr in (levels, levels + np.uint8(min(shift, 128)))
    ]
    first, second = (store.lr_patches(store.grid(1))[0] for store in stores)
    np.testing.assert_array_equal(first, second)


def test_nearly_flat_patches_are_divided_by_the_floor() -> None:
    lr = np.full((3, 6, 1), 100, np.uint8)
    lr[0, 3] = 101  # noise of one 8-bit value must not become contrast 1
    pair = LoadedPair(
        "flat", np.zeros((6, 12, 1), np.uint8), lr, np.zeros((6, 12, 1), np.float32), "made"
    )
    store = PatchStore.from_pairs([pair], scale=2, width=3)
    features, mean, std = store.lr_patches(store.grid(3))
    np.testing.assert_allclose(std, STD_FLOOR)
    np.testing.assert_allclose(features[0], 0.0, atol=1e-6)
    assert mean[0] == pytest.approx(100 / 255)
    assert features[1].max() == pytest.approx((1 - 1 / 9) / 2, abs=1e-4)


def test_without_normalization_nothing_is_divided() -> None:
    pair = make_pair(5, 5)
    store = PatchStore.from_pairs([pair], scale=2, width=3)
    features, mean, std = store.lr_patches(store.grid(1), normalize=False)
    assert (std == 1.0).all()
    np.testing.assert_allclose(mean, features.mean(1), atol=1e-6)


@pytest.mark.parametrize("extreme", [0, 255])
def test_the_largest_details_fit(extreme: int) -> None:
    """A black pixel where bicubic overshoots white, and the other way round."""
    hr = np.full((4, 4, 1), extreme, np.uint8)
    upsampled = np.full((4, 4, 1), 330.0 if extreme == 0 else -75.0, np.float32)
    pair = LoadedPair("a", hr, np.zeros((2, 2, 1), np.uint8), upsampled, "made")
    store = PatchStore.from_pairs([pair], scale=2, width=2)
    expected = (extreme - upsampled.reshape(1, -1)) / 255
    np.testing.assert_allclose(store.details(store.grid(1)), expected, rtol=1e-6)


def test_detail_resolution_is_the_documented_one() -> None:
    store = PatchStore.from_pairs([make_pair(60, 60)], scale=2, width=60)
    exact = (make_pair(60, 60).hr - make_pair(60, 60).upsampled).ravel() / 255
    error = (store.details(store.grid(1))[0] - exact) * 255
    assert np.sqrt((error**2).mean()) == pytest.approx(0.0045, abs=0.0001)


def test_whole_images_come_back() -> None:
    pairs = make_pairs(3, 3)
    store = PatchStore.from_pairs(pairs, scale=3, width=3)
    for number, pair in enumerate(pairs):
        np.testing.assert_array_equal(store.lr_image(number), pair.lr)
        np.testing.assert_array_equal(store.hr_image(number), pair.hr)
    assert store.names == ("image 0", "image 1", "image 2")
    assert store.lr_sources == ("made",) * 3


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 29), min_size=1, max_size=40), st.integers(1, 40))
def test_gathers_do_not_depend_on_order_repetition_or_batch(rows: list[int], batch: int) -> None:
    store = PatchStore.from_pairs(make_pairs(2, 1), scale=2, width=3)
    patches, chosen = store.grid(1), np.array(rows)
    for gather in (store.details, store.hr_patches, lambda p: store.lr_patches(p)[0]):
        parts = [gather(patches[chosen[i : i + batch]]) for i in range(0, len(rows), batch)]
        np.testing.assert_array_equal(np.concatenate(parts), gather(patches)[chosen])
        assert parts[0].dtype == np.float32


def test_patches_are_chosen_by_number_mask_and_slice() -> None:
    patches = PatchStore.from_pairs(make_pairs(2, 1), scale=2, width=3).grid(1)
    mask = patches.image == 2
    assert len(patches[mask]) == mask.sum()
    assert (patches[mask].image == 2).all()
    np.testing.assert_array_equal(patches[np.array([4, 1])].x, patches.x[[4, 1]])
    np.testing.assert_array_equal(patches[2:5].y, patches.y[2:5])


# -- Groups ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_group_moments_equal_the_pure_functions(channels: int) -> None:
    """The kernel that never stores a group against the functions that are given one."""
    store = PatchStore.from_pairs(make_pairs(2, channels), scale=2, width=3)
    patches = store.grid(1)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 20.0, len(patches)).astype(np.float32)
    neighbors = rng.integers(0, len(patches), (11, 6))
    moments = store.group_moments(patches, neighbors, weight)
    members = (store.details(patches) * weight[:, None]).astype(np.float64)[neighbors]
    np.testing.assert_allclose(moments.center, center(members), atol=1e-5)
    np.testing.assert_allclose(moments.rms_distance, center_rms_distance(members), rtol=1e-5)
    np.testing.assert_allclose(moments.min_distance, center_min_distance(members), rtol=1e-5)
    np.testing.assert_allclose(moments.member_energy, (members**2).mean((1, 2)), rtol=1e-5)


def test_a_group_of_one_patch_is_its_own_center() -> None:
    store = PatchStore.from_pairs(make_pairs(2, 1), scale=2, width=3)
    patches = store.grid(1)
    repeated = np.repeat(np.arange(len(patches))[:, None], 8, axis=1)
    moments = store.group_moments(patches, repeated, np.ones(len(patches), np.float32))
    np.testing.assert_allclose(moments.center, store.details(patches), atol=1e-6)
    np.testing.assert_allclose(moments.rms_distance, 0.0, atol=1e-6)


# -- Which patches ---------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3, 100])
def test_grid_lists_every_corner_once_and_stays_inside(stride: int) -> None:
    store = PatchStore.from_pairs(make_pairs(2, 1), scale=2, width=3)
    patches = store.grid(stride)
    expected = [
        (number, y, x)
        for number, (height, width) in enumerate([(7, 5), (3, 3), (4, 9)])
        for y in range(0, height - 2, stride)
        for x in range(0, width - 2, stride)
    ]
    assert list(zip(patches.image, patches.y, patches.x, strict=True)) == expected
    some = store.grid(stride, images=[2, 0])
    assert list(dict.fromkeys(some.image.tolist())) == [2, 0]
    assert len(some) == len(patches) - (patches.image == 1).sum()


@given(st.integers(0, 60), st.integers(0, 2**31))
def test_sample_draws_distinct_places_evenly(n: int, seed: int) -> None:
    store = PatchStore.from_pairs(make_pairs(2, 1), scale=2, width=3)
    patches = store.sample(n, np.random.default_rng(seed))
    places = list(zip(patches.image, patches.y, patches.x, strict=True))
    available = np.array([15, 1, 14])
    assert len(patches) == len(set(places)) == min(n, available.sum())
    assert places == sorted(places)
    everywhere = store.grid(1)
    assert set(places) <= set(zip(everywhere.image, everywhere.y, everywhere.x, strict=True))
    # As even as the sizes allow: an image with fewer than the fullest has none or one to give.
    counts = np.bincount(patches.image, minlength=3)
    assert (counts[counts < available] >= counts.max() - 1).all()


def test_sample_reaches_every_place_of_an_image() -> None:
    store = PatchStore.from_pairs([make_pair(7, 5)], scale=2, width=3)
    rng = np.random.default_rng(0)
    seen = {(int(p.y[0]), int(p.x[0])) for p in (store.sample(1, rng) for _ in range(400))}
    assert seen == {(y, x) for y in range(5) for x in range(3)}


# -- Refusals and real images ----------------------------------------------------------------


def test_an_image_smaller_than_a_patch_is_named() -> None:
    pairs = [make_pair(9, 9), make_pair(5, 4, name="small one")]
    with pytest.raises(
        NotEnoughDataError,
        match=r"image 'small one' is 4x5 LR pixels, smaller than one patch of 5x5",
    ):
        PatchStore.from_pairs(pairs, scale=2, width=5)


def test_no_image_at_all() -> None:
    with pytest.raises(NotEnoughDataError, match="no usable image was found"):
        PatchStore.from_pairs([], scale=2, width=5)


def test_names_that_are_not_utf8_are_spelled_out() -> None:
    pair = make_pair(5, 5, name=os.fsdecode(b"caf\xe9"))
    assert PatchStore.from_pairs([pair], scale=2, width=5).names == ("caf\\udce9",)


def test_photographs_have_the_detail_they_lost() -> None:
    """HR = bicubic + detail on real images, in the store as in the files."""
    dataset = resolve("sample", scale=4, download=False)
    pairs = [p for p in iter_pairs(dataset, color="rgb", strict=True) if p.name == "chelsea"]
    assert isinstance(pairs[0], LoadedPair)
    store = PatchStore.from_pairs(pairs, scale=4, width=5)  # type: ignore[arg-type]
    patches = store.sample(200, np.random.default_rng(0))
    bicubic = store.hr_patches(patches) - store.details(patches)
    for row in range(0, 200, 20):
        y, x = 4 * patches.y[row], 4 * patches.x[row]
        expected = cut(pairs[0].upsampled, y, x, 20) / 255
        np.testing.assert_allclose(bicubic[row], expected, atol=1.1 * ROUNDING)


def test_no_patches_at_all() -> None:
    empty = Patches(*(np.empty(0, np.int32) for _ in range(3)))
    store = PatchStore.from_pairs([make_pair(5, 5)], scale=2, width=3)
    assert len(empty) == 0
    assert store.details(empty).shape == (0, 36)
    assert store.lr_patches(empty)[0].shape == (0, 9)


# -- Patches as numbers ----------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(3, 9), st.integers(3, 9)), min_size=1, max_size=4),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=40)
def test_a_grid_of_numbers_is_the_naive_grid(sizes: list[tuple[int, int]], stride: int) -> None:
    pairs = [make_pair(h, w, seed=n, name=str(n)) for n, (h, w) in enumerate(sizes)]
    store = PatchStore.from_pairs(pairs, scale=2, width=3)
    naive = [
        (number, y, x)
        for number, (h, w) in enumerate(sizes)
        for y in range(0, h - 2, stride)
        for x in range(0, w - 2, stride)
    ]
    grid = store.patch_grid(stride)
    whole = grid[:]
    assert len(grid) == len(naive) == len(grid.image)
    assert list(zip(whole.image.tolist(), whole.y.tolist(), whole.x.tolist(), strict=True)) == naive
    rows = np.arange(len(naive))[::-2].reshape(-1, 1)
    some = grid[rows]
    assert some.x.shape == rows.shape and some.image.dtype == np.int32
    np.testing.assert_array_equal(some.y, whole.y[rows])
    np.testing.assert_array_equal(grid.image[rows], whole.image[rows])
    counts = grid.image.counts(len(sizes) + 2)
    np.testing.assert_array_equal(counts, np.bincount(whole.image, minlength=len(sizes) + 2))
