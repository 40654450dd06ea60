"""Calibrated distances of patches from the manifold of clean HR patches.

The obvious measure, the pixel distance to the nearest clean patch, says that blur is clean:
smooth patches lie near everything. So a distance is taken in a stated *feature space*, and
divided by the same distance of held-out clean patches: 1.0 means "like a clean image".
The pixel space is kept for comparison and carries its warning.

A feature space is a function from patches to vectors. To add one, write a file with its
:class:`FeatureSpace` and one line in :data:`FEATURE_SPACES`, or see
:func:`register_feature_space`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.measures.manifold.registry import (
    FEATURE_SPACES,
    feature_space,
    register_feature_space,
)
from cooanalysis.measures.manifold.space import FeatureSpace
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.measures.manifold.compute import features
    from cooanalysis.measures.manifold.contrast import contrast_normalized
    from cooanalysis.measures.manifold.coupling import coupling_features
    from cooanalysis.measures.manifold.deep import deep_features
    from cooanalysis.measures.manifold.distance import NEIGHBORS, CleanManifold
    from cooanalysis.measures.manifold.pixels import pixel_features
    from cooanalysis.measures.manifold.sparsity import sparsity_features
    from cooanalysis.measures.manifold.subbands import subband_features
    from cooanalysis.measures.manifold.two_sample import (
        TWO_SAMPLE_SPACES,
        TwoSampleTest,
        two_sample_auc,
        two_sample_features,
    )

__all__ = [
    "FEATURE_SPACES",
    "NEIGHBORS",
    "TWO_SAMPLE_SPACES",
    "CleanManifold",
    "FeatureSpace",
    "TwoSampleTest",
    "contrast_normalized",
    "coupling_features",
    "deep_features",
    "feature_space",
    "features",
    "pixel_features",
    "register_feature_space",
    "sparsity_features",
    "subband_features",
    "two_sample_auc",
    "two_sample_features",
]

# Imported on first use: names of feature spaces can be listed without NumPy and SciPy.
__getattr__ = exporter(
    __name__,
    {
        "NEIGHBORS": "distance",
        "TWO_SAMPLE_SPACES": "two_sample",
        "CleanManifold": "distance",
        "TwoSampleTest": "two_sample",
        "contrast_normalized": "contrast",
        "coupling_features": "coupling",
        "deep_features": "deep",
        "features": "compute",
        "pixel_features": "pixels",
        "sparsity_features": "sparsity",
        "subband_features": "subbands",
        "two_sample_auc": "two_sample",
        "two_sample_features": "two_sample",
    },
)
