"""Leakage: copies and shared regions are found, images that merely look alike are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cooanalysis.data.datasets import resolve
from cooanalysis.data.degradation import downsample, modcrop, upsample
from cooanalysis.data.images import read_image, rgb_to_y
from cooanalysis.data.leakage import (
    MIN_SHARED,
    SAME_THUMBNAIL,
    Leak,
    duplicate_images,
    shared_patches,
)
from cooanalysis.data.loading import LoadedPair, iter_pairs
from cooanalysis.data.patches import PatchStore
from cooanalysis.data.sample import sample_pairs
from cooanalysis.neighbors import build_index

Picture = npt.NDArray[np.uint8]


def store_of(pictures: dict[str, Picture], scale: int = 4) -> PatchStore:
    pairs = []
    for name, picture in pictures.items():
        hr = modcrop(picture, scale)
        lr = rgb_to_y(downsample(hr, scale)).astype(np.uint8)[:, :, None]
        luma = rgb_to_y(hr).astype(np.uint8)[:, :, None]
        pairs.append(LoadedPair(name, luma, lr, upsample(lr, scale), "made"))
    return PatchStore.from_pairs(pairs, scale=scale, width=5)


@pytest.fixture(scope="module")
def pictures() -> dict[str, Picture]:
    """The sample photographs, cut to at most 400 pixels a side.

    Sides are multiples of twice the scale. Else the store cuts rows at the bottom, others in a
    copy that stands on its head than in the original, and "coins" is shifted past recognition.
    """
    return {pair.name: modcrop(read_image(pair.hr_path)[:400, :400], 8) for pair in sample_pairs()}


@pytest.fixture(scope="module")
def originals(pictures: dict[str, Picture]) -> PatchStore:
    return store_of(pictures)


def jpeg(picture: Picture, quality: int = 50) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(picture: Picture, factor: float) -> Picture:
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(0.0, 5.0, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


# -- Whole images ----------------------------------------------------------------------------

COPIES: dict[str, Callable[[Picture], Picture]] = {
    "exact": lambda p: p,
    "recompressed": jpeg,
    "brightened": lambda p: (0.8 * p + 20).astype(np.uint8),
    "noisy": noisy,
    "half size": lambda p: resized(p, 0.5),
    "larger": lambda p: resized(p, 1.3),
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1],
    "turned left": np.rot90,
    "turned right": lambda p: np.rot90(p, -1),
    "turned over": lambda p: np.rot90(p, 2),
    "transposed": lambda p: np.rot90(p)[:, ::-1],
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(
    kind: str, pictures: dict[str, Picture], originals: PatchStore
) -> None:
    """Every sample image finds its copy, and none of the thirteen others."""
    copies = store_of({n: np.ascontiguousarray(COPIES[kind](p)) for n, p in pictures.items()})
    leaks = duplicate_images(copies, originals)
    assert [(leak.query, leak.reference) for leak in leaks] == [(i, i) for i in range(14)]
    assert {leak.kind for leak in leaks} == {"near-duplicate image"}
    assert all(SAME_THUMBNAIL <= leak.similarity <= 1.0001 for leak in leaks)


def test_exact_copies_have_similarity_one(originals: PatchStore) -> None:
    leaks = duplicate_images(originals, originals)
    np.testing.assert_allclose([leak.similarity for leak in leaks], 1.0, atol=1e-5)


def test_copies_are_found_across_color_and_scale(pictures: dict[str, Picture]) -> None:
    """A gray copy at another size of patch grid is still the same image."""
    color = pictures["chelsea"]
    gray = np.repeat(rgb_to_y(color).astype(np.uint8)[:, :, None], 3, axis=2)
    leaks = duplicate_images(store_of({"a": color}), store_of({"b": gray}, scale=2))
    assert [(leak.query, leak.reference) for leak in leaks] == [(0, 0)]


def test_flat_images_match_nothing_not_even_themselves() -> None:
    flat = store_of({"black": np.zeros((64, 64, 3), np.uint8)})
    assert duplicate_images(flat, flat) == []


def test_every_copy_is_listed(pictures: dict[str, Picture]) -> None:
    coins, moon = pictures["coins"], pictures["moon"]
    queries = store_of({"moon": moon, "coins": coins})
    reference = store_of({"c1": coins, "m": moon, "c2": jpeg(coins)})
    leaks = duplicate_images(queries, reference)
    assert [(leak.query, leak.reference) for leak in leaks] == [(0, 1), (1, 0), (1, 2)]


# -- Shared regions --------------------------------------------------------------------------


def shared(queries: PatchStore, reference: PatchStore, n: int = 800) -> list[Leak]:
    """The second check as a run makes it: nearest LR patches first."""
    chosen = queries.sample(n, np.random.default_rng(0))
    features, _, std = queries.lr_patches(chosen)
    grid = reference.grid(1)
    index = build_index(reference.lr_patches(grid)[0], kind="exact", engine="faiss-cpu")
    nearest = index.search(features, 1).index[:, 0]
    return shared_patches(queries, chosen, std, reference, grid[nearest])


@pytest.fixture(scope="module")
def queries(pictures: dict[str, Picture]) -> PatchStore:
    return store_of({name: pictures[name] for name in ("coins", "astronaut")})


def collage(pictures: dict[str, Picture]) -> Picture:
    whole = pictures["coffee"].copy()
    whole[100:260, 100:260] = pictures["astronaut"][100:260, 100:260]
    return whole


REGIONS: dict[str, Callable[[dict[str, Picture]], Picture]] = {
    "copy": lambda p: p["astronaut"],
    "crop": lambda p: p["astronaut"][40:240, 80:300],
    "recompressed crop": lambda p: jpeg(p["astronaut"][40:240, 80:300], 85),
    "brightened crop": lambda p: (0.8 * p["astronaut"][40:300, 80:300] + 20).astype(np.uint8),
    "collage": collage,
}


@pytest.mark.parametrize("kind", REGIONS)
def test_shared_regions_are_found(
    kind: str, pictures: dict[str, Picture], queries: PatchStore
) -> None:
    reference = store_of({"rocket": pictures["rocket"][:200], "region": REGIONS[kind](pictures)})
    leaks = shared(queries, reference)
    assert [(leak.query, leak.reference, leak.kind) for leak in leaks] == [(1, 1, "shared patches")]
    assert 0.05 <= leaks[0].similarity <= 1.0


def test_crops_are_left_to_the_second_check(
    pictures: dict[str, Picture], queries: PatchStore
) -> None:
    crop = store_of({"crop": REGIONS["crop"](pictures)})
    assert duplicate_images(queries, crop) == []


def test_an_exact_copy_shares_every_textured_patch(
    pictures: dict[str, Picture], queries: PatchStore
) -> None:
    (leak,) = shared(queries, store_of({"copy": pictures["astronaut"]}))
    assert leak.similarity > 0.99


def test_photographs_share_nothing(pictures: dict[str, Picture]) -> None:
    """Textures that repeat (brick, grass, gravel) among them, in both roles."""
    names = sorted(pictures)
    halves = [{n: pictures[n] for n in names[start::2]} for start in (0, 1)]
    first, second = (store_of(half) for half in halves)
    assert shared(first, second, 1500) == []
    assert shared(second, first, 1500) == []


def test_a_handful_of_matches_is_not_a_leak(
    pictures: dict[str, Picture], queries: PatchStore
) -> None:
    """Fewer than five matching patches may be chance, whatever their share."""
    coins = store_of({"coins": pictures["coins"]})
    patches = coins.sample(2000, np.random.default_rng(0))
    std = coins.lr_patches(patches)[2]
    textured = np.argsort(std)[::-1]
    for n, found in ((MIN_SHARED - 1, 0), (MIN_SHARED, 1)):
        rows = textured[:n]
        assert len(shared_patches(coins, patches[rows], std[rows], coins, patches[rows])) == found


def test_flat_patches_count_neither_for_nor_against(pictures: dict[str, Picture]) -> None:
    """Smooth patches agree with smooth patches of any image."""
    coins = store_of({"coins": pictures["coins"]})
    patches = coins.sample(500, np.random.default_rng(0))
    flat = np.full(500, 1 / 255, np.float32)
    assert shared_patches(coins, patches, flat, coins, patches) == []


# -- Benchmarks ------------------------------------------------------------------------------


@pytest.mark.data("BSD100")
def test_no_duplicates_within_bsd100() -> None:
    dataset = resolve("BSD100", scale=4, download=False)
    store = PatchStore.from_pairs(
        (p for p in iter_pairs(dataset, color="y") if isinstance(p, LoadedPair)), scale=4, width=5
    )
    leaks = duplicate_images(store, store)
    assert [(leak.query, leak.reference) for leak in leaks] == [(i, i) for i in range(100)]
