"""Image quality: fidelity to the truth, learned perceptual metrics, and power spectra.

=====================================  ========================================================
module                                 what
=====================================  ========================================================
:mod:`~cooanalysis.metrics.fidelity`   PSNR and SSIM by the protocol of the literature
:mod:`~cooanalysis.metrics.learned`    LPIPS, ST-LPIPS, DISTS, and any metric of ``pyiqa``
:mod:`~cooanalysis.metrics.registry`   all of them by name; to add one, add a line to ``METRICS``
:mod:`~cooanalysis.metrics.spectrum`   radially averaged power spectrum
=====================================  ========================================================
"""

from cooanalysis.metrics.fidelity import psnr, ssim
from cooanalysis.metrics.registry import METRICS, Metric, available, resolve
from cooanalysis.metrics.spectrum import radial_power_spectrum

__all__ = ["METRICS", "Metric", "available", "psnr", "radial_power_spectrum", "resolve", "ssim"]
