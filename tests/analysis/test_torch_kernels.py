"""Groups measured on tensors equal those measured on arrays; on a GPU where there is one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.kernels import CpuKernels, image_bytes
from cooanalysis.analysis.load import reference_patches
from cooanalysis.data.datasets import resolve
from cooanalysis.data.loading import LoadedPair, iter_pairs
from cooanalysis.data.patches import PatchStore
from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.measures import entropy as arrays
from cooanalysis.runtime.progress import Silent, Stopwatch
from cooanalysis.runtime.run_directory import Checkpoints

torch = pytest.importorskip("torch", reason="needs torch: pip install torch")

from cooanalysis.analysis import torch_kernels  # noqa: E402
from cooanalysis.analysis.torch_kernels import TorchKernels  # noqa: E402
from cooanalysis.measures.entropy.tensors import entropy_of_tensors  # noqa: E402

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def groups(n: int, d: int) -> np.ndarray:
    """Gaussian, boxes, clusters, with large offsets and unequal scales."""
    rng = np.random.default_rng(n * d)
    normal = rng.normal(size=(6, n, d)) @ rng.normal(size=(6, d, d))
    box = rng.uniform(size=(3, n, d)) * 10.0 ** rng.integers(-3, 4, (3, 1, d))
    clusters = rng.normal(size=(3, n, d)) + 20.0 * rng.integers(0, 2, (3, n, 1))
    return np.concatenate([normal, box + 100.0, clusters])  # no ties, as single precision has


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", arrays.ESTIMATORS)
@pytest.mark.parametrize(("n", "d"), [(128, 24), (64, 3), (32, 1), (512, 8), (20, 24)])
def test_estimators_agree(device: str, method: str, n: int, d: int) -> None:
    samples = groups(n, d)
    if n < arrays.ESTIMATORS[method].min_samples(d):
        pytest.skip("too few points for this estimator")
    found = entropy_of_tensors(torch.from_numpy(samples).to(device), method)
    expected = arrays.entropy(samples, method)
    assert found.dtype == np.float64
    # Nearest neighbors are found in single precision in many dimensions.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 if d > 8 else 1e-8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", arrays.ESTIMATORS)
def test_groups_without_a_density(device: str, method: str) -> None:
    samples = groups(64, 4)[:4]
    samples[0, :, 2] = 7.0  # constant
    samples[1, :, 3] = samples[1, :, 0]  # dependent
    samples[2, 10:20] = samples[2, 0]  # repeated points
    found = entropy_of_tensors(torch.from_numpy(samples).to(device), method)
    expected = arrays.entropy(samples, method)
    assert np.isneginf(found[:2]).all() and np.isneginf(expected[:2]).all()
    # Repeated points may be ranked in any order.
    close = 0.05 if method == "copula" else 1e-6
    np.testing.assert_allclose(found[2:], expected[2:], rtol=0, atol=close)


def test_bad_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(G, n, d\)"):
        entropy_of_tensors(torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="finite"):
        entropy_of_tensors(torch.full((1, 64, 2), torch.nan))
    with pytest.raises(ConfigError, match="unknown entropy estimator"):
        entropy_of_tensors(torch.zeros(1, 64, 2), "unknown")
    with pytest.raises(NotEnoughDataError):
        entropy_of_tensors(torch.rand(1, 3, 5), "copula")
    assert entropy_of_tensors(torch.zeros(0, 64, 2)).shape == (0,)


@pytest.fixture(scope="module", params=["y", "rgb"])
def run(request: pytest.FixtureRequest) -> Context:
    """The sample set, analyzed in luma and in color, with and without normalization."""
    color = request.param
    dataset = resolve("sample", scale=4)
    pairs = [p for p in iter_pairs(dataset, color=color) if isinstance(p, LoadedPair)][:3]
    store = PatchStore.from_pairs(pairs, scale=4, width=5)
    config = AnalysisConfig(dataset="sample", color=color, normalize=color == "y")
    return Context(config, store, store, [], Silent(), Checkpoints(), Stopwatch())


@pytest.mark.parametrize("device", DEVICES)
def test_moments_agree(run: Context, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = reference_patches(run)
    members = np.random.default_rng(0).integers(0, len(reference.patches), (50, 32))
    kernels = TorchKernels.build(run.reference, device)
    expected, on_axes = CpuKernels().moments(reference, members)
    monkeypatch.setattr(torch_kernels, "BATCH_BYTES", 4 * 32 * run.reference.patch_dim * 7)
    found, projected = kernels.moments(reference, members)
    for field in dataclasses.fields(found):
        if field.name == "projected":
            continue
        a, b = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=field.name)
    np.testing.assert_allclose(projected.cpu().numpy(), on_axes, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        kernels.spread(projected), CpuKernels().spread(on_axes), rtol=1e-5, atol=1e-6
    )
    held = kernels.lr.nbytes + kernels.detail.nbytes
    assert held == image_bytes(run.reference)


def test_some_images_of_a_store_are_copied_alone(run: Context) -> None:
    part = run.reference.only(np.array([2, 0]))
    kernels = TorchKernels.build(part, "cpu")
    first = part.detail_image(0).reshape(-1)
    np.testing.assert_array_equal(kernels.detail[: len(first)].numpy(), first)
    np.testing.assert_array_equal(
        kernels.lr[int(kernels.lr_start[1]) :].numpy(), part.lr_image(1).reshape(-1)
    )


@pytest.mark.gpu
def test_a_gpu_is_chosen_by_itself(run: Context) -> None:
    assert isinstance(run.kernels, TorchKernels)
