"""Log energies of DCT subbands."""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

from cooanalysis.measures.manifold.contrast import Floats, contrast_normalized
from cooanalysis.measures.manifold.space import FeatureSpace

SUBBAND_FLOOR = 1e-3
"""Energy per coefficient below which a subband counts as empty (-30 dB of a patch's contrast)."""


def subband_features(
    patches: Floats, *, n_bands: int = 5, n_orientations: int = 3, floor: float = SUBBAND_FLOOR
) -> Floats:
    """Log energies of DCT subbands of the contrast-normalized patch.

    The coefficients of the two-dimensional DCT-II are grouped by radial frequency (bands
    whose edges grow geometrically from two cycles per patch up to the Nyquist frequency) and by
    orientation (horizontal, diagonal, vertical); each group gives the logarithm of its mean
    energy. Blur shows as missing energy in the upper bands, noise as too much of it.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    n_bands, n_orientations
        Number of radial bands and of orientations.
    floor
        Energy added before the logarithm, relative to a patch of unit variance.

    Returns
    -------
    numpy.ndarray
        (n, n_subbands) float32; subbands that hold no coefficient are left out.
    """
    normalized = contrast_normalized(patches)
    n, size, _ = normalized.shape
    pooling = _subband_pooling(size, n_bands, n_orientations)
    energy = dctn(normalized, axes=(1, 2), norm="ortho").reshape(n, -1) ** 2
    return np.asarray(np.log(energy @ pooling + floor), np.float32)


def _subband_pooling(size: int, n_bands: int, n_orientations: int) -> Floats:
    """(size*size, n_subbands) averaging matrix."""
    v, u = np.meshgrid(np.arange(size), np.arange(size))
    radius = np.maximum(u, v) / size
    edges = np.geomspace(2.0 / size, 1.0, n_bands)
    band = np.searchsorted(edges, radius, side="right")
    angle = np.arctan2(u, v) / (np.pi / 2)
    orientation = np.minimum((angle * n_orientations).astype(int), n_orientations - 1)
    label = (band * n_orientations + orientation).ravel()
    label[0] = -1  # the mean was removed
    members = label[:, None] == np.arange(n_bands * n_orientations)
    counts = members.sum(0)
    return np.asarray(members[:, counts > 0] / counts[counts > 0], np.float32)


SUBBANDS = FeatureSpace("subbands", "log subband energies", subband_features)
