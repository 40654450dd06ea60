"""PSNR on validation images, and a few of the outputs as PNG files."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cooanalysis.data import Dataset, LoadedPair, iter_pairs
from cooanalysis.training import checkpoint

Image = NDArray[np.uint8]

_NO_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|-|$)", re.I)


@dataclass(frozen=True)
class Validation:
    """Validation images in color: their names, and (LR, HR) uint8 arrays."""

    scale: int
    names: tuple[str, ...] = ()
    pairs: tuple[tuple[Image, Image], ...] = ()

    @classmethod
    def load(cls, datasets: Sequence[Dataset], scale: int) -> Validation:
        """Load the images of some data sets."""
        names, pairs = [], []
        for dataset in datasets:
            for item in iter_pairs(dataset, color="rgb", strict=True):
                assert isinstance(item, LoadedPair)
                # Two data sets may use one name for two images.
                names.append(f"{dataset.name}-{Path(item.name).name}")
                pairs.append((item.lr, item.hr))
        return cls(scale, tuple(names), tuple(pairs))

    def psnr(self, generator: nn.Module, device: torch.device) -> float:
        """Mean PSNR of luma in dB, without borders of ``scale`` pixels."""
        from cooanalysis.metrics import psnr

        values = [
            psnr(output, hr, border=self.scale)
            for (_, hr), output in zip(
                self.pairs, _outputs(generator, device, self.scale, self.pairs), strict=True
            )
        ]
        return float(np.mean(values))

    def save(self, generator: nn.Module, device: torch.device, folder: Path, n: int) -> None:
        """Write the outputs for the first ``n`` images as PNG files.

        Raises
        ------
        RunDirectoryError
            If they cannot be written.
        """
        folder.mkdir(exist_ok=True)
        outputs = _outputs(generator, device, self.scale, self.pairs[:n])
        for name, output in zip(self.names[:n], outputs, strict=True):
            checkpoint.write(folder / f"{safe_name(name)}.png", partial(_write_png, output))


def safe_name(name: str) -> str:
    r"""A file name that every system accepts; names that were changed stay distinct.

    Examples
    --------
    >>> safe_name("Set5-baby")
    'Set5-baby'
    """
    safe = _NO_NAME.sub("_", name).rstrip(" .")[:100]
    if safe != name or not safe or _RESERVED.match(safe):
        safe = f"{safe}-{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}"
    return f"_{safe}" if _RESERVED.match(safe) else safe


def _write_png(image: Image, file: BinaryIO) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(image).save(file, format="PNG")


def _outputs(
    generator: nn.Module,
    device: torch.device,
    scale: int,
    pairs: Sequence[tuple[Image, Image]],
) -> list[Image]:
    from cooanalysis.models.tiling import upscale

    was_training = generator.training
    generator.eval()
    outputs = [upscale(generator, lr, scale=scale, device=str(device)) for lr, _ in pairs]
    generator.train(was_training)
    return outputs


def to_unit(batch: Tensor) -> Tensor:
    """8-bit values (uint8) to float32 in [0, 1]."""
    return batch.float().div_(255.0)
