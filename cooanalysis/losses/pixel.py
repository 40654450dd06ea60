"""Pixel losses that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cooanalysis.errors import ConfigError


class CharbonnierLoss(nn.Module):
    """Mean of ``sqrt(difference² + epsilon²)``: an L1 loss that is smooth at zero.

    Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017
    (arXiv 1704.03915).

    Parameters
    ----------
    epsilon
        Difference at which the loss turns from squared to absolute, in units of the image.

    Examples
    --------
    >>> import torch
    >>> float(CharbonnierLoss(epsilon=3.0)(torch.tensor([4.0]), torch.tensor([0.0])))
    5.0
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        if epsilon <= 0:
            raise ConfigError(f"epsilon must be above 0; got {epsilon}")
        self.epsilon = epsilon

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors of the same shape to a scalar."""
        return torch.sqrt((sr - hr) ** 2 + self.epsilon**2).mean()
