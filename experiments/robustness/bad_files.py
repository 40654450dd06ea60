"""Run directories, weights files and archives that are damaged, old, foreign or hostile."""

# ruff: noqa: E501

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import cooanalysis as coo
from cooanalysis.data.download import unpack
from cooanalysis.runtime.run_directory import finished_run
from experiments.robustness.outcome import Case

VERSIONS: tuple[Any, ...] = (0, -1, 3, 99, "1", "x", None, True, 1.0, 1.5, [], {}, 10**30)


def cases(folder: Path, analysis: Path, comparison: Path | None = None) -> Iterator[Case]:
    """All cases; ``analysis`` and ``comparison`` are complete run directories to damage."""
    folder.mkdir(parents=True)
    yield from _runs(folder / "analyses", analysis, coo.load)
    if comparison is not None:
        yield from _runs(folder / "comparisons", comparison, coo.load_comparison)
        yield Case("run: of another kind", "analysis", partial(coo.load, comparison))
        yield Case("run: of another kind", "comparison", partial(coo.load_comparison, analysis))
    for name, path in {"none": folder / "none", "file": Path(__file__), "device": Path("/dev/zero"),
                       "empty": Path("")}.items():  # fmt: skip
        yield Case("run: no directory", name, partial(coo.load, path))
    yield from _archives(folder / "archives")
    yield from _weights(folder / "weights")


def _runs(folder: Path, whole: Path, load: Callable[[Path], Any]) -> Iterator[Case]:
    folder.mkdir()
    for number, (name, damage) in enumerate(_damages(whole)):
        target = folder / f"{number:04d}"
        target.mkdir()
        for path in whole.iterdir():
            if path.is_file() and path.suffix != ".html":
                os.link(path, target / path.name)
        damage(target)
        yield Case(f"run: {load.__name__}", name, partial(_load, load, target))


def _load(load: Callable[[Path], Any], folder: Path) -> None:
    finished_run(folder, "fingerprint")
    load(folder)


