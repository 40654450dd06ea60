"""Crops: functions of seed and number alone, LR and HR of one place, and shares of a batch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch")

from cooanalysis.data import resolve  # noqa: E402
from cooanalysis.data.degradation import downsample  # noqa: E402
from cooanalysis.errors import ImageError, NotEnoughDataError, RunDirectoryError  # noqa: E402
from cooanalysis.training.crops import Crops, Share  # noqa: E402
from cooanalysis.training.images import load_training_images  # noqa: E402

SEEDS = st.integers(0, 2**32)
NUMBERS = st.integers(0, 2**40)


def coordinates(height: int, width: int, scale: int, blue: int = 7) -> tuple[np.ndarray, ...]:
    """An image whose pixels say where they are: red the LR row, green the LR column."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.uint8)
    lr = np.stack([rows, columns, np.full_like(rows, blue)], axis=2)
    return lr, lr.repeat(scale, axis=0).repeat(scale, axis=1)


def make(seed: int = 0, *, scale: int = 2, crop: int = 4, augment: bool = True, n: int = 100):  # type: ignore[no-untyped-def]
    pairs = [coordinates(9, 14, scale, blue=1), coordinates(17, 6, scale, blue=2)]
    return Crops(pairs, scale=scale, crop=crop, seed=seed, augment=augment, n=n)


