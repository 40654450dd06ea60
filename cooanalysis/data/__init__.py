"""Data sets, image files, and the low-resolution images made from them.

Data flows from :func:`resolve` (which images?) via :func:`iter_pairs` (their arrays) to the patch
store. To add a data set, write a file in :mod:`cooanalysis.data.catalog` with its
:class:`DatasetSpec` and one line in :data:`DATASETS`, or see :func:`register_dataset`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.data.pairs import ImagePair
from cooanalysis.data.registry import DATASETS, register_dataset
from cooanalysis.data.spec import Archive, DatasetSpec
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.data.datasets import Dataset, data_roots, resolve
    from cooanalysis.data.degradation import downsample, modcrop, upsample
    from cooanalysis.data.images import read_image, rgb_to_y
    from cooanalysis.data.layouts import find_pairs
    from cooanalysis.data.loading import Color, LoadedPair, SkippedImage, iter_pairs, load_pair
    from cooanalysis.data.sample import sample_pairs

__all__ = [
    "DATASETS",
    "Archive",
    "Color",
    "Dataset",
    "DatasetSpec",
    "ImagePair",
    "LoadedPair",
    "SkippedImage",
    "data_roots",
    "downsample",
    "find_pairs",
    "iter_pairs",
    "load_pair",
    "modcrop",
    "read_image",
    "register_dataset",
    "resolve",
    "rgb_to_y",
    "sample_pairs",
    "upsample",
]

# Imported on first use: names of data sets can be listed without NumPy and Pillow.
__getattr__ = exporter(
    __name__,
    {
        "Color": "loading",
        "Dataset": "datasets",
        "LoadedPair": "loading",
        "SkippedImage": "loading",
        "data_roots": "datasets",
        "downsample": "degradation",
        "find_pairs": "layouts",
        "iter_pairs": "loading",
        "load_pair": "loading",
        "modcrop": "degradation",
        "read_image": "images",
        "resolve": "datasets",
        "rgb_to_y": "images",
        "sample_pairs": "sample",
        "upsample": "degradation",
    },
)
