"""What outputs know, show and make up, with intervals over images: for several experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.comparison.statistics import Measure, measures, psnr_explained, totals
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.data.patches import PEAK
from cooanalysis.measures.detail import TakenApart, take_apart

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MEASURES: tuple[Measure, ...] = tuple(measures((), ()))
"""The measures of detail of a comparison, in the order of its tables."""


def detail_of(image: Image, lr: Image, scale: int) -> Floats:
    """(H, W) luma detail with peak 1, as in a comparison: luma minus upsampled luma of the LR."""
    return (rgb_to_y(image) - upsample(rgb_to_y(lr), scale)) / np.float32(PEAK)


class Apart:
    """Takes the luma detail of several outputs for the same images apart.

    Parameters
    ----------
    truth, lr
        Ground truth and LR images, gray or RGB, 8 bits.
    anchor
        Outputs of a conditional mean, such as those of a PSNR-oriented network.
    scale
        Upscaling factor.
    """

    def __init__(
        self, truth: Sequence[Image], lr: Sequence[Image], anchor: Sequence[Image], scale: int
    ) -> None:
        self.lr, self.scale = lr, scale
        self.truth, self.anchor = self._details(truth), self._details(anchor)
        self.luma = [rgb_to_y(image) / np.float32(PEAK) for image in lr]

    def of(self, outputs: Sequence[Image]) -> TakenApart:
        """The parts of one model's detail."""
        return take_apart(
            self.truth, self._details(outputs), self.luma, anchor=self.anchor, scale=self.scale
        )

    def _details(self, images: Sequence[Image]) -> list[Floats]:
        return [detail_of(image, lr, self.scale) for image, lr in zip(images, self.lr, strict=True)]


def totals_of(found: Mapping[str, TakenApart], baseline: str, *, seed: int = 0) -> pd.DataFrame:
    """All detail measures of all outputs, with paired differences to one of them.

    See :func:`cooanalysis.comparison.statistics.totals`.
    """
    images = pd.concat(
        [
            pd.DataFrame({**taken.sums, "pixels": taken.pixels}).assign(
                model=name, image=np.arange(len(taken.pixels))
            )
            for name, taken in found.items()
        ],
        ignore_index=True,
    )
    images = images.assign(psnr_explained_db=psnr_explained(images))
    return totals(MEASURES, images, images, baseline=baseline, seed=seed)


def columns_of(rows: pd.DataFrame) -> dict[str, Any]:
    """One output's rows of :func:`totals_of` as columns: each value with its interval."""
    return {
        f"{row.measure}{suffix}": value
        for row in rows.itertuples(index=False)
        for suffix, value in
        (("", row.value), ("_ci_low", row.ci_low), ("_ci_high", row.ci_high))
    }  # fmt: skip
