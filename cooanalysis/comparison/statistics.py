"""From patches and images to totals: intervals, differences to a baseline, tests, strata.

Every measure is a ratio of two sums over images or patches, and a monotone function of it. So one
bootstrap over images gives all intervals, the same resamples for every model (which pairs the
differences), and one paired test serves all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.analysis.summary import ceiling_reliability
from cooanalysis.analysis.summary_record import CheckedCeiling, limits
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap, quantile_bin
from cooanalysis.metrics.decibels import decibels, mse_to_psnr
from cooanalysis.metrics.metric import Metric

Floats = NDArray[np.float64]
Direction = Literal["lower", "higher", "one"]

PERMUTATIONS = 9999


@dataclass(frozen=True)
class Measure:
    """A quantity to compare: ``transform(sum(numerator) / sum(denominator))``.

    Attributes
    ----------
    name, title, unit
        Key, title in tables, unit (empty for none).
    direction
        Which is better: lower, higher, or as close to 1 as possible.
    level
        ``image``: columns of ``models``; ``patch``: columns of ``patches``.
    numerator, denominator
        Columns; an empty denominator counts rows.
    transform
        Monotone.
    digits
        Decimals in tables.
    """

    name: str
    title: str
    unit: str
    direction: Direction
    level: Literal["image", "patch"]
    numerator: str
    denominator: str = ""
    transform: Callable[[Any], Any] = lambda ratio: ratio
    digits: int = 3

    def sums(self, rows: pd.DataFrame) -> tuple[Floats, Floats]:
        """The two columns; NaN in both where one is."""
        top = rows[self.numerator].to_numpy(np.float64)
        bottom = (
            rows[self.denominator].to_numpy(np.float64) if self.denominator else np.ones(len(rows))
        )
        return top, np.where(np.isfinite(top), bottom, np.nan)

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


def measures(metrics: Iterable[Metric], features: Sequence[str]) -> list[Measure]:
    """All measures of a comparison, in the order of the tables."""
    found = [
        Measure(m.name, m.title, m.unit, m.direction, "image", m.name, digits=m.digits)
        for m in metrics
    ]  # fmt: skip
    found += [
        Measure("collapse_index", "collapse index", "", "lower", "patch", "model_center",
                "truth_center", lambda ratio: 1.0 - ratio),
        Measure("detail_energy", "detail energy", "ground truth = 1", "one", "patch",
                "model_energy", "truth_energy"),
        *(
            Measure(f"manifold_{name}", f"manifold ratio ({name})", "clean = 1", "one",
                    "patch", f"manifold_{name}", f"clean_{name}")
            for name in features
        ),
        Measure("center_distance", "distance to the center", "contrast units", "higher", "patch",
                "model_center", transform=np.sqrt),
        Measure("truth_distance", "distance to the ground truth", "contrast units", "lower",
                "patch", "model_truth", transform=np.sqrt),
        Measure("below_ceiling", "PSNR below the ceiling", "dB", "lower", "patch",
                "model_error", "mmse_floor", decibels, 2),
    ]  # fmt: skip
    return found


def totals(
    wanted: Sequence[Measure], images: pd.DataFrame, patches: pd.DataFrame, *, baseline: str,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Totals of every model with intervals, and paired differences to a baseline.

    The test is a sign-flip permutation test of the per-image sums; p-values are adjusted for all
    models and measures together (Benjamini & Yekutieli, "The control of the false discovery rate
    in multiple testing under dependency", Annals of Statistics 2001).

    Parameters
    ----------
    wanted
        The measures.
    images, patches
        One row per model and image, and one row per model and patch; columns ``model`` and
        ``image``. The rows of every model must be in the same order.
    baseline
        Name of a model.
    seed
        Seed of bootstrap and permutations.

    Returns
    -------
    pandas.DataFrame
        One row per model and measure: ``model``, ``measure``, ``value``, ``ci_low``, ``ci_high``;
        ``difference``, ``difference_low``, ``difference_high``, ``p`` and ``p_adjusted``, which are
        NaN for the baseline and where a value is not finite.
    """
    from scipy.stats import false_discovery_control

    rows = []
    for measure in wanted:
        frame = images if measure.level == "image" else patches
        by_model = {str(name): part for name, part in frame.groupby("model", sort=False)}
        numbers = np.unique(by_model[baseline]["image"], return_inverse=True)[1]
        bootstrap = ImageBootstrap(numbers, seed=seed)
        reference = _resampled(measure, by_model[baseline], bootstrap)
        for model, part in by_model.items():
            value, resamples = _resampled(measure, part, bootstrap)
            row: dict[str, Any] = {"model": model, "measure": measure.name}
            row |= bootstrap.interval(value, resamples).as_dict()
            row |= dict.fromkeys(
                ("difference", "difference_low", "difference_high", "p"), float("nan")
            )
            if model != baseline and np.isfinite(value) and np.isfinite(reference[0]):
                own, other = _paired(measure, part, by_model[baseline], bootstrap)
                difference = bootstrap.interval(own[0] - other[0], own[1] - other[1])
                row |= {
                    "difference": difference.value,
                    "difference_low": difference.ci_low,
                    "difference_high": difference.ci_high,
                    "p": _paired_p(measure, part, by_model[baseline], numbers, seed),
                }
            rows.append(row)
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table["p_adjusted"] = float("nan")
    if tested.any():
        table.loc[tested, "p_adjusted"] = false_discovery_control(
            table.loc[tested, "p"].to_numpy(), method="by"
        )
    return table


