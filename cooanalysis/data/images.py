"""Reading image files into arrays, and the luma that super-resolution papers evaluate.

Nothing is converted silently: what cannot become 8-bit RGB or gray without a decision by the user
(partial transparency, CMYK, floating point, several frames, …) is refused with an
:class:`~cooanalysis.errors.ImageError` that names the file and the reason.
"""

from __future__ import annotations

import re
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from cooanalysis.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "read_image", "rgb_to_y"]

#: Suffixes that mark a file as an image, in lower case (no GIF: it is a palette animation format).
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)

# Pillow's name of a mode, and the reason that the user reads when it is refused.
_REFUSED_MODES = {
    "1": "it has 1 bit per pixel (black and white)",
    "F": "it holds floating-point values, whose range is unknown",
    "CMYK": "it is CMYK, and the conversion to RGB needs its color profile",
    "LAB": "it is in the Lab color space",
    "HSV": "it is in the HSV color space",
    "YCbCr": "it is stored as YCbCr without a conversion to RGB",
}

# A TIFF of mode "I" holds 32-bit integers; in these formats "I" only means "more than 8 bits".
_SIXTEEN_BIT_FORMATS = frozenset({"PNG", "PPM"})

_FILTERS = threading.Lock()

# 65535 / 255: the factor between full scale in 16 and in 8 bits.
_SIXTEEN_TO_EIGHT = 257


