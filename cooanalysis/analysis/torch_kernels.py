"""Groups gathered and measured on a GPU that holds the reference images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cooanalysis.analysis.patches import ReferencePatches
from cooanalysis.data.patches import (
    DETAIL_UNITS_PER_LEVEL,
    PEAK,
    STD_FLOOR,
    GroupMoments,
    PatchStore,
)
from cooanalysis.measures.entropy.tensors import entropy_of_tensors
from cooanalysis.runtime.precision import single_precision

BATCH_BYTES = 2**30
"""Member details that are in memory at the same time."""


@dataclass
class TorchKernels:
    """LR images and details as flat tensors; see :class:`cooanalysis.analysis.kernels.Kernels`.

    The members of a group are gathered, averaged, projected and measured where the images lie.
    Only the results are copied back: centers, distances and entropies.

    Attributes
    ----------
    lr, detail
        As in :class:`~cooanalysis.data.patches.PatchStore`, on the device.
    lr_start, hr_start, widths
        Start offsets and LR width of each image, on the device.
    store
        The store, for its constants.
    """

    lr: torch.Tensor
    detail: torch.Tensor
    lr_start: torch.Tensor
    hr_start: torch.Tensor
    widths: torch.Tensor
    store: PatchStore

    @classmethod
    def build(cls, store: PatchStore, device: str) -> TorchKernels:
        """Copy the images to the device, image by image."""
        size = int(store.heights @ store.widths) * store.channels
        lr = torch.empty(size, dtype=torch.uint8, device=device)
        detail = torch.empty(size * store.scale**2, dtype=torch.int16, device=device)
        lr_start, hr_start, at = [], [], 0
        for number in range(len(store.names)):
            small = torch.from_numpy(store.lr_image(number).reshape(-1).copy())
            large = torch.from_numpy(store.detail_image(number).reshape(-1).copy())
            lr_start.append(at)
            hr_start.append(at * store.scale**2)
            lr[at : at + len(small)] = small.to(device)
            detail[hr_start[-1] : hr_start[-1] + len(large)] = large.to(device)
            at += len(small)
        return cls(
            lr,
            detail,
            torch.tensor(lr_start, device=device),
            torch.tensor(hr_start, device=device),
            torch.from_numpy(store.widths.copy()).to(device),
            store,
        )

    def moments(
        self, reference: ReferencePatches, members: NDArray[np.int64]
    ) -> tuple[GroupMoments, torch.Tensor]:
        """See :class:`cooanalysis.analysis.kernels.Kernels`."""
        device = self.lr.device
        axes = torch.from_numpy(reference.axes).to(device)
        step = max(1, BATCH_BYTES // (4 * members.shape[1] * self.store.patch_dim))
        columns: list[list[torch.Tensor]] = []
        for start in range(0, max(1, len(members)), step):
            rows = members[start : start + step]
            columns.append(self._moments(reference, rows, axes))
        center, rms, nearest, energy, projected = (
            torch.cat(parts) for parts in zip(*columns, strict=True)
        )
        moments = GroupMoments(
            center.cpu().numpy(), rms.cpu().numpy(), nearest.cpu().numpy(), energy.cpu().numpy(),
            projected=None,
        )  # fmt: skip
        return moments, projected

    def _moments(
        self, reference: ReferencePatches, members: NDArray[np.int64], axes: torch.Tensor
    ) -> list[torch.Tensor]:
        store = self.store
        patches = reference.patches[members.ravel()]
        image, y, x = (
            torch.from_numpy(each.astype(np.int64)).to(self.lr.device)
            for each in (patches.image, patches.y, patches.x)
        )
        block = self._cut(self.detail, self.hr_start, store.scale, image, y, x).float()
        contrast = torch.ones(len(image), device=block.device)
        if reference.normalize:
            low = self._cut(self.lr, self.lr_start, 1, image, y, x).double() / PEAK
            contrast = low.std(dim=1, correction=0).clamp_min(STD_FLOOR).float()
        block *= (1.0 / (PEAK * DETAIL_UNITS_PER_LEVEL) / contrast)[:, None]
        block = block.reshape(*members.shape, -1)
        with single_precision():
            projected = block @ axes
        center = block.mean(dim=1)
        energy = block.square().mean(dim=(1, 2))
        block -= center[:, None]
        distance = block.square().mean(dim=2)
        return [
            center,
            distance.mean(dim=1).sqrt(),
            distance.amin(dim=1).sqrt(),
            energy,
            projected,
        ]

    def _cut(
        self, source: torch.Tensor, starts: torch.Tensor, scale: int,
        image: torch.Tensor, y: torch.Tensor, x: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """(n, values) windows of flat images."""
        channels, size = self.store.channels, self.store.width * scale
        stride = self.widths[image] * scale * channels
        start = starts[image] + y * scale * stride + x * scale * channels
        rows = start[:, None] + torch.arange(size, device=source.device) * stride[:, None]
        # Slices as long as a row of a window: one index per row, not one per value.
        stretch = size * channels
        stretches = source.as_strided((len(source) - stretch + 1, stretch), (1, 1))
        return stretches[rows].reshape(len(image), -1)

    def entropy(self, projected: torch.Tensor, method: str) -> NDArray[np.float64]:
        """See :class:`cooanalysis.analysis.kernels.Kernels`."""
        return entropy_of_tensors(projected, method)

    def spread(self, projected: torch.Tensor) -> NDArray[np.float32]:
        """See :class:`cooanalysis.analysis.kernels.Kernels`."""
        centered = projected - projected.mean(dim=1, keepdim=True)
        return centered.square().mean(dim=(1, 2)).sqrt().cpu().numpy()
