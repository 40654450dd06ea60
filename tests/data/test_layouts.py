"""Recognizing the layouts of data sets from file names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cooanalysis.data.layouts import child_folder, find_pairs
from cooanalysis.errors import ConfigError, DatasetNotFoundError


def touch(root: Path, *names: str) -> Path:
    """Make empty files: no image is opened here."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(folder: Path, scale: int) -> list[tuple[str, str, str | None]]:
    return [
        (
            pair.name,
            pair.hr_path.relative_to(folder).as_posix(),
            pair.lr_path and pair.lr_path.relative_to(folder).as_posix(),
        )
        for pair in find_pairs(folder, scale)
    ]


def test_archive_layout(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(
            f"image_SRF_{s}/img_00{i}_SRF_{s}_{kind}.png"
            for s in (2, 4)
            for i in (2, 1)
            for kind in ("HR", "LR", "bicubic", "SRCNN", "A+")
        ),
    )
    wanted = [
        (f"img_00{i}", f"image_SRF_4/img_00{i}_SRF_4_HR.png", f"image_SRF_4/img_00{i}_SRF_4_LR.png")
        for i in (1, 2)
    ]
    assert found(tmp_path, 4) == wanted
    inside = tmp_path / "image_SRF_4"
    assert [pair.lr_path for pair in find_pairs(inside, 4)] == [
        inside / "img_001_SRF_4_LR.png",
        inside / "img_002_SRF_4_LR.png",
    ]


def test_archive_without_the_scale_gives_hr_images_of_the_smallest(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"image_SRF_{s}/a_SRF_{s}_{kind}.png" for s in (4, 2) for kind in ("HR", "LR"))
    )
    assert found(tmp_path, 3) == [("a", "image_SRF_2/a_SRF_2_HR.png", None)]
    assert found(tmp_path / "image_SRF_4", 2) == [("a", "a_SRF_4_HR.png", None)]


def test_archive_with_a_missing_lr_image(tmp_path: Path) -> None:
    touch(tmp_path, "image_SRF_4/a_SRF_4_HR.png", "image_SRF_4/b_SRF_4_LR.png")
    assert found(tmp_path, 4) == [("a", "image_SRF_4/a_SRF_4_HR.png", None)]


def test_div2k_takes_the_training_set(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "DIV2K_valid_HR/0801.png",
        "DIV2K_train_HR/0002.png",
        "DIV2K_train_HR/0001.png",
        "DIV2K_train_LR_bicubic/X4/0001x4.png",
        "DIV2K_train_LR_bicubic/X4/0002x4.png",
        "DIV2K_train_LR_bicubic/X2/0001x2.png",
        "DIV2K_valid_LR_bicubic/X4/0801x4.png",
    )
    lr = "DIV2K_train_LR_bicubic/X4/000"
    assert found(tmp_path, 4) == [
        ("0001", "DIV2K_train_HR/0001.png", f"{lr}1x4.png"),
        ("0002", "DIV2K_train_HR/0002.png", f"{lr}2x4.png"),
    ]
    assert [pair[2] for pair in found(tmp_path, 2)] == [
        "DIV2K_train_LR_bicubic/X2/0001x2.png",
        None,
    ]
    assert [pair[2] for pair in found(tmp_path, 3)] == [None, None]
    (valid,) = find_pairs(tmp_path / "DIV2K_valid_HR", 4)
    assert valid.lr_path == tmp_path / "DIV2K_valid_LR_bicubic/X4/0801x4.png"


def test_div2k_with_the_validation_set_alone(tmp_path: Path) -> None:
    touch(tmp_path, "DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X4/0801x4.png")
    assert found(tmp_path, 4)[0][0] == "0801"


@pytest.mark.parametrize(
    "lr_folder",
    [
        "DIV2K_train_LR_bicubic/DIV2K_train_LR_bicubic/X4",
        "DIV2K_train_LR_bicubic_X4/DIV2K_train_LR_bicubic/X4",
        "DIV2K_train_LR_bicubic_X4/X4",
    ],
)
def test_zip_files_unpacked_into_their_own_folders(tmp_path: Path, lr_folder: str) -> None:
    touch(tmp_path, "DIV2K_train_HR/DIV2K_train_HR/0001.png", f"{lr_folder}/0001x4.png")
    assert found(tmp_path, 4) == [
        ("0001", "DIV2K_train_HR/DIV2K_train_HR/0001.png", f"{lr_folder}/0001x4.png")
    ]


