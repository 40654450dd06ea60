"""Distances to clean reference patches in a feature space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import NotEnoughDataError
from cooanalysis.measures.manifold.compute import features
from cooanalysis.measures.manifold.contrast import Floats
from cooanalysis.measures.manifold.registry import feature_space
from cooanalysis.measures.manifold.space import FeatureSpace
from cooanalysis.neighbors import NeighborIndex, build_index, search_excluding

NEIGHBORS = 5
"""A distance to the manifold is the mean distance to this many nearest clean patches."""

_CHUNK = 8192


@dataclass(frozen=True)
class CleanManifold:
    """Clean reference patches in a feature space, ready for distances to them.

    Build it with :meth:`fit`.
    """

    space: FeatureSpace
    mean: Floats
    axes: Floats
    reference_image: NDArray[np.int32]
    index: NeighborIndex

    @classmethod
    def fit(
        cls,
        patches: ArrayLike,
        space: str | FeatureSpace = "subbands",
        image: ArrayLike | None = None,
        *,
        engine: str = "auto",
        device: str = "auto",
    ) -> CleanManifold:
        """Describe the manifold by clean patches.

        Parameters
        ----------
        patches
            (n, size, size, channels) clean HR patches in [0, 1].
        space
            A registered name or a :class:`FeatureSpace` of your own.
        image
            (n,) image number of each patch, for leaving images out in :meth:`distance`.
        engine, device
            See :func:`cooanalysis.neighbors.available_engine`.

        Raises
        ------
        ConfigError
            If the space is unknown.
        NotEnoughDataError
            If there are too few patches: five or fewer, or in a whitened space not more than
            twice the number of features.
        """
        space = feature_space(space) if isinstance(space, str) else space
        clean = features(patches, space)
        n, dim = clean.shape
        needed = max(NEIGHBORS, 2 * dim if space.whiten else 0)
        if n <= needed:
            raise NotEnoughDataError(
                f"feature space {space.name!r} has {dim} features and needs more than "
                f"{needed} clean patches, got {n}"
            )
        mean = clean.mean(0)
        values, vectors = np.linalg.eigh(np.cov(clean.T.astype(np.float64)).reshape(dim, dim))
        values, vectors = values[::-1][: space.max_dim], vectors[:, ::-1][:, : space.max_dim]
        if space.whiten:
            # Directions in which clean patches hardly vary would otherwise dominate by noise.
            vectors = vectors / np.sqrt(values + 1e-3 * values.max())
        axes = np.ascontiguousarray(vectors, np.float32)
        number = np.zeros(n, np.int32) if image is None else np.asarray(image, np.int32)
        index = build_index(
            _transform(clean, mean, axes), kind="exact", engine=engine, device=device
        )
        return cls(space, mean, axes, number, index)

    def distance(
        self,
        patches: ArrayLike,
        image: ArrayLike | None = None,
        excluded: NDArray[np.bool_] | None = None,
    ) -> Floats:
        """Mean distance to the nearest clean patches, in units of the (whitened) features.

        Parameters
        ----------
        patches
            (n, size, size, channels) in [0, 1].
        image
            (n,) query image numbers, rows of ``excluded``.
        excluded
            (n_query_images, n_reference_images): True where a reference image must not be
            used for a query image (its own, or a duplicate).

        Returns
        -------
        numpy.ndarray
            (n,) float32. Divide by the same distance of held-out clean patches.
        """
        patches = np.asarray(patches, np.float32)
        number = np.zeros(len(patches), np.int32) if image is None else np.asarray(image, np.int32)
        if excluded is None:
            shape = (int(number.max(initial=0)) + 1, int(self.reference_image.max()) + 1)
            excluded = np.zeros(shape, np.bool_)
        # Features in chunks, which bounds memory; one search, which FAISS does fastest.
        queries = np.concatenate(
            [
                _transform(
                    features(patches[start : start + _CHUNK], self.space), self.mean, self.axes
                )
                for start in range(0, max(1, len(patches)), _CHUNK)
            ]
        )
        found = search_excluding(
            self.index, queries, NEIGHBORS, number, self.reference_image, excluded
        )
        return np.sqrt(found.squared_distances).mean(axis=1)


def _transform(values: Floats, mean: Floats, axes: Floats) -> Floats:
    return np.ascontiguousarray((values - mean) @ axes, np.float32)
