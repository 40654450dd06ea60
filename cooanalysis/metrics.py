"""Image quality against the truth: fidelity, and learned perceptual metrics where they are had.

Protocol of the super-resolution literature: luma of BT.601 (16 to 235), a border of ``scale``
pixels left out, SSIM with an 11×11 Gaussian window of standard deviation 1.5 over the pixels for
which the window fits (Wang et al., "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE TIP 2004).

To add a metric, write a function and one line in :data:`METRICS`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.images import rgb_to_y
from cooanalysis.errors import ConfigError, ImageError, MissingDependencyError

Image = NDArray[np.uint8]
Colour = Literal["y", "rgb"]

_PEAK = 255.0
_WINDOW = 11


def psnr(sr: Image, hr: Image, *, border: int, colour: Colour = "y") -> float:
    """Peak signal-to-noise ratio in dB.

    Parameters
    ----------
    sr, hr
        uint8 images of one size, (H, W), (H, W, 1) or (H, W, 3).
    border
        Pixels left out on each side; use the scale.
    colour
        ``"y"`` (luma, unrounded) or ``"rgb"``.

    Returns
    -------
    float
        Infinite for equal images.

    Raises
    ------
    ImageError
        If the images differ in size, are not uint8, or nothing is left inside the border.
    """
    a, b = _inside(sr, hr, border, colour)
    error = float(np.mean((a - b) ** 2))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(_PEAK**2 / error))


def ssim(sr: Image, hr: Image, *, border: int, colour: Colour = "y") -> float:
    """Structural similarity, 1 for equal images; for ``"rgb"`` the mean of the channels.

    Parameters, errors: see :func:`psnr`; the image inside the border must hold the 11×11 window.
    """
    from skimage.metrics import structural_similarity

    a, b = _inside(sr, hr, border, colour)
    if min(a.shape[:2]) < _WINDOW:
        raise ImageError(
            f"SSIM needs {_WINDOW}x{_WINDOW} pixels inside the border; got "
            f"{a.shape[1]}x{a.shape[0]}"
        )
    values = []
    for channel in range(a.shape[2]):
        _, full = structural_similarity(
            a[:, :, channel], b[:, :, channel], data_range=_PEAK, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        # scikit-image pads beyond the border; the protocol only counts windows that fit.
        edge = _WINDOW // 2
        values.append(full[edge:-edge, edge:-edge].mean())
    return float(np.mean(values))


def _inside(
    sr: Image, hr: Image, border: int, colour: Colour
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if colour not in ("y", "rgb"):
        raise ConfigError(f"colour must be 'y' or 'rgb'; got {colour!r}")
    if sr.dtype != np.uint8 or hr.dtype != np.uint8:
        raise ImageError(f"images must be uint8; got {sr.dtype} and {hr.dtype}")
    if sr.shape[:2] != hr.shape[:2]:
        raise ImageError(
            f"images must have one size; got {sr.shape[1]}x{sr.shape[0]} and "
            f"{hr.shape[1]}x{hr.shape[0]}"
        )
    if min(hr.shape[:2]) <= 2 * border:
        raise ImageError(f"nothing is left inside a border of {border} pixels")
    cut = slice(border, -border or None)
    found = []
    for image in (sr, hr):
        values = rgb_to_y(image, rounded=False) if colour == "y" else _three(image)
        found.append(np.atleast_3d(np.asarray(values, np.float64))[cut, cut])
    return found[0], found[1]


def _three(image: Image) -> Image:
    flat = image if image.ndim == 3 else image[:, :, None]
    return np.repeat(flat, 3, axis=2) if flat.shape[2] == 1 else flat


# --- learned metrics ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _st_lpips_network() -> Any:
    with warnings.catch_warnings():
        # The package calls torchvision in a way that torchvision warns about.
        warnings.simplefilter("ignore")
        from stlpips_pytorch import stlpips

        return stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False).eval()


def _st_lpips(sr: Image, hr: Image, border: int) -> float:
    import torch

    network = _st_lpips_network()
    pair = [
        torch.from_numpy(np.ascontiguousarray(_three(image))).permute(2, 0, 1)[None].float() / 255.0
        for image in (sr, hr)
    ]
    with torch.inference_mode():
        return float(network(*pair, normalize=True))


def _st_lpips_missing() -> str | None:
    needed = {
        "torch": "torch", "torchvision": "torchvision", "stlpips_pytorch": "stlpips_pytorch",
        "torchsummary": "torchsummary", "IPython": "ipython", "cv2": "opencv-python-headless",
    }  # fmt: skip
    lacking = [pip for module, pip in needed.items() if importlib.util.find_spec(module) is None]
    if not lacking:
        return None
    return f"install {' '.join(lacking)}, or `pip install 'cooanalysis[perceptual]'`"


@dataclass(frozen=True)
class Metric:
    """A metric of one image against its truth.

    Attributes
    ----------
    name, title
        Short name (option value, column) and a title for tables.
    better
        ``"higher"`` or ``"lower"``.
    unit
        Unit, empty for none.
    function
        From (sr, hr, border) to a float.
    missing
        Returns why the metric cannot be computed here and what to do, or None.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    unit: str
    function: Callable[[Image, Image, int], float]
    missing: Callable[[], str | None] = lambda: None

    def __call__(self, sr: Image, hr: Image, *, border: int = 0) -> float:
        """Compute the metric; learned metrics look at the whole image, whatever ``border`` is."""
        if (reason := self.missing()) is not None:
            raise MissingDependencyError(f"metric {self.name} cannot be computed here: {reason}")
        return self.function(sr, hr, border)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr_y", "PSNR-Y", "higher", "dB", lambda a, b, n: psnr(a, b, border=n)),
        Metric("ssim_y", "SSIM-Y", "higher", "", lambda a, b, n: ssim(a, b, border=n)),
        Metric("st-lpips", "ST-LPIPS", "lower", "", _st_lpips, _st_lpips_missing),
    )
}


def resolve(names: list[str]) -> list[Metric]:
    """Metrics by name.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"metric must be one of {', '.join(METRICS)}; got {name!r}")
    return [METRICS[name] for name in names]
