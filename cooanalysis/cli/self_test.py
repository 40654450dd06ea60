"""Known answers on the user's machine: does what is installed here measure what it should?

Every check compares a measure with a value in closed form. To add one, write a function that yields
:class:`Check` and name it in :data:`CHECKS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.measures import center as coo
from cooanalysis.measures import entropy
from cooanalysis.measures.known_answers import known_distributions

MEMBERS, DIMENSIONS, GROUPS = 128, 8, 300
"""Size and number of groups that estimators are tried on."""

# Only where the estimator is meant to be right, see docs/estimators.md: a Gaussian fit knows
# Gaussians, nearest neighbors calibrated on Gaussians know shapes of one scale in each axis, and
# ranks with a Gaussian's dependence know any smooth marginals.
_KNOWS = {
    "gaussian": ("Gaussian", "Gaussian, variances", "Gaussian, neighbors"),
    "kozachenko-leonenko": (
        "Gaussian", "Gaussian, variances", "Gaussian, neighbors", "Laplace",
    ),
    "copula": (
        "Gaussian", "Gaussian, variances", "Gaussian, neighbors", "Laplace", "uniform box",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """A measured value and the known one.

    Attributes
    ----------
    title
        What was measured on what.
    known, measured
        The value in closed form, and what came out here.
    tolerance
        Largest difference that passes.
    """

    title: str
    known: float
    measured: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the two agree; NaN never does."""
        return bool(abs(self.measured - self.known) <= self.tolerance)


def run_checks() -> Iterator[Check]:
    """All checks, one after the other; well under a minute.

    Examples
    --------
    >>> all(check.passed for check in run_checks())  # doctest: +SKIP
    True
    """
    for check in CHECKS:
        yield from check()


def entropies() -> Iterator[Check]:
    """Entropy estimators on distributions whose entropy is known."""
    for method, known_titles in _KNOWS.items():
        for known in known_distributions():
            if not _among(known.title, known_titles):
                continue
            rng = np.random.default_rng(0)
            groups = np.stack([known.draw(rng, MEMBERS, DIMENSIONS) for _ in range(GROUPS)])
            values = entropy.entropy(groups, method)
            # Twice the standard error of the mean is added to the tolerance, as in `reliability`.
            slack = 2.0 * float(values.std(ddof=1)) / math.sqrt(GROUPS)
            yield Check(
                f"entropy, {method}, {known.title}",
                known.entropy(DIMENSIONS),
                float(values.mean()),
                entropy.TOLERANCE + slack,
            )


def _among(title: str, names: tuple[str, ...]) -> bool:
    return title in names or any(
        title.startswith(f"{name} ") for name in names if name.count(",") == 1
    )


