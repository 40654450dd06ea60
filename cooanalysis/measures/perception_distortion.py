r"""Distance of a model to the perception-distortion bound, from second moments of patches.

No estimator can be both as accurate and as realistic as it likes. For the squared error and the
2-Wasserstein distance the best trade-off is known in closed form,

.. math:: D(P) = D^* + \max(P^* - P, 0)^2,

where :math:`D^*` is the error of the conditional mean and :math:`P^*` its distance from the
distribution of the ground truth (Freirich, Michaeli and Meir, "A Theory of the
Distortion-Perception Tradeoff in Wasserstein Space", NeurIPS 2021, Theorem 1).

Here :math:`P` is the *Gaussian* 2-Wasserstein distance of HR patches: that of the two Gaussians
with the means and covariances of the patches of an output and of the ground truth (Gelbrich 1990).
It never exceeds the Wasserstein distance itself. It obeys the triangle inequality and never exceeds
the root mean squared difference of two images, which is all that the proof needs, so the bound
holds for patches of any distribution. A linear map of the conditional mean attains it for single
patches wherever the covariance of the conditional mean has full rank; patches that overlap in one
image may not all attain it together.

**It sees second moments only.** Two sets of patches with equal means and covariances are at
distance 0, though one may hold edges and the other noise of the same spectrum and correlation: what
it misses is everything that makes images sparse, sharp and non-Gaussian, and everything beyond the
size of a patch. A model on the bound trades fidelity for power and correlation as well as possible;
that its output looks real is another question.

Three facts to read it by:

- It says nothing of the ground truth, which is no function of the LR image: error and distance 0.
- A sample of the posterior has distance 0 and error :math:`2 D^*`, while the bound there is
  :math:`D^* + P^{*2}`, and :math:`P^{*2} \le D^*`: ground truth and posterior mean are one way to
  couple the two distributions, and the distance is that of the best one. With second moments,
  equality holds only where every direction of a patch is either fully known or not at all. So even
  perfect samples lie above the bound, by at most 3.01 dB.
- :math:`D^*` and :math:`P^*` come from a known predictor instead of the conditional mean. The bound
  then holds for every output that cannot improve that predictor (the residuals of the predictor
  are orthogonal to the difference of the two). An output *below* the bound therefore shows that the
  predictor was not the best one: some mixture of the two has a smaller error than it has alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, orthogonal_procrustes
from scipy.stats import t as student_t

from cooanalysis.errors import ConfigError, ImageError
from cooanalysis.measures.bootstrap import Estimate

Floats = NDArray[np.float64]
Pixels = NDArray[np.float32]
Image = NDArray[Any]

PATCH = 12
"""HR pixels: width of the square patches."""

STEP = 7
"""HR pixels from one patch to the next. Without a common factor with the scales 2, 3, 4 and 8, so
that patches begin equally often at every position within an LR pixel."""

MIDDLE = np.float32(0.5)

GROUPS = 20
"""Groups of images of the jackknife."""


@dataclass(frozen=True)
class PatchSums:
    """Sums over the patches of each image, from which means and covariances of any images follow.

    Attributes
    ----------
    count
        (n,) patches of each image.
    first
        (n, d) sums of the patches.
    second
        (n, d, d) sums of their outer products.
    """

    count: Floats
    first: Floats
    second: Floats


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian distribution, possibly degenerate.

    Attributes
    ----------
    mean
        (d,).
    factor
        (d, d); the covariance is ``factor @ factor.T``.
    """

    mean: Floats
    factor: Floats

    @classmethod
    def of(cls, mean: ArrayLike, covariance: ArrayLike) -> Gaussian:
        """From a mean (d,) and a covariance (d, d); rounding below 0 is taken as 0."""
        values, vectors = eigh(np.asarray(covariance, np.float64))
        return cls(np.asarray(mean, np.float64), vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True)
