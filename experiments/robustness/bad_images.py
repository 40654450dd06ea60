"""Image files that are damaged, hostile or merely unusual."""

# ruff: noqa: E501

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cooanalysis.data.images import read_image, rgb_to_y
from experiments.robustness.outcome import Case

SUFFIXES = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "BMP": "bmp", "WEBP": "webp", "PPM": "ppm"}
EVERY = 64


def cases(folder: Path) -> Iterator[Case]:
    """All cases, written into ``folder``."""
    folder.mkdir(parents=True)
    for number, (kind, name, data) in enumerate(_files()):
        path = folder / f"{number:04d}-{name}"
        path.write_bytes(data)
        yield Case(f"image: {kind}", name, partial(_read, path))


def _read(path: Path) -> None:
    levels = read_image(path)
    assert levels.dtype == np.uint8 and levels.ndim in (2, 3) and levels.size
    rgb_to_y(levels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def picture(height: int = 30, width: int = 32, seed: int = 0) -> Image.Image:
    """Color noise, which does not compress."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _files() -> Iterator[tuple[str, str, bytes]]:
    yield from _truncated()
    yield from _changed()
    yield from _no_images()
    yield from _modes()
    yield from _turned()
    yield from _animated()
    yield from _sizes()
    yield from _huge()
    yield from _chunks()


def _truncated() -> Iterator[tuple[str, str, bytes]]:
    for kind, suffix in SUFFIXES.items():
        data = encoded(picture(), kind)
        for end in range(0, len(data), EVERY):
            yield "truncated", f"{kind}-{end}.{suffix}", data[:end]


def _changed() -> Iterator[tuple[str, str, bytes]]:
    rng = random.Random(0)
    for kind, suffix in SUFFIXES.items():
        data = encoded(picture(12, 14), kind)
        for number in range(16):
            changed = bytearray(data)
            for _ in range(4):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            yield "bytes changed", f"{kind}-changed-{number}.{suffix}", bytes(changed)


def _no_images() -> Iterator[tuple[str, str, bytes]]:
    texts = {"empty": b"", "zero": b"\0" * 4096, "text": b"not an image\n", "html": b"<html></html>",
             "zip": b"PK\x03\x04" + b"\0" * 30, "elf": b"\x7fELF" + b"\0" * 60,
             "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
             "pickle": b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01."}  # fmt: skip
    for name, data in texts.items():
        yield "no image", f"{name}.png", data
    for number in range(8):
        yield "no image", f"random-{number}.png", random.Random(number).randbytes(500)
    for kind in SUFFIXES:
        head = encoded(picture(), kind)[:8]
        yield "no image", f"head-{kind}.png", head + b"\xff" * 200
        for suffix in ("png", "jpg"):
            yield "wrong extension", f"{kind}.{suffix}", encoded(picture(), kind)


def _modes() -> Iterator[tuple[str, str, bytes]]:
    rgb = picture()
    levels = np.asarray(rgb)
    gray = levels[:, :, 0]
    alpha = Image.fromarray(np.dstack([levels, gray]))
    for name, image in {
        "1": rgb.convert("1"), "L": rgb.convert("L"), "LA": rgb.convert("LA"),
        "P": rgb.convert("P"), "RGBA-opaque": rgb.convert("RGBA"), "RGBA": alpha,
        "I16": Image.fromarray(gray.astype(np.uint16) * 257),
    }.items():  # fmt: skip
        yield "pixel format", f"{name}.png", encoded(image, "PNG")
    palette = rgb.convert("P")
    for name, key in {"one": 3, "bytes": bytes(range(256))}.items():
        yield "pixel format", f"P-{name}.png", encoded(palette, "PNG", transparency=key)
    yield "pixel format", "key.png", encoded(rgb, "PNG", transparency=(1, 2, 3))
    for name, image in {
        "CMYK": rgb.convert("CMYK"), "LAB": rgb.convert("LAB"), "YCbCr": rgb.convert("YCbCr"),
        "I": Image.fromarray(gray.astype(np.int32) * 100_000), "I16": Image.fromarray(
            gray.astype(np.uint16) * 200), "F": Image.fromarray(gray.astype(np.float32)),
        "RGBA": alpha,
    }.items():  # fmt: skip
        yield "pixel format", f"{name}.tif", encoded(image, "TIFF")
    yield "pixel format", "CMYK.jpg", encoded(rgb.convert("CMYK"), "JPEG")
    yield "pixel format", "gray.jpg", encoded(rgb.convert("L"), "JPEG")
    yield "pixel format", "progressive.jpg", encoded(rgb, "JPEG", progressive=True)
    for name, value in {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf}.items():
        floats = gray.astype(np.float32)
        floats[3, 3] = value
        yield "NaN and infinity", f"{name}.tif", encoded(Image.fromarray(floats), "TIFF")
    for depth, color in ((16, 2), (16, 6), (16, 4), (16, 0), (1, 0), (2, 0), (4, 0), (8, 0)):
        channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
        row = b"\0" + random.Random(depth).randbytes(-(-9 * channels * depth // 8))
        yield "pixel format", f"depth-{depth}-{color}.png", png(9, 7, depth, color, row * 7)


def png(
    width: int, height: int, depth: int = 8, color: int = 2, rows: bytes = b"", *,
    before: bytes = b"", end: bool = True,
) -> bytes:  # fmt: skip
    """A PNG file from its parts, right or wrong."""
    head = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before
        + chunk(b"IDAT", zlib.compress(rows)) + (chunk(b"IEND", b"") if end else b"")
    )  # fmt: skip


def chunk(kind: bytes, data: bytes, check: int | None = None) -> bytes:
    """A chunk of a PNG file."""
    found = zlib.crc32(kind + data) if check is None else check
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", found)


def _turned() -> Iterator[tuple[str, str, bytes]]:
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        for orientation in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535):
            exif = Image.Exif()
            exif[0x0112] = orientation
            yield ("EXIF rotation", f"{kind}-{orientation}.{SUFFIXES[kind]}",
                   encoded(picture(), kind, exif=exif.tobytes()))  # fmt: skip
    for number, damaged in enumerate((b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"garbage")):
        yield "EXIF damaged", f"{number}.jpg", encoded(picture(), "JPEG", exif=damaged)


def _animated() -> Iterator[tuple[str, str, bytes]]:
    more = [picture(seed=1), picture(seed=2)]
    for kind in ("PNG", "WEBP", "TIFF", "GIF"):
        data = encoded(picture(), kind, save_all=True, append_images=more)
        yield "several frames", f"{kind}.{SUFFIXES.get(kind, 'png')}", data
    yield "several frames", "one-frame.png", encoded(picture(), "GIF")


def _sizes() -> Iterator[tuple[str, str, bytes]]:
    for height, width in ((1, 1), (1, 2), (2, 1), (1, 500), (500, 1), (2, 2), (3, 3), (1, 20_000)):
        for kind in ("PNG", "JPEG"):
            yield ("tiny or thin", f"{kind}-{height}x{width}.{SUFFIXES[kind]}",
                   encoded(picture(height, width), kind))  # fmt: skip


def _huge() -> Iterator[tuple[str, str, bytes]]:
    for width, height in (
        (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 2**32 - 1), (65_536, 65_536), (50_000, 50_000),
        (13_000, 13_000), (0, 0), (0, 10), (10, 0), (9_500, 9_500),
    ):  # fmt: skip
        yield "huge dimensions", f"{width}x{height}.png", png(width, height)
        bmp = bytearray(encoded(picture(4, 4), "BMP"))
        bmp[18:26] = struct.pack("<II", width & 0xFFFFFFFF, height & 0xFFFFFFFF)
        yield "huge dimensions", f"{width}x{height}.bmp", bytes(bmp)
        yield "huge dimensions", f"{width}x{height}.ppm", f"P6 {width} {height} 255\n".encode()
    jpeg = bytearray(encoded(picture(8, 8), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = b"\xff\xff\xff\xff"
    yield "huge dimensions", "65535.jpg", bytes(jpeg)
    # 81 empty Mpixel in 80 kB: below Pillow's limit, so it is decoded; above, it is refused.
    yield "decompression bomb", "9000.png", png(9000, 9000, 8, 0, (b"\0" * 9001) * 9000)
    yield "decompression bomb", "rows.png", png(10, 10, 8, 2, b"\0" * 50_000_000)


def _chunks() -> Iterator[tuple[str, str, bytes]]:
    rows = (b"\0" + b"\x55" * 30) * 10
    bomb = b"key\0\0" + zlib.compress(b"\0" * 200_000_000)
    whole = partial(png, 10, 10, 8, 2, rows)
    wrong = {
        "text-bomb": whole(before=chunk(b"zTXt", bomb)),
        "profile-bomb": whole(before=chunk(b"iCCP", bomb)),
        "profile-broken": whole(before=chunk(b"iCCP", b"x\0\0" + b"\xff" * 20)),
        "wrong-check": whole(before=chunk(b"gAMA", b"\0\0\0\1", check=1)),
        "no-end": whole(end=False),
        "unknown-critical": whole(before=chunk(b"ABCD", b"x")),
        "header-twice": whole(before=chunk(b"IHDR", b"\0" * 13)),
        "exif-bomb": whole(before=chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60)),
        "length-lies": b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR" + b"\0" * 20,
        "depth-3": png(10, 10, 3, 2, rows),
        "color-7": png(10, 10, 8, 7, rows),
        "palette-missing": png(10, 10, 8, 3, (b"\0" + b"\5" * 10) * 10),
        "no-data": png(10, 10, 8, 2, b""),
        "filter-9": png(10, 10, 8, 2, (b"\x09" + b"\x55" * 30) * 10),
    }
    for name, data in wrong.items():
        yield "PNG chunks", f"{name}.png", data
