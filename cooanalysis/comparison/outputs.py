"""Model outputs in place of the ground-truth images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.images import rgb_to_y
from cooanalysis.data.patches import DETAIL_UNITS_PER_LEVEL, PatchStore, image_starts
from cooanalysis.errors import ModelError


def with_outputs(store: PatchStore, outputs: Sequence[NDArray[np.uint8]]) -> PatchStore:
    """A store whose HR images are a model's outputs, and whose details are those of the outputs.

    Every measure of ground-truth patches can then also be computed for the model's patches.

    Parameters
    ----------
    store
        The store of the ground-truth images.
    outputs
        One uint8 image for each image of the store, in its order and size: (H, W, 3) color or
        (H, W) gray, turned into luma for a luma store, or (H, W, C) as the store's own images are
        (for a luma store: luma, taken as it is).

    Raises
    ------
    ModelError
        If an output is missing or has another size; the message names the image.
    """
    if len(outputs) != len(store.names):
        raise ModelError(f"{len(outputs)} outputs for {len(store.names)} images")
    size = store.scale**2 * int(store.heights @ store.widths) * store.channels
    hr = np.empty(size, np.uint8)
    detail = np.empty(size, np.int16)
    _, hr_start = image_starts(store.heights, store.widths, store.channels, store.scale)
    for number, (name, output) in enumerate(zip(store.names, outputs, strict=True)):
        wanted = store.hr_image(number).shape
        if output.shape[:2] != wanted[:2]:
            raise ModelError(
                f"the output for {name!r} is {output.shape[1]}x{output.shape[0]} pixels; the "
                f"ground-truth image is {wanted[1]}x{wanted[0]}"
            )
        if output.shape != wanted:
            if store.channels == 1:
                output = rgb_to_y(output).astype(np.uint8)
            elif output.ndim == 2:
                output = np.repeat(output[:, :, None], 3, axis=2)
        true = store.hr_image(number)
        rows = slice(int(hr_start[number]), int(hr_start[number]) + true.size)
        hr[rows] = output.reshape(-1)
        # detail = HR − bicubic, so bicubic needs no second copy.
        moved = output.reshape(true.shape).astype(np.int32) - true
        moved *= np.int32(DETAIL_UNITS_PER_LEVEL)
        detail[rows] = (store.detail_image(number) + moved).reshape(-1)
    return dataclasses.replace(store, hr=hr, detail=detail, hr_start=hr_start)
