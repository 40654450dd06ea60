"""What every world draws, and what a model of known knowledge outputs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cooanalysis.measures.worlds.grid import Floats

IMAGES = 2**20
"""Sets the images drawn with a seed apart from what models invent with the same one."""


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


class World(Protocol):
    """What every world offers."""

    @property
    def scale(self) -> int:
        """Factor of super-resolution."""

    def draw(self, n: int, rng: np.random.Generator | None = None) -> Images:
        """Draw independent images."""

    def conditional_mean(self, lr: Floats, context: int) -> Floats:
        """Mean of every HR block given the LR pixels in the window around it."""

    def output(self, lr: Floats, output: Output, rng: np.random.Generator) -> Floats:
        """Output of a model of known knowledge."""

    def mmse(self, context: int) -> float:
        """Mean squared error per pixel of the conditional mean."""

    def explained(self, context: int) -> float:
        """Share of the detail energy that the conditional mean explains."""
