"""Headline numbers with their intervals: a pure function of what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap, quantile_bin
from cooanalysis.measures.center import energy_by_chance
from cooanalysis.measures.entropy import Reliability, entropy_power
from cooanalysis.metrics.decibels import mse_to_psnr
from cooanalysis.neighbors import Recall

CONTRAST_UNITS = "contrast units (LR standard deviations)"
ABSOLUTE_UNITS = "units of the peak"


@dataclass(frozen=True)
class LabeledScores:
    """Scores of a two-sample test with the image of each patch.

    Attributes
    ----------
    scores, labels, image
        (n,) score of being the second sample, which sample it is (0 or 1), image number.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int8]
    image: NDArray[np.integer]


@dataclass(frozen=True)
class FeatureSpaceDistances:
    """Distances to the clean manifold in one feature space, or why there are none.

    Attributes
    ----------
    title, warning
        As in :class:`cooanalysis.measures.manifold.FeatureSpace`.
    distances
        ``clean``, ``center`` and ``bicubic``: (n,) distances of the query patches.
    calibration
        (n,) bool: the half of the clean patches that calibrates the check of the other half.
    missing
        Why the space was left out, or None.
    """

    title: str
    warning: str | None
    distances: dict[str, NDArray[np.float32]]
    calibration: NDArray[np.bool_]
    missing: str | None = None


@dataclass(frozen=True)
class Measured:
    """What a run measured, as plain arrays.

    Attributes
    ----------
    config
        The configuration.
    table
        Columns of ``groups``; ``image`` as numbers.
    manifold
        Per feature space.
    tests
        Two-sample scores: ``center``, ``bicubic`` and ``clean_null``.
    reliability
        Per estimator.
    recall
        Of the index; None for k-means grouping.
    subspace_dim, patch_dim
        Dimensions of the entropy subspace and of an HR patch.
    """

    config: AnalysisConfig
    table: dict[str, NDArray[Any]]
    manifold: dict[str, FeatureSpaceDistances]
    tests: dict[str, LabeledScores]
    reliability: dict[str, Reliability]
    recall: Recall | None
    subspace_dim: int
    patch_dim: int


def summarize(measured: Measured) -> dict[str, Any]:
    """Headline numbers of a run, ready for JSON.

    Returns
    -------
    dict
        Keys as documented in ``schemas/summary.schema.json``; numbers that are not available
        are None.
    """
    table, config = measured.table, measured.config
    bootstrap = ImageBootstrap(table["image"], seed=config.seed)
    leading = entropy_column(config.estimators[0])
    recall = measured.recall
    ceiling = _ceiling(measured, bootstrap)
    chance = energy_by_chance(table["center_rms"], config.k)
    summary: dict[str, Any] = {
        "n_queries": len(table["image"]),
        "recall_at_k": None
        if recall is None
        else {
            "value": recall.value,
            "ci_low": recall.ci_low,
            "ci_high": recall.ci_high,
            "k": config.k,
            "n_queries": recall.n_queries,
            "exact": recall.n_queries == 0,
        },
        "spearman_entropy_center_distance": bootstrap.spearman(table[leading], table["center_rms"]),
        "entropy": {name: _entropy(measured, name, bootstrap) for name in config.estimators},
        **ceiling,
        "detail_energy": bootstrap.ratio(table["center_energy"], table["truth_energy"]),
        "detail_energy_by_chance": bootstrap.ratio(chance, table["truth_energy"]),
        "detail_energy_by_decile": _deciles(table, leading, chance, bootstrap),
        "center_distance": {
            "rms": bootstrap.mean(table["center_rms"]),
            "min": bootstrap.mean(table["center_min"]),
            "error": bootstrap.mean(table["center_error"]),
            "unit": CONTRAST_UNITS if config.normalize else ABSOLUTE_UNITS,
        },
        "manifold": {
            name: _manifold(space, table[leading], bootstrap)
            for name, space in measured.manifold.items()
        },
        "two_sample_auc": {
            "space": "subbands",
            **{
                name: ImageBootstrap(test.image, n_resamples=200, seed=config.seed).auc(
                    test.scores, test.labels
                )
                for name, test in measured.tests.items()
            },
        },
        "uncertainty": "95 % bootstrap interval over "
        + ("images" if bootstrap.by_image else "single patches (too few images)"),
    }
    plain = jsonable(summary)
    assert isinstance(plain, dict)
    return plain


def entropy_column(method: str) -> str:
    """Column of ``groups`` that holds an estimator's entropies.

    Examples
    --------
    >>> entropy_column("kozachenko-leonenko")
    'entropy_kozachenko_leonenko'
    """
    return "entropy_" + method.replace("-", "_")


