"""How often 95 % intervals contain the true value, and how often the paired test errs.

    python -m experiments.intervals.coverage
    python -m experiments.intervals.coverage --repetitions 2000 --workers 8

Each repetition draws the sums of n images from a world in which the value of the measure is known.
The table has the share of repetitions in which each interval contains it: the percentile
bootstrap, Student's t with the jackknife's standard error, and the interval of the package; and
the widths of the last two relative to the percentile bootstrap's. A standard error of a share of
95 % over 1,000 repetitions is 0.7 %. A second table has the share of p-values of at most 0.05 of
the paired test where two models are equal.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from cooanalysis.measures.bootstrap import ImageBootstrap, quotient
from cooanalysis.measures.intervals import NOT_NEGATIVE, UNBOUNDED, Bounds, draws, student
from cooanalysis.measures.paired import swap_p
from experiments.keeping import kept

Array = NDArray[np.float64]
World = Callable[[np.random.Generator, tuple[int, ...], float], Array]
Known = tuple[Array, Callable[[Array], Any], Bounds, float]
"""(repetitions, n, k) sums of images, the measure, its bounds, its true value."""

N_IMAGES = (5, 6, 7, 8, 10, 20, 50, 100)
PER_IMAGE = 12
HERE = Path(__file__).parent / "measured"


def _normal(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Array:
    return 1.0 + 0.3 * spread * rng.normal(size=shape)


def _lognormal(
    sigma: float, rng: np.random.Generator, shape: tuple[int, ...], spread: float
) -> Array:
    scale = sigma * spread
    return np.exp(scale * rng.normal(size=shape) - scale**2 / 2.0)


WORLDS: dict[str, World] = {
    "normal": _normal,
    "lognormal 0.5": partial(_lognormal, 0.5),
    "lognormal 1": partial(_lognormal, 1.0),
}
"""Positive values of images with mean 1; the lognormal ones by the deviation of their logarithm."""


def _invented(sums: Array) -> Array:
    output, output_known, known, truth = np.moveaxis(sums, -1, 0)
    return np.asarray((output - output_known**2 / known) / (truth - known))


def _change(sums: Array) -> Array:
    return np.asarray(_invented(sums[..., :4]) - _invented(sums[..., 4:]))


def _decibels(sums: Array) -> Array:
    return 10.0 * np.log10(quotient(sums))


def _mean(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Known:
    values = world(rng, shape, 1.0)
    return np.stack([values, np.ones(shape)], -1), quotient, NOT_NEGATIVE, 1.0


def _ratio(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Known:
    whole = world(rng, shape, 1.0)
    part = 0.3 * whole * world(rng, shape, 0.5)
    return np.stack([part, whole], -1), quotient, NOT_NEGATIVE, 0.3


def _db(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Known:
    table = _ratio(world, rng, shape)[0]
    return table, _decibels, UNBOUNDED, 10.0 * np.log10(0.3)


def _model(
    world: World, rng: np.random.Generator, known: Array, unknown: Array, gain: float,
    invented: float,
) -> tuple[list[Array], float]:  # fmt: skip
    """Sums of a model that shows what is known with a gain and invents; the invented share."""
    gains = gain * (1.0 + 0.1 * rng.normal(size=known.shape))
    made_up = invented * world(rng, known.shape, 0.5) * unknown
    columns = [gains**2 * known + made_up, gains * known, known, known + unknown]
    # The gain of the images varies, and what deviates from the common one counts as invented.
    return columns, invented + 0.01 * gain**2 * 0.2 / 0.8


def _energies(
    world: World, rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    energy = world(rng, shape, 1.0)
    return 0.2 * energy * world(rng, shape, 0.5), 0.8 * energy * world(rng, shape, 0.3)


def _of_one(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Known:
    columns, value = _model(world, rng, *_energies(world, rng, shape), 1.2, 0.10)
    return np.stack(columns, -1), _invented, NOT_NEGATIVE, value


def _of_two(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Known:
    energies = _energies(world, rng, shape)
    first, one = _model(world, rng, *energies, 1.2, 0.10)
    second, other = _model(world, rng, *energies, 1.0, 0.12)
    return np.stack([*first, *second], -1), _change, UNBOUNDED, one - other


KINDS = {
    "mean": _mean, "ratio of sums": _ratio, "ratio in dB": _db, "invented": _of_one,
    "difference of invented": _of_two,
}  # fmt: skip


def _percentile(table: Array, measure: Callable[[Array], Any]) -> tuple[float, float]:
    resamples = np.asarray(measure(draws(len(table), 1000, 0) @ table))
    low, high = np.percentile(resamples[np.isfinite(resamples)], [2.5, 97.5])
    return float(low), float(high)


def _student_t(table: Array, measure: Callable[[Array], Any]) -> tuple[float, float]:
    n, total = len(table), table.sum(axis=0)
    without = np.asarray(measure(total - table))
    reach = student(n) * np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return float(measure(total) - reach), float(measure(total) + reach)


def _row(names: dict[str, Any], found: Array, value: float) -> dict[str, Any]:
    """Shares and widths from (repetitions, methods, 2) limits; percentile bootstrap first."""
    covered = np.mean((found[..., 0] <= value) & (value <= found[..., 1]), axis=0)
    widths = found[..., 1] - found[..., 0]
    mean, median = (of(widths, axis=0) for of in (np.mean, np.median))
    methods = (
        ("percentile", "student_t", "package") if found.shape[1] == 3 else ("percentile", "package")
    )
    row = dict(names)
    row |= {method: share for method, share in zip(methods, covered, strict=True)}
    for number, method in enumerate(methods[1:], 1):
        row[f"{method}_mean_width"] = mean[number] / mean[0]
        row[f"{method}_median_width"] = median[number] / median[0]
    return row


def coverage(world: str, kind: str, n: int, repetitions: int, seed: int) -> dict[str, Any]:
    """Share of intervals that contain the true value, for one world, measure and n."""
    rng = np.random.default_rng([seed, n, *map(ord, world + kind)])
    tables, measure, bounds, value = KINDS[kind](WORLDS[world], rng, (repetitions, n))
    bootstrap = ImageBootstrap(np.arange(n))
    found = []
    with np.errstate(all="ignore"):
        for table in tables:
            new = bootstrap.of_sums(list(table.T), measure, bounds)
            found.append(
                [_percentile(table, measure), _student_t(table, measure), (new.ci_low, new.ci_high)]
            )
    return _row({"world": world, "measure": kind, "images": n}, np.array(found), value)


def _patches(rng: np.random.Generator, n: int) -> tuple[NDArray[np.intp], Array, Array]:
    """Images of patches, and two normal values of each; half of the variance is of the image."""
    image = np.repeat(np.arange(n), PER_IMAGE)
    first, second = (rng.normal(size=n)[image] + rng.normal(size=len(image)) for _ in range(2))
    return image, first, second


def _rank(rng: np.random.Generator, n: int) -> tuple[Any, Callable[[Array], Any], float]:
    image, first, second = _patches(rng, n)
    second = 0.6 * first + 0.8 * second
    bootstrap = ImageBootstrap(image)

    def old(weights: Array) -> Any:
        from scipy.stats import rankdata

        x, y = (rankdata(v) - (len(v) + 1) / 2.0 for v in (first, second))
        mean_x, mean_y = weights @ x / len(x), weights @ y / len(x)
        covariance = weights @ (x * y) / len(x) - mean_x * mean_y
        squares = [weights @ (v * v) / len(x) - m**2 for v, m in ((x, mean_x), (y, mean_y))]
        return covariance / np.sqrt(squares[0] * squares[1])

    return bootstrap.spearman(first, second), old, 6.0 / np.pi * np.arcsin(0.6 / 2.0)


def _area(rng: np.random.Generator, n: int) -> tuple[Any, Callable[[Array], Any], float]:
    image, first, second = _patches(rng, n)
    labels = np.arange(len(image)) % 2
    scores = np.where(labels == 1, first + 1.5, second)  # two models' offsets: independent
    above = (scores[labels == 1][:, None] > scores[labels == 0]).astype(np.float64)

    def old(weights: Array) -> Any:
        up, down = weights[:, labels == 1], weights[:, labels == 0]
        return np.sum((up @ above) * down, axis=1) / (up.sum(axis=1) * down.sum(axis=1))

    return ImageBootstrap(image).auc(scores, labels), old, float(ndtr(1.5 / 2.0))


RANKS = {"Spearman": _rank, "AUC": _area}


def rank_coverage(kind: str, n: int, repetitions: int, seed: int) -> dict[str, Any]:
    """The same for rank statistics of patches; the percentile bootstrap has 200 resamples."""
    rng = np.random.default_rng([seed, n, *map(ord, kind)])
    weights = draws(n, 200, 0)[:, np.repeat(np.arange(n), PER_IMAGE)]
    found = []
    for _ in range(repetitions):
        new, old, value = RANKS[kind](rng, n)
        low, high = np.nanpercentile(old(weights), [2.5, 97.5])
        found.append([(low, high), (new.ci_low, new.ci_high)])
    return _row({"world": "normal", "measure": kind, "images": n}, np.array(found), value)


def false_alarms(world: str, n: int, repetitions: int, seed: int) -> dict[str, Any]:
    """Share of p-values of at most 0.05 where the invented detail of two models is equal.

    ``exchangeable``: both models draw their images in the same way. ``unequal spread``: the gain of
    the second is the same in all images and what it invents differs more between images, so that
    the value is equal but the models are not exchangeable, which the test does not promise to pass.
    """
    rng = np.random.default_rng([seed, n, *map(ord, world)])
    draw = WORLDS[world]
    known, unknown = _energies(draw, rng, (repetitions, n))
    first, second = (np.stack(_model(draw, rng, known, unknown, 1.0, 0.1)[0], -1) for _ in range(2))
    steady = 0.1 + 0.01 * 0.2 / 0.8
    wild = known + steady * unknown * draw(rng, known.shape, 1.0)
    other = np.stack([wild, known, known, known + unknown], -1)
    linear = (first[..., :2], second[..., :2])

    def share(pairs: tuple[Array, Array], measure: Callable[[Array], Any]) -> float:
        p = [
            swap_p(a, b, measure, flips=1999 if n > 12 else 9999)
            for a, b in zip(*pairs, strict=True)
        ]
        return float(np.mean(np.array(p) <= 0.05))

    return {
        "world": world, "images": n,
        "ratio, exchangeable": share(linear, quotient),
        "invented, exchangeable": share((first, second), _invented),
        "invented, unequal spread": share((first, other), _invented),
    }  # fmt: skip


def measure_all(
    repetitions: int, seed: int, workers: int, n_images: Sequence[int] = N_IMAGES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage of the intervals, and false alarms of the paired test."""
    common = {"repetitions": repetitions, "seed": seed}
    with ProcessPoolExecutor(workers) as pool:
        covered = [
            pool.submit(coverage, world, kind, n, **common)
            for kind, world, n in product(KINDS, WORLDS, n_images)
        ]
        covered += [
            pool.submit(rank_coverage, kind, n, **common) for kind, n in product(RANKS, n_images)
        ]
        alarms = [
            pool.submit(false_alarms, world, n, **common) for world, n in product(WORLDS, n_images)
        ]
        return (
            pd.DataFrame([task.result() for task in covered]),
            pd.DataFrame([task.result() for task in alarms]),
        )


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; shares in percent, relative widths with two decimals."""
    lines = ["| " + " | ".join(str(column).replace("_", " ") for column in table) + " |",
             "|" + "---|" * len(table.columns)]  # fmt: skip
    for row in table.to_dict("records"):
        cells = [
            str(value) if not isinstance(value, float)
            else "–" if np.isnan(value)
            else f"{value:.2f}" if str(column).endswith("width") else f"{100 * value:.1f}"
            for column, value in row.items()
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument(
        "--n", type=int, nargs="+", default=list(N_IMAGES), help="numbers of images"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=HERE, help="kept there")
    options = parser.parse_args(arguments)
    with kept(options.out, "coverage", {k: v for k, v in vars(options).items() if k != "out"}):
        covered, alarms = measure_all(options.repetitions, options.seed, options.workers, options.n)
        print(
            "Share of 95 % intervals that contain the true value, in percent, of "
            f"{options.repetitions} repetitions; widths relative to the percentile bootstrap's\n"
        )
        print(markdown(covered))
        print(
            "\nShare of p-values of the paired test of at most 0.05, in percent, where two models "
            "have the same value\n"
        )
        print(markdown(alarms))
    covered.to_csv(options.out / "coverage.csv", index=False, float_format="%.4f")
    alarms.to_csv(options.out / "false_alarms.csv", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
