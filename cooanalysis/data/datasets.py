"""From the name of a data set, or a folder, to the list of its images.

A name is looked up under the *data roots*: the folder the caller names, then the environment
variable ``COO_DATA_HOME``, then the user's cache (or ``COO_CACHE_HOME``). What none of them holds
is downloaded into the first of them, if a download with a known checksum exists.
"""

from __future__ import annotations

import difflib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from cooanalysis.data.layouts import child_folder, find_pairs
from cooanalysis.data.pairs import ImagePair
from cooanalysis.data.registry import DATASETS
from cooanalysis.data.spec import DatasetSpec
from cooanalysis.errors import ConfigError, DatasetNotFoundError, DownloadError
from cooanalysis.runtime.notices import Note, Notice, NoticeWarning

__all__ = ["Dataset", "data_roots", "resolve"]

#: Environment variable that names the folder with the data sets.
DATA_HOME_VARIABLE = "COO_DATA_HOME"

#: Environment variable that names the folder for downloads and decoded images.
CACHE_HOME_VARIABLE = "COO_CACHE_HOME"

_WITHOUT_DATA = "'coo-analyze --dataset sample' works without any download"


@dataclass(frozen=True)
class Dataset:
    """The images of a data set, found on disk.

    Attributes
    ----------
    name : str
        The registered name, or the name of the folder.
    title : str
        Its name in tables and figures.
    root : Path or None
        Its folder; ``None`` for the sample set, whose files are in installed packages.
    scale : int
        The scale the low-resolution images belong to.
    pairs : tuple of ImagePair
        At least one, sorted by name.
    """

    name: str
    title: str
    root: Path | None
    scale: int
    pairs: tuple[ImagePair, ...]


def resolve(
    name_or_folder: str | Path,
    *,
    scale: int,
    data_root: str | Path | None = None,
    download: bool = True,
    progress: bool = True,
    note: Note | None = None,
) -> Dataset:
    """Find a data set by its name or its folder, downloading it when needed and possible.

    Parameters
    ----------
    name_or_folder : str or Path
        A name in :data:`~cooanalysis.data.registry.DATASETS` in any case, or a folder. Text with a
        path separator is always a folder; a name that is not registered is taken as a folder in the
        working directory, then as one under the data roots.
    scale : int
        The scale whose low-resolution images are wanted, at least 1.
    data_root : str or Path, optional
        Where to look first, and where to put downloads.
    download : bool
        Whether a data set that is not on disk may be downloaded.
    progress : bool
        Whether a download draws a progress bar (on standard error).
    note : callable, optional
        Called with the notice ``dataset_incomplete`` where a registered data set has fewer images
        on disk than it should have. None: a Python warning.

    Returns
    -------
    Dataset

    Raises
    ------
    ConfigError
        `scale` is not a positive whole number, or `name_or_folder` is empty.
    DatasetNotFoundError
        Nothing was found; the message says where to put the files.
    DownloadError
        The download failed, or its checksum did not match.
    MissingDependencyError
        For ``"sample"``: a package that carries its images is missing.

    Warns
    -----
    NoticeWarning
        Without `note`, its notices; see :class:`cooanalysis.runtime.notices.NoticeWarning`.

    Notes
    -----
    Low-resolution images are downloaded only together with the high-resolution ones. Where the
    latter are on disk and the former are not, they are made by
    :func:`~cooanalysis.data.degradation.downsample`, which gives the same 8-bit values except for
    the outermost pixels of some archives.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ConfigError(f"scale must be a whole number of at least 1, not {scale!r}")
    text = os.fspath(name_or_folder)
    if not text.strip():
        raise ConfigError("the name of the data set is empty; give a name or a folder")
    roots = data_roots(data_root)
    if not _is_path(text):
        name = text.casefold()
        if name in DATASETS:
            return _resolve_registered(
                DATASETS[name], scale, roots, download, progress, note or _warn
            )
    try:
        folder = _find_folder(text, roots)
        pairs = find_pairs(folder, scale)
    except DatasetNotFoundError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, no such ~user
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetNotFoundError(
            f"{text[:100]!r} cannot be opened as a folder ({reason}); check the path"
        ) from error
    name = folder.resolve().name
    return Dataset(name=name, title=name, root=folder, scale=scale, pairs=pairs)


def data_roots(data_root: str | Path | None = None) -> tuple[Path, ...]:
    """The folders that hold data sets, in the order in which they are searched.

    Parameters
    ----------
    data_root : str or Path, optional
        The caller's own folder, which comes first.

    Returns
    -------
    tuple of Path
        `data_root`, the value of ``COO_DATA_HOME``, the user's cache folder; without duplicates.
        They need not exist.
    """
    candidates = [data_root, os.environ.get(DATA_HOME_VARIABLE)]
    roots = [_expanded(root) for root in candidates if root]
    return tuple(dict.fromkeys([*roots, cache_folder()]))


def cache_folder() -> Path:
    """The folder for files that can be regenerated: ``COO_CACHE_HOME``, else the user's cache."""
    if home := os.environ.get(CACHE_HOME_VARIABLE):
        return _expanded(home)
    import pooch  # only here: it is slow to import, and only names of data sets need it

    return Path(pooch.os_cache("cooanalysis"))