class Placed:
    """Where an output lies in the plane of distortion and perception.

    Attributes
    ----------
    mse
        Mean squared error D over the pixels of all patches; peak 1.
    wasserstein
        Distance P to the ground truth, root mean square per pixel; peak 1.
    excess
        Error above the smallest possible at that distance, ``10 log10(D / D(P))`` in dB, with its
        95 % interval; NaN for the ground truth.
    """

    mse: float
    wasserstein: float
    excess: Estimate


# -- from images to moments -----------------------------------------------------------------


def patch_sums(images: Sequence[Image], *, patch: int = PATCH, step: int = STEP) -> PatchSums:
    """Sum up the patches of images, and their outer products.

    Parameters
    ----------
    images
        (H, W) or (H, W, C) each: uint8 in 0..255, or floating point with peak 1.
    patch
        Width of the square patches in pixels; all channels of a patch are one vector, d =
        ``patch**2 * C``.
    step
        Pixels from one patch to the next, down and across.

    Returns
    -------
    PatchSums
        Of values with peak 1, minus 0.5 (which moves all distributions alike).

    Raises
    ------
    ImageError
        If an image is smaller than a patch, or is neither 8-bit nor floating point.
    """
    count, first, second = [], [], []
    for image in images:
        # Single precision takes half the time. Around the middle of the range its rounding of the
        # covariance is far below what rounding to 8 bits adds.
        vectors = _vectors(_values(image) - MIDDLE, patch, step)
        count.append(len(vectors))
        first.append(vectors.sum(axis=0, dtype=np.float64))
        second.append((vectors.T @ vectors).astype(np.float64))
    return PatchSums(np.array(count, np.float64), np.stack(first), np.stack(second))


def squared_errors(
    outputs: Sequence[Image], truth: Sequence[Image], *, patch: int = PATCH, step: int = STEP
) -> Floats:
    """Squared error of each image, per value, summed over its patches.

    The pixels count as often as patches hold them, so that error and distance are those of the same
    patches: the bound is exact for them, and near borders pixels count less than in a PSNR.

    Parameters
    ----------
    outputs, truth
        As :func:`patch_sums` takes them; equally many, of the same shapes.
    patch, step
        As in :func:`patch_sums`.

    Returns
    -------
    numpy.ndarray
        (n,); the mean squared error is their sum over that of ``PatchSums.count``.

    Raises
    ------
    ImageError
        If an output differs in number or shape from the ground truth.
    """
    if len(outputs) != len(truth):
        raise ImageError(f"{len(outputs)} outputs for {len(truth)} ground-truth images")
    sums = []
    for number, (output, true) in enumerate(zip(outputs, truth, strict=True)):
        if output.shape != true.shape:
            raise ImageError(
                f"output {number} has shape {output.shape}; its ground truth has {true.shape}"
            )
        error = np.mean((_values(output) - _values(true)) ** 2, axis=2)
        rows, columns = (_times_covered(length, patch, step) for length in error.shape)
        sums.append(float(rows @ error @ columns) / patch**2)
    return np.array(sums)


def _values(image: Image) -> Pixels:
    """(H, W, C), peak 1."""
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise ImageError(f"images must be uint8 or floating point with peak 1; got {image.dtype}")
    values = image.astype(np.float32)
    if image.dtype == np.uint8:
        values /= np.float32(255.0)
    return values if values.ndim == 3 else values[:, :, None]


def _vectors(values: Pixels, patch: int, step: int) -> Pixels:
    """(n, patch² · C) patches of an image."""
    if min(values.shape[:2]) < patch:
        raise ImageError(
            f"an image of {values.shape[1]}x{values.shape[0]} pixels holds no patch of "
            f"{patch}x{patch}; leave it out"
        )
    windows = sliding_window_view(values, (patch, patch), axis=(0, 1))[::step, ::step]
    return windows.reshape(-1, patch * patch * values.shape[2])


def _times_covered(length: int, patch: int, step: int) -> Floats:
    """How many patches hold each pixel of one axis."""
    starts = np.arange(0, length - patch + 1, step)
    edges = np.bincount(starts, minlength=length + 1) - np.bincount(
        starts + patch, minlength=length + 1
    )
    return np.cumsum(edges)[:length].astype(np.float64)


