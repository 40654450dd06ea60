"""The embedded data set: photographs that scikit-image and scikit-learn carry in their packages.

It lets every command run without a download. With a handful of images, it shows that things work
and what results look like; it is too small for conclusions.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from cooanalysis.data.pairs import ImagePair
from cooanalysis.errors import MissingDependencyError

__all__ = ["SAMPLE_FILES", "sample_pairs"]

#: Package, folder below it, and files. Left out of scikit-image's folder:
#:
#: * drawings, masks and synthetic images (horse, logo, phantom, chessboard, color);
#: * text and page: scans of print, whose two gray values would be outliers in every statistic;
#: * motorcycle_right: nearly the same image as motorcycle_left, so that an image would find its
#:   own patches in the reference set;
#: * clock_motion and cell: blurred throughout, and thus not high-resolution images in a useful
#: sense;
#: * retina and hubble_deep_field: mostly black, and together nearly as large as all others;
#: * microaneurysms: 102 x 102 pixels.
SAMPLE_FILES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "skimage",
        "data",
        (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "ihc.png",
            "moon.png",
            "motorcycle_left.png",
            "rocket.jpg",
        ),
    ),
    ("sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
)


def sample_pairs() -> tuple[ImagePair, ...]:
    """List the images of the sample set; nothing is imported or downloaded.

    Returns
    -------
    tuple of ImagePair
        14 images, sorted by name: 8 in color (7 photographs and a stained tissue section), 6 gray;
        without low-resolution images. The files belong to the installed packages.

    Raises
    ------
    MissingDependencyError
        scikit-image or scikit-learn is not installed, or its copy lacks one of the images.
    """
    pairs = []
    for package, folder, files in SAMPLE_FILES:
        root = _package_folder(package)
        for file in files:
            path = root.joinpath(*folder.split("/"), file)
            if not path.is_file():
                raise MissingDependencyError(
                    f"the sample image {path} is missing; reinstall {_DISTRIBUTIONS[package]}, "
                    "or give a folder of images instead of 'sample'"
                )
            pairs.append(ImagePair(path.stem, path, None))
    return tuple(sorted(pairs, key=lambda pair: pair.name))


_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def _package_folder(package: str) -> Path:
    # Finding a top-level package does not import it, which keeps this fast.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"the sample images come with {_DISTRIBUTIONS[package]}, which is not installed; "
            f"run: pip install {_DISTRIBUTIONS[package]}"
        )
    return Path(next(iter(spec.submodule_search_locations)))