@settings(deadline=None)
@given(SEEDS, NUMBERS)
def test_a_crop_depends_on_seed_and_number_alone(seed: int, number: int) -> None:
    crops, again = make(seed), make(seed, n=3)
    first = crops[number]
    # Neither earlier calls nor the global random state matter.
    crops[number + 1], np.random.seed(number % 2**32), torch.manual_seed(number)  # noqa: NPY002
    for a, b, c in zip(first, crops[number], again[number], strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


@settings(deadline=None)
@given(SEEDS, NUMBERS, st.sampled_from([2, 3, 4]), st.booleans())
def test_both_crops_show_the_same_place(
    seed: int, number: int, scale: int, augment: bool
) -> None:  # fmt: skip
    lr, hr = make(seed, scale=scale, augment=augment)[number]
    assert lr.shape == (3, 4, 4) and hr.shape == (3, 4 * scale, 4 * scale)
    assert lr.dtype == hr.dtype == torch.uint8
    # Every HR pixel names the LR pixel above it, mirrored and turned alike.
    assert torch.equal(lr.repeat_interleave(scale, 1).repeat_interleave(scale, 2), hr)
    rows, columns, blue = lr
    height, width = {1: (9, 14), 2: (17, 6)}[int(blue[0, 0])]
    assert len(set(blue.flatten().tolist())) == 1
    # A crop holds four rows and columns in a row, all inside its image.
    for axis, size in ((rows, height), (columns, width)):
        seen = sorted(set(axis.flatten().tolist()))
        assert seen == list(range(seen[0], seen[0] + 4)) and seen[-1] < size


def test_without_augmentation_crops_stand_upright() -> None:
    crops = make(augment=False)
    for number in range(50):
        rows, columns, _ = crops[number][0].int()
        assert (rows.diff(dim=0) == 1).all() and (columns.diff(dim=1) == 1).all()


def test_all_eight_orientations_places_and_images_come_up() -> None:
    crops = make()
    turns, places, corners = set(), set(), set()
    for number in range(2000):
        rows, columns, blue = crops[number][0].int().tolist()
        turns.add((rows[0][0] < rows[-1][0], columns[0][0] < columns[0][-1],
                   rows[0][0] == rows[0][-1],
                   columns[0][0] < columns[-1][0], rows[0][0] < rows[0][-1]))  # fmt: skip
        top, left = min(map(min, rows)), min(map(min, columns))
        places.add((blue[0][0], top, left))
        corners.add((blue[0][0], top == 0, left == 0))
    assert len(turns) == 8
    assert len(places) == (9 - 3) * (14 - 3) + (17 - 3) * (6 - 3)  # the last row and column too
    assert len(corners) == 8


def test_seeds_and_numbers_give_different_crops() -> None:
    def key(seed: int, number: int) -> bytes:
        lr, _ = make(seed)[number]
        return bytes(lr.numpy().tobytes())

    # (seed, number) must not be added up: run 1 would see the crops of run 0, one step later.
    shifted = sum(key(0, number + 1) == key(1, number) for number in range(50))
    assert shifted < 10
    assert len({key(0, number) for number in range(100)}) > 70


def test_hr_crops_shrink_to_their_lr_crops() -> None:
    rng = np.random.default_rng(0)
    hr = np.asarray(
        Image.fromarray(rng.integers(0, 256, (12, 15, 3), np.uint8)).resize((120, 96), 3)
    )
    crops = Crops([(downsample(hr, 4), hr)], scale=4, crop=12, seed=0, augment=True, n=20)
    for number in range(20):
        lr, large = (crops[number][i].numpy().transpose(1, 2, 0) for i in range(2))
        inner = (slice(2, -2), slice(2, -2))  # the border saw neighbors beyond the crop
        error = downsample(large, 4)[inner].astype(int) - lr[inner]
        assert np.abs(error).max() <= 2


@pytest.mark.parametrize(("sizes", "crop"), [([(9, 14)], 10), ([(5, 5), (30, 4)], 6), ([], 4)])
def test_images_without_a_crop_are_an_error(sizes: list[tuple[int, int]], crop: int) -> None:
    pairs = [coordinates(*size, 2) for size in sizes]
    with pytest.raises(NotEnoughDataError, match=rf"{crop}x{crop} LR pixels.*data\.crop"):
        Crops(pairs, scale=2, crop=crop, seed=0, augment=True, n=1)


def test_images_that_are_too_small_are_left_out_and_exact_fits_are_not() -> None:
    pairs = [coordinates(3, 20, 2, blue=1), coordinates(4, 4, 2, blue=2)]
    crops = Crops(pairs, scale=2, crop=4, seed=0, augment=False, n=10)
    assert len(crops) == 10
    for number in range(10):
        assert np.array_equal(crops[number][0].numpy().transpose(1, 2, 0), pairs[1][0])


# --- shares -------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 5), st.integers(0, 7), st.integers(0, 7)
)  # fmt: skip
def test_shares_of_all_processes_make_up_the_batch(
    world: int, each: int, start: int, more: int
) -> None:
    batch, stop = world * each, start + more
    whole = list(Share(batch=batch, start=start, stop=stop))
    parts = [
        list(Share(batch=batch, start=start, stop=stop, rank=rank, world=world))
        for rank in range(world)
    ]
    assert len(whole) == more == len(Share(batch=batch, start=start, stop=stop))
    # Nothing twice, nothing left out, in the order of one process.
    assert sum(whole, []) == list(range(start * batch, stop * batch))
    for i, numbers in enumerate(whole):
        assert sorted(sum((part[i] for part in parts), [])) == numbers
        assert {len(part[i]) for part in parts} == {each}


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9))
def test_a_resumed_share_goes_on_where_it_stopped(batch: int, stop: int, at: int) -> None:
    at = min(at, stop)
    whole = list(Share(batch=batch, start=0, stop=stop))
    assert list(Share(batch=batch, start=0, stop=at)) + list(
        Share(batch=batch, start=at, stop=stop)
    ) == (whole)


def test_loader_processes_change_nothing() -> None:
    crops = make(n=12)
    batches = [
        [
            torch.cat([part.flatten() for part in batch])
            for batch in torch.utils.data.DataLoader(
                crops, batch_sampler=Share(batch=3, start=1, stop=4), num_workers=workers
            )
        ]
        for workers in (0, 2)
    ]
    assert len(batches[0]) == 3
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


