"""Tests of the figures: the repository's root is where ``figures`` is imported from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

IMAGES = ("astronaut", "camera", "coins", "grass", "gravel")
SIDE = 160


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small crops of the sample images."""
    from PIL import Image

    from cooanalysis.data.sample import sample_pairs

    folder = tmp_path_factory.mktemp("photographs")
    for pair in sample_pairs():
        if pair.name in IMAGES:
            image = np.asarray(Image.open(pair.hr_path))
            top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
            piece = image[top : top + SIDE, left : left + SIDE]
            Image.fromarray(piece).save(folder / f"{pair.name}.png")
    return folder


@pytest.fixture(autouse=True, scope="module")
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs draw no figures of their own, and keep outputs of models in a folder of the tests."""
    # By module, so that tests outside this folder get everything back.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setattr("cooanalysis.plots.save_figures", lambda record, folder: [])
        yield
