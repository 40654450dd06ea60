"""The detail of every model taken apart: per image, per frequency band, per patch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.data.patches import DETAIL_UNITS_PER_LEVEL, PEAK, Patches, PatchStore
from cooanalysis.measures.detail import SUMS, KnownDetail
from cooanalysis.measures.detail.parts import FACTORS, products, sums_of
from cooanalysis.metrics.spectrum import radial_cross_power
from cooanalysis.runtime.run_directory import Arrays

BANDS = 16
"""Rings of the spectrum, from 0 to 0.5 cycles per pixel."""

STEM = "detail_sums"
"""Key of the sums of the query patches; those of image ``i`` of the maps are ``map_i_`` and it."""

_UNIT = 1.0 / (PEAK * DETAIL_UNITS_PER_LEVEL)
_BATCH = 4096

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class _Planes(Sequence[Image]):
    """The channels of all images of a store, one after the other, made when they are read."""

    store: PatchStore
    lr: bool = False

    def __len__(self) -> int:
        return len(self.store.names) * self.store.channels

    def __getitem__(self, number: int) -> Image:  # type: ignore[override]
        image, channel = divmod(number, self.store.channels)
        if self.lr:
            return self.store.lr_image(image)[:, :, channel] * np.float32(1.0 / PEAK)
        return self.store.detail_image(image)[:, :, channel] * np.float32(_UNIT)


def take_model_apart(
    groups: QueryGroups,
    maps: Sequence[QueryGroups],
    output: PatchStore,
    anchor: PatchStore | None,
) -> Arrays:
    """Sums that the parts of a model's detail are functions of.

    Parameters
    ----------
    groups
        Query patches, and the store of the ground truth.
    maps
        Dense patches of single images.
    output, anchor
        Stores of the outputs of the model and of the anchor.

    Returns
    -------
    dict
        With the sums of :data:`cooanalysis.measures.detail.SUMS` along the last axis, in absolute
        units (peak 1): ``image_sums`` (n_images, 9) without a border of ``scale`` pixels,
        ``image_pixels`` (n_images,), ``band_sums`` (n_images, :data:`BANDS`, 9), ``detail_sums``
        (q, 9) and ``map_I_detail_sums``; ``strengths`` of the ridge.
    """
    truth = groups.store
    scale, channels = truth.scale, truth.channels
    stores = [output] if anchor is None else [output, anchor]
    fitted = KnownDetail.fit(
        _Planes(truth), [_Planes(store) for store in stores], _Planes(truth, lr=True),
        subsets=[(0,)] if anchor is None else [(0, 1), (0,)],
        scale=scale, seed=groups.run.config.seed, channels=channels,
    )  # fmt: skip
    known, alone = np.empty_like(truth.detail), np.empty_like(truth.detail)
    versions = [
        truth, output, dataclasses.replace(truth, detail=known),
        dataclasses.replace(truth, detail=alone),
    ]  # fmt: skip
    inside = np.s_[scale:-scale, scale:-scale]
    n_images = len(truth.names)
    image_sums, pixels = np.zeros((n_images, len(SUMS))), np.zeros(n_images)
    band_sums = np.full((n_images, BANDS, len(SUMS)), np.nan)
    for number in range(n_images):
        large = min(truth.hr_image(number).shape[:2]) >= 4 * BANDS
        if large:
            band_sums[number] = 0.0
        for channel in range(channels):
            plane = number * channels + channel
            found = fitted.images(plane)
            images = [_Planes(truth)[plane], _Planes(output)[plane], found[0], found[-1]]
            for store, image in zip(versions[2:], images[2:], strict=True):
                store.detail_image(number)[:, :, channel] = np.rint(image / np.float32(_UNIT))
            cut = [image[inside] for image in images]
            image_sums[number] += sums_of(products(*cut))
            pixels[number] += cut[0].size
            if large:
                band_sums[number] += radial_cross_power(images, FACTORS, BANDS).T
    sums = {STEM: _patch_sums(versions, groups.queries.patches)}
    for number, dense in enumerate(maps):
        sums[f"map_{number}_{STEM}"] = _patch_sums(versions, dense.queries.patches)
    return {
        "image_sums": image_sums, "image_pixels": pixels, "band_sums": band_sums,
        "strengths": np.array(fitted.strengths), **sums,
    }  # fmt: skip


def _patch_sums(versions: Sequence[PatchStore], patches: Patches) -> Floats:
    """(n, 9) sums over the pixels of each patch."""
    out = np.empty((len(patches), len(SUMS)))
    for start in range(0, len(patches), _BATCH):
        rows = slice(start, start + _BATCH)
        details = [store.details(patches[rows]) for store in versions]
        for column, product in enumerate(products(*details)):
            out[rows, column] = product.sum(axis=1, dtype=np.float64)
    return out
