r"""Differential entropy of potential-HR groups: three estimators with known answers.

How many high-resolution patches share one low-resolution patch, and how far apart they
lie, is measured by the conditional entropy :math:`h(Y \mid X = x)`. A group of ``n`` details
in ``d`` coordinates stands for the distribution behind it, and three estimators look at it
from different sides:

========================  =====================================================================
``gaussian``              Entropy of the Gaussian with the group's covariance. Exactly unbiased
                          for Gaussian groups of any covariance; an upper bound for all others.
``kozachenko-leonenko``   Nearest-neighbor distances after whitening, calibrated on Gaussian
                          groups of the same ``n`` and ``d``. Sees any shape in a few dimensions;
                          in many (d > 8) it hardly distinguishes a box or clusters from a Gaussian.
``copula``                Spacing entropies of the coordinates plus a Gaussian copula. Sees the
                          shape of every coordinate, and only linear-like dependence.
========================  =====================================================================

All entropies are in **nats per dimension**: the joint entropy divided by ``d``. All functions
are pure functions of arrays. To add an estimator, write a file with its
:class:`Estimator` and one line in :data:`ESTIMATORS`, or see :func:`register_estimator`;
:func:`reliability` measures how reliable an estimator is at the sizes of a given run.

A group that lies in a hyperplane (a constant coordinate, or coordinates that are linearly
dependent) has no density, and its entropy is ``-inf`` by every estimator. A direction counts as
constant when its standard deviation is below :data:`RESOLUTION` of that of the standardized
coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.measures.entropy.estimator import Estimator
from cooanalysis.measures.entropy.registry import ESTIMATORS, estimator_title, register_estimator
from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.measures.entropy._groups import GAUSSIAN_UNIT_ENTROPY, RESOLUTION
    from cooanalysis.measures.entropy.bounds import (
        entropy_power,
        marginal_mmse_floor,
        mmse_floor,
        psnr_ceiling,
    )
    from cooanalysis.measures.entropy.compute import entropy
    from cooanalysis.measures.entropy.copula import copula_entropy, marginal_entropies
    from cooanalysis.measures.entropy.gaussian import (
        gaussian_entropy,
        ledoit_wolf_intensity,
        oas_intensity,
    )
    from cooanalysis.measures.entropy.kozachenko_leonenko import (
        count_ties,
        kozachenko_leonenko_entropy,
    )
    from cooanalysis.measures.entropy.trials import (
        NULLS,
        TOLERANCE,
        Reliability,
        ReliabilityCode,
        reliability,
    )

__all__ = [
    "ESTIMATORS",
    "GAUSSIAN_UNIT_ENTROPY",
    "NULLS",
    "RESOLUTION",
    "TOLERANCE",
    "Estimator",
    "Reliability",
    "ReliabilityCode",
    "copula_entropy",
    "count_ties",
    "entropy",
    "entropy_power",
    "estimator_title",
    "gaussian_entropy",
    "kozachenko_leonenko_entropy",
    "ledoit_wolf_intensity",
    "marginal_entropies",
    "marginal_mmse_floor",
    "mmse_floor",
    "oas_intensity",
    "psnr_ceiling",
    "register_estimator",
    "reliability",
]

# Imported on first use: names of estimators can be listed without NumPy and SciPy.
__getattr__ = exporter(
    __name__,
    {
        "GAUSSIAN_UNIT_ENTROPY": "_groups",
        "NULLS": "trials",
        "RESOLUTION": "_groups",
        "TOLERANCE": "trials",
        "Reliability": "trials",
        "ReliabilityCode": "trials",
        "copula_entropy": "copula",
        "count_ties": "kozachenko_leonenko",
        "entropy": "compute",
        "entropy_power": "bounds",
        "gaussian_entropy": "gaussian",
        "kozachenko_leonenko_entropy": "kozachenko_leonenko",
        "ledoit_wolf_intensity": "gaussian",
        "marginal_entropies": "copula",
        "marginal_mmse_floor": "bounds",
        "mmse_floor": "bounds",
        "oas_intensity": "gaussian",
        "psnr_ceiling": "bounds",
        "reliability": "trials",
    },
)
