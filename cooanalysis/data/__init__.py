"""Data sets, image files, and the low-resolution images made from them.

Data flows from :func:`resolve` (which images?) over :func:`iter_pairs` (their arrays) to the patch
store.
"""

from __future__ import annotations

from cooanalysis.data.datasets import Dataset, data_roots, resolve
from cooanalysis.data.degradation import downsample, modcrop, upsample
from cooanalysis.data.images import read_image, rgb_to_y
from cooanalysis.data.layouts import ImagePair, find_pairs
from cooanalysis.data.loading import Color, LoadedPair, SkippedImage, iter_pairs, load_pair
from cooanalysis.data.registry import DATASETS, Archive, DatasetSpec
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
    "resolve",
    "rgb_to_y",
    "sample_pairs",
    "upsample",
]
