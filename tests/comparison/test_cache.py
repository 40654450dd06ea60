"""Kept outputs: found again when nothing changed, never mistaken, never half written."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from cooanalysis.data import LoadedPair
from cooanalysis.errors import ModelError, RunDirectoryError

pytest.importorskip("torch")  # a comparison imports it

from cooanalysis.comparison.cache import OutputCache, default_folder  # noqa: E402
from cooanalysis.models.sources import Bicubic, Function, GroundTruth, Source  # noqa: E402
from cooanalysis.runtime.notices import Note, Notice  # noqa: E402

Image = NDArray[np.uint8]
ASKED = Notice("asked")


@dataclasses.dataclass
class Counting:
    """A model that counts its calls; its outputs depend on its key and the image."""

    key: str | None = "a" * 64
    kind: str = "checkpoint"
    name: str = "counting"
    detail: str = "a test"
    asked: int = 0

    def output(self, pair: LoadedPair, note: Note) -> Image:
        self.asked += 1
        note(ASKED)
        seed = [len(self.key or ""), *(self.key or "").encode(), int(pair.lr.sum())]
        shape = pair.hr.shape
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pair(seed: int = 0, scale: int = 4, name: str = "baby") -> LoadedPair:
    lr = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    hr = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    return LoadedPair(name, hr, lr, hr.astype(np.float32), "made")


def ask(cache: OutputCache, source: Source, item: LoadedPair) -> Image:
    return cache.output(source, item, lambda line: None)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_an_output_is_computed_once(tmp_path: Path) -> None:
    cache, source = OutputCache(tmp_path / "new" / "folder"), Counting()
    first = ask(cache, source, pair())
    assert (source.asked, cache.reused) == (1, 0)
    again = ask(cache, source, pair())
    assert (source.asked, cache.reused) == (1, 1)
    assert np.array_equal(first, again) and again.dtype == np.uint8
    # The same for another process, and under another name of model and image.
    other, renamed = OutputCache(tmp_path / "new" / "folder"), Counting(name="other")
    assert np.array_equal(ask(other, renamed, pair(name="other")), first)
    assert (renamed.asked, other.reused) == (0, 1)


def test_what_is_kept_can_be_changed_without_harm(tmp_path: Path) -> None:
    cache = OutputCache(tmp_path)
    first = ask(cache, Counting(), pair()).copy()
    ask(cache, Counting(), pair())[:] = 0
    assert np.array_equal(ask(cache, Counting(), pair()), first)


@pytest.mark.parametrize(
    ("source", "item"),
    [
        (Counting(key="b" * 64), pair()),
        (Counting(key="a" * 15 + "b" + "a" * 48), pair()),
        (Counting(), pair(seed=1)),
        (Counting(), pair(scale=2)),
        (Counting(), pair(scale=3)),
    ],
    ids=["weights", "a digit of the weights", "image", "scale 2", "scale 3"],
)
def test_different_things_do_not_collide(
    source: Counting, item: LoadedPair, tmp_path: Path
) -> None:
    cache = OutputCache(tmp_path)
    ask(cache, Counting(), pair())
    source = dataclasses.replace(source, asked=0)
    output = ask(cache, source, item)
    assert (source.asked, cache.reused) == (1, 0)
    assert np.array_equal(output, source.output(item, print))
    assert np.array_equal(ask(cache, source, item), output)
    assert len(files(tmp_path)) == 2


def test_images_of_the_same_bytes_in_another_shape_differ(tmp_path: Path) -> None:
    tall = pair()
    wide = dataclasses.replace(
        tall, lr=tall.lr.reshape(7, 6, 3), hr=np.ascontiguousarray(tall.hr.transpose(1, 0, 2))
    )
    cache, source = OutputCache(tmp_path), Counting()
    assert ask(cache, source, tall).shape == (24, 28, 3)
    assert ask(cache, source, wide).shape == (28, 24, 3)
    assert source.asked == 2


def test_only_checkpoints_are_kept(tmp_path: Path) -> None:
    """What a function does may change without its name; the others cost nothing."""
    cache, item = OutputCache(tmp_path), pair()
    calls: list[int] = []

    def function(lr: Image) -> Image:
        calls.append(1)
        return item.hr

    for source in (Function("f", function, 4), Bicubic("bicubic"), GroundTruth("hr")):
        for _ in range(2):
            assert np.array_equal(ask(cache, source, item), item.hr)
    keyless = Counting(key=None)
    for _ in range(2):
        ask(cache, keyless, item)
    assert (len(calls), keyless.asked, cache.reused) == (2, 2, 0)
    assert not files(tmp_path)


def test_without_a_folder_nothing_is_kept() -> None:
    cache, source = OutputCache(None), Counting()
    assert np.array_equal(ask(cache, source, pair()), ask(cache, source, pair()))
    assert (source.asked, cache.reused) == (2, 0)


def test_the_default_folder_is_the_users() -> None:
    assert default_folder().name == "outputs" and "cooanalysis" in str(default_folder())


def test_notes_and_errors_of_a_model_pass(tmp_path: Path) -> None:
    notes: list[Notice] = []
    OutputCache(tmp_path).output(Counting(), pair(), notes.append)
    assert notes == [ASKED]

    class Failing(Counting):
        def output(self, pair: LoadedPair, note: Note) -> Image:
            raise ModelError("model 'failing' outputs NaN for 'baby'")

    with pytest.raises(ModelError, match="'failing'"):
        ask(OutputCache(tmp_path), Failing(key="f" * 64), pair())
    assert len(files(tmp_path)) == 1


# --- damage -------------------------------------------------------------------------------------


def gray(path: Path) -> bytes:
    with Pillow.open(path) as file:
        file.convert("L").save(path, format="PNG")
    return path.read_bytes()


def smaller(path: Path) -> bytes:
    with Pillow.open(path) as file:
        file.crop((0, 0, 12, 12)).save(path, format="PNG")
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: b"",
        lambda path: b"not an image",
        lambda path: path.read_bytes()[:30],
        lambda path: path.read_bytes()[: path.stat().st_size // 2],
        lambda path: path.read_bytes()[:20] + b"\xff" * 40 + path.read_bytes()[60:],
        gray,
        smaller,
    ],
    ids=["empty", "text", "header", "half", "overwritten", "gray", "smaller"],
)
def test_a_damaged_file_is_computed_again(damage: Any, tmp_path: Path) -> None:
    cache, source = OutputCache(tmp_path), Counting()
    first = ask(cache, source, pair())
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(path))
    assert np.array_equal(ask(cache, source, pair()), first)
    assert (source.asked, cache.reused) == (2, 0)
    assert files(tmp_path) == [path] and path.read_bytes() == whole, "it is repaired"
    ask(cache, source, pair())
    assert (source.asked, cache.reused) == (2, 1)


class Interrupted(BaseException):
    """Stands for Ctrl-C, which is not an Exception either."""


@pytest.mark.parametrize(
    ("error", "raised"),
    [(Interrupted(), Interrupted), (OSError(28, "No space left on device"), RunDirectoryError)],
    ids=["interrupted", "disk full"],
)
def test_an_interrupted_write_leaves_no_half_file(
    error: BaseException, raised: type[BaseException], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cache, source = OutputCache(tmp_path), Counting()

    def half(self: Pillow.Image, file: IO[bytes], **options: Any) -> None:
        file.write(b"\x89PNG half of it")
        file.flush()
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Pillow.Image, "save", half)
        with pytest.raises(raised) as caught:
            ask(cache, source, pair())
    assert not files(tmp_path)
    if raised is RunDirectoryError:
        assert str(tmp_path) in str(caught.value) and "No space left" in str(caught.value)
    ask(cache, source, pair())
    ask(cache, source, pair())
    assert (source.asked, cache.reused) == (2, 1)


def test_what_a_killed_process_left_is_not_taken_for_an_output(tmp_path: Path) -> None:
    cache, source = OutputCache(tmp_path), Counting()
    first = ask(cache, source, pair())
    (path,) = files(tmp_path)
    path.rename(path.with_name(f".{path.name}.1.tmp"))
    assert np.array_equal(ask(cache, source, pair()), first)
    assert (source.asked, cache.reused) == (2, 0)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A folder that bars the way stands for missing permissions, which root does not notice."""
    cache, source = OutputCache(tmp_path), Counting()
    ask(cache, source, pair())
    (path,) = files(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RunDirectoryError, match="cannot write the output cache") as caught:
        ask(cache, source, pair())
    assert str(path.parent) in str(caught.value) and caught.value.exit_code == 6
    assert not files(tmp_path)
