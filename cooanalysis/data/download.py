"""Resumable downloads of archives, and unpacking them without trusting them.

A download goes to ``<data root>/.downloads/<file>.part``; when it is interrupted, or the user
presses Ctrl-C, the part stays and the next call resumes there. The checksum decides in the end.
Unpacking happens in a hidden folder next to the destination, whose content is then renamed into
place, so that half of a data set is never visible.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from cooanalysis.data.spec import Archive
from cooanalysis.errors import DownloadError
from cooanalysis.runtime.progress import download_bar

if TYPE_CHECKING:
    import requests

__all__ = ["ResumingDownloader", "fetch", "fetch_and_unpack", "unpack"]

#: Seconds to wait for a connection, and for the next bytes of a running transfer.
TIMEOUT = (5.0, 30.0)

# The most that is lost when a transfer is interrupted: a block arrives whole or not at all.
_BLOCK = 1 << 16

# How often a broken transfer is resumed automatically, as long as each attempt brought new bytes.
_MAX_RESUMPTIONS = 5

# Photographs barely compress: an archive that grows more than this is not what it claims to be.
_MAX_GROWTH = 4
_MAX_MEMBERS = 200_000

_COMPRESSIONS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}

# Errors of the disk, not of the archive.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

_CONTENT_RANGE = re.compile(
    r"^bytes\s+(?:(?P<start>\d{1,18})-\d{1,18}|\*)/(?P<total>\d{1,18}|\*)$", re.ASCII
)


def fetch_and_unpack(archive: Archive, data_root: str | Path, *, progress: bool = True) -> Path:
    """Download an archive, check it, unpack it, and remove it.

    Parameters
    ----------
    archive : Archive
        What to download.
    data_root : str or Path
        The folder that holds the data sets; made when missing.
    progress : bool
        Draw a progress bar on standard error.

    Returns
    -------
    Path
        The folder the content was unpacked into.

    Raises
    ------
    DownloadError
        See :func:`fetch` and :func:`unpack`; also when the folder cannot be written.
    """
    root = Path(data_root).expanduser()
    destination = root / archive.unpack_into
    try:
        destination.mkdir(parents=True, exist_ok=True)
        file = fetch(archive, root / ".downloads", progress=progress)
        unpack(file, destination, max_bytes=_MAX_GROWTH * max(archive.nbytes, file.stat().st_size))
        file.unlink()
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"cannot store {archive.filename} in {root}: {error.strerror or error}"
        ) from error
    return destination


def fetch(archive: Archive, folder: str | Path, *, progress: bool = True) -> Path:
    """Download one file, resuming an earlier attempt, and check it.

    Parameters
    ----------
    archive : Archive
        What to download.
    folder : str or Path
        Where to put it; made when missing. A complete file that is already there is only checked.
    progress : bool
        Draw a progress bar on standard error.

    Returns
    -------
    Path
        ``folder / archive.filename``, whose checksum is correct.

    Raises
    ------
    DownloadError
        The server cannot be reached, refuses, or sends content that does not match the checksum; or
        the disk is full. After a wrong checksum nothing is kept.
    """
    import pooch  # requests and pooch are only imported for a download: they are slow to import

    folder = Path(folder)
    downloader = ResumingDownloader(folder / f"{archive.filename}.part", progress=progress)
    try:
        with _quiet_pooch():
            path = pooch.retrieve(
                archive.url,
                known_hash=archive.checksum,
                fname=archive.filename,
                path=folder,
                downloader=downloader,
            )
    except ValueError as error:  # what pooch raises for a wrong checksum, after removing the file
        raise DownloadError(
            f"the checksum of {archive.url} is not {archive.checksum}: the file was changed or "
            "damaged in transit, and has been removed; try again"
        ) from error
    return Path(path)


@dataclass(frozen=True)
class ResumingDownloader:
    """A downloader for :func:`pooch.retrieve` that keeps a partial file and resumes it.

    Attributes
    ----------
    part : Path
        Path of the unfinished file; the server's identifier of that version of the file (its ETag
        or date) is next to it in ``<part>.version``.
    progress : bool
        Draw a progress bar on standard error.
    """

    part: Path
    progress: bool = True

    def __call__(self, url: str, output_file: str | Path, pooch: object) -> None:
        """Download `url` to `output_file`, which appears only when all bytes are there.

        Raises
        ------
        DownloadError
            The server cannot be reached or refuses, the transfer was interrupted, or the disk is
            full. The partial file stays.
        """
        import requests

        self.part.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_MAX_RESUMPTIONS + 1):
            before = _size(self.part)
            try:
                self._transfer(url)
                break
            except requests.HTTPError as error:
                raise DownloadError(f"cannot download {url}: {error}") from error
            except requests.RequestException as error:
                after = _size(self.part)
                if after <= before or attempt == _MAX_RESUMPTIONS:
                    kept = f"; {after} bytes are kept and the next attempt resumes there"
                    raise DownloadError(
                        f"cannot download {url} ({_reason(error)}){kept if after else ''}"
                    ) from error
        os.replace(self.part, output_file)
        self._version_file.unlink(missing_ok=True)

    @property
    def _version_file(self) -> Path:
        return self.part.with_name(f"{self.part.name}.version")

    def _transfer(self, url: str) -> None:
        """Request what is missing and append it to the partial file."""
        import requests

        have = _size(self.part)
        with requests.get(
            url, headers=self._headers(have), stream=True, timeout=TIMEOUT, allow_redirects=True
        ) as response:
            start, total = _content_range(response)
            if have and response.status_code == 416:  # nothing follows what we have
                if total == have:
                    return
                self._forget()  # the file on the server became shorter
                return self._transfer(url)
            response.raise_for_status()
            if response.status_code == 206:
                if start != have:
                    self._forget()
                    raise requests.ConnectionError("the server sent a different range")
            else:
                # A first transfer, a server without ranges, or a file that has changed.
                have, total = 0, _content_length(response)
            if total is not None:
                self._check_space(total - have)
            if have == 0:
                self._forget()
                self._version_file.write_text(_version(response), encoding="utf-8")
            self._append(response, total)
        if total is not None and _size(self.part) < total:
            raise requests.ConnectionError(
                f"the connection ended after {_size(self.part)} of {total} bytes"
            )

    def _headers(self, have: int) -> dict[str, str]:
        # Without "identity" a server may compress, and a range would count compressed bytes.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._version_file.is_file():
                version = self._version_file.read_text(encoding="utf-8")
                if version:
                    headers["If-Range"] = version
        return headers

    def _append(self, response: requests.Response, total: int | None) -> None:
        bar = (
            download_bar(self.part.stem, _size(self.part), total)
            if self.progress
            else nullcontext(lambda n_bytes: None)
        )
        with open(self.part, "ab") as file, bar as advance:
            for block in response.iter_content(_BLOCK):
                file.write(block)
                advance(len(block))

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise DownloadError(
                f"{self.part.stem} needs {needed / 1e9:.1f} GB, but {self.part.parent} has only "
                f"{free / 1e9:.1f} GB free; make room or choose another data folder"
            )

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)


def unpack(archive: str | Path, folder: str | Path, *, max_bytes: int) -> None:
    """Unpack a zip or tar file, refusing anything that could write elsewhere or fill the disk.

    Parameters
    ----------
    archive : str or Path
        A ``.zip`` or ``.tar`` file (compressed or not), recognized by its content.
    folder : str or Path
        An existing folder; new files and folders appear in it, each in one step. A file that is
        already there is replaced, a folder is merged with the one in the archive.
    max_bytes : int
        The most that the content may take on disk.

    Raises
    ------
    DownloadError
        The archive is damaged or encrypted, holds an absolute path, a path with ``..``, a link or a
        device, or is larger than `max_bytes` when unpacked. Nothing is kept then.
    """
    archive, folder = Path(archive), Path(folder)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as temporary:
        staging = Path(temporary)
        try:
            _unpack_members(archive, staging, max_bytes)
        except DownloadError:
            raise
        except Exception as error:  # a damaged or hostile archive can raise almost anything
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            raise DownloadError(
                f"cannot unpack {archive}: it is damaged or encrypted "
                f"({' '.join(str(error).split()) or type(error).__name__:.300}); "
                "remove it and try again"
            ) from error
        _move_into(staging, folder)


def _unpack_members(archive: Path, staging: Path, max_bytes: int) -> None:
    left = max_bytes
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    for count, (name, source) in enumerate(members(archive, max_bytes)):
        if count >= _MAX_MEMBERS:
            raise DownloadError(f"{archive} holds more than {_MAX_MEMBERS} files; refused")
        target = staging.joinpath(*_safe_parts(name, archive))
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            # The sizes in the archive's own directory may lie: count what is actually unpacked.
            while block := source.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise DownloadError(
                        f"{archive} unpacks to more than {max_bytes} bytes, which is far more than "
                        "images take; refused"
                    )
                file.write(block)


def _zip_members(archive: Path, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DownloadError(f"{archive} holds a link ({info.filename!r}); refused")
            _safe_parts(info.filename, archive)
            if not info.is_dir():
                with file.open(info) as source:
                    yield info.filename, source


def _tar_members(archive: Path, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    # A stream with a counter: headers and skipped members can be bombs as well as files.
    with _decompressed(archive) as plain:
        counted: Any = _Counted(plain, 2 * max_bytes + (1 << 24), archive)
        with tarfile.open(fileobj=counted, mode="r|") as file:
            yield from _tar_files(file, archive)


def _tar_files(file: tarfile.TarFile, archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for info in file:
        _safe_parts(info.name, archive)
        if info.isdir():
            continue
        source = file.extractfile(info) if info.isreg() else None
        if source is None:
            raise DownloadError(f"{archive} holds a link or device ({info.name!r}); refused")
        with source:
            yield info.name, source


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(6)
    for magic, opener in _COMPRESSIONS.items():
        if start.startswith(magic):
            return opener(archive)
    return archive.open("rb")


class _Counted:
    """A stream that raises an error after ``limit`` bytes."""

    def __init__(self, file: IO[bytes], limit: int, archive: Path) -> None:
        self._file, self._left, self._archive = file, limit, archive

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise DownloadError(f"{self._archive} unpacks to far more than images take; refused")
        return block


def _safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """The parts of a member's path, which cannot lead out of the folder it is unpacked into."""
    path = PurePosixPath(name.replace("\\", "/"))
    # A colon is a drive or a stream on Windows; none of our data sets needs one.
    if path.is_absolute() or ".." in path.parts or any(c in name for c in ":\0"):
        raise DownloadError(f"{archive} holds the unsafe path {name!r}; refused")
    return path.parts


def _move_into(source: Path, destination: Path) -> None:
    for entry in sorted(source.iterdir()):
        target = destination / entry.name
        if entry.is_dir() and target.is_dir():
            _move_into(entry, target)
        else:
            os.replace(entry, target)


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence pooch's messages about hashes and paths; its warnings still come through."""
    import logging

    import pooch

    logger: Any = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    # "²" is a digit, too, and Python refuses to parse a number of five thousand digits.
    return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte sent and size of the whole file, as far as the header gives them."""
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    start, total = match["start"], match["total"]
    return (int(start) if start else None), (int(total) if total != "*" else None)


def _version(response: requests.Response) -> str:
    """The value for If-Range: a strong ETag, else the date, else nothing."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    """The innermost message of a nested network error, which is the informative one."""
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]:.0f} s"
    if isinstance(error, requests.Timeout):
        return f"no data for {TIMEOUT[1]:.0f} s"
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
