"""PSNR on validation images, and a few of the outputs as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cooanalysis.data import Dataset, LoadedPair, iter_pairs

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Validation:
    """Validation images in colour."""

    scale: int
    pairs: tuple[LoadedPair, ...]

    @classmethod
    def load(cls, datasets: Sequence[Dataset], scale: int) -> Validation:
        """Load the images of some data sets."""
        pairs = [
            item
            for dataset in datasets
            for item in iter_pairs(dataset, colour="rgb", strict=True)
            if isinstance(item, LoadedPair)
        ]
        return cls(scale, tuple(pairs))

    def psnr(self, generator: nn.Module, device: torch.device) -> float:
        """Mean PSNR of luma in dB, borders of ``scale`` pixels left out."""
        from cooanalysis.metrics import psnr

        values = [
            psnr(output, pair.hr, border=self.scale)
            for pair, output in zip(self.pairs, self._outputs(generator, device), strict=True)
        ]
        return float(np.mean(values))

    def save(self, generator: nn.Module, device: torch.device, folder: Path, n: int) -> None:
        """Write the outputs for the first ``n`` images as PNG files."""
        from PIL import Image as Pillow

        folder.mkdir(exist_ok=True)
        chosen = Validation(self.scale, self.pairs[:n])
        for pair, output in zip(chosen.pairs, chosen._outputs(generator, device), strict=True):
            Pillow.fromarray(output).save(folder / f"{Path(pair.name).name}.png")

    def _outputs(self, generator: nn.Module, device: torch.device) -> list[Image]:
        from cooanalysis.inference import upscale

        was_training = generator.training
        generator.eval()
        outputs = [
            upscale(generator, pair.lr, scale=self.scale, device=str(device)) for pair in self.pairs
        ]
        generator.train(was_training)
        return outputs


def to_unit(batch: Tensor) -> Tensor:
    """uint8 levels to float32 in [0, 1]."""
    return batch.float().div_(255.0)
