"""The entropy estimators on tensors, so that groups that lie on a GPU are measured there.

The same formulas as in :mod:`cooanalysis.measures.entropy`, which documents them, with their
default options; results agree to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, ndtri

from cooanalysis.errors import ConfigError
from cooanalysis.measures import entropy as arrays

_CHUNK_BYTES = 2**28


def entropy(samples: torch.Tensor, method: str = "gaussian") -> NDArray[np.float64]:
    """Differential entropy of many groups, see :func:`cooanalysis.measures.entropy.entropy`.

    Parameters
    ----------
    samples
        (G, n, d) on any device.
    method
        A name in :data:`cooanalysis.measures.entropy.ESTIMATORS`.

    Returns
    -------
    numpy.ndarray
        (G,) float64 nats per dimension; ``-inf`` for groups without a density.

    Raises
    ------
    ConfigError
        Wrong shape, NaN or infinity among the samples, or an unknown method.
    NotEnoughDataError
        Fewer points than the estimator needs in so many coordinates.
    """
    if samples.ndim != 3:
        raise ConfigError(f"samples must have the shape (G, n, d), got {tuple(samples.shape)}")
    _, n, d = samples.shape
    estimator, function = arrays.ESTIMATORS.get(method), _FUNCTIONS.get(method)
    if estimator is None or function is None or n < max(d + 2, estimator.min_samples(d)):
        # Unknown names, groups that are too small or need shrinkage: the arrays' own business.
        return arrays.entropy(samples.cpu().numpy(), method)
    step = max(1, _CHUNK_BYTES // (8 * (n * n + 8 * n * d)))
    parts = [function(samples[start : start + step]) for start in range(0, len(samples), step)]
    return torch.cat(parts).cpu().numpy() if parts else np.empty(0)


def _gaussian(x: torch.Tensor) -> torch.Tensor:
    z, log_scale = _standardize(x)
    _, n, d = z.shape
    marginal = 0.5 * (math.log(n / 2.0) - float(digamma((n - 1) / 2.0)))
    log_det = _log_det(_correlation(z)) - arrays._correlation_noise(n, d)
    return arrays.GAUSSIAN_UNIT_ENTROPY + marginal + log_scale.mean(1) + 0.5 * log_det / d


def _kozachenko_leonenko(x: torch.Tensor, k: int = 3) -> torch.Tensor:
    z, log_scale = _standardize(x)
    _, n, d = z.shape
    correlation = _correlation(z)
    log_det = _log_det(correlation)
    log_volume = log_scale.sum(1)
    degenerate = torch.isneginf(log_det) | torch.isneginf(log_volume)
    correlation[degenerate] = torch.eye(d, dtype=z.dtype, device=z.device)
    root = torch.linalg.cholesky(correlation)
    white = torch.linalg.solve_triangular(root, z.mT, upper=False).mT
    log_volume = log_volume + 0.5 * log_det
    points = white if d <= 8 else white.float()
    # From differences where products would cancel, as cdist chooses for few points only by itself.
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances.diagonal(dim1=1, dim2=2).fill_(-1.0)
    nearest = distances.kthvalue(k + 1, dim=2).values.double() ** 2
    logs = torch.log(nearest.clamp_min(d * arrays.RESOLUTION**2))
    constant = float(digamma(n) - digamma(k)) + 0.5 * d * math.log(math.pi)
    constant -= float(gammaln(0.5 * d + 1))
    values = (constant + log_volume + 0.5 * d * logs.mean(1)) / d
    return values - arrays._nearest_neighbor_null(n, d, k, True)


def _copula(x: torch.Tensor) -> torch.Tensor:
    z, log_scale = _standardize(x)
    _, n, d = z.shape
    flat = torch.isneginf(_log_det(_correlation(z)))
    scores = ndtri(np.arange(1, n + 1) / (n + 1.0))
    scores /= math.sqrt(float(np.mean(scores**2)))
    ordered, order = z.sort(dim=1)
    ranked = torch.from_numpy(scores).to(z.device)[None, :, None].expand_as(z)
    normal = torch.empty_like(z).scatter_(1, order, ranked)
    marginal = _spacing_entropy(ordered.mT) + log_scale
    log_det = _log_det(_correlation(normal)) - arrays._correlation_noise(n, d)
    values = marginal.mean(1) + 0.5 * log_det / d
    return torch.where(flat, torch.full_like(values, -math.inf), values)


def _spacing_entropy(ordered: torch.Tensor) -> torch.Tensor:
    n, m = ordered.shape[-1], arrays._SPACING
    spacings = torch.empty_like(ordered)
    spacings[..., m:-m] = ordered[..., 2 * m :] - ordered[..., : -2 * m]
    spacings[..., :m] = ordered[..., m : 2 * m] - ordered[..., :1]
    spacings[..., -m:] = ordered[..., -1:] - ordered[..., -2 * m : -m]
    index = np.arange(n)
    gaps = np.minimum(index + m, n - 1) - np.maximum(index - m, 0)
    expected = float(np.mean(digamma(gaps)) - digamma(n + 1))
    return torch.log(spacings.clamp_min(arrays.RESOLUTION)).mean(-1) - expected


def _standardize(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if not bool(torch.isfinite(x).all()):
        raise ConfigError("samples must be finite, but hold NaN or infinite values")
    z = x.double()
    mean = z.mean(dim=1, keepdim=True)
    z = z - mean
    variance = (z * z).mean(dim=1)
    flat = variance <= (arrays._FLAT * mean[:, 0, :]) ** 2
    scale = torch.where(flat, torch.ones_like(variance), variance).sqrt()
    z = z / scale[:, None, :] * ~flat[:, None, :]
    return z, torch.where(flat, torch.full_like(scale, -math.inf), scale.log())


def _correlation(z: torch.Tensor) -> torch.Tensor:
    return z.mT @ z / z.shape[1]


def _log_det(correlation: torch.Tensor) -> torch.Tensor:
    sign, value = torch.linalg.slogdet(correlation)
    suspect = (sign <= 0.0) | (value < 2.0 * math.log(arrays.RESOLUTION) + 2.0)
    if bool(suspect.any()):
        smallest = torch.linalg.eigvalsh(correlation[suspect])[:, 0]
        nothing = torch.full_like(smallest, -math.inf)
        degenerate = smallest <= arrays.RESOLUTION**2
        value[suspect] = torch.where(degenerate, nothing, value[suspect])
    return value


_FUNCTIONS: dict[str, Callable[[Any], torch.Tensor]] = {
    "gaussian": _gaussian,
    "kozachenko-leonenko": _kozachenko_leonenko,
    "copula": _copula,
}
