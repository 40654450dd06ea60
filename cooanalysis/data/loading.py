"""From image files to the arrays that patches are cut from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from cooanalysis.data.datasets import Dataset
from cooanalysis.data.degradation import downsample, modcrop, upsample
from cooanalysis.data.images import open_quietly, read_image, rgb_to_y
from cooanalysis.data.pairs import ImagePair
from cooanalysis.errors import ConfigError, ImageError
from cooanalysis.runtime.environment import thread_limit

__all__ = ["Color", "LoadedPair", "SkippedImage", "iter_pairs", "load_pair"]

Color = Literal["y", "rgb"]

# A low-resolution image and the downsampled high-resolution one correlate at 0.99 and more when
# both show the same scene, whatever the degradation; two unrelated images rarely reach 0.6.
_SAME_SCENE = 0.8

# Below this standard deviation (8-bit values) an image is flat and a correlation compares only
# noise.
_FLAT = 2.0


@dataclass(frozen=True, eq=False)
class LoadedPair:
    """One image in memory, ready for cutting patches. C is 1 for color "y" and 3 for "rgb".

    Attributes
    ----------
    name : str
        As in its :class:`~cooanalysis.data.layouts.ImagePair`.
    hr : numpy.ndarray
        ``(H, W, C)``, ``uint8``, 0..255 (16..235 for "y"); H and W are multiples of the
        scale.
    lr : numpy.ndarray
        ``(H / scale, W / scale, C)``, ``uint8``.
    upsampled : numpy.ndarray
        ``(H, W, C)``, ``float32``, on the 8-bit scale: U(lr), not clipped.
    lr_source : {"dataset", "made"}
        Whether the low-resolution image came with the data set or was made here.
    """

    name: str
    hr: npt.NDArray[np.uint8]
    lr: npt.NDArray[np.uint8]
    upsampled: npt.NDArray[np.float32]
    lr_source: Literal["dataset", "made"]


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be used, and a sentence with the reason."""

    name: str
    path: Path
    reason: str


def load_pair(pair: ImagePair, *, scale: int, color: Color) -> LoadedPair:
    """Read an image, get or make its low-resolution version, and convert both to `color`.

    Parameters
    ----------
    pair : ImagePair
        The files of the image.
    scale : int
        At least 1.
    color : {"y", "rgb"}
        ``"y"``: the rounded luma of BT.601 (:func:`~cooanalysis.data.images.rgb_to_y`);
        ``"rgb"``: the three channels, which are equal for a gray image.

    Returns
    -------
    LoadedPair
        The high-resolution image is cropped to a multiple of `scale` at the bottom and right. A
        missing low-resolution image is made from it in RGB, before the conversion, as the data
        sets' own images were.

    Raises
    ------
    ConfigError
        `scale` or `color` is invalid.
    ImageError
        A file cannot be used, the high-resolution image is smaller than `scale`, or the data set's
        low-resolution image is not ``floor(H / scale) x floor(W / scale)`` pixels large or shows
        something else.
    """
    if color not in ("y", "rgb"):
        raise ConfigError(f"color must be 'y' or 'rgb', not {color!r}")
    hr_file = read_image(pair.hr_path)
    try:
        hr_image = modcrop(hr_file, scale)
    except ImageError as error:
        raise ImageError(f"cannot use {pair.hr_path}: {error}") from None
    hr = _to_color(hr_image, color)
    if pair.lr_path is None:
        lr_image = downsample(hr_image, scale)
    else:
        lr_image = read_image(pair.lr_path)
        hr_luma = hr if color == "y" else _to_color(hr_image, "y")
        _check_same_scene(pair, hr_luma, lr_image, scale)
    lr = _to_color(lr_image, color)
    return LoadedPair(
        name=pair.name,
        hr=hr,
        lr=lr,
        upsampled=upsample(lr, scale),
        lr_source="made" if pair.lr_path is None else "dataset",
    )


def iter_pairs(
    dataset: Dataset, *, color: Color, strict: bool = False
) -> Iterator[LoadedPair | SkippedImage]:
    """Load the images of a data set one after the other.

    Parameters
    ----------
    dataset : Dataset
        As :func:`~cooanalysis.data.datasets.resolve` returns it.
    color : {"y", "rgb"}
        See :func:`load_pair`.
    strict : bool
        Raise at the first image that cannot be used instead of skipping it.

    Yields
    ------
    LoadedPair or SkippedImage
        One for every pair of the data set, in its order.

    Raises
    ------
    ConfigError
        See :func:`load_pair`.
    ImageError
        With `strict`, see :func:`load_pair`.
    """
    # Pillow releases the interpreter lock while it decodes and resizes. A window bounds how many
    # images are in memory ahead of the caller.
    workers = min(thread_limit(), 8)
    pairs = iter(dataset.pairs)
    with ThreadPoolExecutor(max_workers=workers) as pool:

        def submit(pair: ImagePair) -> tuple[ImagePair, Future[LoadedPair]]:
            return pair, pool.submit(load_pair, pair, scale=dataset.scale, color=color)

        window = deque(submit(pair) for pair in islice(pairs, 2 * workers))
        try:
            while window:
                pair, future = window.popleft()
                try:
                    yield future.result()
                except ImageError as error:
                    if strict:
                        raise
                    yield SkippedImage(pair.name, pair.hr_path, str(error))
                window.extend(submit(following) for following in islice(pairs, 1))
        finally:
            for _, future in window:
                future.cancel()


def header_pixels(dataset: Dataset) -> int:
    """HR pixels of a data set, from the headers of its files; files that are not images count 0."""
    total = 0
    for pair in dataset.pairs:
        try:
            with open_quietly(pair.hr_path) as image:
                total += image.width * image.height
        except Exception:  # loading will report what is wrong
            continue
    return total


def _to_color(image: npt.NDArray[np.uint8], color: Color) -> npt.NDArray[np.uint8]:
    if color == "y":
        return rgb_to_y(image).astype(np.uint8)[:, :, np.newaxis]
    if image.ndim == 2:
        return np.repeat(image[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(image)


def _check_same_scene(
    pair: ImagePair, hr_luma: npt.NDArray[np.uint8], lr: npt.NDArray[np.uint8], scale: int
) -> None:
    wanted = (hr_luma.shape[0] // scale, hr_luma.shape[1] // scale)
    if lr.shape[:2] != wanted:
        raise ImageError(
            f"cannot use {pair.lr_path}: it has {lr.shape[0]} x {lr.shape[1]} pixels, but "
            f"{pair.hr_path} ({hr_luma.shape[0]} x {hr_luma.shape[1]}) at scale {scale} needs "
            f"{wanted[0]} x {wanted[1]}; check that the scale and the files belong together"
        )
    ours = downsample(hr_luma, scale).astype(np.float32).ravel()
    theirs = rgb_to_y(lr).ravel()
    if min(ours.std(), theirs.std()) < _FLAT:
        return
    correlation = float(np.corrcoef(ours, theirs)[0, 1])
    if correlation < _SAME_SCENE:
        raise ImageError(
            f"cannot use {pair.name}: {pair.lr_path} and {pair.hr_path} show different scenes "
            f"(correlation {correlation:.2f}); check that the files belong together"
        )
