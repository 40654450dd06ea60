"""Energy of fine bands, and how unevenly it is spread over the patch."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from cooanalysis.measures.manifold.contrast import Floats, contrast_normalized
from cooanalysis.measures.manifold.space import FeatureSpace

SPARSITY_FLOOR = 1e-4
"""Energy below which a band counts as empty (-40 dB of a patch's contrast)."""

VARIATION_FLOOR = 0.05
"""Added to a coefficient of variation before its logarithm."""


def sparsity_features(
    patches: Floats, *, sigmas: tuple[float, ...] = (0.6, 1.2, 2.4), window: float = 1.5
) -> Floats:
    """How much energy each fine band of a patch has, and how unevenly it is spread.

    The contrast-normalized patch is split into bands by differences of Gaussians. Of each band's
    local energy (the square, averaged by a Gaussian window) two numbers are kept: the logarithm of
    its mean, and that of its coefficient of variation over the patch. Detail of natural images is
    sparse: edges and grains here, nothing there. Noise has energy too, but everywhere alike, so it
    does not pass for detail, as it does where only mean energies are compared. The features are
    our own choice, made by experiment (see ``docs/compare.md``).

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    sigmas
        Standard deviations in pixels of the Gaussians between which the bands lie; the finest band
        is above the first.
    window
        Standard deviation in pixels of the local average.

    Returns
    -------
    numpy.ndarray
        (n, 2·len(sigmas)) float32.
    """
    finer = contrast_normalized(patches)
    features = []
    smooth = finer
    for sigma in sigmas:
        coarser = gaussian_filter(finer, (0, sigma, sigma), mode="reflect")
        energy = gaussian_filter((smooth - coarser) ** 2, (0, window, window), mode="reflect")
        energy = energy + SPARSITY_FLOOR
        mean = energy.mean(axis=(1, 2))
        features += [np.log(mean), np.log(energy.std(axis=(1, 2)) / mean + VARIATION_FLOOR)]
        smooth = coarser
    return np.stack(features, axis=1).astype(np.float32)


SPARSITY = FeatureSpace("sparsity", "energy and its sparsity", sparsity_features)
