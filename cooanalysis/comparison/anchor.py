"""The anchor: a conditional mean of comparable knowledge that models are measured against.

Without one, what a model that samples makes up cannot be distinguished from what it knows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cooanalysis.comparison.outputs import with_outputs
from cooanalysis.data import ImagePair
from cooanalysis.data.patches import PatchStore
from cooanalysis.measures.detail import closed_form, detail_energy
from cooanalysis.models.shipped import WEIGHTS
from cooanalysis.models.sources import Source, open_source

SHIPPED = "edsr-small-x{scale}-l1"
"""Shipped weights that serve as anchor where no compared model can."""
NO_ANCHOR = "none"
"""Value of the option that asks for no anchor."""
MEAN_TOLERANCE = 0.05
"""A closed form within this of 1 is that of a conditional mean."""
LEAST_DETAIL = 0.02
"""An output with less detail energy, such as bicubic upsampling, knows too little."""

Chosen = Literal["given", "baseline", "model", "shipped"]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Anchor:
    """The anchor of a comparison.

    Attributes
    ----------
    name
        Name of a model, or of shipped weights.
    chosen
        Why it is the anchor: ``given`` by the option, the ``baseline``, another ``model`` that
        behaves like a conditional mean, or a ``shipped`` network.
    store
        Its outputs.
    closed_form
        Near 1 if it is a conditional mean, see :func:`cooanalysis.measures.detail.closed_form`.
    detail_energy
        Detail energy of its outputs.
    explained
        Share of the detail that its output explains, at the gain that suits it best.
    """

    name: str
    chosen: Chosen
    store: PatchStore
    closed_form: float
    detail_energy: float
    explained: float

    @classmethod
    def of(cls, name: str, chosen: Chosen, truth: PatchStore, outputs: Sequence[Image]) -> Anchor:
        """An anchor of the outputs of a model for the images of ``truth``."""
        store = with_outputs(truth, outputs)
        energy, own, product = _sums(truth, store)
        return cls(
            name, chosen, store, float(closed_form(energy, own, product)),
            float(detail_energy(energy, own)),
            product**2 / (energy * own) if energy * own > 0.0 else 0.0,
        )  # fmt: skip

    @property
    def is_mean(self) -> bool:
        """Whether it behaves like a conditional mean, shown as it is."""
        return abs(self.closed_form - 1.0) <= MEAN_TOLERANCE and self.detail_energy > LEAST_DETAIL


def find_anchor(
    truth: PatchStore, baseline: str, kinds: Mapping[str, str],
    outputs: Mapping[str, Sequence[Image]],
) -> Anchor | None:  # fmt: skip
    """The baseline, or else the compared model that explains least, if it is a conditional mean.

    Parameters
    ----------
    truth
        Store of the ground truth.
    baseline
        Name of the baseline.
    kinds, outputs
        By model: kind of its source, and its outputs.
    """
    able = [name for name, kind in kinds.items() if kind not in ("bicubic", "hr")]
    if baseline in able:
        first = Anchor.of(baseline, "baseline", truth, outputs[baseline])
        if first.is_mean:
            return first
    best: Anchor | None = None
    for name in able:
        if name == baseline:
            continue
        found = Anchor.of(name, "model", truth, outputs[name])
        if found.is_mean and (best is None or found.explained < best.explained):
            best = found
    return best


def shipped_anchor(pairs: Sequence[ImagePair], scale: int, device: str) -> Source | None:
    """The shipped network for a scale, trained with a pixel loss; None if it cannot run here."""
    name = SHIPPED.format(scale=scale)
    if name not in WEIGHTS or importlib.util.find_spec("torch") is None:
        return None
    return open_source(name, name, pairs, scale=scale, device=device)


def _sums(truth: PatchStore, store: PatchStore) -> tuple[float, float, float]:
    """Detail energies of ground truth and output, and their product, inside a border."""
    inside = np.s_[truth.scale : -truth.scale, truth.scale : -truth.scale]
    sums = np.zeros(3)
    for number in range(len(truth.names)):
        y = truth.detail_image(number)[inside].astype(np.float64)
        s = store.detail_image(number)[inside].astype(np.float64)
        sums += (np.vdot(y, y), np.vdot(s, s), np.vdot(s, y))
    return float(sums[0]), float(sums[1]), float(sums[2])