# --- loading and the cache ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name, shape in {"a": (37, 42, 3), "b": (40, 33, 3), "gray": (36, 36)}.items():
        pixels = rng.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def test_the_cache_holds_the_same_images(folder: Path, tmp_path: Path) -> None:
    datasets = [resolve(str(folder), scale=2), resolve(str(folder), scale=4)]
    held = load_training_images(datasets, cache=None, memory_gib=8.0)
    cache = tmp_path / "deep" / "cache"
    written = load_training_images(datasets, cache=cache, memory_gib=8.0)
    files = sorted(cache.iterdir())
    assert len(files) == 12, "an LR and an HR file for each image and scale, nothing half written"
    states = [(file.name, file.stat().st_mtime_ns) for file in files]
    read = load_training_images(datasets, cache=cache, memory_gib=8.0)
    assert [(file.name, file.stat().st_mtime_ns) for file in sorted(cache.iterdir())] == states
    for expected, first, second in zip(held, written, read, strict=True):
        for i in range(2):
            assert np.array_equal(expected[i], first[i]) and np.array_equal(expected[i], second[i])
            assert expected[i].dtype == first[i].dtype == np.uint8
            # Mapped, not read: the cache is for data sets that memory does not hold.
            assert isinstance(first[i], np.memmap) and isinstance(second[i], np.memmap)
    assert [pair[1].shape for pair in held] == [
        (36, 42, 3), (40, 32, 3), (36, 36, 3), (36, 40, 3), (40, 32, 3), (36, 36, 3),
    ]  # fmt: skip


def test_crops_of_cached_images_are_those_of_images_in_memory(folder: Path, tmp_path: Path) -> None:
    datasets = [resolve(str(folder), scale=2)]
    held, mapped = (
        Crops(
            load_training_images(datasets, cache=cache, memory_gib=8.0),
            scale=2, crop=8, seed=3, augment=True, n=20,
        )
        for cache in (None, tmp_path / "cache")
    )  # fmt: skip
    for number in range(20):
        assert all(torch.equal(a, b) for a, b in zip(held[number], mapped[number], strict=True))


def test_a_changed_image_is_not_taken_from_the_cache(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    dataset = resolve(str(folder), scale=2)
    before = load_training_images([dataset], cache=cache, memory_gib=8.0)
    path = dataset.pairs[0].hr_path
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    os.utime(path, ns=(1, 1))
    after = load_training_images([dataset], cache=cache, memory_gib=8.0)
    assert not np.array_equal(before[0][1], after[0][1])
    assert np.array_equal(before[1][1], after[1][1])


def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunDirectoryError, match="cannot write the cache .*file"):
        load_training_images(
            [resolve(str(folder), scale=2)], cache=tmp_path / "file", memory_gib=8.0
        )


@pytest.mark.parametrize("cached", [False, True])
def test_a_damaged_image_is_named(cached: bool, folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.png"):
        load_training_images(
            [resolve(str(folder), scale=2)],
            cache=tmp_path / "cache" if cached else None,
            memory_gib=8.0,
        )


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[:-100],
        lambda data: b"x" * len(data),
        lambda data: data.replace(b"|u1", b"<f8"),
    ],
    ids=["empty", "header cut", "pixels cut", "garbage", "other type"],
)
def test_a_damaged_cache_is_decoded_again(damage, folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    datasets, cache = [resolve(str(folder), scale=2)], tmp_path / "cache"
    load_training_images(datasets, cache=cache, memory_gib=8.0)
    victim = sorted(cache.iterdir())[0]
    whole = victim.read_bytes()
    victim.write_bytes(damage(whole))
    load_training_images(datasets, cache=cache, memory_gib=8.0)
    assert victim.read_bytes() == whole


def test_many_images_go_to_files_by_themselves(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    notes: list[str] = []
    found = load_training_images(
        [resolve(str(folder), scale=2)], cache=None, memory_gib=1e-6, note=notes.append
    )
    assert isinstance(found[0][0], np.memmap)
    assert len(notes) == 1 and notes[0].startswith("decoding 3 images into " + str(tmp_path))
