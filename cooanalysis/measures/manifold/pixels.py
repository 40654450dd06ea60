"""Contrast-normalized gray values: the obvious feature space, and a misleading one."""

from __future__ import annotations

from cooanalysis.measures.manifold.contrast import Floats, contrast_normalized
from cooanalysis.measures.manifold.space import FeatureSpace


def pixel_features(patches: Floats) -> Floats:
    """Contrast-normalized gray values, one feature per pixel."""
    normalized = contrast_normalized(patches)
    n, size, _ = normalized.shape
    return normalized.reshape(n, size * size)


PIXELS = FeatureSpace(
    "pixels",
    "pixels (naive)",
    pixel_features,
    whiten=False,
    warning=(
        "pixel distances call blur clean: smooth patches lie near everything, so ratios "
        "below 1 do not mean that a patch is clean; shown for comparison only"
    ),
)
