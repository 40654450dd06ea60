"""Image quality: fidelity to the ground truth, learned perceptual metrics, and power spectra.

=====================================  ========================================================
module                                 content
=====================================  ========================================================
:mod:`~cooanalysis.metrics.fidelity`   PSNR and SSIM by the protocol of the literature
:mod:`~cooanalysis.metrics.learned`    LPIPS, ST-LPIPS, DISTS, and any metric of ``pyiqa``
:mod:`~cooanalysis.metrics.registry`   all of them by name; to add one, write a file with its
                                       :class:`Metric` and one line in ``METRICS``, or see
                                       :func:`register_metric`
:mod:`~cooanalysis.metrics.selection`  those that can be computed here
:mod:`~cooanalysis.metrics.spectrum`   radially averaged power spectrum
=====================================  ========================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.metrics.metric import Metric
from cooanalysis.metrics.registry import METRICS, register_metric
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.metrics.decibels import mse_to_psnr
    from cooanalysis.metrics.fidelity import psnr, ssim
    from cooanalysis.metrics.selection import available, resolve
    from cooanalysis.metrics.spectrum import radial_power_spectrum

__all__ = [
    "METRICS",
    "Metric",
    "available",
    "mse_to_psnr",
    "psnr",
    "radial_power_spectrum",
    "register_metric",
    "resolve",
    "ssim",
]

# Imported on first use: names of metrics can be listed without NumPy and SciPy.
__getattr__ = exporter(
    __name__,
    {
        "available": "selection",
        "mse_to_psnr": "decibels",
        "psnr": "fidelity",
        "radial_power_spectrum": "spectrum",
        "resolve": "selection",
        "ssim": "fidelity",
    },
)
