"""The reference patches and the query patches of an analysis, as positions in images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.patches import GroupMoments, Patches, PatchGrid, PatchStore

_CHUNK = 8192
_MEMBERS = 2**18
"""Members whose positions and contrasts are in memory at the same time."""


@dataclass(frozen=True)
class LrFeatures:
    """LR features of patches, gathered from the images on demand.

    A :class:`cooanalysis.neighbors.VectorSource`: 32 million patches would fill 3 GB, the LR
    images that they come from 0.15.
    """

    store: PatchStore
    patches: PatchGrid
    normalize: bool

    @property
    def dim(self) -> int:
        """Number of values in an LR patch."""
        return self.store.width**2 * self.store.channels

    def __len__(self) -> int:
        return len(self.patches)

    def rows(self, which: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        """(n, dim) float32 features of some patches."""
        return self.store.grid_features(self.patches, which, normalize=self.normalize)


@dataclass(frozen=True)
class ReferencePatches:
    """The reference patches, with everything that later steps need.

    Attributes
    ----------
    store, patches
        Images and positions.
    normalize
        Whether patches are compared without their LR mean and contrast.
    basis
        (patch_dim, patch_dim) principal axes of the contrast-normalized details, leading first.
    subspace_dim
        Number of leading axes on which entropies are estimated.
    """

    store: PatchStore
    patches: PatchGrid
    normalize: bool
    basis: NDArray[np.float32]
    subspace_dim: int

    @property
    def features(self) -> LrFeatures:
        """LR features (n, dim), computed on demand."""
        return LrFeatures(self.store, self.patches, self.normalize)

    @property
    def axes(self) -> NDArray[np.float32]:
        """(patch_dim, subspace_dim) axes on which entropies are estimated."""
        return np.ascontiguousarray(self.basis[:, : self.subspace_dim])

    def details(self, rows: NDArray[np.integer] | slice) -> NDArray[np.float32]:
        """(n, patch_dim) details of some patches in units of their LR contrast."""
        if isinstance(rows, slice):
            return self._details(self.patches[rows])
        order = np.argsort(rows)  # so that images in files are read once
        out = np.empty((len(rows), self.store.patch_dim), np.float32)
        out[order] = self._details(self.patches[rows[order]])
        return out

    def _details(self, patches: Patches) -> NDArray[np.float32]:
        return self.store.details(patches) / self._contrast(patches)[:, None]

    def _contrast(self, patches: Patches) -> NDArray[np.float32]:
        """(n,) LR contrasts. Recomputing them from 25 values is cheap next to a member's 400."""
        return self.store.lr_patches(patches, normalize=self.normalize)[2]

    def moments(
        self,
        members: NDArray[np.integer],
        *,
        axes: NDArray[np.float32] | None = None,
        store: PatchStore | None = None,
    ) -> GroupMoments:
        """Center and spread of groups, in units of their members' LR contrasts.

        Parameters
        ----------
        members
            (q, k) row numbers.
        axes
            (patch_dim, m) axes that members are also projected on; None for none.
        store
            The store whose details are used; by default that of the reference images.
        """
        parts = []
        step = max(1, _MEMBERS // members.shape[1])
        for start in range(0, max(1, len(members)), step):
            # Every patch once, in the order in which images lie in memory or in files.
            some = members[start : start + step]
            rows, numbers = np.unique(some, return_inverse=True)
            numbers, patches = numbers.reshape(some.shape), self.patches[rows]
            weight = 1.0 / self._contrast(patches)
            parts.append((store or self.store).group_moments(patches, numbers, weight, axes))
        return GroupMoments.concatenate(parts)

    def projected(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        r"""Details of some patches on the leading axes, in units of their LR contrast.

        Parameters
        ----------
        rows
            Row numbers in any shape.

        Returns
        -------
        numpy.ndarray
            (\*rows.shape, subspace_dim) float32.
        """
        flat, axes = rows.ravel(), self.axes
        out = np.empty((len(flat), self.subspace_dim), np.float32)
        for start in range(0, len(flat), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self.details(flat[part]) @ axes
        return out.reshape(*rows.shape, -1)


@dataclass(frozen=True)
class QueryPatches:
    """Query patches with their LR features."""

    patches: Patches
    features: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, which: Any) -> QueryPatches:
        return QueryPatches(
            self.patches[which], self.features[which], self.mean[which], self.std[which]
        )
