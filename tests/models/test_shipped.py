"""The shipped models: present, described, loadable, and different as their names promise."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from skimage.data import chelsea  # noqa: E402

from cooanalysis.data.degradation import downsample, modcrop, upsample  # noqa: E402
from cooanalysis.data.images import rgb_to_y  # noqa: E402
from cooanalysis.metrics import psnr  # noqa: E402
from cooanalysis.models import load_weights, read_info, shipped  # noqa: E402
from cooanalysis.models.tiling import upscale  # noqa: E402

NAMES = [f"edsr-small-x4-{loss}" for loss in ("l1", "l1-decloss", "ragan", "ragan-decloss")]


def test_all_shipped_models_are_present_each_with_its_card() -> None:
    assert sorted(shipped()) == sorted(NAMES)
    for name, path in shipped().items():
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert card.startswith(f"# {name}\n")
        assert "PSNR-Y" in card
        info = read_info(path)
        assert (info.name, info.scale) == ("edsr", 4)
        assert info.metadata["seed"] == "0"


def test_models_with_decloss_output_more_detail_than_l1() -> None:
    hr = modcrop(chelsea(), 4)
    lr = downsample(hr, 4)
    bicubic = np.rint(np.clip(upsample(lr, 4), 0, 255)).astype(np.uint8)
    energy, quality = {}, {}
    for name in NAMES:
        output = upscale(load_weights(shipped()[name]), lr, scale=4, device="cpu")
        detail = rgb_to_y(output) - rgb_to_y(bicubic)
        energy[name] = float(np.mean(detail**2))
        quality[name] = psnr(output, hr, border=4)
    assert energy[NAMES[1]] > 1.2 * energy[NAMES[0]]
    assert quality[NAMES[0]] > psnr(bicubic, hr, border=4) + 0.2
    # Detail is bought with little fidelity.
    assert quality[NAMES[1]] > quality[NAMES[0]] - 0.5
