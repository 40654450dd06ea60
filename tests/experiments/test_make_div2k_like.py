"""The generator of data sets of full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooanalysis.data import iter_pairs, resolve
from cooanalysis.data.loading import LoadedPair
from cooanalysis.runtime.notices import NoticeWarning
from experiments.benchmarks import make_div2k_like


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number, size in enumerate(((330, 330), (480, 321))):
        levels = rng.integers(1, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(levels).save(folder / f"{number}.png")
    return folder


def test_the_set_is_found_by_its_name_and_made_once(photographs: Path, tmp_path: Path) -> None:
    root = tmp_path / "DIV2K"
    make_div2k_like.main(photographs, root, images=1, seed=0)
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert sorted(path.name for path in files) == ["0001.png", "0001x4.png"]
    with pytest.warns(NoticeWarning, match=r"dataset_incomplete.*1.*800"):
        dataset = resolve("div2k", scale=4, data_root=tmp_path, download=False)
    (pair,) = iter_pairs(dataset, color="y")
    assert isinstance(pair, LoadedPair)
    assert sorted(pair.hr.shape[:2]) == [1356, 2040] and pair.lr_source == "dataset"
    # What is there stays; what is lacking is made again, the same.
    small = next(path for path in files if path.name == "0001x4.png")
    small.unlink()
    make_div2k_like.main(photographs, root, images=1, seed=0)
    assert {path: path.read_bytes() for path in files} == files


def test_a_piece_has_no_empty_corners() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = make_div2k_like.piece(np.full((321, 481, 3), 200, np.uint8), rng)
        assert found.shape == (make_div2k_like.PIECE, make_div2k_like.PIECE, 3)
        assert found.min() >= 199


def test_a_folder_of_small_images_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(make_div2k_like.typer.BadParameter, match="at least 204x204"):
        make_div2k_like.main(tmp_path, tmp_path / "out", images=1, seed=0)
