"""DECLoss: gradients, invariances, what it prefers, and inputs that could break it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from cooanalysis.errors import ConfigError  # noqa: E402
from cooanalysis.losses import DECLoss  # noqa: E402


def photo(size: int = 128) -> torch.Tensor:
    """A photograph in color, (1, 3, size, size)."""
    from skimage.data import chelsea

    crop = chelsea()[60 : 60 + size, 100 : 100 + size].astype(np.float32) / 255.0
    return torch.from_numpy(crop).permute(2, 0, 1)[None].contiguous()


def blurred(image: torch.Tensor, factor: int = 4) -> torch.Tensor:
    small = torch.nn.functional.avg_pool2d(image, factor)
    return torch.nn.functional.interpolate(small, scale_factor=factor, mode="bicubic")


def naive(sr: torch.Tensor, hr: torch.Tensor, loss: DECLoss) -> float:
    """The docstring's formula, patch by patch, in numpy."""
    weights = np.array([65.481, 128.553, 24.966]) / 219.0
    size = loss.patch_size

    def patches(batch: torch.Tensor) -> list[np.ndarray]:
        out = []
        for image in batch:
            luma = np.tensordot(weights, image.numpy().astype(np.float64), 1)
            low = blurred(torch.from_numpy(luma)[None, None], loss.factor)[0, 0].numpy()
            detail = luma - low
            for y in range(0, detail.shape[0] - size + 1, size):
                for x in range(0, detail.shape[1] - size + 1, size):
                    out.append(detail[y : y + size, x : x + size].ravel())
        return out

    pairs = [
        (s / np.linalg.norm(h), h / np.linalg.norm(h))
        for s, h in zip(patches(sr), patches(hr), strict=True)
        if np.sqrt(np.mean(h**2)) > loss.min_contrast
    ]
    anchors, keys = (np.array(side) for side in zip(*pairs, strict=True))
    distance = ((anchors[:, None] - keys[None]) ** 2).sum(2)
    weights_all = np.exp(-distance / (2 * loss.temperature))
    positive = keys @ keys.T > loss.similarity
    np.fill_diagonal(positive, True)
    total = 0.0
    for i in range(len(keys)):
        total -= np.log(weights_all[i, positive[i]].sum() / weights_all[i].sum())
        total -= np.log(weights_all[positive[i], i].sum() / weights_all[:, i].sum())
    return total / (2 * len(keys))


def test_agrees_with_the_formula_of_its_docstring() -> None:
    hr = photo(64)
    sr = 0.5 * hr + 0.5 * blurred(hr)
    loss = DECLoss().eval()
    assert float(loss(sr, hr)) == pytest.approx(naive(sr, hr, loss), rel=1e-4)


def test_gradient_is_right() -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    sr = (hr + 0.1 * torch.randn_like(hr)).requires_grad_()
    loss = DECLoss(patch_size=4, factor=2, jitter=False)
    assert torch.autograd.gradcheck(lambda x: loss(x, hr), (sr,), eps=1e-6, atol=1e-6)


def test_no_gradient_reaches_the_ground_truth() -> None:
    hr = photo(64).requires_grad_()
    sr = blurred(hr.detach()).requires_grad_()
    DECLoss()(sr, hr).backward()
    assert hr.grad is None
    assert sr.grad is not None
    assert float(sr.grad.abs().sum()) > 0


def test_ground_truth_beats_the_center_of_potential_hr_images() -> None:
    """Potential HR images of one LR image: one texture in every phase; their mean is flat."""
    torch.manual_seed(0)
    x = torch.arange(64.0)
    phases = torch.rand(16) * 2 * torch.pi
    rows = torch.stack([torch.sin(2 * torch.pi * x / 4 + phase) for phase in phases])
    hr = (0.5 + 0.2 * rows[:, None, None, :]).expand(-1, 1, 64, -1)
    center = hr.mean(0, keepdim=True).expand_as(hr)
    loss = DECLoss().eval()
    assert float(loss(hr, hr)) < 0.5 * float(loss(center, hr))


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.6])
def test_ground_truth_beats_smoother_outputs_on_a_photograph(strength: float) -> None:
    hr = photo()
    sr = blurred(hr) + strength * (hr - blurred(hr))
    loss = DECLoss().eval()
    assert float(loss(hr, hr)) < float(loss(sr, hr))


def test_step_against_the_gradient_adds_detail_to_a_smooth_output() -> None:
    hr = photo()
    smooth = blurred(hr)
    sr = (smooth + 0.2 * (hr - smooth)).requires_grad_()
    DECLoss().eval()(sr, hr).backward()
    step = -sr.grad
    assert float((step * (hr - smooth)).sum()) > 0


def test_wrong_detail_costs_more_than_none() -> None:
    torch.manual_seed(0)
    hr = photo()
    detail = hr - blurred(hr)
    mixed = blurred(hr) + detail.flip(3)
    loss = DECLoss().eval()
    assert float(loss(mixed, hr)) > float(loss(blurred(hr), hr))


