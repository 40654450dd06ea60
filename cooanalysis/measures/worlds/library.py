"""A world of finitely many patches: posteriors by enumeration, far from Gaussian.

Images are tiles, each an independent draw from a library of templates, plus weak white noise. The
templates come in families: the members of a family look the same at low resolution (box filter),
and share a part of their detail, while the rest is each member's own. So the LR image says more or
less surely which family a tile is of, by its context, and nothing about the member: the posterior
is a mixture of separated peaks, its mean none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import correlate, gaussian_filter
from scipy.special import softmax

from cooanalysis.errors import ConfigError
from cooanalysis.measures.worlds.grid import Floats, bicubic_weights, blocks, joined, window
from cooanalysis.measures.worlds.images import IMAGES, Images, Output

MEAN = 0.5
"""Mean gray value."""
_COARSE, _SHARED, _OWN = 0.03, 0.05, 0.06
"""Standard deviation of the templates' LR image, of the detail of a family, and of a member."""
_BLUR = 1.0
"""Gaussian blur of the white noise that details are made from, HR pixels."""
_IMAGES = 32
"""Images over which expectations are averaged."""
_TEMPLATES, _EXPECTED = IMAGES + 1, IMAGES + 2
"""Numbers that set the randomness of templates and of expectations apart from other uses."""


