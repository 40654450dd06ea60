"""Folders with unexpected content: circular links, pipes, odd names, wrong pairs."""

# ruff: noqa: E501

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cooanalysis.data import LoadedPair, find_pairs, iter_pairs, resolve
from cooanalysis.models.folders import match_files
from experiments.robustness.bad_images import encoded, picture
from experiments.robustness.outcome import Case

PNG = encoded(picture(24, 24), "PNG")
LR = encoded(picture(24, 24).resize((6, 6)), "PNG")

NAMES = (
    b"with space", b"new\nline", b"tab\tname", b"esc\x1b[2J", b"bell\x07", b"carriage\rreturn",
    "täüß".encode(), "日本語".encode(), "🦊".encode(), "e\u0301".encode(), "\u202egnp.a".encode(),
    "\u200bzero width".encode(), "\ufeffbom".encode(), b"\xff\xfe not utf-8", b"\xc3\x28",
    b"<script>alert(1)<", b'"><img src=x onerror=alert(1)>'.replace(b"/", b""), b"{{7*7}}",
    b"${jndi}", b"%s%n%x", b"'; drop table", b"-rf", b"--help", b"$(touch x)", b"`touch x`",
    b"a" * 240, b"CON", b"nul", b"trailing dot.", b"trailing space ", b"a:b", b"a\\b", b"a|b?*",
    b"..x", b"_SRF_4_HR", b"x4", b"0001x4x4", b"NaN", b"\xe2\x80\xa8line",
)  # fmt: skip

TEXTS = (
    "", " ", "\0", "a\0b", "/nonexistent/folder", "no-such-name", "~", "~no-such-user-here/x",
    "/dev/null", "/dev/zero", "/proc/self/mem", "x" * 300, "/" + "x" * 300, "/".join(["x" * 200] * 30), "..",
    ".", "sampel", "div2k/", "http://example.org/x", "file:///etc", "C:\\images",
    "\\\\server\\share",
    "con", "*", "?", "[a", "\n", "\x1b[2J", "\ud800", "a\nb", "sample ", "SAMPLE\t",
)  # fmt: skip


def cases(folder: Path) -> Iterator[Case]:
    """All cases, built in ``folder``."""
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        root = folder / f"name-{number:02d}"
        root.mkdir()
        _write(Path(os.fsdecode(os.fsencode(root) + b"/" + name + b".png")), PNG)
        yield Case("folder: odd name", repr(name), partial(_use, root))
        inside = Path(os.fsdecode(os.fsencode(folder) + b"/" + name + b".folder"))
        with suppress(OSError):
            inside.mkdir()
            _write(inside / "a.png", PNG)
            yield Case("folder: odd name of a folder", repr(name), partial(_use, inside))
    for layout, build in BUILDERS.items():
        root = folder / layout
        root.mkdir()
        build(root)
        for scale in (2, 4):
            yield Case("folder: layout", f"{layout} x{scale}", partial(_use, root, scale))
        yield Case("folder: outputs of a model", layout, partial(_match, root))
    for asked in TEXTS:
        yield Case("folder: name of a data set", repr(asked[:40]), partial(_resolve, folder, asked))
    wrong: tuple[Any, ...] = (0, -1, 1.5, "4", None, True, 10**9)
    for value in wrong:
        yield Case("folder: scale", repr(value), partial(find_pairs, folder, value))


def _use(root: Path, scale: int = 4) -> None:
    """Find the images, then read all: unusable ones are skipped, with a reason."""
    dataset = resolve(root, scale=scale, download=False)
    for item in iter_pairs(dataset, color="y"):
        if not isinstance(item, LoadedPair):
            assert item.reason


def _match(root: Path) -> None:
    match_files("model", root, find_pairs(root, 4), 4)


def _resolve(root: Path, text: str) -> None:
    resolve(text, scale=4, data_root=root / "none", download=False)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _files(**contents: bytes) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        for name, data in contents.items():
            _write(root / name.replace("__", "/").replace("_png", ".png"), data)

    return build


