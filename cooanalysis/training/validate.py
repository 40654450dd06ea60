"""Measures of the outputs for validation images, and a few of the outputs as PNG files."""

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
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
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

    def measure(self, generator: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures of the luma of the outputs, without borders of ``scale`` pixels.

        Returns
        -------
        dict
            ``psnr_y``, mean over images in dB, and of the detail (see
            :func:`cooanalysis.measures.detail.take_apart`) ``detail_energy``, ``explained``,
            ``gain`` and ``invented_at_least``: there is no anchor during training. Those that are
            not finite, as for images without detail, are left out.
        """
        from cooanalysis.measures.detail import take_apart
        from cooanalysis.metrics import psnr

        outputs = _outputs(generator, device, self.scale, self.pairs)
        values = [
            psnr(output, hr, border=self.scale)
            for output, (_, hr) in zip(outputs, self.pairs, strict=True)
        ]
        upsampled = [_upsampled_luma(lr, self.scale) for lr, _ in self.pairs]
        truth, shown = (
            [_luma(image) - base for image, base in zip(images, upsampled, strict=True)]
            for images in ([hr for _, hr in self.pairs], outputs)
        )
        found = take_apart(truth, shown, [_luma(lr) for lr, _ in self.pairs], scale=self.scale)
        measured = {
            "psnr_y": float(np.mean(values)),
            "detail_energy": found.detail_energy,
            "explained": found.explained,
            "gain": found.gain,
            "invented_at_least": found.invented_at_least,
        }
        return {
            name: value for name, value in measured.items()
            if name == "psnr_y" or np.isfinite(value)
        }  # fmt: skip

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


def _luma(image: Image) -> NDArray[np.float32]:
    """Luma with peak 1."""
    return (rgb_to_y(image, rounded=False) / 255.0).astype(np.float32)


def _upsampled_luma(lr: Image, scale: int) -> NDArray[np.float32]:
    """Luma of the bicubic upsampling, with peak 1."""
    return _luma(np.rint(np.clip(upsample(lr, scale), 0.0, 255.0)).astype(np.uint8))


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
