"""Names, folders, data roots, the registry, and the embedded sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cooanalysis.data import datasets, sample
from cooanalysis.data.datasets import data_roots, resolve
from cooanalysis.data.images import read_image
from cooanalysis.data.registry import DATASETS
from cooanalysis.data.sample import sample_pairs
from cooanalysis.errors import ConfigError, DatasetNotFoundError, MissingDependencyError
from cooanalysis.runtime.notices import Notice, NoticeWarning
from tests.helpers import ROOT


@pytest.fixture(autouse=True)
def lonely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data sets but those of the test; a working directory of its own."""
    monkeypatch.delenv("COO_DATA_HOME", raising=False)
    monkeypatch.setattr(datasets, "cache_folder", lambda: tmp_path / "cache")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def make_set5(root: Path, count: int = 5) -> Path:
    folder = root / "Set5" / "HR"
    folder.mkdir(parents=True)
    for i in range(count):
        (folder / f"{i}.png").touch()
    return root


def test_data_roots_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    assert data_roots() == (cache,)
    monkeypatch.setenv("COO_DATA_HOME", str(tmp_path / "home"))
    assert data_roots() == (tmp_path / "home", cache)
    assert data_roots(tmp_path / "mine") == (tmp_path / "mine", tmp_path / "home", cache)
    assert data_roots(tmp_path / "home") == (tmp_path / "home", cache)


def test_the_first_root_that_has_the_set_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set5(tmp_path / "cache")
    assert resolve("set5", scale=4, download=False).root == tmp_path / "cache" / "Set5"
    monkeypatch.setenv("COO_DATA_HOME", str(make_set5(tmp_path / "home")))
    assert resolve("SET5", scale=4).root == tmp_path / "home" / "Set5"
    mine = make_set5(tmp_path / "mine")
    dataset = resolve("Set5", scale=4, data_root=mine)
    assert (dataset.root, dataset.name, dataset.title) == (mine / "Set5", "set5", "Set5")
    assert dataset.scale == 4 and len(dataset.pairs) == 5


def test_other_folder_names_of_a_set_are_known(tmp_path: Path) -> None:
    make_set5(tmp_path / "benchmark")
    assert resolve("set5", scale=4, data_root=tmp_path).root == tmp_path / "benchmark" / "Set5"


def test_an_incomplete_set_warns(tmp_path: Path) -> None:
    make_set5(tmp_path, 3)
    expected = Notice(
        "dataset_incomplete",
        {"dataset": "Set5", "folder": str(tmp_path / "Set5"), "n_images": 3, "expected": 5},
    )
    with pytest.warns(NoticeWarning, match="dataset_incomplete") as caught:
        resolve("set5", scale=4, data_root=tmp_path)
    assert caught[0].filename == __file__, "points at the caller"
    assert [warning.message.notice for warning in caught] == [expected]  # type: ignore[union-attr]


def test_a_caller_who_takes_notices_gets_no_python_warning(tmp_path: Path) -> None:
    make_set5(tmp_path, 3)
    notices: list[Notice] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve("set5", scale=4, data_root=tmp_path, note=notices.append)
    assert [notice.code for notice in notices] == ["dataset_incomplete"]


def test_an_empty_folder_does_not_hide_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "mine" / "Set5").mkdir(parents=True)
    make_set5(tmp_path / "cache")
    root = resolve("set5", scale=4, data_root=tmp_path / "mine").root
    assert root == tmp_path / "cache" / "Set5"


def test_a_folder_is_named_after_itself(tmp_path: Path, lonely: Path) -> None:
    photos = lonely / "my photos"
    photos.mkdir()
    (photos / "a.png").touch()
    for folder in (
        photos,
        str(photos),
        "my photos",
        "./my photos",
        "my photos/",
        Path("my photos"),
    ):
        dataset = resolve(folder, scale=3)
        assert (dataset.name, len(dataset.pairs)) == ("my photos", 1)
    os.chdir(photos)
    assert resolve(".", scale=3).name == "my photos"


