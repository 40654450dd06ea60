"""Downloads against a server on this machine, and malicious archives."""

from __future__ import annotations

import hashlib
import io
import socket
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cooanalysis.data import DATASETS, Archive, DatasetSpec, datasets, download, register_dataset
from cooanalysis.data.datasets import resolve
from cooanalysis.data.download import fetch, fetch_and_unpack, unpack
from cooanalysis.errors import DatasetNotFoundError, DownloadError

CONTENT = bytes(range(256)) * 4000  # 1 MB
BLOCK = 1 << 16


@dataclass
class Server:
    """A file server whose faults can be chosen."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes sent by each of the next requests
    status: int | None = None
    requests: list[tuple[int, str | None]] = field(default_factory=list)  # status, Range
    url: str = ""

    def archive(self, filename: str = "data.bin", checksum: str | None = None) -> Archive:
        digest = checksum or "sha256:" + hashlib.sha256(self.content).hexdigest()
        return Archive(f"{self.url}/{filename}", filename, digest, len(self.content), "hr")


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            status, body = 200, state.content
            if_range = self.headers.get("If-Range")
            if state.status is not None:
                status, body = state.status, b""
            elif wanted and state.ranges and if_range in (None, state.etag):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                status, body = (206, body[start:]) if start < len(body) else (416, b"")
            state.requests.append((status, wanted))
            self.send_response(status)
            total = len(state.content)
            if status == 206:
                first = total - len(body)
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            if status == 416:
                self.send_header("Content-Range", f"bytes */{total}")
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def get(server: Server, folder: Path, **options: str) -> bytes:
    return fetch(server.archive(**options), folder, progress=False).read_bytes()


def test_whole_download_leaves_only_the_file(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "new" / "folder") == CONTENT
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["data.bin"]
    assert get(server, tmp_path / "new" / "folder") == CONTENT
    assert len(server.requests) == 1  # the second time it is only checked


def test_md5(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path, checksum="md5:" + hashlib.md5(CONTENT).hexdigest()) == CONTENT


def test_a_transfer_that_breaks_off_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.cut_after = [4 * BLOCK, 3 * BLOCK]
    assert get(server, tmp_path) == CONTENT
    assert server.requests == [(200, None), (206, "bytes=262144-"), (206, "bytes=458752-")]


def test_a_later_call_goes_on_where_an_earlier_one_ended(server: Server, tmp_path: Path) -> None:
    server.cut_after = [4 * BLOCK, 0]
    with pytest.raises(DownloadError, match="262144 bytes are kept"):
        get(server, tmp_path)
    assert (tmp_path / "data.bin.part").stat().st_size == 4 * BLOCK
    assert not (tmp_path / "data.bin").exists()
    assert get(server, tmp_path) == CONTENT
    assert server.requests[-1] == (206, "bytes=262144-")


def test_interrupt_keeps_the_part(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    original = requests.Response.iter_content

    def interrupted(self: requests.Response, size: int) -> Iterator[bytes]:
        yield next(original(self, 1000))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(requests.Response, "iter_content", interrupted)
        get(server, tmp_path)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "data.bin.part",
        "data.bin.part.version",
    ]
    assert get(server, tmp_path) == CONTENT
    assert server.requests[-1] == (206, "bytes=1000-")


def test_a_file_that_changed_meanwhile_is_started_again(server: Server, tmp_path: Path) -> None:
    server.cut_after = [4 * BLOCK, 0]
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert get(server, tmp_path) == CONTENT[::-1]
    assert server.requests[-1] == (200, "bytes=262144-")


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut_after = False, [4 * BLOCK, 0]
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    assert get(server, tmp_path) == CONTENT


def test_a_part_that_is_already_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path) == CONTENT
    assert server.requests == [(416, f"bytes={len(CONTENT)}-")]


def test_a_part_longer_than_the_file_is_started_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path) == CONTENT
    assert [status for status, _ in server.requests] == [416, 200]


def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"checksum of http.*data\.bin is not sha256:0000"):
        get(server, tmp_path, checksum="sha256:" + "0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusing_server(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=str(status)):
        get(server, tmp_path)
    assert len(server.requests) == 1


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_server_fails_within_seconds(tmp_path: Path) -> None:
    archive = Archive(f"http://127.0.0.1:{closed_port()}/a", "a", "md5:" + "0" * 32, 1, "hr")
    begin = time.monotonic()
    with pytest.raises(DownloadError, match="cannot download http.*refused"):
        fetch(archive, tmp_path, progress=False)
    assert time.monotonic() - begin < 20


def test_a_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", (0.3, 0.3))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match="no data for"):
            fetch(Archive(url, "a", "md5:" + "0" * 32, 1, "hr"), tmp_path, progress=False)


def test_a_full_disk_is_noticed_before(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match="make room"):
        get(server, tmp_path)
    assert not (tmp_path / "data.bin.part").exists()


def test_progress_goes_to_standard_error(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(server.archive(), tmp_path / "a", progress=True)
    shown = capsys.readouterr()
    assert "data.bin" in shown.err and shown.out == ""
    fetch(server.archive(), tmp_path / "b", progress=False)
    assert capsys.readouterr() == ("", "")


# --- archives -----------------------------------------------------------------------------------


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def listing(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


FILES = {"Set5/HR/a.png": b"a", "Set5/HR/b.png": b"bb", "readme.txt": b""}


def test_zip_and_tar_are_unpacked_and_merged(tmp_path: Path, target: Path) -> None:
    (target / "Set5").mkdir()
    (target / "Set5" / "mine.txt").write_text("kept")
    unpack(make_zip(tmp_path / "a.zip", FILES), target, max_bytes=100)
    assert listing(target) == ["Set5/HR/a.png", "Set5/HR/b.png", "Set5/mine.txt", "readme.txt"]
    other = {"Set5/LR_bicubic/X2/ax2.png": b"c", "Set5/HR/a.png": b"new"}
    unpack(make_tar(tmp_path / "b.tar.gz", other, "w:gz"), target, max_bytes=100)
    assert (target / "Set5/HR/a.png").read_bytes() == b"new"
    assert (target / "Set5/LR_bicubic/X2/ax2.png").is_file()


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil", "\\evil"]
)
def test_paths_that_lead_out_are_refused(
    tmp_path: Path, target: Path, make: object, name: str
) -> None:
    archive = make(tmp_path / "a", {"good.png": b"x", name: b"x"})  # type: ignore[operator]
    with pytest.raises(DownloadError, match="unsafe path"):
        unpack(archive, target, max_bytes=100)
    assert list(target.iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "target"]


def test_links_are_refused(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DownloadError, match="link"):
        unpack(tmp_path / "a.zip", target, max_bytes=100)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        with pytest.raises(DownloadError, match="link or device"):
            unpack(tmp_path / "a.tar", target, max_bytes=100)
    assert list(target.iterdir()) == []


def test_bombs_are_refused(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = make_zip(tmp_path / "a.zip", {f"{i}": bytes(1_000_000) for i in range(20)})
    assert bomb.stat().st_size < 30_000
    with pytest.raises(DownloadError, match="more than 5000000 bytes"):
        unpack(bomb, target, max_bytes=5_000_000)
    monkeypatch.setattr(download, "_MAX_MEMBERS", 10)
    with pytest.raises(DownloadError, match="more than 10 files"):
        unpack(bomb, target, max_bytes=10**9)
    assert list(target.iterdir()) == []


def test_damaged_archives(tmp_path: Path, target: Path) -> None:
    good = make_zip(tmp_path / "good.zip", {"a": bytes(range(256)) * 100}).read_bytes()
    for i, content in enumerate(
        [b"", b"no archive", good[: len(good) // 2], good[:60] + good[64:]]
    ):
        broken = tmp_path / f"{i}.zip"
        broken.write_bytes(content)
        with pytest.raises(DownloadError, match="damaged"):
            unpack(broken, target, max_bytes=10**6)
    tar = make_tar(tmp_path / "a.tar", {"a": bytes(5000)}).read_bytes()
    (tmp_path / "b.tar").write_bytes(tar[:2000])
    with pytest.raises(DownloadError, match="damaged"):
        unpack(tmp_path / "b.tar", target, max_bytes=10**6)
    assert list(target.iterdir()) == []


# --- a data set from the server to its pairs ----------------------------------------------------


@pytest.fixture
def toy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetSpec]:
    files = {f"Toy/HR/{n}.png": b"x" for n in "ab"} | {"Toy/LR_bicubic/X4/ax4.png": b"x"}
    server.content = make_zip(tmp_path / "toy.zip", files).read_bytes()
    spec = DatasetSpec(
        name="toy",
        title="Toy",
        folders=("Toy",),
        n_images=2,
        homepage="http://toy.example",
        license="none",
        citation="none",
        expected="Toy/HR/a.png",
        archives=(server.archive("toy.zip"),),
    )
    register_dataset(spec)
    monkeypatch.setattr(datasets, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("COO_DATA_HOME", raising=False)
    yield spec
    DATASETS.unregister("toy")


def test_a_data_set_is_downloaded_once(toy: DatasetSpec, server: Server, tmp_path: Path) -> None:
    root = tmp_path / "data root"
    for _ in range(2):
        dataset = resolve("TOY", scale=4, data_root=root, progress=False)
        assert dataset.root == root / "Toy"
        assert [pair.lr_path is None for pair in dataset.pairs] == [False, True]
    assert len(server.requests) == 1
    assert listing(root / ".downloads") == []  # the archive is removed after unpacking


def test_downloads_go_to_the_data_home_else_to_the_cache(
    toy: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve("toy", scale=4, progress=False).root == tmp_path / "cache" / "Toy"
    (tmp_path / "cache").rename(tmp_path / "away")
    monkeypatch.setenv("COO_DATA_HOME", str(tmp_path / "home"))
    assert resolve("toy", scale=4, progress=False).root == tmp_path / "home" / "Toy"


def test_a_failed_download_says_where_to_put_the_files(
    toy: DatasetSpec, server: Server, tmp_path: Path
) -> None:
    server.status = 404
    with pytest.raises(DownloadError) as caught:
        resolve("toy", scale=4, data_root=tmp_path / "root", progress=False)
    message = str(caught.value)
    assert str(tmp_path / "root" / "Toy" / "HR" / "a.png") in message
    assert "http://toy.example" in message and "--dataset sample" in message
    assert "\n" not in message


def test_no_download_when_not_wanted(toy: DatasetSpec, server: Server) -> None:
    with pytest.raises(DatasetNotFoundError, match="toy"):
        resolve("toy", scale=4, download=False)
    assert server.requests == []


def test_an_archive_that_cannot_be_stored(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot store"):
        fetch_and_unpack(server.archive(), tmp_path / "file", progress=False)
