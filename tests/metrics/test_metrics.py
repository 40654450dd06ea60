"""Metrics: known answers, agreement with other implementations, published numbers, refusals."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.errors import ConfigError, ImageError, MissingDependencyError
from cooanalysis.metrics import (
    METRICS,
    available,
    learned,
    psnr,
    radial_power_spectrum,
    ssim,
)
from cooanalysis.metrics import resolve as resolve_metrics
from cooanalysis.runtime.torch_hub import checkpoints_folder

Image = NDArray[np.uint8]

FIDELITY = ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]


def image(seed: int = 0, shape: tuple[int, ...] = (48, 56, 3)) -> Image:
    """Smooth noise: something with structure, unlike white noise."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=shape), (2, 2, 0)[: len(shape)])
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def noisy(clean: Image, sigma: float, seed: int = 1) -> Image:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(clean + rng.normal(0, sigma, clean.shape)), 0, 255).astype(np.uint8)


# --- PSNR and SSIM ------------------------------------------------------------------------------


def test_psnr_of_known_errors() -> None:
    black = np.zeros((16, 16, 3), np.uint8)
    assert psnr(black + np.uint8(51), black, border=0, color="rgb") == pytest.approx(
        20 * np.log10(5)
    )
    # 255 gray values are 219 luma values.
    white = np.full_like(black, 255)
    assert psnr(white, black, border=2) == pytest.approx(20 * np.log10(255 / 219))
    one = black.copy()
    one[8, 8] = 255
    assert psnr(one, black, border=0, color="rgb") == pytest.approx(10 * np.log10(256))


def test_only_the_inside_of_the_border_counts() -> None:
    clean = image()
    spoiled = clean.copy()
    spoiled[:4], spoiled[-4:], spoiled[:, :4], spoiled[:, -4:] = 0, 0, 0, 0
    assert psnr(spoiled, clean, border=4) == np.inf
    assert ssim(spoiled, clean, border=4) == pytest.approx(1.0)
    assert psnr(spoiled, clean, border=3) < 40


@pytest.mark.parametrize("name", FIDELITY)
def test_fidelity_of_equal_images_symmetry_and_order(name: str) -> None:
    metric, clean = METRICS[name], image()
    best = np.inf if name.startswith("psnr") else 1.0
    assert metric(clean, clean, border=4) == pytest.approx(best)
    values = [metric(noisy(clean, sigma), clean, border=4) for sigma in (2, 8, 32)]
    assert values == sorted(values, reverse=True) and metric.direction == "higher"
    other = noisy(clean, 8)
    assert metric(other, clean, border=4) == pytest.approx(metric(clean, other, border=4), rel=1e-9)
    # Mirroring and turning both images changes nothing.
    turned = [np.ascontiguousarray(np.rot90(a)[:, ::-1]) for a in (other, clean)]
    assert metric(*turned, border=4) == pytest.approx(metric(other, clean, border=4), rel=1e-9)


@pytest.mark.parametrize("name", FIDELITY)
def test_gray_stands_for_equal_channels(name: str) -> None:
    clean = image(shape=(40, 44))
    other = noisy(clean, 10)
    metric = METRICS[name]
    wanted = metric(other, clean, border=4)
    assert metric(other[:, :, None], np.repeat(clean[:, :, None], 3, 2), border=4) == wanted


@pytest.mark.parametrize("color", ["y", "rgb"])
def test_agrees_with_torchmetrics(color: Any) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    clean = image()
    other, border = noisy(clean, 12), 4

    def batch(values: Image) -> Any:
        planes = (
            rgb_to_y(values, rounded=False)[None] if color == "y" else values.transpose(2, 0, 1)
        )
        inside = planes[None, :, border:-border, border:-border].astype(np.float64)
        return torch.from_numpy(inside)

    a, b = batch(other), batch(clean)
    # torchmetrics reflects the image beyond its border; the windows that fit are 5 pixels inside.
    _, everywhere = functional.structural_similarity_index_measure(
        a, b, data_range=255.0, sigma=1.5, return_full_image=True
    )
    wanted = float(everywhere[..., 5:-5, 5:-5].mean())
    assert ssim(other, clean, border=border, color=color) == pytest.approx(wanted, abs=1e-4)
    wanted = float(functional.peak_signal_noise_ratio(a, b, data_range=255.0))
    assert psnr(other, clean, border=border, color=color) == pytest.approx(wanted, abs=1e-4)


