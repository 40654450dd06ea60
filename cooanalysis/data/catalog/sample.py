"""The sample set, whose images lie in installed packages."""

from __future__ import annotations

from cooanalysis.data.sample import sample_pairs
from cooanalysis.data.spec import DatasetSpec

SAMPLE = DatasetSpec(
    name="sample",
    title="Sample",
    folders=(),
    n_images=14,
    homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
    license="public domain, CC0 or CC BY; see the packages scikit-image and scikit-learn",
    citation="S. van der Walt et al., scikit-image: image processing in Python, PeerJ 2014",
    pairs=sample_pairs,
)
