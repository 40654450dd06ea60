"""What every world draws, and what a model of known knowledge outputs in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Images:
    """Images drawn from a world; peak value 1.

    Attributes
    ----------
    truth
        HR images, each ``(H, W)``, ``float64``.
    lr
        Their LR images, each ``(H / scale, W / scale)``, ``float64``, not quantized.
    upsampled
        The LR images upsampled, each ``(H, W)``, ``float64``: what details are relative to.
    """

    truth: list[Floats]
    lr: list[Floats]
    upsampled: list[Floats]

    @property
    def details(self) -> list[Floats]:
        """Ground truth minus the upsampled LR image."""
        return self.details_of(self.truth)

    def details_of(self, outputs: list[Floats]) -> list[Floats]:
        """Outputs minus the upsampled LR images.

        Parameters
        ----------
        outputs
            One ``(H, W)`` array per image.
        """
        return [
            output - upsampled for output, upsampled in zip(outputs, self.upsampled, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Output:
    """What a model outputs whose knowledge is a window of LR pixels.

    With m the conditional mean given the window, U the upsampled LR image and m + r a sample of
    the posterior, its output is ``U + gain * (m - U) + invented * r``.

    Attributes
    ----------
    context
        Side of the window, LR pixels; odd.
    gain
        Factor of the known detail: 1 shows it as it is.
    invented
        Factor of the random part: 0 makes a conditional mean, 1 a posterior sample.
    """

    context: int
    gain: float = 1.0
    invented: float = 0.0


def window(width: int) -> NDArray[np.intp]:
    """Offsets of a square window around its central pixel, row by row.

    Parameters
    ----------
    width
        Side of the window; odd.

    Returns
    -------
    numpy.ndarray
        ``(width ** 2, 2)``.

    Raises
    ------
    ConfigError
        `width` is not an odd positive number.
    """
    if width < 1 or width % 2 == 0:
        raise ConfigError(f"a context must be an odd number of LR pixels, not {width}")
    return square(-(width // 2), width // 2 + 1)


def square(low: int, high: int) -> NDArray[np.intp]:
    """Offsets from `low` to `high` (not included) along both axes, row by row: ``(n ** 2, 2)``."""
    along = np.arange(low, high)
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)


def blocks(image: Floats, scale: int) -> Floats:
    """Cut an ``(H, W)`` image into its ``scale x scale`` blocks: ``(scale ** 2, h, w)``."""
    h, w = image.shape[0] // scale, image.shape[1] // scale
    parts = image.reshape(h, scale, w, scale)
    return np.ascontiguousarray(parts.transpose(1, 3, 0, 2).reshape(scale**2, h, w))


def joined(parts: Floats, scale: int) -> Floats:
    """Put ``(scale ** 2, h, w)`` blocks together again: ``(H, W)``."""
    h, w = parts.shape[1:]
    image = parts.reshape(scale, scale, h, w).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(image.reshape(h * scale, w * scale))


def split(images: int, rng: np.random.Generator) -> Iterator[np.random.Generator]:
    """One independent generator per image."""
    yield from rng.spawn(images)