def test_ssim_is_the_formula_over_windows_that_fit() -> None:
    """Wang et al.'s MATLAB code, written out: filter2(window, image, 'valid')."""
    from scipy.signal import convolve2d

    clean = image(shape=(30, 34))
    other = noisy(clean, 20)
    offset = np.arange(11) - 5.0
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return convolve2d(values, window, mode="valid")

    x, y = (rgb_to_y(a, rounded=False).astype(float) for a in (other, clean))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    wanted = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(other, clean, border=0) == pytest.approx(wanted.mean(), abs=1e-9)


def test_psnr_agrees_with_scikit_image() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    clean = image()
    other = noisy(clean, 12)
    wanted = peak_signal_noise_ratio(clean, other, data_range=255)
    assert psnr(other, clean, border=0, color="rgb") == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("sr", "hr", "message"),
    [
        (image(), image(shape=(48, 57, 3)), "sr is 56x48 and hr 57x48"),
        (image().astype(np.float32), image(), "sr must be a uint8 image; it is float32"),
        (image(), np.full((48, 56), np.nan), "hr must be a uint8 image.*NaN"),
        (image(), image().astype(np.uint16), "hr must be a uint8 image; it is uint16"),
        (image()[:, :, :2], image(), r"sr must be .*shape is \(48, 56, 2\)"),
        (image()[:0], image()[:0], "sr must be"),
    ],
)
@pytest.mark.parametrize("name", FIDELITY)
def test_what_is_not_a_pair_is_refused(name: str, sr: Any, hr: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        METRICS[name](sr, hr, border=2)


def test_borders_and_colors_that_make_no_sense_are_refused() -> None:
    a = image()
    for border in (-1, 1.5, True):
        with pytest.raises(ConfigError, match="border must be"):
            psnr(a, a, border=border)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="nothing is left of 56x48 pixels inside a border of 24"):
        psnr(a, a, border=24)
    with pytest.raises(ImageError, match="SSIM needs 11x11 pixels.*18x10 are left"):
        ssim(a, a, border=19)
    with pytest.raises(ConfigError, match="color must be"):
        psnr(a, a, border=0, color="lab")  # type: ignore[arg-type]


@pytest.mark.data("Set5", "Set14", "BSD100")
@pytest.mark.parametrize(
    ("name", "published_psnr", "published_ssim", "off_psnr", "off_ssim"),
    [
        ("set5", 28.42, 0.8104, 0.02, 0.001),
        # One image of Set14 is gray, see the module's docstring.
        ("set14", 26.00, 0.7027, 0.1, 0.003),
        ("bsd100", 25.96, 0.6675, 0.02, 0.001),
    ],
)
def test_published_numbers_of_bicubic_interpolation(
    name: str, published_psnr: float, published_ssim: float, off_psnr: float, off_ssim: float
) -> None:
    dataset = resolve(name, scale=4, data_root=None)
    found = []
    for pair in iter_pairs(dataset, color="rgb", strict=True):
        assert isinstance(pair, LoadedPair)
        sr = np.rint(np.clip(upsample(pair.lr, 4), 0, 255)).astype(np.uint8)
        found.append([psnr(sr, pair.hr, border=4), ssim(sr, pair.hr, border=4)])
    mean_psnr, mean_ssim = np.mean(found, axis=0)
    assert mean_psnr == pytest.approx(published_psnr, abs=off_psnr)
    assert mean_ssim == pytest.approx(published_ssim, abs=off_ssim)


# --- the registry -------------------------------------------------------------------------------


def test_every_metric_is_described() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name and metric.title and metric.direction in ("higher", "lower")
        assert metric.kind in ("fidelity", "learned")
    assert {"psnr_y", "ssim_y", "st-lpips", "lpips-alex", "lpips-vgg", "dists"} <= set(METRICS)
    assert [m.name for m in available()][:4] == FIDELITY


def test_resolve_by_name() -> None:
    assert [m.name for m in resolve_metrics(["ssim_y", "psnr_y", "ssim_y"])] == ["ssim_y", "psnr_y"]
    assert [m.name for m in resolve_metrics("psnr_rgb")] == ["psnr_rgb"]
    with pytest.raises(
        ConfigError, match="unknown metric 'vmaf'; known ones: psnr_y, .*, auto, pyiqa:NAME"
    ):
        resolve_metrics(["psnr_y", "vmaf"])


def test_auto_is_luma_fidelity_and_what_is_learned_and_there() -> None:
    names = [m.name for m in resolve_metrics()]
    assert names[:2] == ["psnr_y", "ssim_y"] and "psnr_rgb" not in names
    assert set(names[2:]) == {m.name for m in available() if m.kind == "learned"}


