"""Fidelity to the ground truth: PSNR and SSIM as the tables of the literature print them.

Both are measured on the luma of BT.601 (16 to 235) of 8-bit images, with a border of ``scale``
pixels cut off. Older tables were made in MATLAB, whose ``rgb2ycbcr`` rounds the luma to 8-bit
values; those made with BasicSR and its relatives, as most tables now are, do not round it. PSNR in
dB and SSIM for a scale of 4, of bicubic interpolation (published MATLAB numbers; on the
low-resolution images that MATLAB made) and of the published weights of DAT-light (Chen et al.,
"Dual Aggregation Transformer for Image Super-Resolution", ICCV 2023):

=====================  ==============  ==============  ==============
set                    published       Y rounded       Y not rounded
=====================  ==============  ==============  ==============
bicubic, Set5          28.42 / 0.8104  28.42 / 0.8102  28.43 / 0.8113
bicubic, Set14         26.00 / 0.7027  26.09 / 0.7042  26.09 / 0.7049
bicubic, BSD100        25.96 / 0.6675  25.96 / 0.6673  25.96 / 0.6682
DAT-light, Set5        32.57           32.55           32.57
=====================  ==============  ==============  ==============

The difference grows with the PSNR, so values to compare with today's tables must not be rounded,
and here they are not. Set14 is 0.09 dB above its published number because one of its images is
gray: MATLAB uses its gray values, 0 to 255. Here a gray image is treated as R = G = B, so that a
result does not depend on how many channels a file has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.images import rgb_to_y
from cooanalysis.errors import ConfigError, ImageError
from cooanalysis.metrics.decibels import decibels
from cooanalysis.metrics.metric import Metric
from cooanalysis.metrics.pairs import Image, check_pair, three_channels

Color = Literal["y", "rgb"]

_PEAK = 255.0
_WINDOW = 11
_SIGMA = 1.5


def psnr(sr: Image, hr: Image, *, border: int, color: Color = "y") -> float:
    """Peak signal-to-noise ratio in dB, for a peak of 255.

    Parameters
    ----------
    sr, hr
        uint8 images of equal size, (H, W), (H, W, 1) or (H, W, 3) RGB; gray is treated as R = G =
        B.
    border
        Pixels left out on each side, by convention as many as the scale.
    color
        ``"y"``: luma, see :mod:`cooanalysis.metrics.fidelity`. ``"rgb"``: the mean squared error
        is taken over the three channels.

    Returns
    -------
    float
        Above 0; infinite for images that are equal inside the border.

    Raises
    ------
    ImageError
        If an argument is not a uint8 image, if the sizes differ, or if nothing is left inside
        the border.
    ConfigError
        If ``border`` or ``color`` is invalid.

    Examples
    --------
    >>> black, gray = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 51, np.uint8)
    >>> round(psnr(gray, black, border=0, color="rgb"), 6)  # an error of a fifth of the peak
    13.9794
    """
    a, b = _inside(sr, hr, border, color)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0.0 else float(decibels(_PEAK**2 / error))


def ssim(sr: Image, hr: Image, *, border: int, color: Color = "y") -> float:
    """Structural similarity, as in the MATLAB code of its authors.

    An 11×11 Gaussian window of standard deviation 1.5, only where it lies inside the image;
    K1 = 0.01, K2 = 0.03 and a data range of 255. Wang et al., "Image Quality Assessment: From
    Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004.

    Parameters
    ----------
    sr, hr, border, color
        See :func:`psnr`; ``"rgb"`` gives the mean of the three channels' values.

    Returns
    -------
    float
        From -1 to 1; 1 for images that are equal inside the border.

    Raises
    ------
    ImageError, ConfigError
        See :func:`psnr`; also if the window does not fit inside the border.
    """
    # Imported here: it takes a second, and PSNR does not need it.
    from skimage.metrics import structural_similarity

    a, b = _inside(sr, hr, border, color)
    height, width = a.shape[:2]
    if min(height, width) < _WINDOW:
        raise ImageError(
            f"SSIM needs {_WINDOW}x{_WINDOW} pixels inside the border of {border}; "
            f"{width}x{height} are left"
        )
    # With Gaussian weights scikit-image truncates at 3.5 standard deviations, which are the 11
    # taps, does not divide by n - 1, and leaves the windows that do not fit out of its mean.
    values = [
        structural_similarity(
            a[:, :, channel], b[:, :, channel], data_range=_PEAK, gaussian_weights=True,
            sigma=_SIGMA, use_sample_covariance=False, K1=0.01, K2=0.03,
        )
        for channel in range(a.shape[2])
    ]  # fmt: skip
    return float(np.mean(values))


def _inside(
    sr: Image, hr: Image, border: int, color: Color
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both images as (h, w, channels) inside the border."""
    if color not in ("y", "rgb"):
        raise ConfigError(f"color must be 'y' or 'rgb'; got {color!r}")
    if isinstance(border, bool) or not isinstance(border, (int, np.integer)) or border < 0:
        raise ConfigError(f"border must be a whole number of at least 0; got {border!r}")
    first, second = check_pair(sr, hr)
    height, width = second.shape[:2]
    if min(height, width) <= 2 * border:
        raise ImageError(
            f"nothing is left of {width}x{height} pixels inside a border of {border} pixels"
        )
    inside = (slice(border, height - border), slice(border, width - border))
    values = [
        rgb_to_y(image[inside], rounded=False)[:, :, None]
        if color == "y"
        else three_channels(image[inside])
        for image in (first, second)
    ]
    return values[0].astype(np.float64), values[1].astype(np.float64)


def _of(function: Callable[..., float], color: Color) -> Callable[[Image, Image, int], float]:
    return lambda sr, hr, border: function(sr, hr, border=border, color=color)


PSNR_Y = Metric("psnr_y", "PSNR-Y", "higher", "dB", "fidelity", _of(psnr, "y"), digits=2)
SSIM_Y = Metric("ssim_y", "SSIM-Y", "higher", "", "fidelity", _of(ssim, "y"))
PSNR_RGB = Metric("psnr_rgb", "PSNR-RGB", "higher", "dB", "fidelity", _of(psnr, "rgb"), digits=2)
SSIM_RGB = Metric("ssim_rgb", "SSIM-RGB", "higher", "", "fidelity", _of(ssim, "rgb"))
