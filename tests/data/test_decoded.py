"""Decoded images in files: the same as in memory, written once, whole, and noticed when damaged."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooanalysis.data import decoded, patches
from cooanalysis.data.datasets import Dataset, resolve
from cooanalysis.data.decoded import ARRAYS, decoded_bytes, open_decoded
from cooanalysis.data.loading import Color, LoadedPair, iter_pairs
from cooanalysis.data.patches import PatchStore
from cooanalysis.errors import CacheError, NotEnoughDataError
from cooanalysis.runtime.memory import MemoryBudget


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate(((40, 52), (33, 48), (64, 36))):
        levels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(levels).save(folder / f"{number}.png")
    return folder


def in_memory(dataset: Dataset, color: Color) -> PatchStore:
    pairs = (p for p in iter_pairs(dataset, color=color) if isinstance(p, LoadedPair))
    return PatchStore.from_pairs(pairs, scale=dataset.scale, width=5)


def assert_same(store: PatchStore, expected: PatchStore) -> None:
    assert store.names == expected.names
    places = expected.grid(3)
    np.testing.assert_array_equal(store.grid(3).y, places.y)
    for method in ("lr_patches", "details", "hr_patches"):
        found, wanted = (getattr(each, method)(places) for each in (store, expected))
        np.testing.assert_array_equal(np.asarray(found[0]), np.asarray(wanted[0]))


@pytest.mark.parametrize("color", ["y", "rgb"])
def test_files_hold_what_memory_would(images: Path, tmp_path: Path, color: Color) -> None:
    dataset = resolve(str(images), scale=4)
    store, skipped = open_decoded(dataset, color=color, width=5, folder=tmp_path / "cache")
    expected = in_memory(dataset, color)
    assert skipped == []
    assert_same(store, expected)
    assert decoded_bytes(dataset, color) == pytest.approx(
        expected.lr.nbytes + expected.hr.nbytes + expected.detail.nbytes, rel=0.1
    )
    store.release()  # pages go, contents stay
    assert_same(store, expected)


def test_a_second_run_decodes_nothing(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    first, _ = open_decoded(dataset, color="y", width=5, folder=cache)
    monkeypatch.setattr(decoded, "iter_pairs", lambda *a, **k: pytest.fail("decoded again"))
    steps: list[int] = []
    second, _ = open_decoded(dataset, color="y", width=7, on_image=steps.append, folder=cache)
    assert second.width == 7 and sum(steps) == 3
    np.testing.assert_array_equal(first.hr, second.hr)


def test_gathers_keep_to_the_budget(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages go back between small batches, and batches change nothing."""
    dataset, budget = resolve(str(images), scale=4), MemoryBudget(1)  # always used up
    store, _ = open_decoded(dataset, color="y", width=5, folder=tmp_path, budget=budget)
    asked: list[int] = []
    release = decoded.MappedFiles.release
    monkeypatch.setattr(
        decoded.MappedFiles, "release", lambda self: (asked.append(1), release(self))
    )
    monkeypatch.setattr(patches, "PAGES_AT_ONCE", 100)
    expected = in_memory(dataset, "y")
    assert_same(store, expected)
    n = len(store.grid(3))
    assert len(asked) == -(-n // (100 // 5)) + 2 * -(-n // (100 // 20))
    members = np.arange(12).reshape(4, 3)
    ones = np.ones(n, np.float32)
    asked.clear()
    found, wanted = (each.group_moments(each.grid(3), members, ones) for each in (store, expected))
    np.testing.assert_array_equal(found.center, wanted.center)
    assert len(asked) == -(-12 // (100 // 20))


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("how", ["flip", "truncate", "remove"])
def test_damage_is_detected_and_repaired(
    images: Path, tmp_path: Path, array: str, how: str
) -> None:
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    open_decoded(dataset, color="y", width=5, folder=cache)
    (file,) = cache.glob(f"*/{array}.bin")
    data = bytearray(file.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 1
    file.write_bytes(data if how == "flip" else data[:-3])
    if how == "remove":
        file.unlink()
    store, _ = open_decoded(dataset, color="y", width=5, folder=cache)
    assert_same(store, in_memory(dataset, "y"))


@pytest.mark.parametrize("array", ARRAYS)
def test_contents_can_be_checked_image_by_image(images: Path, tmp_path: Path, array: str) -> None:
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    store, _ = open_decoded(dataset, color="rgb", width=5, folder=cache)
    store.verify(range(3))
    (file,) = cache.glob(f"*/{array}.bin")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # of the last image
    file.write_bytes(data)
    store, _ = open_decoded(dataset, color="rgb", width=5, folder=cache, check=False)
    store.verify([0, 1])
    part = store.only(np.array([2, 0]))
    part.verify([1])
    with pytest.raises(CacheError, match="damaged"):
        part.verify([0])


def test_a_broken_manifest_is_repaired(images: Path, tmp_path: Path) -> None:
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    open_decoded(dataset, color="y", width=5, folder=cache)
    (file,) = cache.glob("*/decoded.json")
    for text in ("", "{", "[]", json.dumps({"images": 3}), json.dumps({"channels": "x"})):
        file.write_text(text)
        store, _ = open_decoded(dataset, color="y", width=5, folder=cache)
        assert len(store.names) == 3


def test_another_image_is_another_store(images: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    open_decoded(resolve(str(images), scale=4), color="y", width=5, folder=cache)
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(images / "0.png")
    store, _ = open_decoded(resolve(str(images), scale=4), color="y", width=5, folder=cache)
    assert (store.hr_image(0) == 22).all()  # luma of gray 7


def test_unusable_images_are_reported_at_every_opening(images: Path, tmp_path: Path) -> None:
    (images / "1.png").write_bytes(b"not an image")
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    for _ in range(2):
        store, skipped = open_decoded(dataset, color="y", width=5, folder=cache)
        assert len(store.names) == 2
        assert [item.name for item in skipped] == ["1"] and "1.png" in skipped[0].reason
    for name in ("0.png", "2.png"):
        (images / name).write_bytes(b"")
    with pytest.raises(NotEnoughDataError, match="no usable image"):
        open_decoded(resolve(str(images), scale=4), color="y", width=5, folder=cache)


def test_no_room_is_said_before_anything_is_written(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    dataset, cache = resolve(str(images), scale=4), tmp_path / "cache"
    with pytest.raises(CacheError, match="COO_CACHE_HOME"):
        open_decoded(dataset, color="y", width=5, folder=cache)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_written_is_named(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="COO_CACHE_HOME"):
        open_decoded(
            resolve(str(images), scale=4), color="y", width=5, folder=tmp_path / "file" / "cache"
        )


def _open(images: str, cache: str) -> int:
    store, _ = open_decoded(resolve(images, scale=4), color="y", width=5, folder=Path(cache))
    return int(store.hr.astype(np.int64).sum())


def test_processes_do_not_get_into_each_others_way(images: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = [(str(images), str(tmp_path / "cache"))] * 3
    with context.Pool(3) as pool:
        sums = pool.starmap(_open, arguments)
    assert len(set(sums)) == 1
    assert len(list((tmp_path / "cache").glob("*/decoded.json"))) == 1
    assert not list((tmp_path / "cache").glob(".*.??*/"))  # nothing half-written left
