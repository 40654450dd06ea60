"""Radially averaged power spectrum: how much detail an image has at each frequency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.images import rgb_to_y
from cooanalysis.errors import ConfigError, ImageError

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

_BINS = 64
# A ring needs a few frequencies of the transform, and a window needs a few pixels to taper off.
_SMALLEST = 8


def radial_power_spectrum(
    images: Image | Sequence[Image], *, bins: int | None = None
) -> tuple[Floats, Floats]:
    """Power of the luma at each spatial frequency, averaged over directions and images.

    Luma of BT.601 (not rounded), minus its mean, times a Hann window in both directions (borders of
    an image that do not fit together would leak into all frequencies), Fourier transformed, and
    averaged over rings. Frequencies above 0.5 cycles/pixel, which only diagonals have, are left
    out. Divided by the window's energy, so that white noise of variance v has power v at every
    frequency, whatever the size of the image.

    Parameters
    ----------
    images
        One uint8 image, (H, W), (H, W, 1) or (H, W, 3), or a sequence of them, each at least 8
        pixels high and wide; sizes may differ; every image has the same weight.
    bins
        Number of rings between 0 and 0.5 cycles/pixel; 64, or a quarter of the smallest side
        of any image if that is less.

    Returns
    -------
    frequency : numpy.ndarray
        (bins,) float64, middle of each ring in cycles/pixel.
    power : numpy.ndarray
        (bins,) float64, in squared 8-bit values of luma.

    Raises
    ------
    ImageError
        If an image is not uint8, has another shape, is smaller than 8 pixels, or none is given.
    ConfigError
        If ``bins`` is less than 1 or more than a quarter of the smallest side, where rings would
        be empty.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    >>> frequency, power = radial_power_spectrum(noise, bins=4)
    >>> frequency
    array([0.0625, 0.1875, 0.3125, 0.4375])
    """
    many = [images] if isinstance(images, np.ndarray) and images.ndim <= 3 else list(images)
    if not many:
        raise ImageError("a power spectrum needs at least one image")
    lumas = [rgb_to_y(image, rounded=False) for image in many]
    smallest = min(min(luma.shape) for luma in lumas)
    if smallest < _SMALLEST:
        raise ImageError(
            f"a power spectrum needs images of at least {_SMALLEST} pixels a side; one has "
            f"{smallest}"
        )
    if bins is None:
        bins = min(_BINS, smallest // 4)
    if not 1 <= bins <= smallest // 4:
        raise ConfigError(
            f"bins must be from 1 to {smallest // 4}, a quarter of the smallest side; got {bins}"
        )
    edges = np.linspace(0.0, 0.5, bins + 1)
    power = np.mean([_rings(luma.astype(np.float64), bins) for luma in lumas], axis=0)
    return (edges[:-1] + edges[1:]) / 2.0, power


def radial_cross_power(
    images: Sequence[NDArray[np.floating]], pairs: Sequence[tuple[int, int]], bins: int
) -> Floats:
    """Products of the spectra of several versions of one image, summed over rings.

    Windowed and divided by the window's energy as in :func:`radial_power_spectrum`, but summed and
    not averaged, so that the rings of one image (and those of several) add up.

    Parameters
    ----------
    images
        (H, W) arrays of the same shape.
    pairs
        Numbers of the images whose spectra are multiplied.
    bins
        Number of rings between 0 and 0.5 cycles/pixel.

    Returns
    -------
    numpy.ndarray
        (len(pairs), bins) float64, real parts of the products, in the unit of the images squared:
        for a pair of white-noise images, about the sum of their product over as many pixels as the
        ring has frequencies.
    """
    from scipy.fft import rfft2

    # In single precision throughout: this is done for every image of every model.
    height, width = images[0].shape
    window = (_hann(height)[:, None] * _hann(width)).astype(np.float32)
    spectra = []
    for image in images:
        tapered = image * window
        tapered -= np.float32(tapered.sum(dtype=np.float64) / window.sum()) * window
        spectra.append(rfft2(tapered, overwrite_x=True))
    order, root, edges = _by_ring(height, width, bins)
    rows = np.stack([spectrum.ravel()[order] for spectrum in spectra])
    rows *= root / np.float32(np.sqrt(np.sum(window**2, dtype=np.float64)))
    first, second = (list(numbers) for numbers in zip(*pairs, strict=True))
    products = [
        (part @ part.conj().T).real[first, second]
        for part in (rows[:, start:stop] for start, stop in pairwise(edges))
    ]
    return np.stack(products, axis=1).astype(np.float64)


def _rings(luma: Floats, bins: int) -> Floats:
    """(bins,) mean power of one image's luma in each ring."""
    height, width = luma.shape
    window = _hann(height)[:, None] * _hann(width)
    # The weighted mean: subtracting the unweighted one leaves power at frequency 0, which the
    # window spreads over its neighbors.
    centered = (luma - np.sum(luma * window) / window.sum()) * window
    power = np.abs(np.fft.rfft2(centered)) ** 2 / np.sum(window**2)
    ring, weight, count = _layout(height, width, bins)
    return np.bincount(ring, power.ravel() * weight, minlength=bins) / count


@lru_cache(maxsize=4)
def _by_ring(
    height: int, width: int, bins: int
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Frequencies of ``rfft2`` sorted by ring, roots of their weights, where rings begin."""
    ring, weight, _ = _layout(height, width, bins)
    order = np.argsort(ring, kind="stable")
    edges = np.searchsorted(ring[order], np.arange(bins + 1))
    return order, np.sqrt(weight[order]).astype(np.float32), edges


@lru_cache(maxsize=4)
def _layout(height: int, width: int, bins: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Ring and weight of each frequency of ``rfft2``, and the sum of weights of each ring.

    Cached, because data sets hold many images of few sizes, each evaluated for several models.
    """
    vertical, horizontal = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    radius = np.hypot(vertical, horizontal)
    # rfft2 keeps one of each pair of opposite frequencies, except for the first column and, for an
    # even width, the last one: those hold both.
    weight = np.full(radius.shape, 2.0)
    weight[:, 0] = 1.0
    if width % 2 == 0:
        weight[:, -1] = 1.0
    weight[0, 0] = 0.0  # the mean is not detail
    weight[radius > 0.5] = 0.0
    ring = np.minimum((radius * (2 * bins)).astype(np.intp), bins - 1).ravel()
    count = np.bincount(ring, weight.ravel(), minlength=bins).astype(np.float64)
    return ring, weight.ravel(), count


def _hann(size: int) -> Floats:
    """Hann window whose ends are not zero, so that no pixel is lost."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