@settings(max_examples=20, deadline=None)
@given(offset=st.floats(-0.3, 0.3), gain=st.floats(0.5, 2.0))
def test_brightness_and_joint_contrast_do_not_matter(offset: float, gain: float) -> None:
    hr = photo(64)
    sr = 0.5 * hr + 0.5 * blurred(hr)
    loss = DECLoss(min_contrast=1e-6).eval()
    changed = loss(sr * gain + offset, hr * gain + offset)
    assert float(changed) == pytest.approx(float(loss(sr, hr)), rel=2e-2)


def test_order_of_the_batch_and_mirroring_do_not_matter() -> None:
    whole = photo(128)
    hr = torch.cat([whole[..., :64, :64], whole[..., 64:, 64:], whole[..., :64, 64:]])
    sr = 0.5 * hr + 0.5 * blurred(hr)
    loss = DECLoss().eval()
    value = float(loss(sr, hr))
    order = torch.tensor([2, 0, 1])
    assert float(loss(sr[order], hr[order])) == pytest.approx(value, rel=1e-5)
    assert float(loss(sr.flip(3), hr.flip(3))) == pytest.approx(value, rel=1e-4)


def test_no_matrix_is_larger_than_max_patches_squared() -> None:
    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if func is torch.ops.aten.mm.default:
                sizes.append(tuple(out.shape))
            return out

    hr = photo(128)
    sr = blurred(hr).requires_grad_()
    with Watch():
        DECLoss(max_patches=100)(sr, hr).backward()
    assert sizes
    # Products are anchors x keys forward, and anchors x patch values backward.
    assert max(rows * columns for rows, columns in sizes) == 100 * 100


def test_sampling_is_repeatable_and_unbiased() -> None:
    hr = photo(128)
    sr = blurred(hr)
    loss = DECLoss(max_patches=64)
    torch.manual_seed(3)
    first = loss(sr, hr)
    torch.manual_seed(3)
    assert torch.equal(first, loss(sr, hr))
    torch.manual_seed(4)
    assert not torch.equal(first, loss(sr, hr))


@pytest.mark.parametrize(
    "shape",
    [(1, 3, 1, 1), (2, 3, 7, 7), (1, 3, 8, 8), (1, 1, 9, 31), (3, 3, 33, 17), (1, 3, 5, 64)],
)
@pytest.mark.parametrize("kind", ["random", "flat", "black", "checkerboard"])
def test_nothing_breaks_on_tiny_or_flat_images(shape: tuple[int, ...], kind: str) -> None:
    torch.manual_seed(0)
    hr = {
        "random": torch.rand(shape),
        "flat": torch.full(shape, 0.37),
        "black": torch.zeros(shape),
        "checkerboard": (torch.arange(shape[-1]) % 2).float().expand(shape).contiguous(),
    }[kind]
    sr = torch.full(shape, 0.5).requires_grad_()
    value = DECLoss()(sr, hr)
    value.backward()
    assert torch.isfinite(value)
    assert value.item() >= 0
    assert torch.isfinite(sr.grad).all()


def test_extreme_outputs_stay_finite() -> None:
    hr = photo(64)
    for sr in (hr * 1e4, -hr * 1e4, torch.zeros_like(hr)):
        sr = sr.requires_grad_()
        value = DECLoss(temperature=0.01)(sr, hr)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(sr.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_and_autocast(dtype: torch.dtype) -> None:
    hr = photo(64)
    sr = 0.5 * hr + 0.5 * blurred(hr)
    loss = DECLoss().eval()
    exact = float(loss(sr, hr))
    assert float(loss(sr.to(dtype), hr.to(dtype))) == pytest.approx(exact, rel=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(sr, hr)
    assert inside.dtype == torch.float32
    assert float(inside) == pytest.approx(exact, rel=1e-6)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu() -> None:
    hr = photo()
    sr = blurred(hr)
    loss = DECLoss().eval()
    assert float(loss(sr.cuda(), hr.cuda())) == pytest.approx(float(loss(sr, hr)), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0; got 0.0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"similarity": 1.5}, r"similarity must lie in \[-1, 1\]; got 1.5"),
        ({"patch_size": 1}, "patch_size must be a whole number of at least 2; got 1"),
        ({"factor": 2.0}, "factor must be a whole number"),
        ({"min_contrast": 0}, "min_contrast must be above 0"),
        ({"max_patches": 1}, "max_patches"),
    ],
)
def test_wrong_constants_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DECLoss(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sr", "hr"), [((1, 3, 8, 8), (1, 3, 8, 9)), ((3, 8, 8), (3, 8, 8)), ((1, 2, 8, 8),) * 2]
)
def test_wrong_shapes_are_named(sr: tuple[int, ...], hr: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="sr and hr must be"):
        DECLoss()(torch.rand(sr), torch.rand(hr))