# -- the bound ------------------------------------------------------------------------------


def wasserstein(a: Gaussian, b: Gaussian) -> float:
    r"""2-Wasserstein distance of two Gaussian distributions.

    With means :math:`\mu` and covariances :math:`\Sigma = FF^T` it is, squared,

    .. math:: |\mu_a - \mu_b|^2 + \min_{R^T R = I} \| F_a - F_b R \|_F^2,

    an orthogonal Procrustes problem, equal to the usual
    :math:`|\mu_a - \mu_b|^2 + \mathrm{tr}\,(\Sigma_a + \Sigma_b - 2 (\Sigma_a^{1/2} \Sigma_b
    \Sigma_a^{1/2})^{1/2})` (Gelbrich 1990; Bhatia, Jain and Lim 2019). Nothing cancels in it, so
    it is accurate near 0 and for singular covariances.

    Examples
    --------
    >>> a, b = Gaussian.of([0.0], [[4.0]]), Gaussian.of([0.0], [[1.0]])
    >>> wasserstein(a, b)
    1.0
    """
    rotation, _ = orthogonal_procrustes(b.factor, a.factor)
    shape = a.factor - b.factor @ rotation
    return float(np.hypot(np.linalg.norm(a.mean - b.mean), np.linalg.norm(shape)))


def lowest_mse(distance: ArrayLike, best_mse: ArrayLike, best_distance: ArrayLike) -> Floats:
    """Smallest error D(P) at a distance P.

    Parameters
    ----------
    distance
        P, any shape, in the unit of ``best_distance``.
    best_mse, best_distance
        D* and P*: squared error and distance of the best predictor, both per pixel.

    Examples
    --------
    >>> float(lowest_mse(0.0, 1.0, 0.5)), float(lowest_mse(0.7, 1.0, 0.5))
    (1.25, 1.0)
    """
    missing = np.maximum(np.subtract(best_distance, distance), 0.0)
    return np.asarray(np.asarray(best_mse) + missing**2, np.float64)


def bound_curve(
    farthest: float, best_mse: float, best_distance: float, n: int = 200
) -> tuple[Floats, Floats]:
    """The bound as a line to draw: (n,) distances from 0 to ``farthest``, and D(P) for each."""
    distances = np.linspace(0.0, farthest, n)
    return distances, lowest_mse(distances, best_mse, best_distance)


def excess_db(
    mse: ArrayLike, distance: ArrayLike, best_mse: ArrayLike, best_distance: ArrayLike
) -> Floats:
    """Error above the smallest possible at the same distance, in dB; NaN where the error is 0.

    See :func:`lowest_mse` for the parameters. Below 0 only where the predictor of ``best_mse`` was
    not the best one; such values are not clipped.
    """
    ratio = np.asarray(mse) / lowest_mse(distance, best_mse, best_distance)
    return np.asarray(10.0 * np.log10(np.where(ratio > 0.0, ratio, np.nan)))


@dataclass(frozen=True)
class Coordinates:
    """Where a model lies in the plane: for all images, and without each group of them.

    Attributes
    ----------
    mse, wasserstein
        Best estimates for all images; see :class:`Placed`.
    replicates
        (2, groups + 1) the same of all images, then of the images without each group; as computed,
        without correction of their bias.
    """

    mse: float
    wasserstein: float
    replicates: Floats


