"""The parts of a model's detail, as functions of sums of squares and products.

With the details ``y`` of the ground truth and ``s`` of the output (both minus bicubic), the known
detail ``c = E[y | s, a, x]`` of a model with an anchor ``a``, and ``c₀ = E[y | s, x]`` of the
output and the LR image alone, everything here is a function of these sums over pixels, of any set
of patches, images or frequencies:

====================  ======  =================================================
``truth_energy``      Σ‖y‖²   detail of the ground truth
``output_energy``     Σ‖s‖²   detail of the output
``output_truth``      Σ⟨s,y⟩
``known_energy``      Σ‖c‖²   what can be known from output, anchor and LR image
``known_truth``       Σ⟨c,y⟩
``known_output``      Σ⟨c,s⟩
``alone_energy``      Σ‖c₀‖²  what can be known from output and LR image
``alone_truth``       Σ⟨c₀,y⟩
``alone_output``      Σ⟨c₀,s⟩
====================  ======  =================================================

All take arrays that broadcast, in the same unit, and return NaN where a share of nothing is asked
for. The definitions are ours; that a model trained with a pixel loss outputs the conditional mean
of what it sees is the claim of Xu et al. (TPAMI 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = float | Floats
Image = NDArray[np.float32]

SUMS = (
    "truth_energy", "output_energy", "output_truth",
    "known_energy", "known_truth", "known_output",
    "alone_energy", "alone_truth", "alone_output",
)  # fmt: skip
"""The sums, in the order of :func:`products`."""
FACTORS = ((0, 0), (1, 1), (1, 0), (2, 2), (2, 0), (2, 1), (3, 3), (3, 0), (3, 1))
"""Which of ground truth, output, known and alone each of :data:`SUMS` multiplies."""

INVENTED = ("truth_energy", "output_energy", "known_energy", "known_truth", "known_output")
"""The sums that :func:`invented` takes."""
INVENTED_ALONE = ("truth_energy", "output_energy", "alone_energy", "alone_truth", "alone_output")
"""Those of its lower bound, without anchor."""

NEGLIGIBLE = 1e-3
"""Where less than this share of the detail is unknown, nothing can be said of what is made up."""


def products(truth: Image, output: Image, known: Image, alone: Image) -> list[Image]:
    """Squares and products whose sums are :data:`SUMS`, pixel by pixel."""
    images = (truth, output, known, alone)
    return [images[i] * images[j] for i, j in FACTORS]


def detail_energy(truth_energy: Value, output_energy: Value) -> Floats:
    """How much detail there is, right or wrong: ``Σ‖s‖² / Σ‖y‖²``, 1 for the ground truth."""
    return _share(output_energy, truth_energy)


def explained(truth_energy: Value, known_energy: Value, known_truth: Value) -> Floats:
    """What is known: ``1 − Σ‖y − c‖² / Σ‖y‖²``, at most 1; negative where ``c`` misleads.

    With ``alone_…`` in place of ``known_…``: what can be known from the output alone, which for a
    model that samples is less than it knows.
    """
    return _share(2.0 * known_truth - known_energy, truth_energy)


def gain(known_energy: Value, known_output: Value) -> Floats:
    """How strongly the known is shown: ``g = Σ⟨s,c⟩ / Σ‖c‖²``.

    1 where the output shows it as it is, above 1 where it sharpens, below 1 where it damps.
    """
    return _share(known_output, known_energy)


def invented(
    truth_energy: Value, output_energy: Value, known_energy: Value,
    known_truth: Value, known_output: Value,
) -> Floats:  # fmt: skip
    """What is made up, in units of what is unknown: ``Σ‖s − g·c‖² / Σ‖y − c‖²``.

    0 for a conditional mean of whatever is seen and whatever its gain, 1 for a sample of the
    posterior; whether what is made up looks like clean images is another question. NaN where next
    to nothing is unknown (see :data:`NEGLIGIBLE`), as for the ground truth itself.
    """
    made_up = made_up_energy(output_energy, known_energy, known_output)
    unknown = unknown_energy(truth_energy, known_energy, known_truth)
    enough = unknown > NEGLIGIBLE * truth_energy
    return _share(made_up, np.where(enough, unknown, np.nan))


def collapse_index(
    truth_energy: Value, output_energy: Value, known_energy: Value,
    known_truth: Value, known_output: Value,
) -> Floats:  # fmt: skip
    """``1 − invented``: 1 for a conditional mean of what the model sees, 0 for a sample."""
    return 1.0 - invented(truth_energy, output_energy, known_energy, known_truth, known_output)


def closed_form(truth_energy: Value, output_energy: Value, output_truth: Value) -> Floats:
    """``(Σ‖y‖² − Σ‖s‖²) / (Σ‖y‖² − Σ⟨s,y⟩)``: the collapse index where the gain is 1.

    A check that needs no estimate of what is known. Sharpening fools it, so it is not the index.
    """
    left = truth_energy - output_truth
    enough = np.abs(left) > NEGLIGIBLE * truth_energy
    return _share(truth_energy - output_energy, np.where(enough, left, np.nan))


def made_up_energy(output_energy: Value, known_energy: Value, known_output: Value) -> Floats:
    """``Σ‖s − g·c‖²``."""
    shown = np.nan_to_num(gain(known_energy, known_output)) * known_output
    return np.asarray(np.maximum(output_energy - shown, 0.0), np.float64)


def unknown_energy(truth_energy: Value, known_energy: Value, known_truth: Value) -> Floats:
    """``Σ‖y − c‖²``."""
    error = truth_energy - 2.0 * known_truth + known_energy
    return np.asarray(np.maximum(error, 0.0), np.float64)


@dataclass(frozen=True)
class ErrorBudget:
    """Where a model's squared error comes from; the parts and ``remainder`` add up to it.

    Attributes
    ----------
    unknown
        ``Σ‖y − c‖²``: what nobody knows.
    known_to_others
        What another model knows beyond that; 0 unless ``best_unknown`` was given.
    wrong_gain
        ``(1 − g)² Σ‖c‖²``: what is known, shown too strongly or too weakly.
    made_up
        ``Σ‖s − g·c‖²``.
    remainder
        What is left of ``Σ‖y − s‖²``: zero if ``c`` is the conditional mean, so its size tells how
        well ``c`` was estimated.
    """

    unknown: float
    known_to_others: float
    wrong_gain: float
    made_up: float
    remainder: float

    @property
    def total(self) -> float:
        """``Σ‖y − s‖²``."""
        parts = self.unknown + self.known_to_others + self.wrong_gain + self.made_up
        return parts + self.remainder


def error_budget(
    truth_energy: float, output_energy: float, output_truth: float, known_energy: float,
    known_truth: float, known_output: float, *, best_unknown: float | None = None,
) -> ErrorBudget:  # fmt: skip
    """Divide the squared error of a model.

    Parameters
    ----------
    truth_energy, output_energy, output_truth, known_energy, known_truth, known_output
        The sums of the model, see the module.
    best_unknown
        Smallest :func:`unknown_energy` of the models compared, over the same pixels.
    """
    total = truth_energy - 2.0 * output_truth + output_energy
    unknown = float(unknown_energy(truth_energy, known_energy, known_truth))
    least = unknown if best_unknown is None else min(unknown, best_unknown)
    shown = float(np.nan_to_num(gain(known_energy, known_output)))
    wrong_gain = (1.0 - shown) ** 2 * known_energy
    made_up = float(made_up_energy(output_energy, known_energy, known_output))
    return ErrorBudget(
        least, unknown - least, wrong_gain, made_up, total - unknown - wrong_gain - made_up
    )


def sums_of(images: Sequence[Image]) -> Floats:
    """(9,) sums of the pixels of what :func:`products` returns."""
    return np.array([np.sum(image, dtype=np.float64) for image in images])


def _share(part: Value, whole: Value) -> Floats:
    top, bottom = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom > 0.0, top / bottom, np.nan))