def _damages(whole: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    summary = json.loads((whole / "summary.json").read_text(encoding="utf-8"))
    text = (whole / "summary.json").read_bytes()
    for end in range(0, len(text), max(1, len(text) // 40)):
        yield f"summary.json cut at {end}", _put("summary.json", text[:end])
    for version in VERSIONS:
        yield f"schema version {version!r}", _json(summary | {"schema_version": version})
    for key in summary:
        yield f"summary without {key}", _json({k: v for k, v in summary.items() if k != key})
        yield f"summary with a wrong {key}", _json(summary | {key: 5})
    for name, data in {"empty": b"", "null": b"null", "list": b"[]", "deep": b"[" * 100_000,
                       "not UTF-8": b'{"a": "\xff"}', "number": b"1" * 10_000,
                       "twice": text + text}.items():  # fmt: skip
        yield f"summary: {name}", _put("summary.json", data)
    for path in sorted(whole.iterdir()):
        if path.suffix not in (".parquet", ".npz", ".json"):
            continue
        data = path.read_bytes()
        yield f"{path.name} missing", _without(path.name)
        yield f"{path.name} a folder", _with(path.name, Path.mkdir)
        yield f"{path.name} a pipe", _with(path.name, os.mkfifo)
        yield f"{path.name} a link in a circle", _with(path.name, lambda p: p.symlink_to(p))
        if path.suffix == ".json":
            continue
        yield f"{path.name} empty", _put(path.name, b"")
        yield f"{path.name} text", _put(path.name, b"hello")
        for end in range(4, len(data), max(1, len(data) // 12)):
            yield f"{path.name} cut at {end}", _put(path.name, data[:end])
        rng = random.Random(0)
        for number in range(12):
            changed = bytearray(data)
            # The end holds the directory in both formats.
            for place in (rng.randrange(len(data)), len(data) - 1 - rng.randrange(200)):
                changed[place] = rng.randrange(256)
            yield f"{path.name} changed {number}", _put(path.name, bytes(changed))
        if path.suffix == ".npz":
            for name, content in _arrays().items():
                yield f"{path.name}: {name}", _put(path.name, content)


def _put(name: str, data: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)  # a link to the intact file
        (folder / name).write_bytes(data)

    return damage


def _json(value: Any) -> Callable[[Path], None]:
    return _put("summary.json", json.dumps(value).encode())


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _with(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def _arrays() -> dict[str, bytes]:
    def header(shape: str, dtype: str = "<f8") -> bytes:
        text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text

    def archive(*members: tuple[str, bytes]) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in members:
                target.writestr(name, data)
        return file.getvalue()

    return {
        "no arrays": archive(),
        "huge shape": archive(("lr.npy", header("(1000000000000,)"))),
        "many dimensions": archive(("lr.npy", header("(" + "1," * 70 + ")") + b"\0" * 8)),
        "negative shape": archive(("lr.npy", header("(-1,)"))),
        "text as shape": archive(("lr.npy", header("'x'"))),
        "code as shape": archive(("lr.npy", header("__import__('os').system('touch hacked')"))),
        "objects": archive(("lr.npy", header("(1,)", "|O") + b"\x80\x04N.")),
        "odd type": archive(("lr.npy", header("(1,)", "|V0"))),
        "not an array": archive(("lr.npy", b"hello")),
        "path": archive(("../../lr.npy", header("(1,)") + b"\0" * 8)),
        "bomb": archive(("lr.npy", header("(20000000,)") + b"\0" * 160_000_000)),
    }


def _archives(folder: Path) -> Iterator[Case]:
    folder.mkdir()
    for number, (name, data) in enumerate(hostile_archives().items()):
        target = folder / f"{number:03d}"
        (target / "inside").mkdir(parents=True)
        (target / "archive").write_bytes(data)
        yield Case("archive", name, partial(_unpack, target))


def _unpack(folder: Path) -> None:
    try:
        unpack(folder / "archive", folder / "inside", max_bytes=1 << 20)
    finally:
        assert sorted(p.name for p in folder.iterdir()) == ["archive", "inside"], "left its folder"
        for path in folder.rglob("*"):
            assert not path.is_symlink(), "a link was made"
        size = sum(p.stat().st_size for p in (folder / "inside").rglob("*") if p.is_file())
        assert size <= 1 << 20, "more than it may hold"


HOSTILE_NAMES = (
    "../evil", "a/../../evil", "/tmp/coo-evil", "..\\evil", "C:\\evil", "C:evil", "\\\\host\\evil",
    "a/./../..//../evil", "..", ".", "", "a\0b", "a:stream", "//evil", "a/" * 200 + "x", "x" * 300,
)  # fmt: skip


def hostile_archives() -> dict[str, bytes]:
    """Archives that try to write elsewhere, link or fill the disk, or are merely broken."""
    found: dict[str, bytes] = {}
    for name in HOSTILE_NAMES:
        if name:  # zipfile cannot write a nameless one
            found[f"zip {name[:30]!r}"] = _zip((name, b"evil"))
        found[f"tar {name[:30]!r}"] = _tar((name, tarfile.REGTYPE, b"evil", ""))
    kinds = {"symbolic link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE,
             "device": tarfile.CHRTYPE, "block device": tarfile.BLKTYPE, "pipe": tarfile.FIFOTYPE,
             "contiguous": tarfile.CONTTYPE, "unknown type": b"Z"}  # fmt: skip
    for title, kind in kinds.items():
        found[f"tar {title}"] = _tar(("a", kind, b"", "/etc/passwd"))
    found["tar through a link"] = _tar(
        ("a", tarfile.SYMTYPE, b"", "/tmp"), ("a/evil", tarfile.REGTYPE, b"x", "")
    )
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    found["zip symbolic link"] = _zip((link, b"/etc/passwd"))
    found["zip file and folder"] = _zip(("a", b"x"), ("a/b", b"x"))
    found["zip name twice"] = _zip(("a", b"x"), ("a", b"y"))
    found["tar file and folder"] = _tar(("a", tarfile.REGTYPE, b"x", ""),
                                        ("a/b", tarfile.REGTYPE, b"x", ""))  # fmt: skip
    found["zip bomb"] = _zip(("a", b"\0" * (50 << 20)))
    for mode in ("gz", "bz2", "xz"):
        found[f"tar bomb {mode}"] = _tar(("a", tarfile.REGTYPE, b"\0" * (50 << 20), ""), mode=mode)
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * (30 << 20)}
    found["tar bomb in a header"] = _tar(
        (info, b"", b"x", ""), mode="gz", format=tarfile.PAX_FORMAT
    )
    good = {"zip": _zip(("a/b.png", b"content" * 50)),
            "tar": _tar(("a/b.png", tarfile.REGTYPE, b"content" * 50, "")),
            "gz": _tar(("a/b.png", tarfile.REGTYPE, b"content" * 50, ""), mode="gz")}  # fmt: skip
    for form, content in good.items():
        found[f"{form} good"] = content
        for end in range(0, len(content), max(1, len(content) // 8)):
            found[f"{form} cut at {end}"] = content[:end]
        rng = random.Random(0)
        for number in range(8):
            changed = bytearray(content)
            changed[rng.randrange(len(content))] ^= 0xFF
            found[f"{form} changed {number}"] = bytes(changed)
    encrypted = bytearray(good["zip"])
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    found["zip encrypted"] = bytes(encrypted)
    return found


def _zip(*members: tuple[Any, bytes]) -> bytes:
    import warnings

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a repeated name is the point here
        for name, data in members:
            target.writestr(name, data)
    return file.getvalue()


def _tar(
    *members: tuple[Any, bytes, bytes, str], mode: str = "", format: int = tarfile.GNU_FORMAT
) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{mode}", format=format) as target:  # type: ignore[call-overload]
        for name, kind, data, link in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.type = kind or tarfile.REGTYPE
            info.linkname = link
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _weights(folder: Path) -> Iterator[Case]:
    try:
        import safetensors  # noqa: F401
        import torch
    except ImportError:
        return
    from cooanalysis.models import load_weights
    from cooanalysis.models.shipped import shipped

    folder.mkdir()
    whole = next(iter(shipped().values())).read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])

    def put(name: str, data: bytes) -> Case:
        path = folder / f"{name}.safetensors"
        path.write_bytes(data)
        return Case("weights", name, partial(load_weights, path))

    def changed(**metadata: str | None) -> bytes:
        kept = header["__metadata__"] | {f"cooanalysis.{k}": v for k, v in metadata.items()}
        plain = {k: v for k, v in kept.items() if v is not None}
        text = json.dumps(header | {"__metadata__": plain}).encode()
        return struct.pack("<Q", len(text)) + text + whole[8 + length :]

    for end in range(0, len(whole), len(whole) // 10):
        yield put(f"cut at {end}", whole[:end])
    for size in (0, 7, 2**31, 2**63, 2**64 - 1):
        yield put(f"header of {size} bytes", struct.pack("<Q", size) + whole[8:])
    for name, text in {"no JSON": b"hello", "list": b"[]", "deep": b"[" * 10_000,
                       "offsets": b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,9999999]}}',
                       "negative": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
                       "overflow": b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296]'
                                   b',"data_offsets":[0,4]}}'}.items():  # fmt: skip
        yield put(f"header: {name}", struct.pack("<Q", len(text)) + text + b"\0" * 64)
    wrong: dict[str, dict[str, Any]] = {
        "format": {"format": "2"}, "no format": {"format": None}, "scale": {"scale": "x"},
        "scale 0": {"scale": "0"}, "large scale": {"scale": "9" * 5000}, "model": {"model": "x"},
        "options": {"options": "x"}, "options list": {"options": "[]"},
        "options deep": {"options": "[" * 100_000}, "unknown option": {"options": '{"x": 1}'},
        "blocks": {"options": '{"blocks": 1000000000}'},
        "features": {"options": '{"features": 1000000000}'}, "text": {"options": '{"blocks": "x"}'},
        "negative": {"options": '{"features": -1}'}, "zero": {"options": '{"features": 0}'},
        "wide": {"options": '{"features": 4000, "blocks": 4000}'},
    }  # fmt: skip
    for name, metadata in wrong.items():
        yield put(f"metadata: {name}", changed(**metadata))
    yield from _models(folder, torch)


def _models(folder: Path, torch: Any) -> Iterator[Case]:
    from cooanalysis.data import ImagePair
    from cooanalysis.models.sources import open_source

    pairs = [ImagePair("a", folder / "a.png", None)]
    contents: dict[str, Any] = {
        "empty dict": {}, "list": [1], "number": 3, "unknown": {"w": torch.zeros(2)},
        "nan": {"conv_first.weight": torch.full((4, 3, 3, 3), float("nan"))},
        "nested": {"params": {"params_ema": {}}}, "names as numbers": {1: torch.zeros(1)},
    }  # fmt: skip
    for name, value in contents.items():
        torch.save(value, folder / f"{name}.pth")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "text.pth").write_bytes(b"hello world")
    (folder / "cut.pth").write_bytes((folder / "unknown.pth").read_bytes()[:300])
    for name in (*contents, "empty", "text", "cut"):
        yield Case("model", name, partial(open_source, "m", folder / f"{name}.pth", pairs, scale=4))
    for text in ("", " ", "none.pth", "none", "/dev/zero", "/dev/null", "~no-such-user/x", "a\0b",
                 "x" * 5000, "bicubic ", "hr/", str(folder)):  # fmt: skip
        yield Case("model", repr(text[:30]), partial(open_source, "m", text, pairs, scale=4))
    shutil.copy(folder / "unknown.pth", folder / "unknown.zip")
    yield Case("model", "suffix", partial(open_source, "m", folder / "unknown.zip", pairs, scale=4))
    for name in ("bicubic", "hr", "", " ", "a\nb"):
        yield Case(
            "model", f"called {name!r}", partial(open_source, name, "bicubic", pairs, scale=4)
        )
    for number, value in enumerate(
        (None, 5, "x", np.zeros((2, 2)), np.full((96, 96, 3), np.nan), [], object())
    ):
        source = open_source("m", lambda lr, value=value: value, pairs, scale=4)
        yield Case("model", f"returns {number}", partial(_output, source))


def _output(source: Any) -> None:
    from cooanalysis.data import LoadedPair

    lr = np.zeros((24, 24, 3), np.uint8)
    hr = np.zeros((96, 96, 3), np.uint8)
    source.output(LoadedPair("a", hr, lr, hr.astype(np.float32), "made"), lambda line: None)
