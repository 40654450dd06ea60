"""A model's images in a folder, matched to those of a data set by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cooanalysis.data import ImagePair
from cooanalysis.data.images import IMAGE_SUFFIXES
from cooanalysis.errors import ModelError

_LISTED = 5


def match_files(
    model: str, folder: Path, pairs: Sequence[ImagePair], scale: int
) -> dict[str, Path]:
    """Find the file of each image.

    A file belongs to an image if its stem is the name of the image, of its HR or of its LR file,
    or begins with one of them, followed by ``_``, ``-``, ``.`` or ``x4`` (the scale), as in
    ``baby_SwinIR.png`` or ``0001x4.png``; case is ignored. A file with the full
    name of an HR file belongs to that image; otherwise the longest matching name wins.

    Parameters
    ----------
    model
        Name of the model in messages.
    folder
        The folder of its images.
    pairs
        The images of the data set.
    scale
        Upscaling factor.

    Returns
    -------
    dict
        Files by the name of the image.

    Raises
    ------
    ModelError
        If an image has no file or several, or a file does not belong to any image.
    """
    try:
        files = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        )
    except OSError as error:
        raise ModelError(
            f"model {model!r}: the folder {folder} cannot be listed ({error.strerror})"
        ) from error
    known: dict[str, str] = {}
    for pair in pairs:
        for stem in _stems(pair):
            known.setdefault(stem.casefold(), pair.name)
    found: dict[str, list[Path]] = {}
    extra = []
    exact = {name: pair.name for pair in pairs for name in (pair.name, pair.hr_path.name)}
    for path in files:
        name = exact.get(path.name) or _image_of(path.stem.casefold(), known, scale)
        if name is None:
            extra.append(path.name)
        else:
            found.setdefault(name, []).append(path)
    missing = [pair.name for pair in pairs if pair.name not in found]
    twice = [f"{name} ({', '.join(p.name for p in paths)})" for name, paths in found.items()
             if len(paths) > 1]  # fmt: skip
    problems = [
        f"{what} {_first_names(names)}"
        for what, names in (
            (f"{len(missing)} of {len(pairs)} images are missing:", missing),
            (f"{len(twice)} images have several files:", twice),
            (f"{len(extra)} files belong to no image of the data set:", extra),
        )
        if names
    ]
    if problems:
        raise ModelError(f"model {model!r}, folder {folder}: {'; '.join(problems)}")
    return {name: paths[0] for name, paths in found.items()}


def _stems(pair: ImagePair) -> list[str]:
    stems = [pair.name, pair.hr_path.stem]
    if pair.lr_path is not None:
        stems.append(pair.lr_path.stem)
    return stems


def _image_of(stem: str, known: dict[str, str], scale: int) -> str | None:
    if stem in known:
        return known[stem]
    fitting = [
        name for name in known
        if stem.startswith(name) and stem[len(name) :].startswith(("_", "-", ".", f"x{scale}"))
    ]  # fmt: skip
    return known[max(fitting, key=len)] if fitting else None


def _first_names(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
