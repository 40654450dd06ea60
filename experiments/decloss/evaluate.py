"""Measure trained models: images, parts of their detail, and what the claim of DECLoss predicts.

Everything is measured on images that no model was trained on. Tables are tidy: one row per model
and image, or one row per model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cooanalysis import AnalysisConfig
from cooanalysis.comparison import (
    QueryGroups,
    find_query_groups,
    group_spread,
    residual_entropy,
    with_outputs,
)
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.metrics import psnr
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.models import load_weights
from cooanalysis.models.tiling import uint8_to_torch, upscale
from experiments.battery import bicubic
from experiments.detail import Apart, columns_of, totals_of

PERCEPTUAL = "st-lpips"
QUERIES = 3000

Image = NDArray[np.uint8]


def load_images(
    names: list[str], scale: int, data_root: Path | None
) -> dict[str, list[LoadedPair]]:
    """The test images, in color."""
    found = {}
    for name in names:
        pairs = iter_pairs(resolve(name, scale=scale, data_root=data_root), color="rgb")
        found[name] = [pair for pair in pairs if isinstance(pair, LoadedPair)]
    return found


def upscaled(module: torch.nn.Module, pairs: list[LoadedPair], scale: int) -> list[Image]:
    """Outputs of a model, 8 bits."""
    return [upscale(module, pair.lr, scale=scale) for pair in pairs]


def image_measures(outputs: list[Image], pairs: list[LoadedPair], scale: int) -> pd.DataFrame:
    """PSNR-Y, SSIM-Y, the learned metric, and detail energies; one row per image."""
    (metric,) = resolve_metrics([PERCEPTUAL])
    (ssim,) = resolve_metrics(["ssim_y"])
    rows = []
    inside = np.s_[scale:-scale, scale:-scale]
    for output, pair in zip(outputs, pairs, strict=True):
        bicubic = rgb_to_y(np.rint(np.clip(upsample(pair.lr, scale), 0, 255)).astype(np.uint8))
        detail = rgb_to_y(output) - bicubic
        truth = rgb_to_y(pair.hr) - bicubic
        rows.append(
            {
                "image": pair.name,
                "psnr_y": psnr(output, pair.hr, border=scale),
                "ssim_y": ssim(output, pair.hr, border=scale),
                "st_lpips": metric(output, pair.hr),
                "detail_energy": float(np.mean(detail[inside] ** 2)),
                "true_detail_energy": float(np.mean(truth[inside] ** 2)),
            }
        )
    return pd.DataFrame(rows)


def own_groups(data_root: Path | None, scale: int) -> QueryGroups:
    """Groups for the claim: BSD100 alone, so that the models were not trained on the members."""
    config = AnalysisConfig("bsd100", scale=scale, queries=QUERIES, k=64)
    return find_query_groups(config, data_root=data_root)


def coo_measures(
    outputs: list[Image], anchor: list[Image], pairs: list[LoadedPair], scale: int
) -> dict[str, float]:
    """What the outputs explain, show and make up, with intervals over images.

    The anchor are the outputs of the matched model trained with the pixel loss alone: a conditional
    mean of the same knowledge.
    """
    apart = Apart([pair.hr for pair in pairs], [pair.lr for pair in pairs], anchor, scale)
    return columns_of(totals_of({"model": apart.of(outputs)}, "model"))


def claim_measures(
    groups: QueryGroups, outputs: list[Image], features: list[NDArray[np.float32]]
) -> dict[str, float]:
    """Spread of outputs within groups relative to the ground truth; entropy given the features."""
    model = group_spread(groups, with_outputs(groups.store, outputs))
    truth = group_spread(groups, groups.store)
    boot = ImageBootstrap(groups.image)
    ratio = boot.ratio(model, truth)
    given = residual_entropy(groups, features)
    # Groups of flat patches have an entropy of minus infinity; both measures leave them out.
    usable = np.isfinite(given) & np.isfinite(groups.entropy)
    difference = np.where(usable, given, np.nan) - np.where(usable, groups.entropy, np.nan)
    drop = boot.mean(difference)
    return {
        "spread_ratio": ratio.value,
        "spread_ratio_ci_low": ratio.ci_low,
        "spread_ratio_ci_high": ratio.ci_high,
        "entropy_given_lr": float(groups.entropy[usable].mean()),
        "entropy_given_features": float(given[usable].mean()),
        "entropy_drop": drop.value,
        "entropy_drop_ci_low": drop.ci_low,
        "entropy_drop_ci_high": drop.ci_high,
    }


@torch.inference_mode()
def feature_maps(module: torch.nn.Module, pairs: list[LoadedPair]) -> list[NDArray[np.float32]]:
    """(h, w, F) features of every LR pixel, one array per image."""
    maps = []
    for pair in pairs:
        features = module.features(uint8_to_torch(pair.lr))  # type: ignore[operator]
        maps.append(np.ascontiguousarray(features[0].permute(1, 2, 0).numpy(), np.float32))
    return maps


class Evaluation:
    """Test images and groups, prepared once for many models."""

    def __init__(self, data_root: Path | None, scale: int = 4) -> None:
        self.scale = scale
        self.images = load_images(["set14", "bsd100"], scale, data_root)
        self.own = own_groups(data_root, scale)

    def images_of(
        self, weights: Path | None, anchor: Path
    ) -> tuple[pd.DataFrame, dict[str, float]]:
        """Measure one model (None: bicubic) against an anchor: a table of images and a record."""
        module = None if weights is None else load_weights(weights)
        tables, outputs = [], {}
        for name, pairs in self.images.items():
            if module is None:
                outputs[name] = [bicubic(pair.lr, self.scale) for pair in pairs]
            else:
                outputs[name] = upscaled(module, pairs, self.scale)
            tables.append(image_measures(outputs[name], pairs, self.scale).assign(dataset=name))
        pairs = self.images["bsd100"]
        means = upscaled(load_weights(anchor), pairs, self.scale)
        record = coo_measures(outputs["bsd100"], means, pairs, self.scale)
        if module is not None:
            maps = feature_maps(module, pairs)
            record |= claim_measures(self.own, outputs["bsd100"], maps)
        return pd.concat(tables, ignore_index=True), record