@dataclass(frozen=True)
class Bound:
    """The bound that a predictor sets, for a fixed set of ground-truth images.

    Attributes
    ----------
    truth
        Patches of the ground truth: all, then without each group of images.
    count
        (n,) patches of each image.
    best
        D* and P*, those of the predictor.
    """

    truth: tuple[Gaussian, ...]
    count: Floats
    best: Coordinates

    @classmethod
    def of(cls, truth: PatchSums, predictor: PatchSums, errors: Floats) -> Bound:
        """Find D* and P*.

        Parameters
        ----------
        truth, predictor
            Patches of the ground truth and of the best known predictor; see :func:`patch_sums`.
        errors
            (n,) :func:`squared_errors` of the predictor.

        Raises
        ------
        ConfigError
            If the two have different images.
        """
        gaussians = _leaving_out(truth)
        return cls(gaussians, truth.count, _coordinates(gaussians, truth.count, predictor, errors))

    def place(self, output: PatchSums, errors: Floats) -> Placed:
        """Place an output in the plane.

        Distances of finite samples are too large: even two sets of patches of one distribution are
        some way apart. A jackknife that leaves out one of up to 20 groups of images at a time takes
        the leading term of this bias from the squared distances, of predictor and output alike. The
        interval is that of the same jackknife, with pseudo-values for groups of unequal size
        (Busing, Meijer and van der Leeden 1999) and Student's t: errors and distances of output,
        predictor and ground truth are all computed again without each group, so what their images
        have in common cancels.

        Parameters
        ----------
        output
            Its patches; see :func:`patch_sums`.
        errors
            (n,) its :func:`squared_errors`.

        Raises
        ------
        ConfigError
            If it has other images than the ground truth.
        """
        found = _coordinates(self.truth, self.count, output, errors)
        excess = float(
            excess_db(found.mse, found.wasserstein, self.best.mse, self.best.wasserstein)
        )
        spread = _standard_error(
            excess_db(*found.replicates, *self.best.replicates), len(self.count)
        )
        half = float(student_t.ppf(0.975, found.replicates.shape[1] - 2)) * spread
        return Placed(found.mse, found.wasserstein, Estimate(excess, excess - half, excess + half))


def _coordinates(
    truth: Sequence[Gaussian], count: Floats, output: PatchSums, errors: Floats
) -> Coordinates:
    if not np.array_equal(output.count, count) or len(errors) != len(count):
        raise ConfigError("the output and the ground truth must have the same images")
    groups = _groups(len(count))
    mse = _totals(errors, groups) / _totals(count, groups)
    root = np.sqrt(output.first.shape[1])
    distance = np.array(
        [wasserstein(a, b) / root for a, b in zip(_leaving_out(output), truth, strict=True)]
    )
    squared = max(0.0, _less_biased(distance**2, len(count)))
    return Coordinates(float(mse[0]), float(np.sqrt(squared)), np.stack([mse, distance]))


def _leaving_out(sums: PatchSums) -> tuple[Gaussian, ...]:
    groups = _groups(len(sums.count))
    parts = (_totals(part, groups) for part in (sums.count, sums.first, sums.second))
    return tuple(
        Gaussian.of(first / count, second / count - np.outer(first, first) / count**2)
        for count, first, second in zip(*parts, strict=True)
    )


# -- jackknife ------------------------------------------------------------------------------


def _groups(n: int) -> NDArray[np.intp]:
    """(n,) group of each image. Neighbors in a data set can show one scene: they are kept apart."""
    return np.arange(n) % GROUPS


def _totals(values: Floats, groups: NDArray[np.intp]) -> Floats:
    """Sums over all images, then over all but each group; only the former for a single image."""
    total = values.sum(axis=0)
    if len(values) < 2:
        return np.asarray(total)[None]
    left = [total - values[groups == group].sum(axis=0) for group in range(groups.max() + 1)]
    return np.stack([total, *left])


def _less_biased(replicates: Floats, n: int) -> float:
    """The value of all n images, the first, with its bias estimated from the others."""
    value, others = replicates[0], replicates[1:]
    kept = 1.0 - np.bincount(_groups(n)) / n
    return float(np.sum(value - kept * others)) if n > 1 else float(value)


def _standard_error(replicates: Floats, n: int) -> float:
    """Standard error of the value of all n images; NaN for a single one."""
    if n < 2:
        return float("nan")
    value, others = replicates[0], replicates[1:]
    shares = n / np.bincount(_groups(n))
    pseudo = shares * value - (shares - 1.0) * others
    center = _less_biased(replicates, n)
    return float(np.sqrt(np.mean((pseudo - center) ** 2 / (shares - 1.0))))
