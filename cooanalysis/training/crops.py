"""Training crops: each is a pure function of the seed and its index.

So two runs that differ only in their loss see the same crops in the same order, a resumed run
continues with the crop at which it stopped, and neither the number of loader processes nor that of
training processes changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from cooanalysis.errors import NotEnoughDataError
from cooanalysis.training.images import Pair


class Crops(TorchDataset[tuple[Tensor, Tensor]]):
    """Random crops of image pairs, indexed from 0.

    Parameters
    ----------
    images
        (LR, HR) uint8 arrays (h, w, 3) and (scale·h, scale·w, 3).
    scale, crop
        Upscaling factor; side of a crop in LR pixels.
    seed
        Seed of all crops.
    augment
        Whether crops are flipped and rotated.
    n
        Number of crops.
    """

    def __init__(
        self, images: Sequence[Pair], *, scale: int, crop: int, seed: int, augment: bool, n: int
    ) -> None:
        self.images = [pair for pair in images if min(pair[0].shape[:2]) >= crop]
        if not self.images:
            raise NotEnoughDataError(
                f"no training image holds a crop of {crop}x{crop} LR pixels; use a smaller "
                "data.crop or larger images"
            )
        self.scale, self.crop, self.seed, self.augment, self.n = scale, crop, seed, augment, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """(LR, HR) uint8 tensors (3, crop, crop) and (3, scale·crop, scale·crop)."""
        rng = np.random.default_rng((self.seed, number))
        lr, hr = self.images[rng.integers(len(self.images))]
        y = int(rng.integers(lr.shape[0] - self.crop + 1))
        x = int(rng.integers(lr.shape[1] - self.crop + 1))
        quarters, mirror = int(rng.integers(4)), bool(rng.integers(2))
        out = []
        for image, factor in ((lr, 1), (hr, self.scale)):
            top, left, size = y * factor, x * factor, self.crop * factor
            cut = image[top : top + size, left : left + size]
            if self.augment:
                cut = np.rot90(cut, quarters)
                cut = cut[:, ::-1] if mirror else cut
            out.append(torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1))))
        return out[0], out[1]


class Share:
    """Batches of sample indices for one of several processes, starting at an iteration.

    Every global batch consists of the same samples, however many processes share it.
    """

    def __init__(self, *, batch: int, start: int, stop: int, rank: int = 0, world: int = 1) -> None:
        self.batch, self.start, self.stop, self.rank, self.world = batch, start, stop, rank, world

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for iteration in range(self.start, self.stop):
            first = iteration * self.batch
            yield list(range(first + self.rank, first + self.batch, self.world))