def test_a_folder_below_a_data_root(tmp_path: Path) -> None:
    (tmp_path / "BSDS400").mkdir()
    (tmp_path / "BSDS400" / "a.jpg").touch()
    dataset = resolve("bsds400", scale=4, data_root=tmp_path)
    assert (dataset.name, dataset.root) == ("BSDS400", tmp_path / "BSDS400")


def test_a_path_is_never_a_registered_name(lonely: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        resolve("./set5", scale=4)
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        resolve(f"data{os.sep}set5", scale=4)


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(DatasetNotFoundError, match="did you mean 'urban100'") as caught:
        resolve("urban10", scale=4)
    assert "div2k, div2k-valid, flickr2k" in str(caught.value)
    with pytest.raises(DatasetNotFoundError, match="no data set or folder 'qqq'; known names"):
        resolve("qqq", scale=4)


def test_a_set_that_cannot_be_downloaded_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError) as caught:
        resolve("manga109", scale=4, data_root=tmp_path / "mine")
    message = str(caught.value)
    assert str(tmp_path / "mine" / "Manga109" / "HR") in message
    assert "manga109.org" in message
    assert "coo-analyze --dataset sample" in message
    assert "\n" not in message


def test_arguments_are_checked() -> None:
    for scale in (0, 1.5, True):
        with pytest.raises(ConfigError, match="scale"):
            resolve("sample", scale=scale)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="empty"):
        resolve(" ", scale=4)


# --- the registry -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_registry_entries_are_complete(name: str) -> None:
    spec = DATASETS[name]
    assert spec.name == name == name.lower()
    assert spec.title and spec.license and spec.citation and spec.n_images > 0
    assert spec.homepage.startswith("http")
    if name != "sample":
        assert spec.folders and spec.expected.split("/")[0] in spec.folders[0]
    for archive in spec.archives:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", archive.checksum)
        assert archive.url.endswith(archive.filename) and archive.nbytes > 0
        assert (archive.purpose == "lr") == bool(archive.scales)


def test_a_scale_gets_its_own_low_resolution_archive() -> None:
    names = [archive.filename for archive in DATASETS["div2k"].archives_for(4)]
    assert names == ["DIV2K_train_HR.zip", "DIV2K_train_LR_bicubic_X4.zip"]
    assert len(DATASETS["div2k"].archives_for(5)) == 1


# --- the sample ---------------------------------------------------------------------------------


def test_the_sample_set() -> None:
    dataset = resolve("sample", scale=4)
    assert (dataset.name, dataset.title, dataset.root) == ("sample", "Sample", None)
    assert len(dataset.pairs) == DATASETS["sample"].n_images
    names = [pair.name for pair in dataset.pairs]
    assert names == sorted(set(names))
    images = [read_image(pair.hr_path) for pair in dataset.pairs]
    assert all(min(image.shape[:2]) >= 300 for image in images)
    assert sum(image.ndim == 3 for image in images) == 8


def test_a_missing_package_or_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SAMPLE_FILES", (("skimage", "data", ("gone.png",)),))
    with pytest.raises(MissingDependencyError, match=r"gone\.png is missing; reinstall scikit"):
        sample_pairs()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install scikit-image"):
        sample_pairs()


def test_importing_and_listing_the_sample_imports_nothing_heavy() -> None:
    code = (
        "import sys; import cooanalysis.data as d; d.resolve('sample', scale=4);"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'skimage', 'sklearn',"
        " 'requests') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param(name.lower(), count, marks=pytest.mark.data(name))
        for name, count in (("Set5", 5), ("Set14", 14), ("BSD100", 100))
    ],
)
def test_real_sets(name: str, count: int, real_home: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(resolve(name, scale=4, data_root=real_home, download=False).pairs) == count


REAL_HOME = os.environ.get("COO_DATA_HOME")
"""Read before fixtures of these tests hide it."""


@pytest.fixture
def real_home() -> Path:
    assert REAL_HOME is not None
    return Path(REAL_HOME)
