"""The image that each vector comes from: an array, or an object that computes it for any rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageNumbers(Protocol):
    """Image numbers of vectors, which need not be in memory."""

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.integer]:
        """Image numbers of some vectors, in the shape of ``rows``."""
        ...

    def counts(self, n_images: int, start: int = 0, stop: int | None = None) -> NDArray[np.integer]:
        """(n_images,) vectors of each image, of all or of a range of them."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Image numbers in memory."""

    array: NDArray[np.integer]

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> NDArray[np.integer]:
        """See :class:`ImageNumbers`."""
        return self.array[rows]

    def counts(self, n_images: int, start: int = 0, stop: int | None = None) -> NDArray[np.integer]:
        """See :class:`ImageNumbers`."""
        return np.bincount(self.array[start:stop], minlength=n_images)


@dataclass(frozen=True)
class RangeImages:
    """Image numbers of consecutive vectors of another source: a shard of it."""

    images: ImageNumbers
    start: int
    stop: int

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> NDArray[np.integer]:
        """See :class:`ImageNumbers`."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.stop - self.start))
        return self.images[rows + self.start]

    def counts(self, n_images: int, start: int = 0, stop: int | None = None) -> NDArray[np.integer]:
        """See :class:`ImageNumbers`."""
        stop = self.stop if stop is None else min(self.stop, self.start + stop)
        return self.images.counts(n_images, self.start + start, stop)


def as_images(images: NDArray[np.integer] | ImageNumbers) -> ImageNumbers:
    """Wrap an array; anything else is returned as it is."""
    return ArrayImages(images) if isinstance(images, np.ndarray) else images
