"""Recognizing how the images of a data set are arranged in its folder.

Four layouts are recognized automatically:

* *archive*: ``image_SRF_4/img_001_SRF_4_HR.png`` next to ``…_LR.png``;
* *DIV2K*: ``DIV2K_train_HR/0001.png`` with ``DIV2K_train_LR_bicubic/X4/0001x4.png``, also when each
  zip file was unpacked into a folder of its own;
* *benchmark*: ``HR/baby.png`` with ``LR_bicubic/X4/babyx4.png`` (or ``GTmod12`` with ``LRbicx4``);
* *plain*: a folder of images.

Only names are examined here; no image is opened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cooanalysis.data.images import IMAGE_SUFFIXES
from cooanalysis.data.pairs import ImagePair
from cooanalysis.errors import ConfigError, DatasetNotFoundError

__all__ = ["child_folder", "find_pairs"]

# `img_001_SRF_4_HR`: the archives also carry `…_bicubic`, `…_SRCNN` and other methods' results.
_SRF_IMAGE = re.compile(r"^(?P<name>.+)_SRF_(?P<scale>\d+)_(?P<kind>HR|LR)$", re.IGNORECASE)
_SRF_FOLDER = re.compile(r"^image_SRF_(?P<scale>\d+)$", re.IGNORECASE)

# How many folders that hold nothing but one folder are followed (a zip file in its own folder).
_MAX_NESTING = 3


def find_pairs(folder: str | Path, scale: int) -> tuple[ImagePair, ...]:
    """Find the images of a data set.

    Parameters
    ----------
    folder : str or Path
        The data set's folder.
    scale : int
        The scale whose low-resolution images are wanted, at least 1.

    Returns
    -------
    tuple of ImagePair
        Sorted by name, at least one. ``lr_path`` is ``None`` where the folder has no low-resolution
        image for this scale.

    Raises
    ------
    ConfigError
        `scale` is not a positive whole number.
    DatasetNotFoundError
        The folder does not exist, is a file, cannot be listed, or holds no images.

    Notes
    -----
    Hidden files are ignored. Where a folder holds a training and a validation set, the training set
    is used; give the folder of the other (``DIV2K/DIV2K_valid_HR``) to use that one: low-
    resolution folders next to it are found, too.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ConfigError(f"scale must be a whole number of at least 1, not {scale!r}")
    folder = Path(folder)
    try:
        if not folder.is_dir():
            problem = "is a file, not a folder" if folder.exists() else "does not exist"
            raise DatasetNotFoundError(f"the image folder {folder} {problem}; check the path")
        pairs = _search(folder, scale, _MAX_NESTING)
    except DatasetNotFoundError:
        raise
    except OSError as error:
        raise DatasetNotFoundError(
            f"the image folder {str(folder):.300} cannot be listed ({error.strerror}); check the "
            "path and its permissions"
        ) from error
    if not pairs:
        raise DatasetNotFoundError(
            f"the folder {folder} holds no images in a known layout (image_SRF_{scale}/, *_HR/, "
            f"HR/, or images of type {', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))}); "
            "give the folder that holds the images"
        )
    return tuple(sorted(pairs, key=lambda pair: pair.name))


def child_folder(folder: Path, relative: str) -> Path | None:
    """The folder `relative` (``"a/b"``) in `folder`, ignoring case.

    Returns ``None`` when there is none. An exact match is preferred where both exist.
    """
    current = folder
    for part in relative.split("/"):
        exact = current / part
        if exact.is_dir() and exact.name in {entry.name for entry in _subfolders(current)}:
            current = exact
            continue
        matches = [f for f in _subfolders(current) if f.name.casefold() == part.casefold()]
        if not matches:
            return None
        current = matches[0]
    return current


def _search(folder: Path, scale: int, nesting: int) -> list[ImagePair]:
    for find in (_archive_pairs, _paired_folders, _plain_pairs):
        pairs = find(folder, scale)
        if pairs:
            return pairs
    subfolders = _subfolders(folder)
    if len(subfolders) == 1 and nesting > 0:
        return _search(subfolders[0], scale, nesting - 1)
    return []


# --- the archive layout -------------------------------------------------------------------------