# --- learned metrics ----------------------------------------------------------------------------

needs_st_lpips = pytest.mark.skipif(
    learned.st_lpips_missing() is not None, reason="ST-LPIPS is not installed"
)


@needs_st_lpips
def test_st_lpips_of_equal_images_is_zero_and_symmetric(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    metric, clean = METRICS["st-lpips"], image()
    learned._st_lpips_network.cache_clear()
    assert metric(clean, clean) == 0.0
    other = noisy(clean, 20)
    assert metric(other, clean) == pytest.approx(metric(clean, other), rel=1e-5)
    assert metric(other, clean) == metric(other, clean)
    assert metric(clean[:, :, :1], np.repeat(clean[:, :, :1], 3, 2)) == 0.0
    printed = capfd.readouterr()
    assert printed.out == printed.err == "" and not recwarn.list


@needs_st_lpips
def test_st_lpips_grows_with_blur() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    tiles = np.kron(rng.integers(0, 256, (12, 12, 3)), np.ones((8, 8, 1)))
    sharp = np.clip(tiles + rng.normal(0, 15, tiles.shape), 0, 255).astype(np.uint8)
    blurred = [
        np.rint(gaussian_filter(sharp.astype(float), (s, s, 0))).astype(np.uint8)
        for s in (0.7, 1.5, 3.0)
    ]
    values = [METRICS["st-lpips"](b, sharp) for b in blurred]
    assert 0.0 < values[0] < values[1] < values[2]
    assert METRICS["st-lpips"].direction == "lower"


@needs_st_lpips
def test_learned_metrics_refuse_tiny_images_and_pairs_that_are_none() -> None:
    with pytest.raises(ImageError, match="at least 32x32 pixels; this one has 40x31"):
        METRICS["st-lpips"](*[image(shape=(31, 40, 3))] * 2)
    with pytest.raises(ImageError, match="differ in size"):
        METRICS["st-lpips"](image(), image()[:40])
    assert METRICS["st-lpips"](*[image(shape=(32, 32, 3))] * 2) == 0.0


@needs_st_lpips
def test_running_out_of_gpu_memory_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    wanted = METRICS["st-lpips"](image(), image(5))
    load = learned._st_lpips_network

    def full(device: str) -> Any:
        if device == "cpu":
            return load("cpu")
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(learned, "_device", lambda: "cuda")
    monkeypatch.setattr(learned, "_st_lpips_network", full)
    assert METRICS["st-lpips"](image(), image(5)) == wanted


def test_packages_that_are_not_declared_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        learned.importlib.util,
        "find_spec",
        lambda name: None if name in ("IPython", "cv2", "torchsummary") else find(name),
    )
    reason = METRICS["st-lpips"].missing()
    assert reason is not None
    assert "torchsummary ipython opencv-python-headless" in reason and "[perceptual]" in reason
    assert "st-lpips" not in [m.name for m in resolve_metrics()]
    with pytest.raises(MissingDependencyError, match="st-lpips: install .*ipython"):
        resolve_metrics(["psnr_y", "st-lpips"])
    with pytest.raises(MissingDependencyError, match="metric st-lpips cannot be computed here"):
        METRICS["st-lpips"](image(), image())


BACKBONE_OF = {
    "lpips-alex": "alexnet-owt-7be5be79.pth",
    "lpips-vgg": "vgg16-397923af.pth",
    "dists": "vgg16-397923af.pth",
}


