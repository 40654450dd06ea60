"""LR features of a data set's real patches: as many as are asked for, and held-out queries."""

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
"""One image of so many lends queries and no reference patches."""


@dataclass(frozen=True)
class RealPatches:
    """What a search is tried on.

    Attributes
    ----------
    store
        The images, mapped from files.
    reference
        A source of reference vectors, made when they are asked for.
    queries
        (q, dim) vectors of other images.
    """

    store: PatchStore
    reference: VectorSource
    queries: NDArray[np.float32]

    def array(self) -> NDArray[np.float32]:
        """(n, dim) all reference vectors in memory, for those who need them there."""
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
        Data set or folder, and where data sets lie.
    n
        Number of reference patches; None for all.
    n_queries
        Number of queries, the same ones for every ``n``.
    stride
        Step between reference patches in LR pixels.
    seed
        Of the images' order and of the queries.

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
    """How many reference patches :func:`real_patches` can give."""
    store = open_store(dataset, data_root)
    order = np.random.default_rng(0).permutation(len(store.names))
    return int(patches_of(store, order[max(1, len(order) // HELD_OUT) :], stride).sum())


def patches_of(store: PatchStore, images: NDArray[np.integer], stride: int) -> NDArray[np.int64]:
    """Patches on the grid of each image."""
    rows = (store.heights[images] - store.width) // stride + 1
    columns = (store.widths[images] - store.width) // stride + 1
    return np.maximum(rows, 0) * np.maximum(columns, 0)
