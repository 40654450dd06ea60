"""Photographs, a shipped network, and artifacts that must not pass for knowledge or detail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cooanalysis.comparison.statistics import (  # noqa: E402
    measures,
    psnr_explained,
    reach,
    totals,
)
from cooanalysis.comparison.verdict import verdict  # noqa: E402
from cooanalysis.data import LoadedPair, iter_pairs, resolve  # noqa: E402
from cooanalysis.data.degradation import upsample  # noqa: E402
from cooanalysis.data.images import rgb_to_y  # noqa: E402
from cooanalysis.measures.detail import TakenApart, take_apart  # noqa: E402
from cooanalysis.measures.realism import Realism  # noqa: E402
from cooanalysis.metrics import METRICS, psnr  # noqa: E402
from cooanalysis.models import load_weights  # noqa: E402
from cooanalysis.models.shipped import shipped  # noqa: E402
from cooanalysis.models.tiling import upscale  # noqa: E402
from experiments.battery import ARTIFACTS, bicubic, detail_of_another_patch, to_8_bit  # noqa: E402

SCALE = 4
EVERY = 5
"""Each fifth image of BSD100: 20 of them."""
UNLIKE = Realism("unlike", {"critic": "unlike"})

Image = NDArray[np.uint8]
Make = Callable[[Image, Image, Image], Image]

pytestmark = [pytest.mark.slow, pytest.mark.data("BSD100")]


@dataclass(frozen=True)
class Photographs:
    """Luma of images, of their LR images, and of two outputs for them."""

    hr: list[Image]
    lr: list[Image]
    l1: list[Image]

    @cached_property
    def bicubic(self) -> list[Image]:
        return [bicubic(x, SCALE) for x in self.lr]

    @cached_property
    def upsampled(self) -> list[NDArray[np.float32]]:
        return [upsample(x, SCALE) for x in self.lr]

    def details(self, images: list[Image]) -> list[NDArray[np.float32]]:
        return [(i - u) / 255 for i, u in zip(images, self.upsampled, strict=True)]

    def changed(self, base: str, make: Make) -> list[Image]:
        return [make(*three) for three in zip(getattr(self, base), self.lr, self.hr, strict=True)]

    def apart(self, outputs: list[Image], *, anchored: bool = True) -> TakenApart:
        return take_apart(
            self.details(self.hr), self.details(outputs), [x / 255 for x in self.lr],
            anchor=self.details(self.l1) if anchored else None, scale=SCALE,
        )  # fmt: skip

    def amplified(self, gain: float) -> list[Image]:
        """The output with its detail multiplied."""
        return [to_8_bit(u + gain * (i.astype(np.float32) - u))
                for i, u in zip(self.l1, self.upsampled, strict=True)]  # fmt: skip

    def rows(self, model: str, outputs: list[Image], found: TakenApart) -> pd.DataFrame:
        """One row per image, as in the table of a comparison."""
        error = [psnr(a, b, border=SCALE) for a, b in zip(outputs, self.hr, strict=True)]
        table = pd.DataFrame(
            {"model": model, "image": [f"{n:03}" for n in range(len(self.hr))],
             **found.sums, "pixels": found.pixels, "psnr_y": error}
        )  # fmt: skip
        return table.assign(psnr_explained_db=psnr_explained)


def _pairs(home: Path) -> Iterator[LoadedPair]:
    dataset = resolve("bsd100", scale=SCALE, data_root=home)
    for number, pair in enumerate(iter_pairs(dataset, color="rgb")):
        if number % EVERY == 0 and isinstance(pair, LoadedPair):
            yield pair


@pytest.fixture(scope="module")
def photographs(data_home: Path) -> Photographs:
    network = load_weights(shipped()["edsr-small-x4-l1"])
    pairs = list(_pairs(data_home))
    return Photographs(
        [_luma(pair.hr) for pair in pairs], [_luma(pair.lr) for pair in pairs],
        [_luma(upscale(network, pair.lr, scale=SCALE)) for pair in pairs],
    )  # fmt: skip


def _luma(image: Image) -> Image:
    return to_8_bit(rgb_to_y(image))


@pytest.fixture(scope="module")
def l1(photographs: Photographs) -> TakenApart:
    return photographs.apart(photographs.l1, anchored=False)


def test_the_network_shows_what_it_knows_and_makes_nothing_up(l1: TakenApart) -> None:
    assert l1.gain == pytest.approx(1.0, abs=0.07)
    assert l1.invented < 0.03 and l1.collapse_index > 0.97
    assert abs(l1.budget.remainder) < 0.02 * l1.budget.total


@pytest.mark.parametrize("gain", [1.3, 1.5])
def test_sharpened_detail_is_no_more_knowledge(
    photographs: Photographs, l1: TakenApart, gain: float
) -> None:
    found = photographs.apart(photographs.amplified(gain))
    assert found.explained == pytest.approx(l1.explained, abs=0.005)
    assert found.gain == pytest.approx(gain, abs=0.07)
    assert found.invented < 0.03


def test_the_detail_of_another_patch_is_made_up(photographs: Photographs) -> None:
    """A stand-in for a sample of the posterior: right in amount, wrong in place."""

    def other(output: Image, lr: Image, truth: Image) -> Image:
        return detail_of_another_patch(output, lr, truth, size=10)  # 80 and 120 LR pixels

    found = photographs.apart(photographs.changed("l1", other))
    assert found.invented == pytest.approx(1.0, abs=0.05)
    assert found.gain == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("base", ["l1", "bicubic"])
@pytest.mark.parametrize("artifact", [name for name in ARTIFACTS if name != "nearest neighbor"])
def test_no_artifact_is_better_than_the_network(
    photographs: Photographs, l1: TakenApart, base: str, artifact: str
) -> None:
    check(photographs, l1, photographs.changed(base, ARTIFACTS[artifact]))


def test_blocks_are_not_better_than_the_network(photographs: Photographs, l1: TakenApart) -> None:
    check(photographs, l1, photographs.changed("bicubic", ARTIFACTS["nearest neighbor"]))


def check(photographs: Photographs, l1: TakenApart, outputs: list[Image]) -> None:
    found = photographs.apart(outputs)
    images = pd.concat(
        [photographs.rows("l1", photographs.l1, l1), photographs.rows("it", outputs, found)],
        ignore_index=True,
    )
    wanted = measures([METRICS["psnr_y"]], [])
    table = totals(wanted, images, pd.DataFrame({"model": ["l1"], "image": ["000"]}),
                   baseline="l1", seed=0)  # fmt: skip
    text = " ".join(
        verdict("it", table, wanted, baseline="l1", anchor="l1", realism=UNLIKE,
                reach=reach(table, len(images) // 2))
    )  # fmt: skip
    assert "more than" not in text and "better" not in text, text
    assert found.explained < l1.explained + 0.01
