"""A made-up comparison for tests of plots and reports: plausible numbers, none of them measured."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from cooanalysis.comparison.record import Crop
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.measures.detail.parts import SUMS, products
from cooanalysis.results import Comparison

SCALE, WIDTH = 4, 5
KINDS = {
    "bicubic": "bicubic", "net": "checkpoint", "net-decloss": "checkpoint", "gan": "checkpoint",
    "hr": "hr",
}  # fmt: skip
MEASURES = (
    ("psnr_y", "PSNR-Y", "dB", "higher", 2),
    ("st-lpips", "ST-LPIPS", "", "lower", 4),
    ("explained", "explained", "share of detail", "higher", 3),
    ("gain", "gain", "as known = 1", "none", 2),
    ("invented", "invented", "share of the unknown", "none", 3),
    ("invented_at_least", "invented at least", "share of the unknown", "none", 3),
    ("collapse_index", "collapse index", "", "none", 3),
    ("detail_energy", "detail energy", "ground truth = 1", "none", 3),
    ("manifold_sparsity", "manifold ratio (sparsity)", "", "one", 3),
)
LEAD = "manifold_sparsity"
PARTS = ("explained", "gain", "invented")
BANDS = 8
DECISIONS = ("unlike", "like", "undecided")


def fake_comparison(
    *, kinds: dict[str, str] | None = None, measures: tuple[str, ...] | None = None,
    n_strata: int = 4, n_crops: int = 2, n_maps: int = 2, seed: int = 0,
) -> Comparison:  # fmt: skip
    """Return a made-up comparison; everything in it is drawn from a random generator."""
    rng = np.random.default_rng(seed)
    kinds = KINDS if kinds is None else kinds
    chosen = [m for m in MEASURES if measures is None or m[0] in measures]
    names = [measure[0] for measure in chosen]
    images = tuple(f"image_{number}.png" for number in range(n_maps))
    return Comparison(
        _summary(kinds, chosen),
        totals=_totals(rng, kinds, names),
        models=pd.DataFrame(),
        patches=pd.DataFrame(),
        strata=_strata(rng, kinds, names, n_strata),
        spectra=_spectra(rng, kinds),
        maps=_maps(rng, kinds, images),
        crops=tuple(_crop(rng, kinds, number) for number in range(n_crops)),
        images={
            name: rng.integers(0, 256, (30 * SCALE, 40 * SCALE, 1), np.uint8) for name in images
        },
        bands=_bands(rng, kinds),
        bound=_bound(rng, kinds),
    )


def older(comparison: Comparison) -> Comparison:
    """The comparison as an older version would have kept it, with its collapse index.

    It did not measure what models know, show and make up, ask referees, or keep bands and bound.
    """
    gone = {*PARTS, "invented_at_least"}
    plain = msgspec.to_builtins(comparison.summary)
    plain |= {"anchor": None, "top_share": None, "domain_shift": {}, "smallest_adjusted_p": None,
              "images_needed": None}  # fmt: skip
    plain["measures"] = [m for m in plain["measures"] if m["name"] not in gone]
    for measure in plain["measures"]:
        if measure["name"] == "collapse_index":
            measure["direction"] = "lower"
    for model in plain["models"]:
        model |= {"budget": None, "realism": None, "closed_form": None}
    totals, strata = (table[~table["measure"].isin(gone)]
                      for table in (comparison.totals, comparison.strata))  # fmt: skip
    maps = comparison.maps.drop(columns=list(SUMS)).assign(truth_center=1.0, model_center=0.1)
    return dataclasses.replace(
        comparison, summary=msgspec.convert(plain, ComparisonSummary), totals=totals,
        strata=strata, maps=maps, bands=None, bound=None,
    )  # fmt: skip


def _interval(rng: np.random.Generator, value: float) -> dict[str, float]:
    low, high = rng.uniform(0.01, 0.1, 2) * max(abs(value), 0.1)
    return {"value": value, "ci_low": value - low, "ci_high": value + high}


def _totals(rng: np.random.Generator, kinds: dict[str, str], names: list[str]) -> pd.DataFrame:
    rows = []
    for model, kind in kinds.items():
        for name in names:
            value = rng.uniform(24.0, 30.0) if name == "psnr_y" else rng.uniform(0.2, 1.3)
            found = _interval(rng, value)
            if kind == "hr" and name == "psnr_y":
                found = {"value": np.inf, "ci_low": np.nan, "ci_high": np.nan}
            elif kind == "hr":
                found = _interval(rng, 0.0 if name == "st-lpips" else 1.0)
            if kind == "hr" and name in ("invented", "invented_at_least", "collapse_index"):
                found = dict.fromkeys(("value", "ci_low", "ci_high"), np.nan)
            rows.append({"model": model, "measure": name, **found})
    unknown = {"difference": np.nan, "difference_low": np.nan, "difference_high": np.nan}
    return pd.DataFrame(rows).assign(**unknown, p_adjusted=np.nan)


def _strata(
    rng: np.random.Generator, kinds: dict[str, str], names: list[str], n_strata: int
) -> pd.DataFrame:
    rows = [
        {"model": model, "measure": name, "stratum": stratum + 1}
        | _interval(rng, rng.uniform(0.2, 1.3))
        for model in kinds
        for name in names
        if name != "psnr_y"
        for stratum in range(n_strata)
    ]
    frame = pd.DataFrame(
        rows, columns=["model", "measure", "stratum", "value", "ci_low", "ci_high"]
    )
    return frame.sample(frac=1.0, random_state=0)


def _spectra(rng: np.random.Generator, kinds: dict[str, str]) -> pd.DataFrame:
    frequency = np.linspace(0.01, 0.49, 25)
    frames = []
    for model in kinds:
        ratio = np.exp(-rng.uniform(2.0, 8.0) * frequency)
        frames.append(
            pd.DataFrame(
                {"model": model, "frequency": frequency, "power": 100.0 * ratio,
                 "power_ratio": ratio, "ci_low": 0.8 * ratio, "ci_high": 1.3 * ratio}
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _bands(rng: np.random.Generator, kinds: dict[str, str]) -> pd.DataFrame:
    rows = [
        {"model": model, "frequency": (band + 0.5) / (2 * BANDS), "measure": measure}
        | _interval(rng, rng.uniform(0.2, 1.3))
        for model in kinds
        for band in range(BANDS)
        for measure in PARTS
    ]
    return pd.DataFrame(rows).sample(frac=1.0, random_state=0)


def _bound(rng: np.random.Generator, kinds: dict[str, str]) -> pd.DataFrame:
    """The first model but the ground truth sets the bound."""
    best = {"best_mse": 0.003, "best_wasserstein": 0.04}
    rows: list[dict[str, Any]] = []
    models = [name for name, kind in kinds.items() if kind != "hr"]
    for model in models:
        distance = rng.uniform(0.01, 0.04) if rows else best["best_wasserstein"]
        excess = float(rng.uniform(0.1, 1.0)) if rows else 0.0
        lowest = best["best_mse"] + (best["best_wasserstein"] - distance) ** 2
        rows.append(
            {"model": model, "mse": lowest * 10.0 ** (excess / 10.0), "wasserstein": distance,
             "excess_db": excess, "excess_low": 0.9 * excess, "excess_high": 1.2 * excess,
             "predictor": models[0], **best}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _maps(rng: np.random.Generator, kinds: dict[str, str], images: tuple[str, ...]) -> pd.DataFrame:
    """Sums of made-up details of 6 pixels a patch, so that they obey Cauchy and Schwarz."""
    y, x = np.mgrid[0:26:2, 0:36:2].reshape(2, -1)
    frames = [pd.DataFrame(columns=["image", "model", "y", "x", "entropy", "lr_std", *SUMS])]
    for image in images:
        entropy, std = rng.normal(size=len(y)), rng.uniform(0.02, 0.2, len(y))
        truth, known = rng.normal(scale=0.1, size=(2, len(y), 6))
        known = 0.5 * truth + 0.2 * known
        for model, kind in kinds.items():
            made_up = rng.normal(scale=0.03, size=known.shape)
            output = truth if kind == "hr" else rng.uniform(0.5, 1.5) * known + made_up
            sums = [part.sum(axis=1) for part in products(truth, output, known, known)]
            place = {"image": image, "model": model, "y": y, "x": x, "entropy": entropy}
            columns = place | {"lr_std": std} | dict(zip(SUMS, sums, strict=True))
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def _crop(rng: np.random.Generator, kinds: dict[str, str], number: int) -> Crop:
    pictures = {name: rng.integers(0, 256, (48, 48, 3), np.uint8) for name in kinds}
    return Crop(f"crop_{number}.png", 8, 16, pictures)


def _summary(kinds: dict[str, str], measures: list[Any]) -> ComparisonSummary:
    nothing = {"value": None, "ci_low": None, "ci_high": None}
    keys = ("name", "title", "unit", "direction", "digits")
    models = tuple(kinds)
    plain = {
        "kind": "comparison", "schema_version": 2, "fingerprint": "0123456789abcdef",
        "created": "2024-01-01T00:00:00+00:00",
        "dataset": {"name": "fake", "title": "Fake images", "n_images": 12},
        "reference": {"name": "fake", "title": "Fake images"},
        "scale": SCALE, "n_queries": 1000, "baseline": models[0], "lead": LEAD,
        "measures": [dict(zip(keys, measure, strict=True)) for measure in measures],
        "models": [
            {"name": name, "kind": kind, "detail": "", "verdict": ["made up", "made up"],
             "measures": {}, "two_sample_auc": nothing, "closed_form": 0.98,
             "budget": _budget(number), "realism": _realism(number)}
            for number, (name, kind) in enumerate(kinds.items())
        ],
        "anchor": {"name": "net", "chosen": "given", "closed_form": 0.98, "detail_energy": 0.21,
                   "explained": 0.2},
        "top_share": 0.3, "domain_shift": {"sparsity": {"value": 1.36, "ci_low": 1.2,
                                                        "ci_high": 1.5}},
        "smallest_adjusted_p": 0.011, "images_needed": 11,
        "psnr_ceiling_db": {"value": 31.0, "ci_low": 30.0, "ci_high": 32.0, "reliable": True,
                            "reason": "center_clearly_below"},
        "protocol": "made up", "resampled": "images", "cached_outputs": 0, "skipped": [],
        "warnings": [], "timings_s": {"total": 1.0}, "peak_rss_bytes": None,
        "config": {
            "analysis": {"dataset": "fake", "scale": SCALE, "patch_width": WIDTH},
            "models": models, "baseline": models[0],
        },
        "versions": {}, "seed": 0,
    }  # fmt: skip
    return msgspec.convert(plain, ComparisonSummary)


def _budget(number: int) -> dict[str, float]:
    """Parts of a mean squared error, peak 1."""
    return {"unknown": 0.002, "known_to_others": 0.0001 * number, "wrong_gain": 0.0002,
            "made_up": 0.0003 * number, "remainder": 0.00005}  # fmt: skip


def _realism(number: int) -> dict[str, Any]:
    decision = DECISIONS[number % len(DECISIONS)]
    area = {"value": 0.9, "ci_low": 0.85, "ci_high": 0.95}
    return {
        "decision": decision,
        "votes": {"sparsity": "like", "features": decision, "critic": decision},
        "critic_auc": area,
        "separation": {"critic": {"value": 1.5, "ci_low": 1.2, "ci_high": 1.8}},
    }
