"""A made-up run for tests of plots and reports: plausible numbers, none of them measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import numpy as np
import pandas as pd

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.record import ExampleGroup
from cooanalysis.analysis.summary import (
    FeatureSpaceDistances,
    LabeledScores,
    Measured,
    summarize,
)
from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.measures.entropy import ESTIMATORS, Reliability
from cooanalysis.neighbors import Recall
from cooanalysis.results import Result
from cooanalysis.runtime.run_directory import SCHEMA_VERSION

SCALE, WIDTH = 4, 5
IMAGES = tuple(f"fake_{number:02d}.png" for number in range(12))
PIXEL_WARNING = "pixel distances call blur clean; shown for comparison only"


def fake_result(
    *,
    estimators: tuple[str, ...] = ESTIMATORS.builtin,
    spaces: tuple[str, ...] = ("subbands", "pixels"),
    missing_spaces: tuple[str, ...] = (),
    names: tuple[str, ...] = IMAGES,
    n_maps: int = 3,
    n_examples: int = 4,
    n: int = 1200,
    channels: int = 1,
    seed: int = 0,
) -> Result:
    """Return a fake result; everything in it is drawn from a random generator."""
    rng = np.random.default_rng(seed)
    image = np.sort(rng.integers(0, len(names), n))
    entropy = rng.normal(-1.2, 0.8, n)
    power = np.sqrt(np.exp(2 * entropy) / (2 * np.pi * math.e))
    lr_std = rng.uniform(0.02, 0.25, n)
    subspace = power * np.exp(rng.uniform(0.02, 0.35, n))
    truth_energy = rng.gamma(2.0, 0.5 * subspace**2)
    table: dict[str, Any] = {
        "image": image,
        "y": rng.integers(0, 60, n).astype(np.int32),
        "x": rng.integers(0, 80, n).astype(np.int32),
        "lr_mean": rng.uniform(0, 1, n),
        "lr_std": lr_std,
        "neighbor_distance": rng.uniform(0.05, 0.4, n),
        "center_rms": 0.4 * subspace * np.exp(rng.normal(0, 0.1, n)),
        "center_min": 0.2 * subspace,
        "center_error": 0.4 * subspace * np.exp(rng.normal(0, 0.3, n)),
        "center_rms_subspace": subspace,
        "center_energy": truth_energy * (0.05 - 0.015 * (entropy + 1.2) / 0.8).clip(0.005),
        "truth_energy": truth_energy,
        "member_energy": truth_energy,
        "mmse_floor": np.where(rng.random(n) < 0.4, (0.3 * power * lr_std) ** 2, np.nan),
    }
    table["mmse_floor_half_k"] = 0.9 * table["mmse_floor"]
    for number, name in enumerate(estimators):
        values = entropy + rng.normal(0, 0.05 * number, n)
        table["entropy_" + name.replace("-", "_")] = values
        table["entropy_abs_" + name.replace("-", "_")] = values + np.log(lr_std)
    half = rng.random(n) < 0.5
    manifold = {}
    for name in spaces:
        center, bicubic = (0.5, 0.45) if name == "pixels" else (1.25, 1.7)
        distances = {
            "clean": rng.gamma(50.0, 0.02, n).astype(np.float32),
            "center": (center * np.exp(0.05 * entropy)).astype(np.float32),
            "bicubic": np.full(n, bicubic, np.float32),
        }
        warning = PIXEL_WARNING if name == "pixels" else None
        manifold[name] = FeatureSpaceDistances(f"fake {name}", warning, distances, half)
        for kind, away in distances.items():
            table[f"manifold_{name}_{kind}"] = away
    for name in missing_spaces:
        manifold[name] = FeatureSpaceDistances(name, None, {}, half, "no weights are installed")
    labels = (rng.random(n) < 0.5).astype(np.int8)
    tests = {
        name: LabeledScores(rng.normal(shift * labels, 1.0), labels, image)
        for name, shift in (("center", 4.0), ("bicubic", 6.0), ("clean_null", 0.0))
    }
    reliability = {
        name: Reliability(
            name,
            128,
            24,
            0.05 * (i % 2),
            0.02,
            i != 1,
            "a made-up reason",
            "bias_beyond_tolerance" if i == 1 else "bias_within_tolerance",
        )
        for i, name in enumerate(estimators)
    }
    config = AnalysisConfig(
        dataset="fake", scale=SCALE, patch_width=WIDTH, estimators=estimators, map_images=n_maps,
        features=(*spaces, *missing_spaces),
    )  # fmt: skip
    measured = Measured(
        config, table, manifold, tests, reliability, Recall(0.985, 0.98, 0.99, 512), 24, 400
    )
    summary = msgspec.convert(
        msgspec.to_builtins(summarize(measured)) | _fake_provenance(config, len(names)),
        AnalysisSummary,
    )
    groups = pd.DataFrame(table | {"image": np.array(names, object)[image]})
    maps, images = _fake_maps(rng, names[:n_maps], channels)
    return Result(summary, groups, maps, _fake_examples(rng, n_examples, channels), images)


Summary = TypeVar("Summary", bound=msgspec.Struct)


def edited(summary: Summary, edit: Callable[[dict[str, Any]], object]) -> Summary:
    """The same summary after ``edit`` has changed its plain values in place."""
    plain = msgspec.to_builtins(summary)
    edit(plain)
    return msgspec.convert(plain, type(summary))


def _fake_provenance(config: AnalysisConfig, n_images: int) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": "0123456789abcdef",
        "created": "2024-01-01T00:00:00+00:00",
        "dataset": {
            "name": "fake",
            "title": "Fake images",
            "n_images": n_images,
            "lr_source": {"dataset": 0, "made": n_images},
        },
        "reference": {
            "name": "fake", "title": "Fake images", "n_images": n_images, "same_as_dataset": True,
        },
        "scale": config.scale,
        "n_reference_patches": 100_000,
        "engine": {"engine": "faiss-cpu", "index": "ivf", "effort": 32, "grouping": "knn",
                   "workers": None},
        "leakage": {
            "checked": True,
            "excluded": True,
            "n_pairs": 1,
            "pairs": [
                {
                    "query": "fake_00.png",
                    "reference": "fake_01.png",
                    "kind": "near-duplicate image",
                    "similarity": 0.99,
                }
            ],
        },
        "skipped": [{"name": "broken.png", "path": "fake/broken.png", "reason": "not an image"}],
        "warnings": [{"code": "images_skipped", "facts": {"n_files": 1}}],
        "timings_s": {"load": 0.5, "search": 2.25, "total": 3.0},
        "peak_rss_bytes": 512 * 2**20,
        "config": config.as_dict(),
        "versions": {"python": "3.11.0", "numpy": "2.0.0"},
        "seed": 0,
        "device": "cpu",
    }  # fmt: skip


def _fake_maps(
    rng: np.random.Generator, names: tuple[str, ...], channels: int
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    frames = [
        pd.DataFrame(
            {c: np.empty(0) for c in ("y", "x", "entropy", "entropy_abs", "center_rms")}
        ).assign(image=np.empty(0, np.str_), center_energy=np.empty(0))
    ]
    images = {}
    for number, name in enumerate(names):
        height, width = (30, 40) if number % 2 == 0 else (40, 30)  # LR pixels
        y, x = np.mgrid[0 : height - WIDTH + 1 : 2, 0 : width - WIDTH + 1 : 2].reshape(2, -1)
        entropy = np.sin(x / 6.0) + np.cos(y / 5.0) - 1.0
        frames.append(
            pd.DataFrame(
                {
                    "image": name,
                    "y": y,
                    "x": x,
                    "entropy": entropy,
                    "entropy_abs": entropy - 2,
                    "center_rms": np.exp(entropy),
                    "center_energy": np.exp(-entropy),
                }
            )  # fmt: skip
        )
        shape = (height * SCALE, width * SCALE, channels)
        ramp = np.linspace(30, 220, shape[1])[None, :, None]
        images[name] = np.clip(ramp + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    return pd.concat(frames[1:] or frames, ignore_index=True), images


def _fake_examples(
    rng: np.random.Generator, n_examples: int, channels: int
) -> tuple[ExampleGroup, ...]:
    size = SCALE * WIDTH
    examples = []
    for kind, noise in (("highest", 40.0), ("lowest", 5.0)):
        for number in range(n_examples):
            ramp = np.linspace(60, 180, size)[None, :, None] * np.ones((size, 1, channels))

            def picture(base: np.ndarray, amount: float) -> np.ndarray:
                return np.clip(base + rng.normal(0, amount, base.shape), 0, 255).astype(np.uint8)

            examples.append(
                ExampleGroup(
                    row=number,
                    kind=kind,
                    lr=picture(ramp[::SCALE, ::SCALE], 0.0),
                    truth=picture(ramp, noise),
                    bicubic=picture(ramp, 0.0),
                    center=picture(ramp, 2.0),
                    members=np.stack([picture(ramp, noise) for _ in range(8)]),
                )
            )
    return tuple(examples)