@dataclass(frozen=True, eq=False)
class Library:
    """Images tiled from a finite library of templates, and their LR images.

    Parameters
    ----------
    size
        Height and width of the HR images, pixels; a multiple of `tile`.
    scale
        Factor of super-resolution.
    tile
        Height and width of a template, HR pixels; a multiple of `scale`.
    families
        Number of families.
    members
        Number of templates in each.
    std
        Standard deviation of the white noise of the HR images (peak 1).
    noise
        Standard deviation of the white noise that is added to the LR images.
    seed
        Seed of the library and of the images drawn.

    Raises
    ------
    ConfigError
        `size`, `tile` and `scale` do not divide each other, or a number is out of range.

    Examples
    --------
    >>> world = Library(size=48)
    >>> images = world.draw(2)
    >>> images.truth[0].shape, images.lr[0].shape
    ((48, 48), (12, 12))
    >>> 0 < world.explained(3) < world.explained(11) < 1
    True
    """

    size: int = 96
    scale: int = 4
    tile: int = 24
    families: int = 12
    members: int = 4
    std: float = 0.01
    noise: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scale < 1 or self.tile < self.scale or self.tile % self.scale:
            raise ConfigError(
                f"the tile must be a multiple of the scale, not {self.tile} with {self.scale}"
            )
        if self.size < self.tile or self.size % self.tile:
            raise ConfigError(
                f"the size must be a multiple of the tile, not {self.size} with {self.tile}"
            )
        if min(self.families, self.members) < 1 or not (self.std > 0 and self.noise >= 0):
            raise ConfigError(
                "a library needs families, members and noise, not "
                f"{self.families}, {self.members}, {self.std} and {self.noise}"
            )

    # -- Images ----------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.Generator | None = None) -> Images:
        """Draw independent images.

        Parameters
        ----------
        n
            Number of images.
        rng
            Source of randomness; by default one made from `seed`.
        """
        rng = np.random.default_rng([self.seed, IMAGES]) if rng is None else rng
        pairs = [self._pair(rng) for _ in range(n)]
        return Images(
            [truth for truth, _ in pairs],
            [lr for _, lr in pairs],
            [self.upsample(lr) for _, lr in pairs],
        )

    def upsample(self, lr: Floats) -> Floats:
        """Upsample an LR image with the bicubic kernel, wrapping around: ``(H, W)``."""
        parts = [correlate(lr, weights, mode="wrap") for weights in bicubic_weights(self.scale)]
        return joined(np.stack(parts), self.scale)

    def conditional_mean(self, lr: Floats, context: int) -> Floats:
        """Mean of every HR block given the LR pixels of its tile in the window around it, exactly.

        Parameters
        ----------
        lr
            LR image, ``(h, w)``.
        context
            Side of the window, LR pixels; odd.

        Returns
        -------
        numpy.ndarray
            ``(H, W)``, ``float64``.
        """
        weights = self._weights(lr, context)
        mean = np.einsum("gij,gpij->pij", weights, self._tiled(self._family_blocks))
        mean += self._pull * (lr - np.einsum("gij,gij->ij", weights, self._tiled(self._lr)))
        return joined(mean, self.scale)

    def posterior_sample(self, lr: Floats, context: int, rng: np.random.Generator) -> Floats:
        """Draw every HR block from its distribution given the LR pixels of its tile in the window.

        The blocks of a tile share the random number that chooses the template, so that they fit
        together where they know the same.

        Parameters
        ----------
        lr, context
            As for :meth:`conditional_mean`.
        rng
            Source of randomness.

        Returns
        -------
        numpy.ndarray
            ``(H, W)``, ``float64``.
        """
        weights = np.cumsum(self._weights(lr, context), axis=0)
        tiles = (lr.shape[0] // self._side, lr.shape[1] // self._side)
        chance = np.kron(rng.random(tiles), np.ones((self._side, self._side)))
        family = np.minimum((weights < chance).sum(0), self.families - 1)
        member = np.kron(rng.integers(self.members, size=tiles), np.ones((self._side, self._side)))
        row, column = np.indices(lr.shape) % self._side
        template = self._blocks[family, member.astype(int), :, row, column]
        white = blocks(
            self.std * rng.standard_normal(np.multiply(lr.shape, self.scale)), self.scale
        )
        seen = white.mean(0) + self.noise * rng.standard_normal(lr.shape)
        rest = lr - self._lr[family, row, column] - seen
        return joined(np.moveaxis(template, -1, 0) + white + self._pull * rest, self.scale)

    def output(self, lr: Floats, output: Output, rng: np.random.Generator) -> Floats:
        """Output of a model of known knowledge, as :meth:`GaussianField.output`.

        Parameters
        ----------
        lr
            LR image, ``(h, w)``.
        output
            What the model knows, how strongly it shows it, and how much it invents.
        rng
            Source of what it invents.

        Returns
        -------
        numpy.ndarray
            ``(H, W)``, ``float64``.
        """
        upsampled = self.upsample(lr)
        known = self.conditional_mean(lr, output.context)
        image = upsampled + output.gain * (known - upsampled)
        if output.invented:
            image += output.invented * (self.posterior_sample(lr, output.context, rng) - known)
        return image

    # -- Answers ---------------------------------------------------------------------------------

    def posterior_variance(self, lr: Floats, context: int) -> Floats:
        """Mean squared error per pixel to expect of each block, exactly.

        Parameters
        ----------
        lr, context
            As for :meth:`conditional_mean`.

        Returns
        -------
        numpy.ndarray
            ``(h, w)``: the variance of the posterior, mean over the pixels of the block.
        """
        weights = self._weights(lr, context)
        # Each family's mean, relative to what the mixture's mean adds for the LR pixel.
        centers = self._tiled(self._family_blocks - self._pull * self._lr[:, None])
        mean = np.einsum("gij,gpij->pij", weights, centers)
        between = np.einsum("gij,gpij->ij", weights, (centers - mean) ** 2) / self.scale**2
        own = self._blocks.var(axis=1).mean(axis=1)
        within = np.einsum("gij,gij->ij", weights, self._tiled(own))
        noise = self.std**2 * (1.0 - self._pull / self.scale**2)
        return between + within + noise

    def mmse(self, context: int) -> float:
        """Mean squared error per pixel of the conditional mean.

        The posterior variance is exact for each image; it is averaged over images.
        """
        images = self._many.lr
        return float(np.mean([self.posterior_variance(lr, context) for lr in images]))

    @cached_property
    def detail_energy(self) -> float:
        """Mean squared detail of the ground truth per pixel, averaged over images."""
        return float(np.mean(np.square(self._many.details)))

    def explained(self, context: int) -> float:
        """Share of the detail energy that the conditional mean explains."""
        return 1.0 - self.mmse(context) / self.detail_energy

    # -- How it is computed ----------------------------------------------------------------------

    @property
    def _side(self) -> int:
        """Height and width of a tile, LR pixels."""
        return self.tile // self.scale

    @property
    def _pull(self) -> float:
        """Change of a block's expected noise with the LR pixel."""
        white = self.std**2 / self.scale**2
        return white / (white + self.noise**2)

    @cached_property
    def _templates(self) -> Floats:
        """All templates, ``(families, members, tile, tile)``."""
        rng = np.random.default_rng([self.seed, _TEMPLATES])
        shape = (self.families, self.members, self.tile, self.tile)
        coarse = _smooth(rng.standard_normal((self.families, 1, *shape[2:])), self.scale)
        shared = self._invisible(rng.standard_normal((self.families, 1, *shape[2:])))
        own = self._invisible(rng.standard_normal(shape))
        return MEAN + _COARSE * coarse + _SHARED * shared + _OWN * own

    def _invisible(self, white: Floats) -> Floats:
        """Smooth detail of unit variance whose box-filtered LR image is zero."""
        smooth = _smooth(white, _BLUR)
        families, members = smooth.shape[:2]
        parts = smooth.reshape(families, members, self._side, self.scale, self._side, self.scale)
        detail = (parts - parts.mean(axis=(3, 5), keepdims=True)).reshape(smooth.shape)
        return detail / detail.std()

    @cached_property
    def _blocks(self) -> Floats:
        """Blocks of the templates, ``(families, members, scale ** 2, side, side)``."""
        return np.stack([[blocks(one, self.scale) for one in family] for family in self._templates])

    @cached_property
    def _family_blocks(self) -> Floats:
        """Mean of the members of each family, ``(families, scale ** 2, side, side)``."""
        return self._blocks.mean(axis=1)

    @cached_property
    def _lr(self) -> Floats:
        """LR image of each family, ``(families, side, side)``."""
        return self._family_blocks.mean(axis=1)

    @cached_property
    def _many(self) -> Images:
        return self.draw(_IMAGES, np.random.default_rng([self.seed, _EXPECTED]))

    def _pair(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """One image and its LR image."""
        tiles = self.size // self.tile
        family = rng.integers(self.families, size=(tiles, tiles))
        member = rng.integers(self.members, size=(tiles, tiles))
        chosen = self._templates[family, member]
        truth = chosen.transpose(0, 2, 1, 3).reshape(self.size, self.size)
        truth = truth + self.std * rng.standard_normal(truth.shape)
        lr = blocks(truth, self.scale).mean(axis=0)
        return truth, lr + self.noise * rng.standard_normal(lr.shape)

    def _tiled(self, per_tile: Floats) -> Floats:
        """Repeat what belongs to a tile over an image: ``(..., h, w)``."""
        times = self.size // self.tile
        return np.tile(per_tile, (1,) * (per_tile.ndim - 2) + (times, times))

    def _weights(self, lr: Floats, context: int) -> Floats:
        """Probability of each family at each LR pixel, ``(families, h, w)``."""
        reach = int(window(context).max())
        lags = np.abs(np.subtract.outer(np.arange(self._side), np.arange(self._side)))
        inside = (lags <= reach).astype(float)
        variance = self.std**2 / self.scale**2 + self.noise**2
        surprise = (lr - self._tiled(self._lr)) ** 2 / (2.0 * variance)
        times = self.size // self.tile
        parts = surprise.reshape(self.families, times, self._side, times, self._side)
        summed = np.einsum("sr,tq,gyrxq->gysxt", inside, inside, parts, optimize=True)
        return np.asarray(softmax(-summed.reshape(self.families, *lr.shape), axis=0))


def _smooth(white: Floats, blur: float) -> Floats:
    """Blur noise, (..., H, W), to unit variance."""
    smooth = gaussian_filter(white, blur, mode="wrap", axes=(-2, -1))
    return smooth / smooth.std()
