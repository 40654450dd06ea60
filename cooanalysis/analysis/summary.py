"""Headline numbers with their intervals: a pure function of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.summary_record import (
    NOT_AVAILABLE,
    Ceiling,
    CeilingCode,
    CenterDistance,
    DetailDecile,
    EntropySummary,
    EstimatorReliability,
    Findings,
    IndexRecall,
    Interval,
    Record,
    SkippedFile,
    SpaceSummary,
    TwoSampleTests,
    finite,
    limits,
)
from cooanalysis.data import SkippedImage
from cooanalysis.measures.bootstrap import ImageBootstrap, quantile_bin
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


def summarize(measured: Measured) -> Findings:
    """Headline numbers of a run; numbers that are not available are None."""
    table, config = measured.table, measured.config
    bootstrap = ImageBootstrap(table["image"], seed=config.seed)
    leading = entropy_column(config.estimators[0])
    chance = energy_by_chance(table["center_rms"], config.k)
    ceiling = _ceiling(measured, bootstrap)
    return Findings(
        n_queries=len(table["image"]),
        recall_at_k=_recall(measured),
        spearman_entropy_center_distance=Interval.of(
            bootstrap.spearman(table[leading], table["center_rms"])
        ),
        entropy={name: _entropy(measured, name, bootstrap) for name in config.estimators},
        **ceiling,
        detail_energy=Interval.of(bootstrap.ratio(table["center_energy"], table["truth_energy"])),
        detail_energy_by_chance=Interval.of(bootstrap.ratio(chance, table["truth_energy"])),
        detail_energy_by_decile=_deciles(table, leading, chance, bootstrap),
        center_distance=CenterDistance(
            rms=Interval.of(bootstrap.mean(table["center_rms"])),
            min=Interval.of(bootstrap.mean(table["center_min"])),
            error=Interval.of(bootstrap.mean(table["center_error"])),
            unit=CONTRAST_UNITS if config.normalize else ABSOLUTE_UNITS,
        ),
        manifold={
            name: _manifold(space, table[leading], bootstrap)
            for name, space in measured.manifold.items()
        },
        two_sample_auc=_two_sample(measured),
        resampled="images" if bootstrap.by_image else "patches",
    )


def entropy_column(method: str) -> str:
    """Column of ``groups`` that holds an estimator's entropies.

    Examples
    --------
    >>> entropy_column("kozachenko-leonenko")
    'entropy_kozachenko_leonenko'
    """
    return "entropy_" + method.replace("-", "_")


def _recall(measured: Measured) -> IndexRecall | None:
    found = measured.recall
    if found is None:
        return None
    return IndexRecall(
        value=finite(found.value),
        ci_low=finite(found.ci_low),
        ci_high=finite(found.ci_high),
        k=measured.config.k,
        n_queries=found.n_queries,
        exact=found.n_queries == 0,
    )


def _entropy(measured: Measured, name: str, bootstrap: ImageBootstrap) -> EntropySummary:
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
    return EntropySummary(
        mean=Interval.of(bootstrap.mean(values)),
        unit="nats per dimension",
        subspace=space,
        absolute_mean=Interval.of(bootstrap.mean(values + log_std)),
        spearman_center_distance=Interval.of(bootstrap.spearman(values, table["center_rms"])),
        entropy_power=Interval.of(bootstrap.mean(power)),
        mmse_floor=Interval.of(floor),
        psnr_ceiling_db=Interval.of(floor.transform(mse_to_psnr)),
        reliability=EstimatorReliability(
            bias=finite(reliability.bias),
            standard_deviation=finite(reliability.standard_deviation),
            reliable=reliability.reliable,
            reason=reliability.code,
            n=reliability.n,
            d=reliability.d,
        ),
    )


def _two_sample(measured: Measured) -> TwoSampleTests:
    def auc(name: str) -> Interval:
        test = measured.tests.get(name)
        if test is None:
            return NOT_AVAILABLE
        bootstrap = ImageBootstrap(test.image, n_resamples=200, seed=measured.config.seed)
        return Interval.of(bootstrap.auc(test.scores, test.labels))

    return TwoSampleTests(
        space="subbands",
        center=auc("center"),
        bicubic=auc("bicubic"),
        clean_null=auc("clean_null"),
    )


def ceiling_reliability(
    error: NDArray[np.float64], floors: NDArray[np.float64], bootstrap: ImageBootstrap
) -> tuple[bool, CeilingCode]:
    """Whether a PSNR ceiling can be relied on, and why.

    The center is an estimator too: a floor that its error does not clearly stay above is not one.

    Parameters
    ----------
    error
        (q,) squared errors of the centers.
    floors
        (q,) floors of the error; NaN where not available.
    bootstrap
        Over the images of the queries.
    """
    margin = bootstrap.mean(error - floors)
    reliable = bool(margin.ci_low > 0.0 if math.isfinite(margin.ci_low) else margin.value > 0.0)
    return reliable, "center_clearly_below" if reliable else "center_not_clearly_below"


def _ceiling(measured: Measured, bootstrap: ImageBootstrap) -> dict[str, Any]:
    """PSNR ceiling beside what bicubic and the center reach on the same patches."""
    table = measured.table
    floors = table["mmse_floor"]
    unit = table["lr_std"].astype(np.float64) ** 2
    chosen = np.where(np.isfinite(floors), 1.0, np.nan)
    floor = bootstrap.mean(floors)
    center = bootstrap.mean(table["center_error"].astype(np.float64) ** 2 * unit * chosen)
    bicubic = bootstrap.mean(table["truth_energy"].astype(np.float64) * unit * chosen)
    half = bootstrap.mean(table["mmse_floor_half_k"]).transform(mse_to_psnr)
    error = table["center_error"].astype(np.float64) ** 2 * unit
    reliable, reason = ceiling_reliability(error, floors, bootstrap)
    method = (
        "entropy powers of the marginals along all principal axes of the details (spacing "
        f"estimator), {int(np.isfinite(floors).sum())} queries; holds for estimators that see only "
        f"{measured.config.patch_width}x{measured.config.patch_width} LR pixels"
    )
    return {
        "mmse_floor": Interval.of(floor),
        "psnr_ceiling_db": Ceiling(
            **limits(floor.transform(mse_to_psnr)),
            unit="dB",
            method=method,
            half_k_db=finite(half.value),
            reliable=reliable,
            reason=reason,
        ),
        "psnr_center_db": Interval.of(center.transform(mse_to_psnr)),
        "psnr_bicubic_db": Interval.of(bicubic.transform(mse_to_psnr)),
    }


def _deciles(
    table: dict[str, NDArray[Any]],
    column: str,
    chance: NDArray[np.float64],
    bootstrap: ImageBootstrap,
) -> tuple[DetailDecile, ...]:
    entropy = table[column]
    decile = quantile_bin(entropy, 10)
    rows = []
    for number in range(10):
        inside = decile == number
        if not inside.any():
            continue
        mask = np.where(inside, 1.0, np.nan)
        retained = bootstrap.ratio(table["center_energy"] * mask, table["truth_energy"])
        by_chance = bootstrap.ratio(chance * mask, table["truth_energy"])
        rows.append(
            DetailDecile(
                decile=number + 1,
                entropy_low=finite(entropy[inside].min()),
                entropy_high=finite(entropy[inside].max()),
                retained=Interval.of(retained),
                by_chance=finite(by_chance.value),
                n=int(inside.sum()),
            )
        )
    return tuple(rows)


def _manifold(
    space: FeatureSpaceDistances, entropy: NDArray[Any], bootstrap: ImageBootstrap
) -> SpaceSummary:
    if space.missing is not None:
        return SpaceSummary(
            title=space.title,
            missing=space.missing,
            center_ratio=NOT_AVAILABLE,
            bicubic_ratio=NOT_AVAILABLE,
            clean_ratio=NOT_AVAILABLE,
            center_ratio_by_quartile=(NOT_AVAILABLE,) * 4,
            bicubic_ratio_by_quartile=(NOT_AVAILABLE,) * 4,
            warning=space.warning,
        )
    clean = space.distances["clean"]
    quartile = quantile_bin(entropy, 4)
    half = space.calibration

    def by_quartile(kind: str) -> tuple[Interval, ...]:
        return tuple(
            Interval.of(
                bootstrap.ratio(np.where(quartile == number, space.distances[kind], np.nan), clean)
            )
            for number in range(4)
        )

    return SpaceSummary(
        title=space.title,
        missing=None,
        center_ratio=Interval.of(bootstrap.ratio(space.distances["center"], clean)),
        bicubic_ratio=Interval.of(bootstrap.ratio(space.distances["bicubic"], clean)),
        clean_ratio=Interval.of(
            bootstrap.ratio_of_means(np.where(half, np.nan, clean), np.where(half, clean, np.nan))
        ),
        center_ratio_by_quartile=by_quartile("center"),
        bicubic_ratio_by_quartile=by_quartile("bicubic"),
        warning=space.warning,
    )


def skipped_files(skipped: Sequence[SkippedImage]) -> tuple[SkippedFile, ...]:
    """Files that could not be used, as a summary records them."""
    return tuple(
        SkippedFile(name=item.name, path=str(item.path), reason=item.reason) for item in skipped
    )


Summary = TypeVar("Summary", bound=Record)


def validated(summary: Summary) -> Summary:
    """The same record in plain Python values, checked against its types.

    Numbers that are not finite become None, and bytes of file names that are not UTF-8 are spelled
    out, so that it can be written as JSON.

    Raises
    ------
    msgspec.ValidationError
        If it does not fit its own types: a mistake in the code that made it.
    """
    plain = jsonable(msgspec.to_builtins(summary, enc_hook=_builtin))
    return msgspec.convert(plain, type(summary))


def _builtin(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a summary cannot hold {type(value).__name__}")


def jsonable(value: Any) -> Any:
    """Plain Python values: non-finite numbers become None, and bytes of file names that are not
    UTF-8 are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