@pytest.mark.parametrize("name", BACKBONE_OF)
def test_missing_weights_say_which_from_where_and_to_where(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    reason = METRICS[name].missing()
    assert reason is not None
    assert f"https://download.pytorch.org/models/{BACKBONE_OF[name]}" in reason
    assert str(tmp_path / "hub" / "checkpoints") in reason
    assert name not in [m.name for m in available()]
    with pytest.raises(MissingDependencyError, match=BACKBONE_OF[name]):
        resolve_metrics([name])
    assert not list(tmp_path.iterdir()), "nothing may be downloaded or created"


def test_the_folder_of_weights_is_that_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("torch.hub")
    for variables in ({"TORCH_HOME": "home"}, {"XDG_CACHE_HOME": "xdg"}, {"HOME": "user"}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, folder in variables.items():
            monkeypatch.setenv(name, str(tmp_path / folder))
        theirs = Path(hub.get_dir()) / "checkpoints"
        assert checkpoints_folder() == theirs
        with monkeypatch.context() as patch:  # as before torch is imported
            patch.delitem(sys.modules, "torch")
            assert checkpoints_folder() == theirs


@pytest.mark.parametrize("name", BACKBONE_OF)
def test_other_weights_under_the_right_name_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchvision")
    pytest.importorskip("lpips" if name.startswith("lpips") else "torchmetrics")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / BACKBONE_OF[name]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not weights")
    assert METRICS[name].missing() is None
    with pytest.raises(MissingDependencyError, match="not the original file: its SHA-256"):
        METRICS[name](image(), image())


def test_lpips_is_that_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a made-up backbone, the number is that of lpips and of torchmetrics on it."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    pytest.importorskip("lpips")
    torch.manual_seed(0)
    backbone = models.alexnet(weights=None)
    path = tmp_path / "hub" / "checkpoints" / BACKBONE_OF["lpips-alex"]
    path.parent.mkdir(parents=True)
    torch.save(backbone.features.state_dict(prefix="features."), path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(learned, "_sha256", lambda _: "7be5be79")
    learned._lpips_network.cache_clear()
    try:
        network = learned._lpips_network("alex", "cpu")
        stored = network.net.state_dict()
        for key, value in backbone.features.state_dict().items():
            (name,) = [n for n in stored if n.split(".", 1)[1] == key]
            assert torch.equal(stored[name], value)
        clean, other = image(shape=(64, 72, 3)), noisy(image(shape=(64, 72, 3)), 20)
        assert METRICS["lpips-alex"](clean, clean) == 0.0
        value = METRICS["lpips-alex"](other, clean)
        module = pytest.importorskip("torchmetrics.functional.image.lpips")
        theirs = module._LPIPS(net="alex", pnet_rand=True).eval()
        theirs.net.load_state_dict(stored)
        batch = [
            torch.from_numpy(a).permute(2, 0, 1)[None].float() / 127.5 - 1 for a in (other, clean)
        ]
        with torch.inference_mode():
            assert value == pytest.approx(float(theirs(*batch)), abs=1e-4)
    finally:
        learned._lpips_network.cache_clear()


def test_weights_left_at_their_random_start_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Conv2d(1, 1, 1)
    torch.save(network.state_dict(), tmp_path / "all.pth")
    learned._all_trained(network, tmp_path / "all.pth")
    torch.save({"weight": network.weight.detach()}, tmp_path / "some.pth")
    with pytest.raises(MissingDependencyError, match="holds no weights for bias"):
        learned._all_trained(network, tmp_path / "some.pth")


def test_nothing_is_downloaded_while_a_metric_is_loaded() -> None:
    with learned._no_network() as refused:
        with pytest.raises(OSError, match="nothing is downloaded silently"):
            socket.create_connection(("download.pytorch.org", 443), timeout=1)
    assert refused == ["download.pytorch.org"]
    assert socket.getaddrinfo.__module__ == "socket"


# --- pyiqa, by a stand-in: it drags in more than a test environment should hold -----------------


@pytest.fixture
def fake_pyiqa(monkeypatch: pytest.MonkeyPatch) -> Any:
    torch = pytest.importorskip("torch")

    class Created(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, name: str) -> None:
            super().__init__()
            self.metric_mode = "NR" if name == "mean" else "FR"
            self.lower_better = name != "mean"

        def forward(self, sr: Any, hr: Any = None) -> Any:
            return sr.mean() if hr is None else (sr - hr).abs().mean()

    def create_metric(name: str, device: Any = None) -> Any:
        if name == "hungry":
            socket.create_connection(("huggingface.co", 443), timeout=1)
        return Created(name)

    module = ModuleType("pyiqa")
    module.list_models = lambda: ["l1", "mean", "hungry", "fid"]  # type: ignore[attr-defined]
    module.create_metric = create_metric  # type: ignore[attr-defined]
    module.__spec__ = SimpleNamespace(name="pyiqa")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    monkeypatch.setattr(learned, "_device", lambda: "cpu")
    learned._pyiqa_network.cache_clear()
    yield module
    learned._pyiqa_network.cache_clear()


def test_metrics_of_pyiqa(fake_pyiqa: Any) -> None:
    full, blind = resolve_metrics(["pyiqa:l1", "pyiqa:mean"])
    clean, other = image(), noisy(image(), 10)
    assert (full.direction, blind.direction) == ("lower", "higher")
    wanted = np.abs(other.astype(float) - clean).mean() / 255
    assert full(other, clean) == pytest.approx(wanted, rel=1e-4)
    assert blind(other, clean) == pytest.approx(other.mean() / 255, rel=1e-4)
    assert "pyiqa:l1" not in [m.name for m in resolve_metrics("auto")]


def test_refusals_of_pyiqa(fake_pyiqa: Any) -> None:
    with pytest.raises(ConfigError, match="pyiqa has no metric 'psnrr'"):
        resolve_metrics(["pyiqa:psnrr"])
    with pytest.raises(ConfigError, match="fid compares sets of images"):
        resolve_metrics(["pyiqa:fid"])
    with pytest.raises(MissingDependencyError, match="weights of hungry from huggingface.co first"):
        resolve_metrics(["pyiqa:hungry"])


@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is not None, reason="pyiqa is installed")
def test_without_pyiqa() -> None:
    with pytest.raises(MissingDependencyError, match="pyiqa:niqe .*pip install pyiqa"):
        resolve_metrics(["pyiqa:niqe"])


# --- power spectrum -----------------------------------------------------------------------------

LUMA = 219.0 / 255.0  # one 8-bit gray value in luma values


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    rng = np.random.default_rng(0)
    many = [
        np.clip(np.rint(rng.normal(128, 30, shape)), 0, 255).astype(np.uint8)
        for shape in [(128, 128), (96, 160), (131, 97)] * 12
    ]
    frequency, power = radial_power_spectrum(many, bins=12)
    variance = (30**2 + 1 / 12) * LUMA**2
    assert frequency == pytest.approx((np.arange(12) + 0.5) / 24)
    np.testing.assert_allclose(power, variance, rtol=0.1)
    # Weighted by the area of the rings, the mean is closer still.
    assert np.average(power, weights=frequency) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("frequency", [0.1, 0.26, 0.4])
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_a_sine_is_a_peak_at_its_frequency(frequency: float, angle: float) -> None:
    y, x = np.mgrid[:120, :150]
    phase = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    wave = np.rint(128 + 100 * np.sin(2 * np.pi * frequency * phase)).astype(np.uint8)
    at, power = radial_power_spectrum(wave, bins=25)
    ring = int(np.abs(at - frequency).argmin())
    assert abs(int(power.argmax()) - ring) <= 1
    near = np.abs(at - frequency) < 0.05
    assert power[near].sum() > 100 * power[~near].sum()


def test_power_does_not_depend_on_brightness_or_size_and_scales_with_contrast() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(-20, 21, (64, 64))
    _, power = radial_power_spectrum((100 + noise).astype(np.uint8))
    _, brighter = radial_power_spectrum((160 + noise).astype(np.uint8))
    _, stronger = radial_power_spectrum((128 + 2 * noise).astype(np.uint8))
    np.testing.assert_allclose(brighter, power, rtol=1e-4)
    np.testing.assert_allclose(stronger, 4 * power, rtol=1e-4)
    _, flat = radial_power_spectrum(np.full((40, 40, 3), 90, np.uint8))
    assert flat.max() < 1e-12
    _, turned = radial_power_spectrum(np.ascontiguousarray((100 + noise).astype(np.uint8).T))
    np.testing.assert_allclose(turned, power, rtol=1e-6)


def test_blur_takes_high_frequencies_away() -> None:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(2).integers(0, 256, (96, 96)).astype(np.uint8)
    blurred = np.rint(gaussian_filter(noise.astype(float), 1.0)).astype(np.uint8)
    frequency, before = radial_power_spectrum(noise, bins=8)
    _, after = radial_power_spectrum(blurred, bins=8)
    # A Gaussian blur of 1 pixel passes exp(-4 pi^2 f^2) of the power.
    low = frequency < 0.3
    wanted = np.exp(-4 * np.pi**2 * frequency[low] ** 2)
    np.testing.assert_allclose((after / before)[low], wanted, rtol=0.25)


def test_every_ring_has_power_and_small_images_are_refused() -> None:
    rng = np.random.default_rng(3)
    for shape in [(8, 8), (9, 40), (37, 11), (300, 310)]:
        frequency, power = radial_power_spectrum(rng.integers(0, 256, shape).astype(np.uint8))
        assert len(frequency) == min(64, min(shape) // 4) and np.isfinite(power).all()
    with pytest.raises(ImageError, match="at least 8 pixels a side; one has 7"):
        radial_power_spectrum([np.zeros((20, 20), np.uint8), np.zeros((7, 20), np.uint8)])
    with pytest.raises(ImageError, match="at least one image"):
        radial_power_spectrum([])
    with pytest.raises(ImageError, match="uint8"):
        radial_power_spectrum(np.zeros((20, 20)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bins must be from 1 to 5"):
        radial_power_spectrum(np.zeros((20, 20), np.uint8), bins=6)
