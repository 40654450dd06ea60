"""Metrics by name, fidelity and learned alike. Importing this module imports none of them."""

from __future__ import annotations

from cooanalysis.metrics.metric import Metric, check_metric
from cooanalysis.runtime.registry import Registry

PYIQA = "pyiqa:"
"""Prefix of a metric that the package ``pyiqa`` computes, as in ``pyiqa:niqe``."""

_FIDELITY = "cooanalysis.metrics.fidelity"
_LEARNED = "cooanalysis.metrics.learned"

METRICS: Registry[Metric] = Registry(
    "metric",
    "cooanalysis.metrics",
    {
        "psnr_y": f"{_FIDELITY}:PSNR_Y",
        "ssim_y": f"{_FIDELITY}:SSIM_Y",
        "psnr_rgb": f"{_FIDELITY}:PSNR_RGB",
        "ssim_rgb": f"{_FIDELITY}:SSIM_RGB",
        "st-lpips": f"{_LEARNED}:ST_LPIPS",
        "lpips-alex": f"{_LEARNED}:LPIPS_ALEX",
        "lpips-vgg": f"{_LEARNED}:LPIPS_VGG",
        "dists": f"{_LEARNED}:DISTS",
    },
    check=check_metric,
)
"""The metrics that have a name of their own; ``pyiqa:NAME`` adds those of ``pyiqa``, and other
packages add theirs to ``cooanalysis.metrics``."""


def register_metric(metric: Metric, *, replace: bool = False) -> None:
    """Make a metric usable by its name, for as long as this process runs.

    Parameters
    ----------
    metric
        Its name, title, direction, unit, kind and function.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or the function cannot be called as it must.

    Examples
    --------
    >>> import numpy as np
    >>> def mean_error(sr, hr, border):
    ...     "Mean absolute difference of 8-bit values."
    ...     return np.abs(sr.astype(float) - hr).mean()
    >>> register_metric(Metric("mae", "MAE", "lower", "8-bit values", "fidelity", mean_error))
    >>> METRICS["mae"](np.full((4, 4), 3, np.uint8), np.zeros((4, 4), np.uint8))
    3.0
    >>> METRICS.unregister("mae")
    """
    METRICS.register(metric.name, metric, replace=replace)
