"""What the estimators share on tensors. Formulas are those of the arrays, to rounding."""

from __future__ import annotations

import math

import torch

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy._groups import FLAT, RESOLUTION


def standardize(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(g, n, d) to zero mean and unit variance, and the (g, d) logarithms of the scales."""
    if not bool(torch.isfinite(x).all()):
        raise ConfigError("samples must be finite, but hold NaN or infinite values")
    z = x.double()
    mean = z.mean(dim=1, keepdim=True)
    z = z - mean
    variance = (z * z).mean(dim=1)
    flat = variance <= (FLAT * mean[:, 0, :]) ** 2
    scale = torch.where(flat, torch.ones_like(variance), variance).sqrt()
    z = z / scale[:, None, :] * ~flat[:, None, :]
    return z, torch.where(flat, torch.full_like(scale, -math.inf), scale.log())


def correlation(z: torch.Tensor) -> torch.Tensor:
    """(g, d, d) correlations of (g, n, d) standardized samples."""
    return z.mT @ z / z.shape[1]


def log_determinant(correlation: torch.Tensor) -> torch.Tensor:
    """(g,) log-determinants; ``-inf`` where a direction is constant within the resolution."""
    sign, value = torch.linalg.slogdet(correlation)
    suspect = (sign <= 0.0) | (value < 2.0 * math.log(RESOLUTION) + 2.0)
    if bool(suspect.any()):
        smallest = torch.linalg.eigvalsh(correlation[suspect])[:, 0]
        nothing = torch.full_like(smallest, -math.inf)
        degenerate = smallest <= RESOLUTION**2
        value[suspect] = torch.where(degenerate, nothing, value[suspect])
    return value
