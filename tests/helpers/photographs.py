"""Small photographs: networks and searches take seconds on the whole sample images."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from cooanalysis.data import sample_pairs


def write_crops(folder: Path, side: int, n: int | None = None) -> Path:
    """Write the middle of the first ``n`` sample images, or of all, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for pair in sample_pairs()[:n]:
        with Image.open(pair.hr_path) as image:
            left, top = ((length - side) // 2 for length in image.size)
            crop = image.crop((left, top, left + side, top + side))
            crop.save(folder / f"{pair.name}.png")
    return folder
