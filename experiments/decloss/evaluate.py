"""Measure trained models: images, collapse, and what the claim behind DECLoss predicts.

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
    collapse_terms,
    find_query_groups,
    group_spread,
    residual_entropy,
    with_outputs,
)
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.measures.bootstrap import ImageBootstrap, quantile_bin
from cooanalysis.metrics import psnr
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.models import load_weights
from cooanalysis.models.tiling import uint8_to_torch, upscale

PERCEPTUAL = "st-lpips"
QUERIES = 6000

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


def reference_groups(reference: str, data_root: Path | None, scale: int) -> QueryGroups:
    """Groups for the collapse index: BSD100 queries, another set as reference."""
    config = AnalysisConfig("bsd100", reference=reference, scale=scale, queries=QUERIES)
    return find_query_groups(config, data_root=data_root)


def own_groups(data_root: Path | None, scale: int) -> QueryGroups:
    """Groups for the claim: BSD100 alone, so that the models were not trained on the members."""
    config = AnalysisConfig("bsd100", scale=scale, queries=QUERIES // 2, k=64)
    return find_query_groups(config, data_root=data_root)


def coo_measures(groups: QueryGroups, outputs: list[Image]) -> dict[str, float]:
    """Collapse index, overall and in the lowest and highest entropy quarter."""
    terms = collapse_terms(groups, with_outputs(groups.store, outputs))
    quarter = quantile_bin(groups.entropy, 4)
    found = {}
    for name, rows in {"": quarter >= 0, "_low": quarter == 0, "_high": quarter == 3}.items():
        boot = ImageBootstrap(groups.image[rows])
        ratio = boot.ratio(terms["model_center"][rows], terms["truth_center"][rows])
        found[f"collapse_index{name}"] = 1.0 - ratio.value
        if not name:
            found["collapse_index_ci_low"] = 1.0 - ratio.ci_high
            found["collapse_index_ci_high"] = 1.0 - ratio.ci_low
    return found


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

    def __init__(self, reference: str, data_root: Path | None, scale: int = 4) -> None:
        self.scale = scale
        self.images = load_images(["set14", "bsd100"], scale, data_root)
        self.groups = reference_groups(reference, data_root, scale)
        self.own = own_groups(data_root, scale)

    def images_of(self, weights: Path | None) -> tuple[pd.DataFrame, dict[str, float]]:
        """Measure one model (None: bicubic): a table of images and a record."""
        module = None if weights is None else load_weights(weights)
        tables, outputs = [], {}
        for name, pairs in self.images.items():
            if module is None:
                outputs[name] = [_bicubic(pair.lr, self.scale) for pair in pairs]
            else:
                outputs[name] = upscaled(module, pairs, self.scale)
            tables.append(image_measures(outputs[name], pairs, self.scale).assign(dataset=name))
        record = coo_measures(self.groups, outputs["bsd100"])
        if module is not None:
            maps = feature_maps(module, self.images["bsd100"])
            record |= claim_measures(self.own, outputs["bsd100"], maps)
        return pd.concat(tables, ignore_index=True), record


def _bicubic(lr: Image, scale: int) -> Image:
    return np.rint(np.clip(upsample(lr, scale), 0, 255)).astype(np.uint8)
