"""From patches and images to totals: intervals, differences to a baseline, tests, strata.

Every measure is a function of sums over images or patches, and so is the difference of two models.
So one kind of interval and one paired test are used for all, from the sums of each image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.analysis.summary import ceiling_reliability
from cooanalysis.analysis.summary_record import CheckedCeiling, limits
from cooanalysis.measures.bootstrap import (
    Estimate,
    ImageBootstrap,
    image_sums,
    quantile_bin,
    quotient,
)
from cooanalysis.measures.detail import parts
from cooanalysis.measures.intervals import NOT_NEGATIVE, UNBOUNDED, Bounds, Combine
from cooanalysis.measures.paired import (
    FLIPS,
    LEVEL,
    images_needed,
    smallest_adjusted_p,
    swap_p,
)
from cooanalysis.metrics.decibels import mse_to_psnr
from cooanalysis.metrics.metric import Metric

Floats = NDArray[np.float64]
Direction = Literal["lower", "higher", "one", "none"]
Level = Literal["image", "patch"]

PERMUTATIONS = FLIPS

ROUNDING = 1e-6
"""An unknown share of the detail below this is that of rounding."""

ROWS = ""
"""As the name of a column: 1 for every row, so that its sum counts rows."""


@dataclass(frozen=True)
class Measure:
    """A quantity to compare: a function of sums of columns over images or patches.

    Attributes
    ----------
    name, title, unit
        Key, title in tables, unit (empty for none).
    direction
        Which is better: lower, higher, or as close to 1 as possible; ``none`` where a value alone
        is neither good nor bad.
    level
        Where totals are summed: over rows of ``models`` (``image``) or of ``patches``.
    columns
        The k columns to sum. A row in which one of them is not finite is left out of all.
    combine
        Smooth function from the sums, (..., k) along the last axis, to values, (...).
    bounds
        What the measure never passes, whatever the sums; its intervals do not either.
    digits
        Decimals in tables.
    """

    name: str
    title: str
    unit: str
    direction: Direction
    level: Level
    columns: tuple[str, ...]
    combine: Combine = quotient
    bounds: Bounds = UNBOUNDED
    digits: int = 3

    def values(self, rows: pd.DataFrame) -> Floats:
        """(n, k) values of the columns, one row per row of the table."""
        return np.stack(
            [
                rows[name].to_numpy(np.float64) if name != ROWS else np.ones(len(rows))
                for name in self.columns
            ],
            axis=1,
        )

    def found_in(self, rows: pd.DataFrame) -> bool:
        """Whether a table has all columns of the measure."""
        return all(name in rows or name == ROWS for name in self.columns)

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


def ratio(
    name: str, title: str, unit: str, direction: Direction, level: Level, numerator: str,
    denominator: str = ROWS, transform: Callable[[Any], Any] | None = None, *,
    bounds: Bounds = UNBOUNDED, digits: int = 3,
) -> Measure:  # fmt: skip
    """The measure ``transform(sum(numerator) / sum(denominator))``; by default a mean over rows."""
    combine = quotient if transform is None else partial(_of_quotient, transform)
    return Measure(
        name, title, unit, direction, level, (numerator, denominator), combine, bounds, digits
    )


def _of_quotient(transform: Callable[[Any], Any], sums: Floats) -> Any:
    return transform(quotient(sums))


def measures(metrics: Iterable[Metric], features: Sequence[str]) -> list[Measure]:
    """All measures of a comparison, in the order of the tables."""
    found = [
        ratio(m.name, m.title, m.unit, m.direction, "image", m.name, digits=m.digits)
        for m in metrics
    ]  # fmt: skip
    found += _detail_measures()
    found += [
        ratio(f"manifold_{name}", f"manifold ratio ({name})", "clean = 1", "one", "patch",
              f"manifold_{name}", f"clean_{name}", bounds=NOT_NEGATIVE)
        for name in features
    ]  # fmt: skip
    return found


def _detail_measures() -> list[Measure]:
    """What a model knows, shows and makes up, from the sums of its detail."""
    known = ("truth_energy", "alone_energy", "alone_truth")
    shown = ("known_energy", "known_output")
    share = "share of detail"
    unknown = "share of the unknown"
    return [
        Measure("explained", "explained", share, "higher", "image", known,
                _from_sums(parts.explained), (-np.inf, 1.0)),
        ratio("psnr_explained_db", "PSNR of the explained", "dB", "higher", "image",
              "psnr_explained_db", digits=2),
        Measure("gain", "gain", "as known = 1", "none", "image", shown, _from_sums(parts.gain),
                digits=2),
        Measure("invented", "invented", unknown, "none", "image", parts.INVENTED,
                _from_sums(parts.invented), NOT_NEGATIVE),
        Measure("invented_at_least", "invented at least", unknown, "none", "image",
                parts.INVENTED_ALONE, _from_sums(parts.invented), NOT_NEGATIVE),
        Measure("collapse_index", "collapse index", "", "none", "image", parts.INVENTED,
                _from_sums(parts.collapse_index), (-np.inf, 1.0)),
        Measure("detail_energy", "detail energy", "ground truth = 1", "none", "image",
                ("truth_energy", "output_energy"), _from_sums(parts.detail_energy), NOT_NEGATIVE),
    ]  # fmt: skip


def _from_sums(function: Callable[..., Floats]) -> Combine:
    return lambda sums: function(*np.moveaxis(sums, -1, 0))


def psnr_explained(images: pd.DataFrame) -> Floats:
    """(n,) PSNR that the explained detail of each image has, dB; see :func:`per_image`."""
    names = ("truth_energy", "alone_energy", "alone_truth")
    truth, *rest = (images[name].to_numpy(np.float64) for name in names)
    error = parts.unknown_energy(truth, *rest)
    # Of the ground truth itself, rounding is left.
    error = np.where(error > ROUNDING * truth, error, 0.0)
    with np.errstate(divide="ignore"):
        return mse_to_psnr(error / images["pixels"].to_numpy(np.float64))


def per_image(wanted: Sequence[Measure], images: pd.DataFrame) -> pd.DataFrame:
    """The value of every measure that has its columns in ``images``, for each of its rows."""
    found = {}
    for measure in wanted:
        if measure.name not in images and measure.found_in(images):
            with np.errstate(divide="ignore", invalid="ignore"):
                found[measure.name] = measure.combine(measure.values(images))
    return pd.DataFrame(found, index=images.index)


def by_frequency(
    wanted: Sequence[Measure], model: str, sums: Mapping[str, Floats], *, seed: int
) -> pd.DataFrame:
    """The detail measures of one model in each frequency band, with intervals over images.

    Parameters
    ----------
    wanted
        The measures; those whose columns are not in ``sums`` are left out.
    model
        Its name.
    sums
        (n_images, n_bands) by column; NaN for images without spectra.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per band and measure: ``model``, ``frequency`` (cycles per HR pixel, middle of the
        band), ``measure``, ``value``, ``ci_low``, ``ci_high``.
    """
    first = next(iter(sums.values()))
    bootstrap = ImageBootstrap(np.arange(len(first)), seed=seed)
    rows = []
    for band in range(first.shape[1]):
        frame = pd.DataFrame({name: values[:, band] for name, values in sums.items()})
        for measure in wanted:
            if measure.found_in(frame):
                estimate = _total(measure, measure.values(frame), bootstrap)
                rows.append(
                    {"model": model, "frequency": (band + 0.5) / (2 * first.shape[1]),
                     "measure": measure.name, **estimate.as_dict()}
                )  # fmt: skip
    return pd.DataFrame(rows)


def totals(
    wanted: Sequence[Measure], images: pd.DataFrame, patches: pd.DataFrame, *, baseline: str,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Totals of every model with intervals, and paired differences to a baseline.

    Intervals are those of :func:`cooanalysis.measures.intervals.interval`. The test exchanges the
    two models within images (:func:`cooanalysis.measures.paired.swap_p`); p-values are adjusted for
    all models and measures together (Benjamini & Yekutieli, "The control of the false discovery
    rate in multiple testing under dependency", Annals of Statistics 2001). With few images no
    adjusted p-value can be small, see :func:`reach`.

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
        Seed of bootstrap and random swaps.

    Returns
    -------
    pandas.DataFrame
        One row per model and measure: ``model``, ``measure``, ``value``, ``ci_low``, ``ci_high``;
        ``difference``, ``difference_low``, ``difference_high``, ``p`` and ``p_adjusted``, which are
        NaN for the baseline and where a value is not finite.
    """
    from scipy.stats import false_discovery_control

    rows = []
    levels = {}
    for level in {measure.level for measure in wanted}:
        frame = images if level == "image" else patches
        by_model = {str(name): part for name, part in frame.groupby("model", sort=False)}
        levels[level] = by_model, ImageBootstrap(_numbers(by_model[baseline]), seed=seed)
    for measure in wanted:
        by_model, bootstrap = levels[measure.level]
        reference = measure.values(by_model[baseline])
        for model, part in by_model.items():
            values = measure.values(part)
            row: dict[str, Any] = {"model": model, "measure": measure.name}
            row |= _total(measure, values, bootstrap).as_dict()
            row |= dict.fromkeys(
                ("difference", "difference_low", "difference_high", "p"), float("nan")
            )
            if model != baseline:
                row |= _against(measure, values, reference, bootstrap)
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
    """The measures that patches have, in each entropy quantile.

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
            bootstrap = ImageBootstrap(_numbers(inside), seed=seed)
            for measure in wanted:
                if not measure.found_in(inside):
                    continue
                estimate = _total(measure, measure.values(inside), bootstrap)
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


def ceiling_db(patches: pd.DataFrame, seed: int) -> CheckedCeiling:
    """PSNR ceiling of the patches (one model's rows), and whether it can be relied on."""
    bootstrap = ImageBootstrap(_numbers(patches), seed=seed)
    floors = patches["mmse_floor"].to_numpy(np.float64)
    unit = patches["lr_std"].to_numpy(np.float64) ** 2
    error = patches["center_error"].to_numpy(np.float64) ** 2 * unit
    reliable, reason = ceiling_reliability(error, floors, bootstrap)
    found = bootstrap.mean(floors).transform(mse_to_psnr)
    return CheckedCeiling(**limits(found), reliable=reliable, reason=reason)


@dataclass(frozen=True)
class Reach:
    """What the paired tests of a comparison can show with its number of images.

    Attributes
    ----------
    n_images, n_tests
        Number of images, and of p-values adjusted together.
    smallest_adjusted_p
        Smallest adjusted p-value that any test can reach, at best; see
        :func:`cooanalysis.measures.paired.smallest_adjusted_p`.
    images_needed
        Fewest images with which it falls below 0.05; None where no number suffices.
    """

    n_images: int
    n_tests: int
    smallest_adjusted_p: float
    images_needed: int | None

    @property
    def possible(self) -> bool:
        """Whether any test can be significant."""
        return self.smallest_adjusted_p < LEVEL

    @property
    def possible_alone(self) -> bool:
        """Whether a test can be significant while all others show nothing."""
        return self.smallest_adjusted_p * self.n_tests < LEVEL


def reach(table: pd.DataFrame, n_images: int) -> Reach:
    """What the tests in a table of :func:`totals` over ``n_images`` images can show at best."""
    n_tests = int(table["p"].notna().sum())
    return Reach(n_images, n_tests, smallest_adjusted_p(n_images, n_tests), images_needed(n_tests))


def _numbers(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Number of the image of each row, in the order of the images' names."""
    return np.asarray(pd.factorize(rows["image"], sort=True)[0], np.intp)


def _finite(values: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=1))


def _total(measure: Measure, values: Floats, bootstrap: ImageBootstrap) -> Estimate:
    usable = _finite(values)
    if not usable.any():  # such as the infinite PSNR of the ground truth itself
        with np.errstate(invalid="ignore", divide="ignore"):
            value = float(measure.combine(values.sum(axis=0)))
        return Estimate(value, float("nan"), float("nan"))
    columns = np.where(usable[:, None], values, 0.0).T
    return bootstrap.of_sums(list(columns), measure.combine, measure.bounds)


def _against(
    measure: Measure, values: Floats, baseline: Floats, bootstrap: ImageBootstrap
) -> dict[str, float]:
    """Difference to the baseline over the rows that both have, its interval and p-value."""
    usable = _finite(values) & _finite(baseline)
    if not usable.any():
        return {}
    k = values.shape[1]
    both = list(np.where(usable[:, None], np.hstack([values, baseline]), 0.0).T)
    of_images = image_sums(bootstrap.image, both)

    def change(sums: Floats) -> Any:
        return measure.combine(sums[..., :k]) - measure.combine(sums[..., k:])

    found = (
        bootstrap.of_table(of_images, change)
        if bootstrap.by_image
        else bootstrap.of_sums(both, change)
    )
    if not np.isfinite(found.value):
        return {}
    return {
        "difference": found.value,
        "difference_low": found.ci_low,
        "difference_high": found.ci_high,
        "p": swap_p(of_images[:, :k], of_images[:, k:], measure.combine, flips=PERMUTATIONS,
                    seed=bootstrap.seed),
    }  # fmt: skip
