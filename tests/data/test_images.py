"""Reading image files: what is converted, what is refused by name, and the luma."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cooanalysis.data.images import read_image, rgb_to_y
from cooanalysis.errors import ImageError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (12, 17), dtype=np.uint8)


def save(array: npt.NDArray[np.generic], path: Path, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def write_png16(path: Path, values: npt.NDArray[np.uint16], color_type: int) -> Path:
    """A 16-bit PNG written by hand (Pillow cannot), with the Sub filter on every other row."""
    height, width = values.shape[:2]
    rows = values.reshape(height, -1).astype(">u2").view(np.uint8).reshape(height, -1)
    bytes_per_pixel = rows.shape[1] // width
    lines = []
    for i, row in enumerate(rows):
        if i % 2:
            left = np.concatenate([np.zeros(bytes_per_pixel, np.uint8), row[:-bytes_per_pixel]])
            lines.append(b"\x01" + (row - left).astype(np.uint8).tobytes())
        else:
            lines.append(b"\x00" + row.tobytes())

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(lines)))
        + chunk(b"IEND", b"")
    )
    return path


def rounded(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    return np.floor(values / 257 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "ppm"])
def test_lossless_rgb_is_read_exactly(tmp_path: Path, suffix: str) -> None:
    image = read_image(save(RGB, tmp_path / f"a.{suffix}"))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_lossless_gray_is_read_exactly(tmp_path: Path, suffix: str) -> None:
    np.testing.assert_array_equal(read_image(save(GRAY, tmp_path / f"a.{suffix}")), GRAY)


def test_jpeg_and_lossless_webp(tmp_path: Path) -> None:
    assert read_image(save(RGB, tmp_path / "a.jpg")).shape == RGB.shape
    webp = save(RGB, tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_image(webp), RGB)


def test_the_result_can_be_written_to(tmp_path: Path) -> None:
    read_image(save(RGB, tmp_path / "a.png"))[0, 0] = 1


def test_gray_stored_as_rgb_stays_rgb(tmp_path: Path) -> None:
    assert read_image(save(np.stack([GRAY] * 3, axis=2), tmp_path / "a.png")).shape == (12, 17, 3)


def test_one_pixel(tmp_path: Path) -> None:
    assert read_image(save(RGB[:1, :1], tmp_path / "a.png")).shape == (1, 1, 3)


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = save(RGB, tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(path), RGB)


@pytest.mark.parametrize("name", ["größe.png", "写真 1.png", "a%20b;c.png"])
def test_unusual_names(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_image(save(RGB, tmp_path / name)), RGB)


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), np.asarray(palette.convert("RGB"))
    )


def test_palette_with_transparency_is_refused_only_where_it_is_used(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "used.png", transparency=int(np.asarray(palette)[0, 0]))
    with pytest.raises(ImageError, match=r"used\.png.*transparent"):
        read_image(tmp_path / "used.png")
    palette.save(tmp_path / "opaque.png", transparency=bytes([255] * 16))
    assert read_image(tmp_path / "opaque.png").shape == RGB.shape


def test_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    opaque = np.dstack([RGB, np.full(GRAY.shape, 255, np.uint8)])
    np.testing.assert_array_equal(read_image(save(opaque, tmp_path / "a.png")), RGB)
    gray = np.dstack([GRAY, np.full(GRAY.shape, 255, np.uint8)])
    np.testing.assert_array_equal(read_image(save(gray, tmp_path / "b.png")), GRAY)


def test_transparency_is_refused(tmp_path: Path) -> None:
    alpha = np.full(GRAY.shape, 255, np.uint8)
    alpha[3, 4] = 254
    with pytest.raises(ImageError, match="transparent pixels"):
        read_image(save(np.dstack([RGB, alpha]), tmp_path / "a.png"))
    with pytest.raises(ImageError, match="transparent pixels"):
        read_image(save(np.dstack([GRAY, alpha]), tmp_path / "b.png"))


def test_color_key_is_refused_only_where_it_is_used(tmp_path: Path) -> None:
    used = tuple(int(v) for v in RGB[0, 0])
    with pytest.raises(ImageError, match="transparent pixels"):
        read_image(save(RGB, tmp_path / "a.png", transparency=used))
    unused = save(np.zeros_like(RGB), tmp_path / "b.png", transparency=(1, 2, 3))
    assert read_image(unused).max() == 0


@pytest.mark.parametrize(
    ("mode", "suffix", "reason"),
    [("CMYK", "jpg", "CMYK"), ("CMYK", "tif", "CMYK"), ("1", "png", "1 bit"), ("F", "tif", "float")]
    + [("LAB", "tif", "Lab"), ("I", "tif", "pixel format")],
)
def test_modes_that_are_refused(tmp_path: Path, mode: str, suffix: str, reason: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.new(mode, (8, 8)).save(path)
    with pytest.raises(ImageError, match=rf"image\.{suffix}.*{reason}"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_gray_is_rounded(tmp_path: Path, suffix: str) -> None:
    values = RNG.integers(0, 65536, (20, 30)).astype(np.uint16)
    values.flat[:4] = [0, 65535, 128, 129]
    image = read_image(save(values, tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(image, rounded(values))


def test_sixteen_bit_rgb_png_is_rounded(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    image = read_image(write_png16(tmp_path / "a.png", values, 2))
    np.testing.assert_array_equal(image, rounded(values))


def test_sixteen_bit_rgba_png(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (20, 30, 4)).astype(np.uint16)
    values[:, :, 3] = 65535
    image = read_image(write_png16(tmp_path / "a.png", values, 6))
    np.testing.assert_array_equal(image, rounded(values[:, :, :3]))
    values[0, 0, 3] = 65534
    with pytest.raises(ImageError, match="transparent"):
        read_image(write_png16(tmp_path / "b.png", values, 6))


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_rgb_tiff_is_rounded(
    tmp_path: Path, byte_order: str, compression: str | None
) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, byteorder=byte_order, compression=compression, photometric="rgb")
    np.testing.assert_array_equal(read_image(path), rounded(values))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = save(RGB, tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="2 frames"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.png"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_truncated_and_damaged_files(tmp_path: Path, suffix: str) -> None:
    large = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    content = save(large, tmp_path / f"a.{suffix}").read_bytes()
    broken = tmp_path / f"broken.{suffix}"
    for keep in (10, len(content) // 3, len(content) * 9 // 10):
        broken.write_bytes(content[:keep])
        with pytest.raises(ImageError, match="broken"):
            read_image(broken)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png: No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError):
        read_image(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_unreadable_file(tmp_path: Path) -> None:
    path = save(RGB, tmp_path / "a.png")
    path.chmod(0)
    with pytest.raises(ImageError, match="Permission denied"):
        read_image(path)


def test_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(RGB, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RGB.shape[0] * RGB.shape[1] // 3)
    with pytest.raises(ImageError, match="too large to decode safely"):
        read_image(path)
    # Between Pillow's warning and its error an image is read, without a warning.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RGB.shape[0] * RGB.shape[1] - 1)
    np.testing.assert_array_equal(read_image(path), RGB)


def test_luma_known_answers() -> None:
    """MATLAB: rgb2ycbcr of black, white, red, green, blue and mid gray."""
    colors = np.array(
        [[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]],
        dtype=np.uint8,
    )
    np.testing.assert_array_equal(rgb_to_y(colors), [[16, 235, 81, 145, 41, 126]])
    exact = rgb_to_y(colors, rounded=False)
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact, [[16, 235, 81.481, 144.553, 40.966, 125.929]], atol=1e-3)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_luma_is_the_rounded_formula(rgb: tuple[int, int, int]) -> None:
    image = np.array([[rgb]], dtype=np.uint8)
    exact = 16 + (65.481 * rgb[0] + 128.553 * rgb[1] + 24.966 * rgb[2]) / 255
    assert abs(float(rgb_to_y(image, rounded=False)[0, 0]) - exact) < 1e-4
    assert abs(float(rgb_to_y(image)[0, 0]) - exact) <= 0.5 + 1e-9


def test_luma_of_gray_equals_that_of_equal_channels() -> None:
    expected = rgb_to_y(np.stack([GRAY] * 3, axis=2))
    np.testing.assert_array_equal(rgb_to_y(GRAY), expected)
    np.testing.assert_array_equal(rgb_to_y(GRAY[:, :, np.newaxis]), expected)


def test_luma_refuses_other_arrays() -> None:
    with pytest.raises(ImageError, match="uint8, not float64"):
        rgb_to_y(np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"not \(2, 2, 4\)"):
        rgb_to_y(np.zeros((2, 2, 4), dtype=np.uint8))


def test_a_tiff_that_lacks_rows_is_refused(tmp_path: Path) -> None:
    """A fuzzer found 230 bytes that were read as 81 million black pixels."""
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((8, 8, 3), 77, np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    assert read_image(path).shape == (8, 8, 3)
    height = data.index((257).to_bytes(2, "little") + (4).to_bytes(2, "little")) + 8
    data[height : height + 4] = (4000).to_bytes(4, "little")
    rows = data.index((278).to_bytes(2, "little") + (4).to_bytes(2, "little")) + 8
    data[rows : rows + 4] = (8).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match="lacks parts of the image"):
        read_image(path)
