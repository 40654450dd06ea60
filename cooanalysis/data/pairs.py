"""Where the files of one image lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImagePair:
    """Where one image lies.

    Attributes
    ----------
    name : str
        Unique within its data set.
    hr_path : Path
        The high-resolution image.
    lr_path : Path or None
        The data set's own low-resolution image; ``None`` when it has to be made.
    """

    name: str
    hr_path: Path
    lr_path: Path | None