def strata(
    wanted: Sequence[Measure], patches: pd.DataFrame, *, n_strata: int, seed: int
) -> pd.DataFrame:
    """The patch measures in each entropy quantile.

    Returns
    -------
    pandas.DataFrame
        One row per model, stratum (1 is the lowest entropy) and measure: ``model``, ``stratum``,
        ``entropy_low``, ``entropy_high``, ``measure``, ``value``, ``ci_low``, ``ci_high``, ``n``.
    """
    rows = []
    for model, part in patches.groupby("model", sort=False):
        entropy = part["entropy"].to_numpy(np.float64)
        stratum = quantile_bin(entropy, n_strata)
        for number in range(n_strata):
            inside = part[stratum == number]
            if inside.empty:
                continue
            numbers = np.unique(inside["image"], return_inverse=True)[1]
            bootstrap = ImageBootstrap(numbers, seed=seed)
            for measure in wanted:
                if measure.level != "patch":
                    continue
                estimate = bootstrap.interval(*_resampled(measure, inside, bootstrap))
                rows.append(
                    {
                        "model": model,
                        "stratum": number + 1,
                        "entropy_low": float(entropy[stratum == number].min()),
                        "entropy_high": float(entropy[stratum == number].max()),
                        "measure": measure.name,
                        **estimate.as_dict(),
                        "n": len(inside),
                    }
                )
    return pd.DataFrame(rows)


def auc(scores: Mapping[str, Any], seed: int) -> dict[str, Estimate]:
    """Area under the curve of each model's two-sample test, with its interval."""
    return {
        name: (
            ImageBootstrap(test.image, n_resamples=200, seed=seed).auc(test.scores, test.labels)
            if len(test.scores)
            else Estimate(float("nan"), float("nan"), float("nan"))
        )
        for name, test in scores.items()
    }


def ceiling_db(patches: pd.DataFrame, seed: int) -> CheckedCeiling:
    """PSNR ceiling of the patches (one model's rows), and whether it can be relied on."""
    bootstrap = ImageBootstrap(np.unique(patches["image"], return_inverse=True)[1], seed=seed)
    floors = patches["mmse_floor"].to_numpy(np.float64)
    unit = patches["lr_std"].to_numpy(np.float64) ** 2
    error = patches["truth_center"].to_numpy(np.float64) * unit
    reliable, reason = ceiling_reliability(error, floors, bootstrap)
    found = bootstrap.mean(floors).transform(mse_to_psnr)
    return CheckedCeiling(**limits(found), reliable=reliable, reason=reason)


def _resampled(
    measure: Measure, rows: pd.DataFrame, bootstrap: ImageBootstrap
) -> tuple[float, Floats]:
    value, resamples = bootstrap.resampled_ratio(*measure.sums(rows))
    if not np.isfinite(value) and np.isposinf(rows[measure.numerator]).all():
        value = float("inf")  # PSNR of the ground truth itself
    with np.errstate(invalid="ignore"):
        return float(measure.transform(value)), np.asarray(measure.transform(resamples))


def _both(
    measure: Measure, rows: pd.DataFrame, baseline: pd.DataFrame
) -> list[tuple[Floats, Floats]]:
    """The sums of two models, NaN in both where either is not finite, so that pairs match."""
    found = [measure.sums(frame) for frame in (rows, baseline)]
    shared = np.logical_and.reduce([np.isfinite(part) for sums in found for part in sums])
    return [(np.where(shared, t, np.nan), np.where(shared, b, np.nan)) for t, b in found]


def _paired(
    measure: Measure, rows: pd.DataFrame, baseline: pd.DataFrame, bootstrap: ImageBootstrap
) -> list[tuple[float, Floats]]:
    """Value and resamples of two models over the rows that both have."""
    found = []
    for sums in _both(measure, rows, baseline):
        value, resamples = bootstrap.resampled_ratio(*sums)
        with np.errstate(invalid="ignore"):
            found.append(
                (float(measure.transform(value)), np.asarray(measure.transform(resamples)))
            )
    return found


def _paired_p(
    measure: Measure, rows: pd.DataFrame, baseline: pd.DataFrame, image: NDArray[np.intp], seed: int
) -> float:
    """Two-sided p-value of the sign-flip permutation test over images."""
    from scipy.stats import permutation_test

    # The denominators are the same for both models, so their sums need not be resampled.
    tops = [sums[0] for sums in _both(measure, rows, baseline)]
    first, second = (np.bincount(image, np.nan_to_num(top)) for top in tops)
    if np.array_equal(first, second):
        return 1.0
    if len(first) < 2:
        return float("nan")
    test = permutation_test(
        (first, second),
        lambda a, b, axis: np.sum(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        random_state=seed,
    )
    return float(test.pvalue)