def _entropy(measured: Measured, name: str, bootstrap: ImageBootstrap) -> dict[str, Any]:
    table, config = measured.table, measured.config
    values = table[entropy_column(name)].astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    log_std = np.log(table["lr_std"].astype(np.float64))
    power = entropy_power(values)
    share = measured.subspace_dim / measured.patch_dim
    floor = bootstrap.mean(share * entropy_power(values + log_std))
    reliability = measured.reliability[name]
    space = f"{measured.subspace_dim} leading principal components of the details" + (
        ", contrast-normalized" if config.normalize else ""
    )
    return {
        "mean": bootstrap.mean(values),
        "unit": "nats per dimension",
        "subspace": space,
        "absolute_mean": bootstrap.mean(values + log_std),
        "spearman_center_distance": bootstrap.spearman(values, table["center_rms"]),
        "entropy_power": bootstrap.mean(power),
        "mmse_floor": floor,
        "psnr_ceiling_db": floor.transform(mse_to_psnr),
        "reliability": {
            "bias": reliability.bias,
            "standard_deviation": reliability.standard_deviation,
            "trusted": reliability.trusted,
            "reason": reliability.reason,
            "n": reliability.n,
            "d": reliability.d,
        },
    }


def ceiling_trust(
    error: NDArray[np.float64], floors: NDArray[np.float64], bootstrap: ImageBootstrap
) -> tuple[bool, str]:
    """Whether a PSNR ceiling is to be trusted, and why.

    The center is an estimator too: a floor that its error does not clearly stay above is none.

    Parameters
    ----------
    error
        (q,) squared errors of the centers.
    floors
        (q,) floors of the error; NaN where there is none.
    bootstrap
        Over the images of the queries.
    """
    margin = bootstrap.mean(error - floors)
    trusted = bool(margin.ci_low > 0.0 if math.isfinite(margin.ci_low) else margin.value > 0.0)
    if trusted:
        return True, "the center stays clearly below it"
    return False, (
        "the center of the groups does not stay clearly below it, which happens when groups mix LR "
        "patches that differ; use a larger reference set, a smaller stride or a smaller k"
    )


def _ceiling(measured: Measured, bootstrap: ImageBootstrap) -> dict[str, Any]:
    """PSNR ceiling beside what bicubic and the center reach on the very same patches."""
    table = measured.table
    floors = table["mmse_floor"]
    unit = table["lr_std"].astype(np.float64) ** 2
    chosen = np.where(np.isfinite(floors), 1.0, np.nan)
    floor = bootstrap.mean(floors)
    center = bootstrap.mean(table["center_error"].astype(np.float64) ** 2 * unit * chosen)
    bicubic = bootstrap.mean(table["truth_energy"].astype(np.float64) * unit * chosen)
    half = bootstrap.mean(table["mmse_floor_half_k"]).transform(mse_to_psnr)
    ceiling = floor.transform(mse_to_psnr)
    error = table["center_error"].astype(np.float64) ** 2 * unit
    trusted, reason = ceiling_trust(error, floors, bootstrap)
    method = (
        "entropy powers of the marginals along all principal axes of the details (spacing "
        f"estimator), {int(np.isfinite(floors).sum())} queries; holds for estimators that see only "
        f"{measured.config.patch_width}x{measured.config.patch_width} LR pixels"
    )
    return {
        "mmse_floor": floor,
        "psnr_ceiling_db": {
            **ceiling.as_dict(),
            "unit": "dB",
            "method": method,
            "half_k_db": half.value,
            "trusted": trusted,
            "reason": reason,
        },
        "psnr_center_db": center.transform(mse_to_psnr),
        "psnr_bicubic_db": bicubic.transform(mse_to_psnr),
    }


def _deciles(
    table: dict[str, NDArray[Any]],
    column: str,
    chance: NDArray[np.float64],
    bootstrap: ImageBootstrap,
) -> list[dict[str, Any]]:
    entropy = table[column]
    decile = quantile_bin(entropy, 10)
    rows = []
    for number in range(10):
        inside = decile == number
        if not inside.any():
            continue
        mask = np.where(inside, 1.0, np.nan)
        rows.append(
            {
                "decile": number + 1,
                "entropy_low": float(entropy[inside].min()),
                "entropy_high": float(entropy[inside].max()),
                "retained": bootstrap.ratio(table["center_energy"] * mask, table["truth_energy"]),
                "by_chance": bootstrap.ratio(chance * mask, table["truth_energy"]).value,
                "n": int(inside.sum()),
            }
        )
    return rows


def _manifold(
    space: FeatureSpaceDistances, entropy: NDArray[Any], bootstrap: ImageBootstrap
) -> dict[str, Any]:
    if space.missing is not None:
        return {"title": space.title, "missing": space.missing}
    clean = space.distances["clean"]
    quartile = quantile_bin(entropy, 4)
    half = space.calibration

    def by_quartile(kind: str) -> list[Estimate]:
        return [
            bootstrap.ratio(np.where(quartile == number, space.distances[kind], np.nan), clean)
            for number in range(4)
        ]

    return {
        "title": space.title,
        "center_ratio": bootstrap.ratio(space.distances["center"], clean),
        "bicubic_ratio": bootstrap.ratio(space.distances["bicubic"], clean),
        "clean_ratio": bootstrap.ratio_of_means(
            np.where(half, np.nan, clean), np.where(half, clean, np.nan)
        ),
        "center_ratio_by_quartile": by_quartile("center"),
        "bicubic_ratio_by_quartile": by_quartile("bicubic"),
        "warning": space.warning,
    }


def jsonable(value: Any) -> Any:
    """Plain Python values: estimates become dictionaries, non-finite numbers None, and bytes
    of file names that are not UTF-8 are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Estimate):
        return jsonable(value.as_dict())
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