def _expanded(folder: str | Path) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{folder}: {error}; give the full path") from error


def _is_path(text: str) -> bool:
    separators = {"/", os.sep, os.altsep} - {None}
    return text.startswith((".", "~")) or any(str(s) in text for s in separators)


def _resolve_registered(
    spec: DatasetSpec, scale: int, roots: tuple[Path, ...], download: bool, progress: bool,
    note: Note,
) -> Dataset:  # fmt: skip
    if spec.pairs is not None:
        return Dataset(spec.name, spec.title, None, scale, _found_pairs(spec))
    dataset = _on_disk(spec, scale, roots)
    if dataset is None and download and spec.archives:
        _download(spec, scale, roots[0], progress)
        dataset = _on_disk(spec, scale, roots[:1])
    if dataset is None:
        raise DatasetNotFoundError(_how_to_get(spec, roots))
    if len(dataset.pairs) < spec.n_images:
        note(
            Notice(
                "dataset_incomplete",
                {
                    "dataset": spec.title,
                    "folder": str(dataset.root),
                    "n_images": len(dataset.pairs),
                    "expected": spec.n_images,
                },
            )
        )
    return dataset


def _warn(notice: Notice) -> None:
    warnings.warn(NoticeWarning(notice), stacklevel=4)  # at the caller of resolve


def _found_pairs(spec: DatasetSpec) -> tuple[ImagePair, ...]:
    assert spec.pairs is not None
    pairs = tuple(spec.pairs())
    if not pairs or not all(isinstance(pair, ImagePair) for pair in pairs):
        raise ConfigError(
            f"pairs of data set {spec.name!r} must return at least one ImagePair; "
            f"it returned {pairs!r:.100}"
        )
    return pairs


def _on_disk(spec: DatasetSpec, scale: int, roots: tuple[Path, ...]) -> Dataset | None:
    for root in roots:
        if not root.is_dir():
            continue
        for name in spec.folders:
            folder = child_folder(root, name)
            if folder is None:
                continue
            try:
                pairs = find_pairs(folder, scale)
            except DatasetNotFoundError:
                continue  # an empty folder, or one with the low-resolution images alone
            return Dataset(spec.name, spec.title, folder, scale, pairs)
    return None


def _download(spec: DatasetSpec, scale: int, root: Path, progress: bool) -> None:
    from cooanalysis.data.download import fetch_and_unpack

    for archive in spec.archives_for(scale):
        try:
            fetch_and_unpack(archive, root, progress=progress)
        except DownloadError as error:
            raise DownloadError(
                f"{error}; or put the files of {spec.title} (from {spec.homepage}) at "
                f"{root / spec.expected} and so on; {_WITHOUT_DATA}"
            ) from error


def _how_to_get(spec: DatasetSpec, roots: tuple[Path, ...]) -> str:
    source = f" from {spec.homepage}" if spec.homepage else ""
    target = roots[0] / (spec.expected or spec.folders[0])
    return (
        f"the data set {spec.name!r} is in none of {', '.join(str(root) for root in roots)}: get "
        f"it{source} and put the files at {target} and so on; {_WITHOUT_DATA}"
    )


def _find_folder(text: str, roots: tuple[Path, ...]) -> Path:
    folder = Path(text).expanduser()
    if folder.is_dir() or _is_path(text):
        return folder  # find_pairs reports what is wrong with a path
    for root in roots:
        if root.is_dir() and (below := child_folder(root, text)) is not None:
            return below
    if folder.exists():
        return folder
    close = difflib.get_close_matches(text.casefold(), DATASETS, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise DatasetNotFoundError(
        f"there is no data set or folder {text!r}; {hint}known names: {', '.join(DATASETS)}; "
        "or give the path of a folder of images"
    )
