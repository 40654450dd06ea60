"""How large a tile may be: the memory that a model needs, measured on a small piece."""

from __future__ import annotations

import math
import weakref
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cooanalysis.models.tiling.arrays import middle, rounded_up
from cooanalysis.models.tiling.runner import Runner

CPU_BUDGET = 2**30
"""Bytes that the model's intermediate results may take on a CPU; on a GPU, half of what is free."""

SMALLEST_TILE = 32
"""LR pixels."""

_MEASURED_FROM = 128 * 128  # smaller images fit any default budget: not worth a measurement
_SAMPLE = 64  # side of the piece that memory is measured on
_WORKSPACE = 1.5  # memory of the libraries below torch, over that of tensors; measured 1.05 to 1.22


class LiveBytes(TorchDispatchMode):
    """Most bytes that tensors made inside were alive at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:  # a view of a tensor that counts already
            return
        self._known.add(key)
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size


def affordable_tile(run: Runner, pixels: NDArray[Any], multiple: int, budget: int | None) -> int:
    """Side in LR pixels of the largest tile within the memory budget.

    Parameters
    ----------
    run
        The model.
    pixels
        (h, w, 3): the image, from whose middle the measured piece is taken.
    multiple
        Of which heights and widths must be multiples.
    budget
        Bytes; None: :data:`CPU_BUDGET`, or half of the free memory of a GPU.
    """
    height, width = pixels.shape[:2]
    if budget is None:
        if height * width <= _MEASURED_FROM:
            return max(height, width)
        budget = CPU_BUDGET
        if run.device.type == "cuda":
            budget = torch.cuda.mem_get_info(run.device)[0] // 2
    piece = middle(pixels, rounded_up(_SAMPLE, multiple))
    with LiveBytes() as live:
        run(piece)
    # What cannot be seen from here (a model outside of torch) counts at least as its output.
    least = 4 * 3 * (1 + run.scale**2)
    cost = _WORKSPACE * max(live.peak / (piece.shape[0] * piece.shape[1]), least)
    if height * width * cost <= budget:
        return max(height, width)
    return max(int(math.sqrt(budget / cost)), SMALLEST_TILE)