def _archive_pairs(folder: Path, scale: int) -> list[ImagePair]:
    pairs = _srf_pairs(_images(folder), scale)
    if pairs:
        return pairs
    by_scale = {
        int(match["scale"]): subfolder
        for subfolder in _subfolders(folder)
        if (match := _SRF_FOLDER.match(subfolder.name))
    }
    # The wanted scale first, else the smallest, whose HR images are cropped least.
    for _, subfolder in sorted(by_scale.items(), key=lambda item: (item[0] != scale, item[0])):
        pairs = _srf_pairs(_images(subfolder), scale)
        if pairs:
            return pairs
    return []


def _srf_pairs(images: Iterable[Path], scale: int) -> list[ImagePair]:
    by_scale: dict[int, dict[str, dict[str, Path]]] = {}
    for path in images:
        match = _SRF_IMAGE.match(path.stem)
        if match:
            kinds = by_scale.setdefault(int(match["scale"]), {}).setdefault(match["name"], {})
            kinds[match["kind"].upper()] = path
    for found, names in sorted(by_scale.items(), key=lambda item: (item[0] != scale, item[0])):
        pairs = [
            ImagePair(name, kinds["HR"], kinds.get("LR") if found == scale else None)
            for name, kinds in names.items()
            if "HR" in kinds
        ]
        if pairs:
            return pairs
    return []


# --- the DIV2K and benchmark layouts ------------------------------------------------------------


def _paired_folders(folder: Path, scale: int) -> list[ImagePair]:
    """Pairs of an HR folder and the LR folder next to it, in `folder` or around it."""
    candidates = [(folder, hr) for hr in sorted(_subfolders(folder), key=_hr_rank)]
    candidates.append((folder.parent, folder))  # the HR folder itself was given
    for base, hr_folder in candidates:
        if _lr_names(hr_folder.name, scale) is None:
            continue
        images = _images(hr_folder) or _images(child_folder(hr_folder, hr_folder.name))
        if images:
            lr_images = _lr_images(base, hr_folder.name, scale)
            return [
                ImagePair(name, path, _matching_lr(path.stem, lr_images, scale))
                for name, path in _named(images)
            ]
    return []


def _hr_rank(folder: Path) -> tuple[int, str]:
    """Training sets first, validation sets next, anything else last."""
    name = folder.name.casefold()
    return (0 if "train" in name else 1 if "valid" in name else 2, name)


def _lr_names(hr_name: str, scale: int) -> tuple[str, ...] | None:
    """Folders, relative to the HR folder's parent, that may hold its LR images.

    ``None`` when `hr_name` is not the name of an HR folder.
    """
    if hr_name.casefold() == "gtmod12":
        return (f"LRbicx{scale}",)
    if hr_name.casefold() != "hr" and not hr_name.casefold().endswith("_hr"):
        return None
    prefix = hr_name[:-2]  # "DIV2K_train_" of "DIV2K_train_HR", nothing of "HR"
    bicubic = f"{prefix}LR_bicubic"
    return (
        f"{bicubic}/X{scale}",
        f"{bicubic}/{bicubic}/X{scale}",
        f"{bicubic}_X{scale}/{bicubic}/X{scale}",
        f"{bicubic}_X{scale}/X{scale}",
        f"{bicubic}_X{scale}",
        f"{prefix}LR_x{scale}/{prefix}LR_x{scale}",
        f"{prefix}LR_x{scale}",
    )


def _lr_images(base: Path, hr_name: str, scale: int) -> dict[str, Path]:
    for name in _lr_names(hr_name, scale) or ():
        images = _images(child_folder(base, name))
        if images:
            return {path.stem.casefold(): path for path in images}
    return {}


def _matching_lr(hr_stem: str, lr_images: dict[str, Path], scale: int) -> Path | None:
    stem = hr_stem.casefold()
    return lr_images.get(f"{stem}x{scale}") or lr_images.get(stem)


# --- the plain layout ---------------------------------------------------------------------------


def _plain_pairs(folder: Path, scale: int) -> list[ImagePair]:
    del scale  # a plain folder has no LR images
    return [ImagePair(name, path, None) for name, path in _named(_images(folder))]


def _named(images: list[Path]) -> Iterator[tuple[str, Path]]:
    """Name each image by its stem, or by its full file name where stems repeat."""
    stems = Counter(path.stem for path in images)
    for path in images:
        yield (path.stem if stems[path.stem] == 1 else path.name), path


# --- listing ------------------------------------------------------------------------------------


def _images(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def _subfolders(folder: Path) -> list[Path]:
    # "__MACOSX" is what the archiver of macOS adds to zip files.
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith((".", "__MACOSX")) and path.is_dir()
    )
