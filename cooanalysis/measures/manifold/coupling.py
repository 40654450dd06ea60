"""How the bands of a patch go together: is fine detail where coarse structure calls for it?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.ndimage import gaussian_filter

from cooanalysis.measures.manifold.contrast import Floats, contrast_normalized
from cooanalysis.measures.manifold.space import FeatureSpace

COUPLING_FLOOR = 1e-4
"""Energy added to that of a band (-40 dB of a patch's contrast), so that empty bands count as
uncorrelated."""


def coupling_features(
    patches: Floats, *, sigmas: tuple[float, ...] = (0.6, 1.2, 2.4, 4.8), window: float = 1.5
) -> Floats:
    """Energies of the bands of a patch, their kurtosis, and the correlations between bands.

    The contrast-normalized patch is split into bands by differences of Gaussians. Of each band the
    logarithms of its mean square and of its kurtosis are kept, and of each pair of bands two
    correlations over the patch: that of the bands themselves, which an edge gives one sign and a
    sharpened or blurred edge another size, and that of their local amplitudes. In a photograph fine
    detail is where coarse structure is, so detail in the wrong place, of another patch, or of no
    place (noise) lowers the latter, even where every band has the energy that it should have.
    Correlations across scales are what Portilla & Simoncelli, "A parametric texture model based on
    joint statistics of complex wavelet coefficients" (IJCV 2000), describe textures by; bands and
    windows here are our own choice.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    sigmas
        Standard deviations in pixels of the Gaussians between which the bands lie; the finest band
        is above the first.
    window
        Standard deviation in pixels of the local average that amplitudes are taken from.

    Returns
    -------
    numpy.ndarray
        (n, b·(b + 1)) float32 for b = len(sigmas) bands.
    """
    patch = contrast_normalized(patches)
    bands, smooth = [], patch
    for sigma in sigmas:
        coarser = gaussian_filter(patch, (0, sigma, sigma), mode="reflect")
        bands.append(smooth - coarser)
        smooth = coarser
    features = []
    for band in bands:
        energy = np.mean(band**2, axis=(1, 2))
        fourth = np.mean(band**4, axis=(1, 2))
        features.append(np.log(energy + COUPLING_FLOOR))
        features.append(
            np.log((fourth + COUPLING_FLOOR**1.5) / (energy + 10 * COUPLING_FLOOR) ** 2)
        )
    amplitudes = [
        np.sqrt(gaussian_filter(band**2, (0, window, window), mode="reflect")) for band in bands
    ]
    for pairs in (combinations(bands, 2), combinations(amplitudes, 2)):
        features += [_correlation(first, second) for first, second in pairs]
    return np.stack(features, axis=1).astype(np.float32)


def _correlation(first: Floats, second: Floats) -> Floats:
    """(n,) correlation over each patch, drawn to 0 where either has little energy."""
    first, second = (x - x.mean(axis=(1, 2), keepdims=True) for x in (first, second))
    variances = [np.mean(x**2, axis=(1, 2)) + COUPLING_FLOOR for x in (first, second)]
    return np.asarray(
        np.mean(first * second, axis=(1, 2)) / np.sqrt(variances[0] * variances[1]), np.float32
    )


COUPLING = FeatureSpace("coupling", "coupling of bands", coupling_features)
