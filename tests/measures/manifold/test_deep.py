"""Deep features: mechanics on made-up weights, refusals, and real weights where they are."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from cooanalysis.errors import MissingDependencyError
from cooanalysis.measures.manifold import CleanManifold, deep

torch = pytest.importorskip("torch", reason="torch is optional")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache; returns where AlexNet's weights would lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(
        deep.importlib.util,
        "find_spec",
        lambda name: None if name == "stlpips_pytorch" else object(),
    )
    deep._convolutions.cache_clear()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / deep.ALEXNET_FILE


def save_weights(path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for number, shape in zip((0, 3), deep._CONV_SHAPES, strict=True):
        state[f"features.{number}.weight"] = 0.05 * torch.randn(shape, generator=generator)
        state[f"features.{number}.bias"] = torch.zeros(shape[0])
    torch.save(state, path)


def patches(n: int, size: int = 20) -> np.ndarray:
    return np.random.default_rng(0).random((n, size, size, 1), np.float32)


def test_missing_weights_say_what_to_do(cache: Path) -> None:
    reason = deep.missing()
    assert reason is not None and "stlpips_pytorch" in reason and cache.name in reason
    with pytest.raises(MissingDependencyError, match="no trained weights"):
        deep.deep_features(patches(2))


@pytest.mark.parametrize("size", [6, 20, 40])
def test_features_do_not_depend_on_brightness_contrast_or_batch(cache: Path, size: int) -> None:
    save_weights(cache)
    images = patches(600, size)
    features = deep.deep_features(images)
    assert features.shape == (600, 256)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(
        deep.deep_features(images * 0.5 + 0.2), features, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(deep.deep_features(images[510:515]), features[510:515], atol=1e-4)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('pathlib').Path('harm').touch()",))


def test_files_that_are_not_weights_are_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (b"", b"not a checkpoint", pickle.dumps({"features.0.weight": Harmful()})):
        deep._convolutions.cache_clear()
        cache.write_bytes(content)
        with pytest.raises(MissingDependencyError, match="cannot be read"):
            deep.deep_features(patches(1))
    torch.save({"a": torch.zeros(3)}, cache)
    with pytest.raises(MissingDependencyError, match="not an AlexNet checkpoint"):
        deep.deep_features(patches(1))
    assert not (tmp_path / "harm").exists()


def test_real_weights_see_blur() -> None:
    if (reason := deep.missing()) is not None:
        pytest.skip(reason)
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    from cooanalysis.data import rgb_to_y, sample_pairs

    sharp, blurred = [], []
    for pair in sample_pairs():
        luma = rgb_to_y(np.asarray(Image.open(pair.hr_path).convert("RGB"))) / 255.0
        soft = gaussian_filter(luma, 2.0)
        for y in range(0, luma.shape[0] - 20, 40):
            for x in range(0, luma.shape[1] - 20, 40):
                sharp.append(luma[y : y + 20, x : x + 20])
                blurred.append(soft[y : y + 20, x : x + 20])
    clean = np.asarray(sharp, np.float32)[..., None]
    soft_patches = np.asarray(blurred, np.float32)[..., None]
    manifold = CleanManifold.fit(clean[::2], "deep")
    calibration = manifold.distance(clean[1::2]).mean()
    assert manifold.distance(soft_patches[1::2]).mean() > 1.1 * calibration