def _special(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A special file called a.png, next to a good image."""

    def build(root: Path) -> None:
        make(root / "a.png")
        _write(root / "b.png", PNG)

    return build


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


def _circle(root: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")


def _into_itself(root: Path) -> None:
    (root / "again").symlink_to(root)


def _many(root: Path) -> None:
    for number in range(3000):
        (root / f"{number}.png").write_bytes(b"")


def _deep(root: Path) -> None:
    path = root
    for _ in range(60):
        path = path / "d"
    _write(path / "a.png", PNG)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "empty": lambda root: None,
    "hidden": _files(**{".a.png": PNG}),
    "text": _files(**{"readme.txt": b"x"}),
    "nothing usable": _files(**{"a.png": b"", "b.jpg": b"x"}),
    "one broken of two": _files(**{"a.png": PNG, "b.png": PNG[:100]}),
    "pipe": _special(os.mkfifo),
    "socket": _special(_socket),
    "folder called a.png": _special(Path.mkdir),
    "broken link": _special(lambda path: path.symlink_to("nowhere")),
    "link to itself": _special(lambda path: path.symlink_to(path)),
    "link to a device": _special(lambda path: path.symlink_to("/dev/zero")),
    "link to a good image": _special(lambda path: path.symlink_to("b.png")),
    "folders in a circle": _circle,
    "folder in itself": _into_itself,
    "three thousand empty files": _many,
    "sixty folders deep": _deep,
    "stem twice": _files(**{"a.png": PNG, "a.jpg": encoded(picture(24, 24), "JPEG")}),
    "stem in two cases": _files(**{"a.png": PNG, "A.png": PNG}),
    "suffix in capitals": _files(**{"a.PNG": PNG, "b.Png": PNG}),
    "archive without LR": _files(**{"image_SRF_4/a_SRF_4_HR.png": PNG}),
    "archive without HR": _files(**{"image_SRF_4/a_SRF_4_LR.png": LR}),
    "archive of two scales": _files(
        **{f"image_SRF_{s}/a_SRF_{s}_{k}.png": PNG for s in (2, 4) for k in ("HR", "LR")}
    ),
    "archive with scales mixed in a folder": _files(
        **{"a_SRF_2_HR.png": PNG, "a_SRF_4_HR.png": PNG, "a_SRF_4_LR.png": LR}
    ),
    "archive of scale zero": _files(**{"image_SRF_0/a_SRF_0_HR.png": PNG}),
    "archive of a large scale": _files(**{f"a_SRF_{'9' * 200}_HR.png": PNG}),
    "LR of the right size": _files(**{"HR/a.png": PNG, "LR_bicubic/X4/ax4.png": LR}),
    "LR of the wrong size": _files(**{"HR/a.png": PNG, "LR_bicubic/X4/ax4.png": PNG}),
    "LR of another picture": _files(
        **{"HR/a.png": PNG, "LR_bicubic/X4/ax4.png": encoded(picture(6, 6, seed=9), "PNG")}
    ),
    "LR broken": _files(**{"HR/a.png": PNG, "LR_bicubic/X4/ax4.png": LR[:40]}),
    "LR of one of two": _files(
        **{"HR/a.png": PNG, "HR/b.png": PNG, "LR_bicubic/X4/ax4.png": LR}
    ),
    "LR of another scale": _files(**{"HR/a.png": PNG, "LR_bicubic/X2/ax2.png": LR}),
    "LR a file, not a folder": _files(**{"HR/a.png": PNG, "LR_bicubic": b"x"}),
    "HR empty": lambda root: (root / "HR").mkdir(),
    "HR in HR": _files(**{"DIV2K_train_HR/DIV2K_train_HR/0001.png": PNG}),
    "training and validation": _files(
        **{"DIV2K_train_HR/1.png": PNG, "DIV2K_valid_HR/2.png": PNG}
    ),
    "leftovers of a Mac": _files(**{"__MACOSX/a.png": b"x", "._a.png": b"x", "a.png": PNG}),
}  # fmt: skip
