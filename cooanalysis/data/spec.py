"""The record of a data set that is known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cooanalysis.data.pairs import ImagePair
from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import check_call


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes
    ----------
    url : str
        Its address.
    filename : str
        Its name on disk until it is unpacked.
    checksum : str
        ``"sha256:<hex>"`` or ``"md5:<hex>"``, as pooch expects it.
    nbytes : int
        Its size in bytes; approximate where the exact size is not published.
    purpose : {"hr", "lr"}
        Whether it holds high-resolution images (possibly with low-resolution ones) or only
        low-resolution ones.
    scales : tuple of int
        The scales of an ``"lr"`` archive; empty for ``"hr"``, which is needed for every scale.
    unpack_into : str
        Folder below the data root that receives its content; ``""`` for the data root itself.
    """

    url: str
    filename: str
    checksum: str
    nbytes: int
    purpose: Literal["hr", "lr"]
    scales: tuple[int, ...] = ()
    unpack_into: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """What is known about a data set.

    Attributes
    ----------
    name : str
        What the user types, in lower case.
    title : str
        Its name in tables and figures.
    folders : tuple of str
        Folders to look for in a data root, best first; case is ignored.
    n_images : int
        How many images it has when complete.
    homepage : str
        The page that describes it and says how to get it.
    license : str
        Its terms, in brief.
    citation : str
        What to cite.
    expected : str
        An example of how the images should lie, relative to the data root; by default the first
        folder.
    archives : tuple of Archive
        What can be downloaded; empty when the user has to get it.
    pairs : callable, optional
        ``pairs()`` finds the images where they do not lie below a data root, but for example in
        an installed package; nothing else is looked for then.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    n_images: int
    homepage: str = ""
    license: str = ""
    citation: str = ""
    expected: str = ""
    archives: tuple[Archive, ...] = ()
    pairs: Callable[[], tuple[ImagePair, ...]] | None = None

    def archives_for(self, scale: int) -> tuple[Archive, ...]:
        """The archives needed for `scale`: high resolution, and low resolution where it exists."""
        return tuple(a for a in self.archives if a.purpose == "hr" or scale in a.scales)


def check_dataset(name: str, spec: Any) -> None:
    """Refuse what cannot be used as a data set of this name.

    Raises
    ------
    ConfigError
        The message names the data set.
    """
    what = f"data set {name!r}"
    if not isinstance(spec, DatasetSpec):
        raise ConfigError(f"{what} must be a DatasetSpec; got {spec!r:.100}")
    if spec.name != name:
        raise ConfigError(f"{what} has another name in its record: {spec.name!r}")
    if name != name.casefold():
        raise ConfigError(f"the name of {what} must be in lower case, because any case finds it")
    if spec.pairs is not None:
        check_call(f"pairs of {what}", spec.pairs, [])
    elif not spec.folders or isinstance(spec.folders, str):
        raise ConfigError(f"{what} must name the folders to look for, or have a function pairs")
