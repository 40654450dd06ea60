"""A Gaussian random field seen at low resolution: every answer in closed form.

Images are drawn from a stationary Gaussian random field on a torus, with a power spectrum like that
of natural images: a power law plus, if wanted, a little texture of frequencies above the Nyquist
frequency of the LR grid, so that a wider LR context knows more. The LR image is a linear function
of it (a low-pass filter that wraps around, subsampling, weak white noise), so ground truth, LR
image, conditional means and posterior samples are jointly Gaussian. All covariances follow from the
spectrum, and with them everything that an analysis estimates.

The field is written by blocks: one LR pixel u and the ``scale x scale`` HR pixels around it form
one vector z(u), which is stationary on the LR grid. Every linear filter is then a matrix per
frequency of that grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy import GAUSSIAN_UNIT_ENTROPY
from cooanalysis.measures.worlds.grid import (
    Floats,
    bicubic_weights,
    cubic,
    joined,
    square,
    window,
)
from cooanalysis.measures.worlds.images import IMAGES, Images, Output

Complex = NDArray[np.complex128]

MEAN = 0.5
"""Mean gray value."""


@dataclass(frozen=True)
class Linear:
    """A field that is a linear function of the world, on the LR grid.

    Attributes
    ----------
    of_world
        Transfer matrices from (HR block, LR pixel), ``(n, n, channels, scale ** 2 + 1)``.
    of_copy
        The same from an independent copy of the world, or ``None``: what is invented.
    """

    of_world: Complex
    of_copy: Complex | None = None

    @property
    def channels(self) -> int:
        """Number of values per LR pixel."""
        return int(self.of_world.shape[2])


@dataclass(frozen=True, eq=False)
class GaussianField:
    """A stationary Gaussian random field on a torus and its LR image.

    Parameters
    ----------
    size
        Height and width of the HR images, pixels; a multiple of `scale`.
    scale
        Factor of super-resolution.
    exponent
        The power spectrum falls with the frequency to this power.
    texture
        Energy of the texture, as a share of the energy of the power law.
    std
        Standard deviation of a pixel (peak 1, mean 0.5); small enough that few leave [0, 1].
    noise
        Standard deviation of the white noise of the LR image.
    seed
        Seed of the images drawn.

    Raises
    ------
    ConfigError
        `size` is not a multiple of `scale`, or a number is out of range.

    Examples
    --------
    >>> world = GaussianField(size=48, scale=4)
    >>> images = world.draw(2)
    >>> images.truth[0].shape, images.lr[0].shape
    ((48, 48), (12, 12))
    >>> world.conditional_mean(images.lr[0], 5).shape
    (48, 48)
    >>> 0 < world.explained(3) < world.explained(5) < 1
    True
    """

    size: int = 96
    scale: int = 4
    exponent: float = 2.5
    texture: float = 0.1
    std: float = 0.1
    noise: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scale < 1 or self.size < self.scale or self.size % self.scale:
            raise ConfigError(
                f"the size must be a multiple of the scale, not {self.size} with {self.scale}"
            )
        if not (self.std > 0 and self.noise > 0 and self.texture >= 0 and self.exponent >= 0):
            raise ConfigError(
                "a Gaussian field needs a positive std and noise, and no negative exponent or "
                f"texture, not {self.std}, {self.noise}, {self.exponent}, {self.texture}"
            )

    @property
    def side(self) -> int:
        """Height and width of the LR images, pixels."""
        return self.size // self.scale

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
        return self._apply(self._upsampling, lr)

    def conditional_mean(self, lr: Floats, context: int) -> Floats:
        """Mean of every HR block given the LR pixels in the window around it, exactly.

        Parameters
        ----------
        lr
            LR image, ``(h, w)``.
        context
            Side of the window, LR pixels; odd, at most that of the LR image.

        Returns
        -------
        numpy.ndarray
            ``(H, W)``, ``float64``.
        """
        return self._apply(self._mean_transfer(context), lr)

    def posterior_sample(self, lr: Floats, context: int, rng: np.random.Generator) -> Floats:
        """Draw every HR block from its distribution given the LR pixels in the window around it.

        Matheron's rule: with an independent draw (y', x') of the world and m the conditional mean,
        ``m(x) + y' - m(x')`` has the posterior mean and covariance, exactly.

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

        References
        ----------
        A. Doucet, "A note on efficient conditional simulation of Gaussian distributions", 2010.
        """
        return self.output(lr, Output(context, invented=1.0), rng)

    def output(self, lr: Floats, output: Output, rng: np.random.Generator) -> Floats:
        """Output of a model of known knowledge.

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
            truth, other = self._pair(rng)
            image += output.invented * (truth - self.conditional_mean(other, output.context))
        return image

    # -- Exact answers ---------------------------------------------------------------------------

    def mmse(self, context: int) -> float:
        """Mean squared error per pixel of the conditional mean, exactly."""
        return float(np.diag(self.posterior_covariance(context)).mean())

    @property
    def detail_energy(self) -> float:
        """Mean squared detail of the ground truth per pixel, exactly."""
        return float(np.trace(self.covariance(self.truth_detail, square(0, self.scale)))) / (
            self.scale**2
        )

    def explained(self, context: int) -> float:
        """Share of the detail energy that the conditional mean explains, exactly."""
        return 1.0 - self.mmse(context) / self.detail_energy

    def posterior_covariance(self, context: int) -> Floats:
        """Covariance of the pixels of a block given the window: ``(scale ** 2, scale ** 2)``."""
        _, cross, filters = self._window(context)
        prior = self.covariance(self.truth, square(0, self.scale))
        return prior - filters @ cross

    def entropy(self, context: int) -> float:
        """Differential entropy of a block given the window, nats per pixel (peak 1), exactly."""
        covariance = self.posterior_covariance(context)
        log_det = float(np.linalg.slogdet(covariance)[1])
        return GAUSSIAN_UNIT_ENTROPY + 0.5 * log_det / len(covariance)

    def patch_covariance(self, patch: int, output: Output | None = None) -> Floats:
        """Covariance of the pixels of patches that start at a block's corner.

        Parameters
        ----------
        patch
            Side of the patches, HR pixels.
        output
            Model whose output the patches show; the ground truth if ``None``.

        Returns
        -------
        numpy.ndarray
            ``(patch ** 2, patch ** 2)``, pixels row by row.
        """
        field = self.truth if output is None else self.image_of(output)
        return self.covariance(field, square(0, patch))

    # -- Fields ----------------------------------------------------------------------------------

    @cached_property
    def truth(self) -> Linear:
        """The ground truth."""
        return Linear(self._pick_truth)

    @cached_property
    def truth_detail(self) -> Linear:
        """Detail of the ground truth."""
        return Linear(self._pick_truth - self._of_lr(self._upsampling))

    @cached_property
    def lr(self) -> Linear:
        """The LR image, one channel."""
        unit = np.zeros((self.side, self.side, 1, self.scale**2 + 1), complex)
        unit[..., 0, -1] = 1.0
        return Linear(unit)

    def image_of(self, output: Output) -> Linear:
        """The output of a model."""
        detail = self.detail_of(output)
        return Linear(detail.of_world + self._of_lr(self._upsampling), detail.of_copy)

    def detail_of(self, output: Output) -> Linear:
        """The detail of the output of a model."""
        mean = self._mean_transfer(output.context)
        shown = self._of_lr(output.gain * (mean - self._upsampling))
        if not output.invented:
            return Linear(shown)
        return Linear(shown, output.invented * (self._pick_truth - self._of_lr(mean)))

    def covariance(
        self,
        field: Linear,
        offsets: NDArray[np.intp],
        other: Linear | None = None,
        other_offsets: NDArray[np.intp] | None = None,
    ) -> Floats:
        """Covariance of the values of fields around one LR pixel.

        Parameters
        ----------
        field
            A field.
        offsets
            Positions, ``(n, 2)``, relative to the corner of the block: HR pixels of a field with
            ``scale ** 2`` channels, LR pixels of one with one channel.
        other, other_offsets
            The second field; the first if not given.

        Returns
        -------
        numpy.ndarray
            ``(n, m)``.
        """
        other = field if other is None else other
        other_offsets = offsets if other_offsets is None else other_offsets
        lags = self._lag_covariance(field, other)
        at, channel = self._address(field, offsets)
        to, second = self._address(other, other_offsets)
        lag = (at[:, None] - to[None]) % self.side
        return lags[lag[..., 0], lag[..., 1], channel[:, None], second[None]]

    def joint_covariance(self, parts: Sequence[tuple[Linear, NDArray[np.intp]]]) -> Floats:
        """Covariance matrix of the values of several fields, one after the other."""
        return np.block(
            [[self.covariance(field, at, other, to) for other, to in parts] for field, at in parts]
        )

    # -- How it is computed ----------------------------------------------------------------------

    @cached_property
    def _power(self) -> Floats:
        """Expected power spectrum of the HR field: the discrete Fourier transform of its
        covariance."""
        f = np.fft.fftfreq(self.size)
        radius = np.hypot(f[:, None], f[None])
        power = (radius**2 + self.size**-2.0) ** (-self.exponent / 2)
        power[0, 0] = 0.0
        power /= power.sum()
        if self.texture:
            waves = sum(
                np.exp(
                    -0.5
                    * ((f[:, None] - sign * y) ** 2 + (f[None] - sign * x) ** 2)
                    / (_WAVE_WIDTH / self.scale) ** 2
                )
                for sign in (1, -1)
                for y, x in np.array(_WAVES) / self.scale
            )
            power += self.texture * waves / np.sum(waves)
        return np.asarray(power * (self.std**2 * self.size**2 / power.sum()))

    @cached_property
    def _low_pass(self) -> Complex:
        """Transfer function of the low-pass filter: x(u) is the filtered field at scale * u."""
        scale = self.scale
        taps = np.arange(-2 * scale, 3 * scale)
        weights = cubic((taps - (scale - 1) / 2) / scale) / scale
        ring = np.zeros(self.size)
        np.add.at(ring, taps % self.size, weights)
        transfer = np.fft.fft(ring).conj()
        return transfer[:, None] * transfer[None]

    @cached_property
    def _upsampling(self) -> Complex:
        """Transfer of the bicubic upsampling, ``(n, n, scale ** 2)``."""
        weights = bicubic_weights(self.scale)
        return self._transfer(weights.reshape(self.scale**2, -1), square(-2, 3))

    @cached_property
    def _pick_truth(self) -> Complex:
        eye = np.eye(self.scale**2, self.scale**2 + 1)
        return np.broadcast_to(eye, (self.side, self.side, *eye.shape)).astype(complex)

    @cached_property
    def _spectrum(self) -> Complex:
        """Cross-spectra of (HR block, LR pixel), ``(n, n, scale ** 2 + 1, scale ** 2 + 1)``."""
        scale, size = self.scale, self.size
        truth = np.fft.ifft2(self._power).real
        # Covariance of the filtered field at τ with the field at 0, and with itself.
        cross = np.fft.ifft2(self._low_pass * self._power).real
        both = np.fft.ifft2(np.abs(self._low_pass) ** 2 * self._power).real
        phases = square(0, scale)
        lag = scale * square(0, self.side)[:, None]
        joint = np.empty((self.side**2, scale**2 + 1, scale**2 + 1))
        for p, phase in enumerate(phases):
            y, x = np.moveaxis((lag + phase - phases) % size, -1, 0)
            joint[:, p, :-1] = truth[y, x]
        y, x = np.moveaxis((lag - phases) % size, -1, 0)
        joint[:, -1, :-1] = cross[y, x]
        y, x = np.moveaxis((-lag - phases) % size, -1, 0)
        joint[:, :-1, -1] = cross[y, x]
        joint[:, -1, -1] = both[lag[:, 0, 0], lag[:, 0, 1]]
        joint[0, -1, -1] += self.noise**2
        shaped = joint.reshape(self.side, self.side, scale**2 + 1, scale**2 + 1)
        return np.fft.fft2(shaped, axes=(0, 1))

    def _pair(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """One image and its LR image."""
        white = np.fft.fft2(rng.standard_normal((self.size, self.size)))
        waves = white * np.sqrt(self._power)
        truth = np.fft.ifft2(waves).real
        lr = np.fft.ifft2(waves * self._low_pass).real[:: self.scale, :: self.scale]
        lr = lr + self.noise * rng.standard_normal(lr.shape)
        return truth + MEAN, lr + MEAN

    def _apply(self, transfer: Complex, lr: Floats) -> Floats:
        waves = np.fft.fft2(lr - MEAN)[..., None] * transfer
        parts = np.fft.ifft2(waves, axes=(0, 1)).real
        return joined(np.moveaxis(parts, -1, 0), self.scale) + MEAN

    def _transfer(self, filters: Floats, taps: NDArray[np.intp]) -> Complex:
        """Transfer of correlation with filters, ``(channels, taps)``: ``(n, n, channels)``."""
        ring = np.zeros((self.side, self.side, len(filters)))
        np.add.at(ring, (-taps[:, 0] % self.side, -taps[:, 1] % self.side), filters.T)
        return np.fft.fft2(ring, axes=(0, 1))

    def _of_lr(self, transfer: Complex) -> Complex:
        """The same filter as a function of the world, whose last channel is the LR image."""
        full = np.zeros((*transfer.shape, self.scale**2 + 1), complex)
        full[..., -1] = transfer
        return full

    @cached_property
    def _means(self) -> dict[int, Complex]:
        """Transfer of the conditional mean of each context that was asked for."""
        return {}

    def _mean_transfer(self, context: int) -> Complex:
        """Transfer of the conditional mean, ``(n, n, scale ** 2)``."""
        if context not in self._means:
            taps, _, filters = self._window(context)
            self._means[context] = self._transfer(filters, taps)
        return self._means[context]

    def _window(self, context: int) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Taps, their covariance with the block, and the filters of the conditional mean."""
        taps = window(context)
        if context > self.side:
            raise ConfigError(
                f"a context of {context} LR pixels does not fit an LR image of {self.side}; use "
                "larger images"
            )
        inside = self.covariance(self.lr, taps)
        cross = self.covariance(self.lr, taps, self.truth, square(0, self.scale))
        return taps, cross, cho_solve(cho_factor(inside), cross).T

    def _address(
        self, field: Linear, offsets: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """LR pixel and channel of each position."""
        if field.channels == 1:
            return offsets, np.zeros(len(offsets), int)
        at, phase = np.divmod(offsets, self.scale)
        return at, phase[:, 0] * self.scale + phase[:, 1]

    def _lag_covariance(self, a: Linear, b: Linear) -> Floats:
        """Covariance of a(u + lag) and b(u) for every lag, ``(n, n, channels, channels)``."""
        cross = a.of_world @ self._spectrum @ b.of_world.conj().swapaxes(-1, -2)
        if a.of_copy is not None and b.of_copy is not None:
            cross = cross + a.of_copy @ self._spectrum @ b.of_copy.conj().swapaxes(-1, -2)
        return np.fft.ifft2(cross, axes=(0, 1)).real


_WAVES = ((0.6, 0.12), (0.6, -0.12), (0.12, 0.6), (-0.12, 0.6))
"""Frequencies of the texture, cycles per LR pixel: above one half, so they alias.

Mirroring the images, or rotating them by quarter turns, leaves the field's distribution as it is.
"""
_WAVE_WIDTH = 0.04
"""Spread of these frequencies, cycles per LR pixel."""