def read_image(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read one image file as 8-bit gray or RGB values.

    Parameters
    ----------
    path : str or Path
        The image file; the format is recognized from its content, not from its suffix.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` for gray files, ``(H, W, 3)`` RGB otherwise, ``uint8``, 0..255. The EXIF
        orientation is applied, palettes are resolved to RGB, an alpha channel is dropped when it
        is opaque everywhere, and 16-bit values are divided by 257 and rounded.

    Raises
    ------
    ImageError
        The file cannot be opened, is not an image, is truncated or damaged, is larger than Pillow's
        decompression-bomb limit, has transparent pixels, several frames, or a pixel format that
        has no unambiguous 8-bit RGB equivalent (1-bit, CMYK, Lab, HSV, float, 32-bit integers).

    Notes
    -----
    Color profiles are not applied, as is customary in super-resolution benchmarks. The second
    frame of an MPO photograph (a preview or the other eye of a stereo camera) is ignored.
    """
    path = Path(path)
    try:
        _refuse_special(path)
        with open_quietly(path) as image:
            _refuse_frames(image, path)
            _refuse_missing_rows(image, path)
            sixteen_bit_raw_mode = _sixteen_bit_color(image)
            if sixteen_bit_raw_mode is not None:
                return _read_sixteen_bit_color(path, sixteen_bit_raw_mode)
            _load(image)
            _turn_upright(image)
            return _to_array(image, image.format, path)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"cannot use {path}: it is too large to decode safely ({error})") from None
    except MemoryError:
        raise ImageError(f"cannot use {path}: there is not enough memory to decode it") from None
    except UnidentifiedImageError:
        raise ImageError(f"cannot use {path}: it is empty or not an image file") from None
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise ImageError(f"cannot read {path}: {reason}") from error
    except Exception as error:  # decoders can raise almost anything for damaged files
        reason = f"{type(error).__name__}: {error}"
        raise ImageError(f"cannot decode {path}: the file is damaged ({reason})") from error


def rgb_to_y(image: npt.NDArray[np.uint8], *, rounded: bool = True) -> npt.NDArray[np.float32]:
    """Luma Y of ITU-R BT.601 in studio range, as MATLAB's ``rgb2ycbcr`` computes it.

    Parameters
    ----------
    image : numpy.ndarray
        ``(H, W, 3)`` RGB, or ``(H, W)`` or ``(H, W, 1)`` gray (taken as R = G = B); ``uint8``.
    rounded : bool
        Round to integers (halves up), as MATLAB does for 8-bit images.

    Returns
    -------
    numpy.ndarray
        ``(H, W)``, ``float32``, on the 8-bit scale: 16 for black to 235 for white.

    Raises
    ------
    ImageError
        The array has another shape or is not ``uint8``.

    Notes
    -----
    ``Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255``. The sum is exact in integers, so the
    rounded result does not depend on the machine.

    Examples
    --------
    >>> import numpy as np
    >>> rgb_to_y(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8))
    array([[ 81., 145.,  41.]], dtype=float32)
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ImageError(f"an image for rgb_to_y must be uint8, not {image.dtype}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    weighted: npt.NDArray[np.int32]
    if image.ndim == 2:
        weighted = image.astype(np.int32) * np.int32(219_000)  # the sum of the three weights
    elif image.ndim == 3 and image.shape[2] == 3:
        weighted = np.multiply(image[:, :, 0], 65_481, dtype=np.int32)
        weighted += np.multiply(image[:, :, 1], 128_553, dtype=np.int32)
        weighted += np.multiply(image[:, :, 2], 24_966, dtype=np.int32)
    else:
        raise ImageError(
            f"an image for rgb_to_y must be (H, W), (H, W, 1) or (H, W, 3), not {image.shape}"
        )
    if rounded:
        weighted += 127_500
        weighted //= 255_000
        weighted += 16
        return weighted.astype(np.float32)
    return (weighted / 255_000.0 + 16.0).astype(np.float32)


def open_quietly(path: Path) -> ImageFile.ImageFile:
    """``Image.open`` without warnings: a problem with a file becomes an error, or nothing.

    Pillow warns from 89 Mpixel on and raises from 179 Mpixel on. Aerial photographs are that large
    without being an attack, so only the second limit applies. It also warns about odd metadata.
    """
    with _quiet():
        return Image.open(path)


def _load(image: ImageFile.ImageFile) -> None:
    # The metadata of a TIFF is read last, and may warn then; other formats decode in parallel.
    with _quiet() if image.format == "TIFF" else nullcontext():
        image.load()


def _turn_upright(image: Image.Image) -> None:
    with _quiet():
        ImageOps.exif_transpose(image, in_place=True)


@contextmanager
def _quiet() -> Iterator[None]:
    # Warning filters belong to the whole process, and images are read in several threads.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_special(path: Path) -> None:
    """Refuse files that may never end or that block: pipes, sockets, devices."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise ImageError(f"cannot use {path}: it is {what}, not an image file")


def _refuse_frames(image: Image.Image, path: Path) -> None:
    with _quiet():
        n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format != "MPO":
        raise ImageError(
            f"cannot use {path}: it holds {n_frames} frames (an animation or a multi-page file); "
            "save the frame you want as a separate file"
        )


def _refuse_missing_rows(image: ImageFile.ImageFile, path: Path) -> None:
    """Refuse a TIFF with fewer rows than its header says: Pillow leaves the others black."""
    if image.format != "TIFF":
        return
    ends = [tile[1] for tile in image.tile if tile[1] is not None]
    if any(max((end[side + 2] for end in ends), default=0) < image.size[side] for side in (0, 1)):
        raise ImageError(f"cannot decode {path}: the file is damaged (it lacks parts of the image)")


def _to_array(image: Image.Image, image_format: str | None, path: Path) -> npt.NDArray[np.uint8]:
    """Turn a decoded, upright image into 8-bit gray or RGB values, or refuse it by name."""
    if image.mode in _REFUSED_MODES:
        raise ImageError(
            f"cannot use {path}: {_REFUSED_MODES[image.mode]}; convert it to 8-bit RGB or gray"
        )
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image_format in _SIXTEEN_BIT_FORMATS
    ):
        if "transparency" in image.info:
            raise ImageError(f"cannot use {path}: it is 16-bit gray with a transparent level")
        return _sixteen_to_eight(np.asarray(image))
    if image.mode == "P":
        # A palette may carry transparency as a chunk or in its own mode: RGBA shows both.
        image = image.convert("RGBA")
    elif "transparency" in image.info and image.mode in {"L", "RGB"}:
        # A color key: the pixels of that color are transparent.
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in {"LA", "RGBA", "PA", "La", "RGBa"}:
        if image.mode not in {"LA", "RGBA"}:
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        values = np.asarray(image)
        _refuse_transparency(values[:, :, -1], path)
        colors = values[:, :, 0] if values.shape[2] == 2 else values[:, :, :3]
        return np.ascontiguousarray(colors, dtype=np.uint8)
    if image.mode in {"L", "RGB"}:
        return np.array(image, dtype=np.uint8)
    if image.mode == "RGBX":
        return np.array(image.convert("RGB"), dtype=np.uint8)
    raise ImageError(
        f"cannot use {path}: its pixel format ({image.mode}) has no unambiguous 8-bit equivalent; "
        "convert it to 8-bit RGB or gray"
    )


def _refuse_transparency(alpha: npt.NDArray[Any], path: Path) -> None:
    if int(alpha.min()) != np.iinfo(alpha.dtype).max:
        raise ImageError(
            f"cannot use {path}: it has transparent pixels, whose color depends on a background; "
            "flatten it onto the background you want"
        )


def _sixteen_to_eight(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65_535:
        raise ValueError("its values do not fit in 16 bits")
    return ((wide + _SIXTEEN_TO_EIGHT // 2) // _SIXTEEN_TO_EIGHT).astype(np.uint8)


# --- 16-bit color ------------------------------------------------------------------------------
#
# Pillow has no 16-bit color mode: it opens such files as 8-bit RGB and keeps only the high byte
# of each value, which silently rounds down. Its decoders know little- and big-endian
# source data, though. Decoding twice, once as if the bytes were swapped, yields both bytes.

_RAW_SIXTEEN_BIT = re.compile(r"^(RGB|RGBA|RGBX);16[BLN]$")


def _raw_mode(image: ImageFile.ImageFile) -> str | None:
    """Name of the layout of the samples in the file, when all of the file's tiles share it."""
    names = set()
    for tile in image.tile:
        arguments = tile[3]
        name = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        names.add(name if isinstance(name, str) else None)
    return names.pop() if len(names) == 1 else None


def _sixteen_bit_color(image: ImageFile.ImageFile) -> str | None:
    """The raw mode of an image with 16 bits per color value, else None."""
    raw_mode = _raw_mode(image)
    if raw_mode is None or ";16" not in raw_mode or image.mode.startswith("I"):
        return None
    return raw_mode


def _read_sixteen_bit_color(path: Path, raw_mode: str) -> npt.NDArray[np.uint8]:
    if _RAW_SIXTEEN_BIT.match(raw_mode) is None:
        raise ImageError(
            f"cannot use {path}: 16 bits per value with transparency or in an unusual order "
            f"({raw_mode}); convert it to 8-bit RGB or gray"
        )
    byte_order = raw_mode[-1]
    if byte_order == "N":
        byte_order = "L" if sys.byteorder == "little" else "B"
    swapped = raw_mode[:-1] + ("B" if byte_order == "L" else "L")
    high = _decode_as(path, raw_mode)
    low = _decode_as(path, swapped)
    values = high.astype(np.uint16) * np.uint16(256) + low
    if raw_mode.startswith("RGBA"):
        _refuse_transparency(values[:, :, 3], path)
    return _sixteen_to_eight(values[:, :, :3])


def _decode_as(path: Path, raw_mode: str) -> npt.NDArray[np.uint8]:
    with open_quietly(path) as image:
        image.tile = [
            tile._replace(args=(raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode)
            for tile in image.tile
        ]
        _load(image)
        _turn_upright(image)
        return np.array(image, dtype=np.uint8)
