"""What the measures of a comparison are in a Gaussian field, exactly.

All variables are jointly Gaussian, so every regression is a linear system of covariances: these are
the values that estimates from images approach as the number of images grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from cooanalysis.errors import ConfigError
from cooanalysis.measures.worlds.gaussian_field import GaussianField, Linear
from cooanalysis.measures.worlds.grid import Floats, square, window
from cooanalysis.measures.worlds.images import Output

Windows = Sequence[tuple[Linear, NDArray[np.intp]]]

_SMALLEST = 1e-10
"""Smallest eigenvalue of a correlation matrix, relative to the largest, that is not rounding."""


@dataclass(frozen=True)
class Exact:
    """Detail of an output, taken apart exactly.

    With y the true detail of a block, s the output's, a the anchor's and x the LR image, and
    ``c = E[y | s, a, x]`` on windows:

    Attributes
    ----------
    gain
        ``E<s, c> / E|c|²``.
    invented
        ``E|s - gain c|² / E|y - c|²``.
    explained
        ``1 - E|y - E[y | s, x]|² / E|y|²``, without the anchor.
    known
        ``1 - E|y - c|² / E|y|²``, with the anchor.
    detail_energy
        ``E|s|² / E|y|²``.
    closed_form
        ``(1 - E|s|² / E|y|²) / (1 - E<s, y> / E|y|²)``.
    """

    gain: float
    invented: float
    explained: float
    known: float
    detail_energy: float
    closed_form: float

    @property
    def collapse_index(self) -> float:
        """One minus what is invented."""
        return 1.0 - self.invented


def taken_apart(
    world: GaussianField,
    output: Output,
    anchor: Output | None = None,
    *,
    margin: int = 0,
    lr_window: int = 5,
) -> Exact:
    """Take the detail of an output apart exactly, for a regression on windows.

    The defaults are those of :func:`cooanalysis.measures.detail.take_apart`: the block itself of
    output and anchor, and 5×5 LR pixels. A margin reaches into the neighboring blocks, which were
    made from other LR pixels: the regression then knows a little more than the output's own
    context, and the gain of its conditional mean is a little below its nominal value.

    Parameters
    ----------
    world
        The Gaussian field.
    output
        The model.
    anchor
        Conditional mean of comparable knowledge; without it, c is the mean given s and x.
    margin
        HR pixels of output and anchor that are seen on each side of the block.
    lr_window
        Side of the window of the LR image, pixels; odd.

    Returns
    -------
    Exact
        The values.
    """
    block, seen = square(0, world.scale), square(-margin, world.scale + margin)
    truth, shown = world.truth_detail, world.detail_of(output)
    alone = [(shown, seen), (world.lr, window(lr_window))]
    explained = _Estimate.of(world, truth, alone)
    known = explained
    if anchor is not None:
        known = _Estimate.of(world, truth, [*alone, (world.detail_of(anchor), seen)])
    energy = float(np.trace(world.covariance(truth, block)))
    energy_shown = float(np.trace(world.covariance(shown, block)))
    common = float(np.trace(world.covariance(shown, block, truth, block)))
    shown_known = known.product(world, shown)
    return Exact(
        gain=shown_known / known.energy,
        invented=(energy_shown - shown_known**2 / known.energy) / (energy - known.energy),
        explained=explained.energy / energy,
        known=known.energy / energy,
        detail_energy=energy_shown / energy,
        closed_form=(energy - energy_shown) / (energy - common),
    )


@dataclass(frozen=True)
class _Estimate:
    """The best linear estimate of a block from windows of fields."""

    windows: Windows
    weights: Floats
    energy: float

    @classmethod
    def of(cls, world: GaussianField, target: Linear, windows: Windows) -> _Estimate:
        block = square(0, world.scale)
        inside = world.joint_covariance(windows)
        cross = np.concatenate(
            [world.covariance(field, at, target, block) for field, at in windows]
        )
        # Windows overlap in what they know, so the matrix may be singular.
        unit = np.sqrt(np.diag(inside))
        values, vectors = eigh(inside / unit[:, None] / unit)
        kept = values > _SMALLEST * values[-1]
        basis = vectors[:, kept] / np.sqrt(values[kept]) / unit[:, None]
        projected = basis.T @ cross
        return cls(windows, basis @ projected, float(np.sum(projected**2)))

    def product(self, world: GaussianField, field: Linear) -> float:
        """Expected inner product of the estimate and a block of a field."""
        block = square(0, world.scale)
        cross = np.concatenate(
            [world.covariance(other, at, field, block) for other, at in self.windows]
        )
        return float(np.sum(cross * self.weights))


def squared_wasserstein(a: Floats, b: Floats) -> float:
    """Squared 2-Wasserstein distance per dimension of Gaussians of equal mean.

    Parameters
    ----------
    a, b
        Their covariances, ``(d, d)``.

    References
    ----------
    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions",
    Journal of Multivariate Analysis 12, 1982.
    """
    values, vectors = eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum()
    return float(max(np.trace(a) + np.trace(b) - 2.0 * cross, 0.0)) / len(a)


def plane(world: GaussianField, output: Output, patch: int) -> tuple[float, float]:
    """Where a model lies in the perception-distortion plane, exactly.

    Returns
    -------
    distortion, distance
        Mean squared error per pixel, and the 2-Wasserstein distance of its patches from those of
        the ground truth, root of the mean per pixel.
    """
    block = square(0, patch)
    image = world.image_of(output)
    truth = world.covariance(world.truth, block)
    shown = world.covariance(image, block)
    common = float(np.trace(world.covariance(image, block, world.truth, block)))
    distortion = (float(np.trace(truth) + np.trace(shown)) - 2.0 * common) / len(block)
    return distortion, squared_wasserstein(truth, shown) ** 0.5


def least_distortion(world: GaussianField, context: int, patch: int, distance: float) -> float:
    """Least mean squared error at a distance: ``D* + max(P* - P, 0)²``, per pixel.

    It is a bound for patches of one block; a larger patch's blocks each see their own window, so
    that its conditional mean given all of them is a little better.

    Parameters
    ----------
    world
        The Gaussian field.
    context
        What is known: the window of LR pixels.
    patch
        Side of the patches, HR pixels.
    distance
        2-Wasserstein distance from the ground truth's patches, root of the mean per pixel.

    References
    ----------
    D. Freirich, T. Michaeli and R. Meir, "A theory of the distortion-perception tradeoff in
    Wasserstein space", NeurIPS 2021, theorem 1.
    """
    error, mean_distance = plane(world, Output(context), patch)
    return error + max(mean_distance - distance, 0.0) ** 2


def transport(world: GaussianField, context: int) -> Floats:
    """Linear map of a block's conditional mean to the ground truth's distribution, of least cost.

    With m the conditional mean of a block, less the mean gray value, and T the map, ``m + t (T m -
    m)`` for t in [0, 1] lies on the bound :func:`least_distortion` for patches of one block. A
    posterior sample does not: it has the ground truth's distribution too, but twice the least
    error.

    Parameters
    ----------
    world
        The Gaussian field.
    context
        Side of the window of LR pixels that is known.

    Returns
    -------
    numpy.ndarray
        ``(scale ** 2, scale ** 2)``.

    Raises
    ------
    ConfigError
        The window has fewer pixels than the block: the best output would need noise as well.

    References
    ----------
    Freirich et al. 2021, the optimal map of Gaussians, for covariances of full rank.
    """
    if context < world.scale:
        raise ConfigError(
            f"the conditional mean of a block of {world.scale} x {world.scale} pixels has no full "
            f"covariance for a context of {context}; use a wider one"
        )
    truth = world.patch_covariance(world.scale)
    values, vectors = eigh(world.patch_covariance(world.scale, Output(context)))
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    values, vectors = eigh(root @ truth @ root)
    return inverse @ (vectors * np.sqrt(values)) @ vectors.T @ inverse