def far_mixture() -> Iterator[Check]:
    """Two far clusters of equal weight add log 2 nats to the whole, a d-th to each dimension."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(GROUPS, MEMBERS, 2))
    points[..., 0] += 20.0 * rng.integers(0, 2, (GROUPS, MEMBERS))
    value = float(entropy.entropy(points, "copula").mean())
    known = entropy.GAUSSIAN_UNIT_ENTROPY + math.log(2.0) / 2
    yield Check("entropy, copula, two far clusters", known, value, 2 * entropy.TOLERANCE)


def bounds() -> Iterator[Check]:
    """The floor of the squared error of a Gaussian is its variance."""
    sigma = 0.05
    h = entropy.GAUSSIAN_UNIT_ENTROPY + math.log(sigma)
    yield Check("entropy power of a Gaussian", sigma**2, float(entropy.entropy_power(h)), 1e-12)
    ceiling = float(entropy.psnr_ceiling(sigma**2))
    yield Check("PSNR ceiling of a Gaussian", -20.0 * math.log10(sigma), ceiling, 1e-9)


def centers() -> Iterator[Check]:
    """Centers of groups: Gaussians, a sphere, sharp edges."""
    rng = np.random.default_rng(2)
    members = rng.normal(5.0, 2.0, (1000, MEMBERS, 20))
    mean_square = float((coo.center_rms_distance(members) ** 2).mean())
    yield Check("center distance, Gaussian", 4.0 * (1 - 1 / MEMBERS), mean_square, 0.04)
    half = rng.normal(size=(50, 30))
    half *= 2.0 / np.linalg.norm(half, axis=1, keepdims=True)
    sphere = np.concatenate([half, -half])
    known = 2.0 / math.sqrt(30)
    yield Check("empty shell, sphere", known, float(coo.center_min_distance(sphere)), 1e-9)
    # A step at any place between d samples: every member is sharp, the center is a ramp.
    d = 64
    x, phase = np.arange(d) / d, (np.arange(d) + 0.5) / d
    steps = (phase[:, None] < x).astype(float)
    slope = float(np.abs(coo.center(steps) - x).max())
    yield Check("center of step edges is a ramp", 0.0, slope, 1e-12)
    variance = float(coo.center_rms_distance(steps) ** 2)
    yield Check("center distance, step edges", (d * d - 1) / (6 * d * d), variance, 1e-9)


def manifolds() -> Iterator[Check]:
    """Distance to points on a sphere and on a circle."""
    from cooanalysis.measures.manifold import CleanManifold, FeatureSpace

    raw = FeatureSpace("raw", "gray values", lambda p: p.reshape(len(p), -1), whiten=False)
    points = np.random.default_rng(3).standard_normal((2000, 4, 4, 1))
    points *= 3.0 / np.sqrt((points**2).sum((1, 2, 3), keepdims=True))
    manifold = CleanManifold.fit(points + 7.0, raw)
    distance = float(manifold.distance(np.full((1, 4, 4, 1), 7.0))[0])
    yield Check("distance of the center of a sphere", 3.0, distance, 1e-3)
    angle = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)
    circle = np.zeros((2000, 4, 4, 1))
    circle[:, 0, 0, 0], circle[:, 0, 1, 0] = 3.0 * np.cos(angle), 3.0 * np.sin(angle)
    distance = float(CleanManifold.fit(circle, raw).distance(circle[:50] * 0.5).mean())
    yield Check("distance inside a circle", 1.5, distance, 0.02)


def details() -> Iterator[Check]:
    """Detail taken apart, of a conditional mean and a posterior sample of a Gaussian field."""
    from cooanalysis.measures import detail
    from cooanalysis.measures.worlds import exact
    from cooanalysis.measures.worlds.gaussian_field import GaussianField
    from cooanalysis.measures.worlds.images import Output

    # So wide a context that the regression's windows know no more, and that an anchor is needed.
    context = 15
    world = GaussianField(size=96, scale=2)
    images = world.draw(16)
    rng = np.random.default_rng(5)
    mean = Output(context)
    anchor = images.details_of([world.conditional_mean(lr, context) for lr in images.lr])
    for title, output in (
        ("conditional mean × 1.2", Output(context, gain=1.2)),
        ("posterior sample", Output(context, invented=1.0)),
    ):
        shown = images.details_of([world.output(lr, output, rng) for lr in images.lr])
        known = exact.taken_apart(world, output, mean)
        measured = detail.take_apart(
            images.details, shown, images.lr, anchor=anchor, scale=world.scale
        )
        yield Check(f"gain, {title}", known.gain, measured.gain, 0.05)
        yield Check(f"invented, {title}", known.invented, measured.invented, 0.05)
        yield Check(f"explained, {title}", known.explained, measured.explained, 0.01)
        energy = known.detail_energy
        yield Check(f"detail energy, {title}", energy, measured.detail_energy, 0.03 * energy)


def neighbors() -> Iterator[Check]:
    """The engine that runs here finds the neighbors that double precision finds."""
    from cooanalysis.neighbors import available_engine, build_index

    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(3000, 25)).astype(np.float32)
    queries = rng.normal(size=(100, 25)).astype(np.float32)
    engine = available_engine()
    found = build_index(vectors, kind="exact", engine=engine).search(queries, 10)
    exact = _squared_distances(queries, vectors)
    nearest = np.sort(exact, axis=1)[:, :10]
    wrong = np.abs(np.take_along_axis(exact, found.index, 1) - nearest).max()
    yield Check(f"nearest neighbors, {engine}", 0.0, float(wrong), 1e-4)
    wrong = np.abs(found.squared_distances - nearest).max()
    yield Check(f"distances, {engine}", 0.0, float(wrong), 1e-4)


def _squared_distances(
    queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    difference = queries[:, None].astype(np.float64) - vectors[None].astype(np.float64)
    return np.asarray((difference**2).sum(-1))


def images() -> Iterator[Check]:
    """Luma and the bicubic kernel."""
    from cooanalysis.data.degradation import downsample, upsample
    from cooanalysis.data.images import rgb_to_y

    red = rgb_to_y(np.array([[[255, 0, 0]]], np.uint8), rounded=False)
    yield Check("luma of red", 16.0 + 65.481, float(red[0, 0]), 1e-4)
    flat = np.full((40, 40, 1), 77, np.uint8)
    yield Check("bicubic of a flat image", 77.0, float(downsample(flat, 4).mean()), 0.0)
    ramp = np.tile(np.arange(40, dtype=np.uint8)[:, None, None] * 5, (1, 40, 1))
    large = upsample(ramp, 4)[40:120, 80, 0]
    yield Check("bicubic of a ramp", 5.0 / 4, float(np.diff(large).mean()), 1e-3)


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    entropies, far_mixture, bounds, centers, manifolds, details, neighbors, images,
)  # fmt: skip
