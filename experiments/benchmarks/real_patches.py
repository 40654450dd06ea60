"""LR features of real patches of a data set: a given number of them, and held-out queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.patches import LrFeatures
from cooanalysis.data import resolve
from cooanalysis.data.decoded import open_decoded
from cooanalysis.data.patches import PatchStore
from cooanalysis.neighbors.vectors import RowRange, VectorSource

SCALE, WIDTH = 4, 5
HELD_OUT = 20
"""One in this many images provides queries instead of reference patches."""


@dataclass(frozen=True)
class RealPatches:
    """Data for testing a search.

    Attributes
    ----------
    store
        The images, mapped from files.
    reference
        A source of reference vectors, computed on demand.
    queries
        (q, dim) vectors of other images.
    """

    store: PatchStore
    reference: VectorSource
    queries: NDArray[np.float32]

    def array(self) -> NDArray[np.float32]:
        """(n, dim) all reference vectors in memory, for libraries that need them there."""
        vectors = self.reference.rows(slice(None))
        self.store.release()
        return vectors


def real_patches(
    dataset: str,
    n: int | None,
    n_queries: int,
    *,
    stride: int = 2,
    data_root: str | None = None,
    seed: int = 0,
) -> RealPatches:
    """Reference patches of the first images that hold ``n``, and queries of held-out images.

    Parameters
    ----------
    dataset, data_root
        Data set or folder, and the folder of the data sets.
    n
        Number of reference patches; None for all.
    n_queries
        Number of queries, the same ones for every ``n``.
    stride
        Step between reference patches in LR pixels.
    seed
        Seed of the order of images and of the queries.

    Raises
    ------
    ValueError
        If the images hold fewer than ``n``.
    """
    store = open_store(dataset, data_root)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(store.names))
    held_out = order[: max(1, len(order) // HELD_OUT)]
    lent = store.only(held_out)
    features, _, _ = lent.lr_patches(lent.sample(n_queries, rng), normalize=True)
    kept = order[len(held_out) :]
    if n is not None:
        counts = np.cumsum(patches_of(store, kept, stride))
        if counts[-1] < n:
            raise ValueError(
                f"{dataset} holds {counts[-1]:,} patches at stride {stride}, not {n:,}"
            )
        kept = kept[: int(np.searchsorted(counts, n)) + 1]
    chosen = store.only(kept)
    everything = LrFeatures(chosen, chosen.patch_grid(stride), normalize=True)
    wanted = RowRange(everything, 0, len(everything) if n is None else n)
    return RealPatches(store, wanted, features)


def open_store(dataset: str, data_root: str | None = None) -> PatchStore:
    """The images of a data set, mapped from the user's cache."""
    root = None if data_root is None else Path(data_root)
    found = resolve(dataset, scale=SCALE, data_root=root)
    return open_decoded(found, color="y", width=WIDTH)[0]


def most_patches(dataset: str, stride: int, data_root: str | None = None) -> int:
    """Number of reference patches that :func:`real_patches` can provide."""
    store = open_store(dataset, data_root)
    order = np.random.default_rng(0).permutation(len(store.names))
    return int(patches_of(store, order[max(1, len(order) // HELD_OUT) :], stride).sum())


def patches_of(store: PatchStore, images: NDArray[np.integer], stride: int) -> NDArray[np.int64]:
    """Patches on the grid of each image."""
    rows = (store.heights[images] - store.width) // stride + 1
    columns = (store.widths[images] - store.width) // stride + 1
    return np.maximum(rows, 0) * np.maximum(columns, 0)
