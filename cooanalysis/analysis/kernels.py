"""Kernels that gather and measure groups: on the CPU, or on a GPU that holds the images."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.patches import ReferencePatches
from cooanalysis.data.patches import GroupMoments, PatchStore
from cooanalysis.measures import entropy as estimators
from cooanalysis.neighbors.engines import torch_cuda_available
from cooanalysis.runtime.notices import Note, Notice


class Kernels(Protocol):
    """Kernels that gather groups and measure them."""

    def moments(
        self, reference: ReferencePatches, members: NDArray[np.int64]
    ) -> tuple[GroupMoments, Any]:
        """Center and spread, and (q, k, dim) members on the leading axes for :meth:`entropy`."""
        ...

    def entropy(self, projected: Any, method: str) -> NDArray[np.float64]:
        """(q,) entropies of the groups, nats per dimension."""
        ...

    def spread(self, projected: Any) -> NDArray[np.float32]:
        """(q,) RMS distance of the members to their center, on the leading axes."""
        ...


class CpuKernels:
    """Compiled loops over images in memory or mapped from files."""

    def moments(
        self, reference: ReferencePatches, members: NDArray[np.int64]
    ) -> tuple[GroupMoments, NDArray[np.float32]]:
        """See :class:`Kernels`."""
        moments = reference.moments(members, axes=reference.axes)
        assert moments.projected is not None
        return moments, moments.projected

    def entropy(self, projected: NDArray[np.float32], method: str) -> NDArray[np.float64]:
        """See :class:`Kernels`."""
        return estimators.entropy(projected, method)

    def spread(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Kernels`."""
        centered = projected - projected.mean(axis=1, keepdims=True)
        spread: NDArray[np.float32] = np.sqrt((centered**2).mean(axis=(1, 2)))
        return spread


def choose_kernels(config: AnalysisConfig, store: PatchStore, note: Note) -> Kernels:
    """Kernels of a GPU if torch finds one that can hold the reference images, else of the CPU.

    Parameters
    ----------
    config
        ``device`` and ``engine`` are used.
    store
        The reference images.
    note
        Called with a notice if a GPU has too little memory for the images.
    """
    unwanted = config.device == "cpu" or config.engine == "faiss-cpu"
    if unwanted or not torch_cuda_available():
        return CpuKernels()
    import torch

    from cooanalysis.analysis.torch_kernels import TorchKernels

    free, _ = torch.cuda.mem_get_info()
    needed = image_bytes(store)
    if needed > SHARE_OF_GPU * free:
        note(Notice("groups_on_cpu", {"needed_bytes": needed, "free_bytes": int(free)}))
        return CpuKernels()
    return TorchKernels.build(store, "cuda")


SHARE_OF_GPU = 0.7
"""Share of a GPU's free memory that images may take; the rest is for batches of groups."""


def image_bytes(store: PatchStore) -> int:
    """Bytes of the images that groups are gathered from: LR values and details."""
    return int(store.heights @ store.widths) * store.channels * (1 + 2 * store.scale**2)