def test_div2k_scale_eight(tmp_path: Path) -> None:
    touch(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_train_LR_x8/0001x8.png")
    assert found(tmp_path, 8)[0][2] == "DIV2K_train_LR_x8/0001x8.png"


def test_flickr2k_in_a_folder_of_its_own(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "Flickr2K/Flickr2K_HR/000001.png",
        "Flickr2K/Flickr2K_LR_bicubic/X4/000001x4.png",
    )
    wanted = "Flickr2K/Flickr2K_LR_bicubic/X4/000001x4.png"
    assert found(tmp_path, 4) == [("000001", "Flickr2K/Flickr2K_HR/000001.png", wanted)]


def test_benchmark_layout(tmp_path: Path) -> None:
    touch(tmp_path, "HR/baby.png", "HR/bird.png", "LR_bicubic/X4/babyx4.png", "HR/.DS_Store")
    assert found(tmp_path, 4) == [
        ("baby", "HR/baby.png", "LR_bicubic/X4/babyx4.png"),
        ("bird", "HR/bird.png", None),
    ]


def test_benchmark_layout_cropped_to_twelve(tmp_path: Path) -> None:
    touch(tmp_path, "GTmod12/baby.png", "LRbicx4/baby.png", "LRbicx2/baby.png")
    assert found(tmp_path, 4) == [("baby", "GTmod12/baby.png", "LRbicx4/baby.png")]


def test_upper_and_lower_case_do_not_matter(tmp_path: Path) -> None:
    touch(tmp_path, "hr/Baby.PNG", "lr_bicubic/x4/babyX4.png")
    assert found(tmp_path, 4) == [("Baby", "hr/Baby.PNG", "lr_bicubic/x4/babyX4.png")]


def test_plain_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "c.Tiff", "notes.txt", ".hidden.png", "._b.jpg", "deep/d.png")
    touch(tmp_path, "e.gif")
    (tmp_path / "folder.png").mkdir()
    assert found(tmp_path, 4) == [
        ("a", "a.png", None),
        ("b", "b.JPG", None),
        ("c", "c.Tiff", None),
    ]


def test_equal_stems_keep_distinct_names(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "b.png")
    assert [pair.name for pair in find_pairs(tmp_path, 2)] == ["a.jpg", "a.png", "b"]


def test_a_single_subfolder_is_followed_two_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "one/two/a.png", "one/__MACOSX/._a.png")
    assert found(tmp_path, 4) == [("a", "one/two/a.png", None)]
    touch(tmp_path, "other/b.png")
    with pytest.raises(DatasetNotFoundError, match="holds no images"):
        find_pairs(tmp_path, 4)


def test_unicode_names(tmp_path: Path) -> None:
    touch(tmp_path, "größe/写真.png")
    assert found(tmp_path, 2) == [("写真", "größe/写真.png", None)]


def test_errors_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"nowhere does not exist"):
        find_pairs(tmp_path / "nowhere", 4)
    touch(tmp_path, "file.png")
    with pytest.raises(DatasetNotFoundError, match=r"file\.png is a file"):
        find_pairs(tmp_path / "file.png", 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFoundError, match=r"empty holds no images"):
        find_pairs(tmp_path / "empty", 4)
    with pytest.raises(ConfigError, match="scale"):
        find_pairs(tmp_path, 0)


def test_child_folder_prefers_the_exact_name(tmp_path: Path) -> None:
    touch(tmp_path, "Set5/a.png", "x/Y/a.png")
    assert child_folder(tmp_path, "set5") == tmp_path / "Set5"
    assert child_folder(tmp_path, "X/y") == tmp_path / "x" / "Y"
    assert child_folder(tmp_path, "set6") is None


@pytest.mark.data("Set5", "Set14", "BSD100")
@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14), ("BSD100", 100)])
def test_real_archives(name: str, count: int, data_home: Path) -> None:
    pairs = find_pairs(data_home / name, 4)
    assert len(pairs) == count
    assert all(pair.lr_path is not None for pair in pairs)
