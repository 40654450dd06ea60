"""Relativistic average GAN losses.

Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN",
ICLR 2019 (arXiv 1807.00734), equations 14 and 15 with the binary cross-entropy; used for
super-resolution by Wang et al., ESRGAN, ECCVW 2018 (arXiv 1809.00219). The discriminator estimates
whether a real image is *more real than the average fake one*, and vice versa.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus


def _relativistic(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    # In float32, because half precision is too coarse for the mean of many logits.
    real, fake = real_logits.float(), fake_logits.float()
    return real - fake.mean(), fake - real.mean()


class RaGANGeneratorLoss(nn.Module):
    """Loss of the generator: fakes should look more real than the average real image, and vice
    versa.

    Both halves have gradients, so the logits of the real images must not be computed without
    gradients *of the discriminator's input*; those of the fakes carry the gradient to the
    generator.

    Examples
    --------
    >>> import torch
    >>> loss = RaGANGeneratorLoss()
    >>> round(float(loss(torch.zeros(4, 1), torch.zeros(4, 1))), 4)  # log 2
    0.6931
    """

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Logits of any shape to a scalar (float32, nats, >= 0)."""
        real, fake = _relativistic(real_logits, fake_logits)
        return (softplus(real).mean() + softplus(-fake).mean()) / 2


class RaGANDiscriminatorLoss(nn.Module):
    """Loss of the discriminator: the mirror image of :class:`RaGANGeneratorLoss`.

    Examples
    --------
    >>> import torch
    >>> loss = RaGANDiscriminatorLoss()
    >>> sure = loss(torch.full((4, 1), 9.0), torch.full((4, 1), -9.0))
    >>> bool(sure < 1e-4)
    True
    """

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Logits of any shape to a scalar (float32, nats, >= 0)."""
        real, fake = _relativistic(real_logits, fake_logits)
        return (softplus(-real).mean() + softplus(fake).mean()) / 2
