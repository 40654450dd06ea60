"""DECLoss: the Detail Enhanced Contrastive Loss.

Xu et al., "Uncovering the Over-Smoothing Challenge in Image Super-Resolution: Entropy-Based
Quantification and Contrastive Optimization", TPAMI 2024 (arXiv 2201.01034).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cooanalysis.errors import ConfigError

_LUMA = (65.481 / 219.0, 128.553 / 219.0, 24.966 / 219.0)


class DECLoss(nn.Module):
    r"""Pull the detail of every patch toward similar ground-truth details and away from all others.

    A pixel loss is minimized by the center of all images that share the input. This loss is not:
    the details of two different patches, which the center makes alike, must stay distinct.

    1. *High-frequency enhancement.* An image's detail is the image minus its average-pooled and
       bicubically enlarged self, in luma.
    2. *Spatial contrast.* Patches of SR detail are the anchors ``s_i``, patches of HR detail the
       keys ``h_j`` of the whole batch. Keys whose detail looks like ``h_i`` (cosine similarity
       above ``similarity``; ``h_i`` itself always) are the positives of anchor ``i``, all other
       keys its negatives.
    3. *Amplitude matters.* With ``a_i = s_i / |h_i|`` and ``k_j = h_j / |h_j|`` the logits are

       .. math:: l_{ij} = -|a_i - k_j|^2 / (2 \tau)

       The anchor is divided by the norm of the *ground truth*, so a detail that shrinks toward the
       center loses contrast and is penalized; dividing it by its own norm, as is usual, would hide
       the shrinking.
    4. *Both directions.* Every anchor must find its positives among all keys, and every key its
    anchors
       among all anchors; the loss is the mean of the two contrasts over patches and directions,

       .. math:: -\log \frac{\sum_{j \in P_i} e^{l_{ij}}}{\sum_j e^{l_{ij}}}
                 \quad\text{and}\quad
                 -\log \frac{\sum_{i \in P_j} e^{l_{ij}}}{\sum_i e^{l_{ij}}}

       In the first, the length of an anchor cancels out of the logits. The second adds that an
       anchor near the center, which is near to every key, stands in the way of all others.

    Nothing here prevents all details from growing beyond the ground truth together; the pixel loss
    used with it does.

    Parameters
    ----------
    patch_size
        Side of a patch in HR pixels; patches do not overlap.
    temperature
        τ. The lower it is, the sooner a detail is strong enough: the pull on a patch fades once
        ``a·k`` exceeds τ times the logarithm of the number of patches.
    similarity
        Cosine similarity, in [-1, 1], of two ground-truth details above which they are positives.
    factor
        Window of the average pooling in the high-frequency part, in pixels; use the scale.
    min_contrast
        Patches whose ground-truth detail has a lower root mean square (in units of the image, 0 to
        1) are left out: there is nothing to enhance, and noise should not be enhanced.
    max_patches
        At most this many patches of a batch are used, drawn at random (with torch's generator)
        when there are more. Memory is a few matrices of ``max_patches`` squared.
    jitter
        Shift the patch grid at random in every training call, so that the loss does not
        imprint its grid on the output. In evaluation mode the grid is fixed.

    Notes
    -----
    What the paper states, as far as it is available to us (the abstracts of its two versions):
    DECLoss uses the clustering property of contrastive learning to directly reduce the variance of
    the potential high-resolution distribution; the first version says that it combines a
    high-frequency enhancement module with spatial contrastive learning. *Everything above is our
    reading of that*: the form of the high-frequency part, how positives are chosen, the
    amplitude-aware logits and all constants are ours and were chosen by experiment
    (``experiments/decloss``).

    In distributed training the negatives are those of the local batch.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> hr = torch.rand(2, 3, 32, 32)
    >>> loss = DECLoss().eval()
    >>> bool(loss(hr, hr) < loss(hr.mean((2, 3), keepdim=True).expand_as(hr), hr))
    True
    """

    def __init__(
        self,
        patch_size: int = 8,
        temperature: float = 0.1,
        similarity: float = 0.5,
        factor: int = 4,
        min_contrast: float = 2.0 / 255.0,
        max_patches: int = 1024,
        jitter: bool = True,
    ) -> None:
        super().__init__()
        _at_least("patch_size", patch_size, 2)
        _at_least("factor", factor, 2)
        _at_least("max_patches", max_patches, 2)
        if not (math.isfinite(temperature) and temperature > 0):
            raise ConfigError(f"temperature must be above 0; got {temperature}")
        if not -1.0 <= similarity <= 1.0:
            raise ConfigError(f"similarity must lie in [-1, 1]; got {similarity}")
        if not (math.isfinite(min_contrast) and min_contrast > 0):
            raise ConfigError(f"min_contrast must be above 0; got {min_contrast}")
        self.patch_size = patch_size
        self.temperature = temperature
        self.similarity = similarity
        self.factor = factor
        self.min_contrast = min_contrast
        self.max_patches = max_patches
        self.jitter = jitter

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Compare two batches.

        Parameters
        ----------
        sr, hr
            (B, C, H, W) with C 1 (luma) or 3 (RGB), in [0, 1], of the same shape. Any floating
            dtype; computed in float32 (float64 for float64), also under autocast.

        Returns
        -------
        torch.Tensor
            A scalar ≥ 0, in nats; 0 (with gradients of zero) when no two patches are left to
            contrast, as in flat or tiny images.

        Raises
        ------
        ConfigError
            If the shapes differ or are not those of batches of images.
        """
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] not in (1, 3):
            raise ConfigError(
                "sr and hr must be (B, 1, H, W) or (B, 3, H, W) of the same shape; got "
                f"{tuple(sr.shape)} and {tuple(hr.shape)}"
            )
        with torch.autocast(sr.device.type, enabled=False):
            return self._loss(_luma(sr), _luma(hr.detach()))

    def _loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        nothing = sr.sum() * 0.0
        height, width = (size // self.factor * self.factor for size in sr.shape[2:])
        if min(height, width) < self.patch_size:
            return nothing
        sr, hr = sr[:, :, :height, :width], hr[:, :, :height, :width]
        shift = self._shift(height, width)
        truth = self._patches(hr, shift)
        norm = truth.norm(dim=1)
        kept = torch.nonzero(norm > self.min_contrast * self.patch_size).squeeze(1)
        if len(kept) > self.max_patches:
            kept = self._subset(kept, self.max_patches)
        if len(kept) < 2:
            return nothing
        truth, norm = truth[kept], norm[kept, None]
        keys = truth / norm
        anchors = self._patches(sr, shift)[kept] / norm
        with torch.no_grad():
            positive = keys @ keys.T > self.similarity
            # Rounding must not lower the similarity of a patch with itself.
            positive.fill_diagonal_(True)
        # -|a - k|² / 2 without |k|² / 2, which is the same for all keys and cancels in both
        # directions.
        logits = (anchors @ keys.T - 0.5 * anchors.square().sum(1, keepdim=True)) / self.temperature
        alike = logits.masked_fill(~positive, torch.finfo(logits.dtype).min)
        losses = [torch.logsumexp(logits, way) - torch.logsumexp(alike, way) for way in (0, 1)]
        return (losses[0].mean() + losses[1].mean()) / 2

    def _patches(self, image: Tensor, shift: tuple[int, int]) -> Tensor:
        """(n, patch_size²) patches of the high-frequency part."""
        low = F.avg_pool2d(image, self.factor)
        low = F.interpolate(low, size=image.shape[2:], mode="bicubic", align_corners=False)
        detail = (image - low)[:, :, shift[0] :, shift[1] :]
        columns = F.unfold(detail, self.patch_size, stride=self.patch_size)
        return columns.transpose(1, 2).reshape(-1, self.patch_size**2)

    def _shift(self, height: int, width: int) -> tuple[int, int]:
        if not (self.jitter and self.training):
            return 0, 0
        room = [min(self.patch_size - 1, size - self.patch_size) for size in (height, width)]
        y, x = (int(torch.randint(0, most + 1, ())) for most in room)
        return y, x

    def _subset(self, kept: Tensor, n: int) -> Tensor:
        if self.training:
            # Drawn on the CPU: the same patches on every device.
            return kept[torch.randperm(len(kept))[:n].to(kept.device)]
        return kept[torch.linspace(0, len(kept) - 1, n, device=kept.device).long()]

    def extra_repr(self) -> str:
        """The parameters that ``repr`` shows."""
        return (
            f"patch_size={self.patch_size}, temperature={self.temperature}, "
            f"similarity={self.similarity}, factor={self.factor}"
        )


def _luma(image: Tensor) -> Tensor:
    image = image if image.dtype == torch.float64 else image.float()
    if image.shape[1] == 1:
        return image
    weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device)
    return torch.einsum("bchw,c->bhw", image, weights).unsqueeze(1)


def _at_least(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{name} must be a whole number of at least {low}; got {value!r}")
