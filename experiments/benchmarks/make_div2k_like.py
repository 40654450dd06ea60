"""Make a data set with DIV2K's layout, sizes and count from any folder of photographs.

    python -m experiments.benchmarks.make_div2k_like path/to/BSDS400 data/DIV2K --images 800

For runs of full size when DIV2K itself is not available. Every image is a mosaic of pieces of the
photographs, each rotated by any angle, downscaled a little and perhaps flipped, so that pieces of
one photograph do not share patches. Statistics of patches are those of the photographs; seams
between pieces and the repetition of scenes are not natural, so measure cost on such a set, nothing
else. The same seed gives the same images, and existing images are not made again.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from cooanalysis.data import find_pairs, read_image
from cooanalysis.data.degradation import downsample

LONG, SHORT = 2040, 1356
"""Sides of an image in pixels; a quarter of the images are in portrait format."""
PIECE = 204
"""Side of a piece of the mosaic."""
SHRINK = (0.7, 1.0)
SCALE = 4


def main(
    source: Annotated[Path, typer.Argument(help="Folder of photographs.")],
    out: Annotated[Path, typer.Argument(help="Folder for the data set.")],
    images: Annotated[int, typer.Option(help="How many images to make.")] = 800,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
) -> None:
    """Make the images and their LR versions."""
    if not photographs(source):
        raise typer.BadParameter(f"{source} holds no image of at least {PIECE}x{PIECE} pixels")
    for folder in folders(out):
        folder.mkdir(parents=True, exist_ok=True)
    work = partial(make, source, out, seed)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(track(pool.map(work, range(1, images + 1)), "images", total=images))


@cache
def photographs(source: Path) -> list[NDArray[np.uint8]]:
    """Photographs that pieces are cut from; read once per process."""
    found = [color(read_image(pair.hr_path)) for pair in find_pairs(source, 1)]
    return [image for image in found if min(image.shape[:2]) >= PIECE]


def folders(out: Path) -> tuple[Path, Path]:
    """Folders of HR and of LR images."""
    return out / "DIV2K_train_HR", out / f"DIV2K_train_LR_bicubic/X{SCALE}"


def make(source: Path, out: Path, seed: int, number: int) -> None:
    """Make one pair of images, unless it exists."""
    hr, lr = folders(out)
    small = lr / f"{number:04d}x{SCALE}.png"
    if small.is_file():
        return
    image = mosaic(photographs(source), np.random.default_rng((seed, number)))
    save(image, hr / f"{number:04d}.png")
    save(downsample(image, SCALE), small)


def color(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three channels."""
    image = image.reshape(*image.shape[:2], -1)
    return image if image.shape[2] == 3 else image[:, :, :1].repeat(3, axis=2)


def mosaic(photographs: list[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One image, (1356, 2040, 3) or in portrait format."""
    shape = (LONG, SHORT) if rng.random() < 0.25 else (SHORT, LONG)
    image = np.empty((*shape, 3), np.uint8)
    for top in range(0, shape[0], PIECE):
        for left in range(0, shape[1], PIECE):
            height, width = min(PIECE, shape[0] - top), min(PIECE, shape[1] - left)
            image[top : top + height, left : left + width] = piece(
                photographs[rng.integers(len(photographs))], rng
            )[:height, :width]
    return image


def piece(photograph: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A piece of a photograph, rotated, downscaled and perhaps flipped."""
    # A rotated square needs up to the square root of two times its side.
    factor = max(rng.uniform(*SHRINK), 1.5 * PIECE / min(photograph.shape[:2]))
    picture = Image.fromarray(photograph)
    if factor < 1.0:
        picture = picture.resize(
            tuple(round(factor * side) for side in picture.size), Image.Resampling.LANCZOS
        )
    turned = picture.rotate(rng.uniform(0.0, 360.0), Image.Resampling.BICUBIC)
    reach = (min(picture.size) / 2.0 - PIECE * 0.7072) / 1.4143
    middle = [side / 2.0 + rng.uniform(-1.0, 1.0) * max(0.0, reach) for side in picture.size]
    left, top = (
        int(np.clip(m - PIECE / 2, 0, s - PIECE)) for m, s in zip(middle, picture.size, strict=True)
    )
    cut = np.asarray(turned)[top : top + PIECE, left : left + PIECE]
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def save(image: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG completely or not at all."""
    partial = path.with_suffix(".partial")
    Image.fromarray(image).save(partial, format="PNG", compress_level=1)
    partial.replace(path)


if __name__ == "__main__":
    typer.run(main)
