"""The tables of a comparison, one row per image, patch, frequency, or place of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cooanalysis.comparison.detail import STEM
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.images import ImageMeasures
from cooanalysis.comparison.patches import CleanPatches
from cooanalysis.comparison.statistics import Measure, by_frequency, per_image, psnr_explained
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.measures.detail import SUMS
from cooanalysis.metrics import Metric
from cooanalysis.models.sources import Source
from cooanalysis.runtime.run_directory import Arrays

Found = Mapping[str, Arrays]
"""What :func:`cooanalysis.comparison.patches.measure_patches` returned, by model."""


def model_table(
    names: Sequence[str], sources: Sequence[Source], metrics: Sequence[Metric],
    images: ImageMeasures, found: Found, wanted: Sequence[Measure],
) -> pd.DataFrame:  # fmt: skip
    """One row per model and image: metrics, sums of the detail, and measures made of them."""
    frames = [
        pd.DataFrame(
            {"model": source.name, "image": list(names)}
            | {metric.name: images.metrics[row, :, i] for i, metric in enumerate(metrics)}
            | dict(zip(SUMS, found[source.name]["image_sums"].T, strict=True))
            | {"pixels": found[source.name]["image_pixels"]}
        )
        for row, source in enumerate(sources)
    ]
    table = pd.concat(frames, ignore_index=True)
    table["psnr_explained_db"] = psnr_explained(table)
    return pd.concat([table, per_image(wanted, table)], axis=1)


def patch_table(
    groups: QueryGroups, clean: CleanPatches, floors: Any, found: Found
) -> pd.DataFrame:
    """One row per model and query patch."""
    names = np.array(groups.store.names, dtype=object)
    common = {
        "image": names[groups.image],
        "y": groups.queries.patches.y,
        "x": groups.queries.patches.x,
        "entropy": groups.entropy,
        "center_error": groups.measures["center_error"],
        "lr_std": groups.queries.std,
        "mmse_floor": floors,
        "pixels": groups.store.patch_dim,
        **{f"clean_{name}": values for name, values in clean.distance.items()},
    }
    frames = []
    for name, arrays in found.items():
        ratios = {key: array for key, array in arrays.items() if key.startswith("manifold_")}
        sums = dict(zip(SUMS, arrays[STEM].T, strict=True))
        frames.append(pd.DataFrame({"model": name} | common | sums | ratios))
    return pd.concat(frames, ignore_index=True)


def map_table(groups: QueryGroups, maps: Sequence[QueryGroups], found: Found) -> pd.DataFrame:
    """One row per model and patch of the densely measured images: sums of the detail."""
    columns = ("model", "image", "y", "x", "entropy", "lr_std", *SUMS)
    frames = [pd.DataFrame({name: [] for name in columns})]
    for number, dense in enumerate(maps):
        place = {
            "image": groups.store.names[int(dense.image[0])],
            "y": dense.queries.patches.y,
            "x": dense.queries.patches.x,
            "entropy": dense.entropy,
            "lr_std": dense.queries.std,
        }
        for name, arrays in found.items():
            sums = dict(zip(SUMS, arrays[f"map_{number}_{STEM}"].T, strict=True))
            frames.append(pd.DataFrame({"model": name} | place | sums))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def band_table(found: Found, wanted: Sequence[Measure], seed: int) -> pd.DataFrame:
    """The detail measures in each frequency band, see :func:`by_frequency`."""
    frames = [
        by_frequency(
            wanted,
            name,
            {column: arrays["band_sums"][:, :, i] for i, column in enumerate(SUMS)},
            seed=seed,
        )
        for name, arrays in found.items()
    ]
    return pd.concat(frames, ignore_index=True)


def spectrum_table(sources: Sequence[Source], images: ImageMeasures, seed: int) -> pd.DataFrame:
    """Radial power (mean over images), and its ratio to the ground truth's (ratio of sums)."""
    frames = []
    bootstrap = ImageBootstrap(np.arange(images.spectra.shape[1]), seed=seed)
    truth = images.spectra[-1]
    rings = range(truth.shape[1])
    for row, source in enumerate(sources):
        own = images.spectra[row]
        ratios = [bootstrap.ratio(own[:, ring], truth[:, ring]) for ring in rings]
        frames.append(
            pd.DataFrame(
                {
                    "model": source.name,
                    "frequency": images.frequency,
                    "power": [bootstrap.mean(own[:, ring]).value for ring in rings],
                    "power_ratio": [ratio.value for ratio in ratios],
                    "ci_low": [ratio.ci_low for ratio in ratios],
                    "ci_high": [ratio.ci_high for ratio in ratios],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
