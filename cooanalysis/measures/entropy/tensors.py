"""Entropies of groups that are tensors, so that groups on a GPU are measured there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy.compute import checked, entropy
from cooanalysis.measures.entropy.registry import ESTIMATORS

_CHUNK_BYTES = 2**28


def entropy_of_tensors(samples: torch.Tensor, method: str = "gaussian") -> NDArray[np.float64]:
    """Differential entropy of many groups, see :func:`cooanalysis.measures.entropy.entropy`.

    An estimator that has a ``tensor_function`` is computed on the device of the samples, with its
    default options and equal to rounding; all others are computed on the CPU.

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
        Unknown method, wrong shape, or NaN or infinity among the samples; or an estimator whose
        result has the wrong shape or holds NaN.
    NotEnoughDataError
        Fewer points than the estimator needs in d coordinates.
    """
    if samples.ndim != 3:
        raise ConfigError(f"samples must have the shape (G, n, d), got {tuple(samples.shape)}")
    _, n, d = samples.shape
    estimator = ESTIMATORS.find(method)
    function = estimator.tensor_function
    if function is None or n < estimator.min_samples(d):
        return entropy(samples.cpu().numpy(), method)
    step = max(1, _CHUNK_BYTES // (8 * (n * n + 8 * n * d)))
    parts = [
        checked(function(part).cpu().numpy(), part.shape[:1], method)
        for part in (samples[start : start + step] for start in range(0, len(samples), step))
    ]
    return np.concatenate(parts) if parts else np.empty(0)
