"""Inference: tiles without seams, bounded memory, sizes of all kinds, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError, ImageError, ModelError

torch = pytest.importorskip("torch", reason="torch is optional")

from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import conv2d, interpolate, pad  # noqa: E402

from cooanalysis.models.tiling import (  # noqa: E402
    InferenceWarning,
    memory,  # noqa: E402
    reach,
    torch_to_uint8,
    uint8_to_torch,
    upscale,
)
from cooanalysis.models.tiling.runner import Runner  # noqa: E402
from cooanalysis.models.tiling.spans import spans_of  # noqa: E402
from cooanalysis.runtime.notices import Notice  # noqa: E402

SCALE = 2


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(layers: int = 3, scale: int = SCALE, seed: int = 0) -> nn.Module:
    """Convolutions of 3x3 with zero padding: a reach of one pixel a layer."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2)]
    for _ in range(layers - 2):
        parts += [nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2)]
    parts += [nn.Conv2d(8, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)]
    return nn.Sequential(*parts)


def photo(height: int = 60, width: int = 75, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def nearest(batch: Tensor) -> Tensor:
    return interpolate(batch, scale_factor=SCALE)


class Pooled(nn.Module):
    """Sees the whole image: exposure by the mean intensity."""

    def forward(self, batch: Tensor) -> Tensor:
        return nearest(batch) * (0.5 + 0.5 * batch.mean((2, 3), keepdim=True))


class Watched(nn.Module):
    """Remembers the largest piece it was asked for, and has a limit to its memory."""

    def __init__(self, model: nn.Module, limit: int | None = None) -> None:
        super().__init__()
        self.model, self.limit, self.sides = model, limit, []

    def forward(self, batch: Tensor) -> Tensor:
        if self.limit is not None and max(batch.shape[2:]) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.sides.append(tuple(batch.shape[2:]))
        return self.model(batch)


# --- tiles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 75), (33, 120), (90, 40), (75, 75)])
@pytest.mark.parametrize(("tile", "overlap"), [(32, "auto"), (40, 3), (33, 8), (75, 5), (24, 10)])
def test_tiles_give_the_output_for_the_whole_image(
    shape: tuple[int, int], tile: int, overlap: Any
) -> None:
    model, lr = network(3), photo(*shape)
    whole = upscale(model, lr, scale=SCALE, output="float")
    with torch.no_grad():
        plain = model(uint8_to_torch(lr))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(whole, plain)
    tiled = upscale(model, lr, scale=SCALE, tile=tile, overlap=overlap, output="float")
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_an_overlap_below_the_reach_shows_seams() -> None:
    """The test above can fail."""
    model, lr = network(5), photo()
    whole = upscale(model, lr, scale=SCALE, output="float")
    tiled = upscale(model, lr, scale=SCALE, tile=32, overlap=2, output="float")
    assert np.abs(tiled - whole).max() > 1e-4


PLANS = [
    (size, side, around, multiple, blend)
    for size in (4, 32, 36, 100, 260, 257, 33, 31)
    for side, around in ((4, 1), (16, 4), (20, 8), (20, 9), (32, 0), (32, 8))
    for multiple in (1, 4)
    for blend in (False, True)
    if size % multiple == around % multiple == 0 and not (blend and around == 0)
]


@pytest.mark.parametrize(("size", "side", "around", "multiple", "blend"), PLANS)
def test_weights_of_tiles_add_up_to_one(
    size: int, side: int, around: int, multiple: int, blend: bool
) -> None:
    spans = spans_of(size, side, around, multiple, 3, blend)
    total = np.zeros(size * 3)
    for number, span in enumerate(spans):
        assert span.start % multiple == 0 and 0 <= span.start < span.stop <= size
        total[span.start * 3 : span.stop * 3] += span.weight
        # What is kept lies at least the overlap away from a cut edge of the tile.
        if not blend and size > side:
            kept = np.nonzero(span.weight)[0]
            assert number == 0 or kept[0] >= around * 3
            assert number == len(spans) - 1 or len(span.weight) - 1 - kept[-1] >= around * 3
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


@pytest.mark.parametrize("layers", [2, 4, 9])
def test_the_reach_of_convolutions_is_their_receptive_radius(layers: int) -> None:
    model = network(layers)
    found = reach(model, scale=SCALE)
    # At most the radius; at its very end the influence may be below the tolerance.
    assert found is not None and max(1, layers - 2) <= found <= layers


def test_the_reach_of_dilated_and_lopsided_kernels() -> None:
    assert reach(nn.Conv2d(3, 3, 3, padding=9, dilation=9), scale=1) == 9
    kernel = torch.ones(3, 1, 1, 8) / 8

    def right_only(batch: Tensor) -> Tensor:
        return conv2d(pad(batch, (0, 7, 0, 0)), kernel, groups=3)

    assert reach(right_only, scale=1) == 7
    assert reach(nearest, scale=SCALE) == 0
    # Larger pieces are tried until one shows the end of the reach.
    assert reach(nn.Conv2d(3, 3, 3, padding=40, dilation=40), scale=1) == 40
    assert reach(nn.Conv2d(3, 3, 3, padding=40, dilation=40), scale=1, largest=48) is None
    assert reach(Pooled(), scale=SCALE, largest=96) is None


def test_tiles_of_a_model_without_bound_are_blended_with_a_note() -> None:
    lr, notes = photo() // 2 + np.uint8(100), []
    lr[:, 40:] //= 2
    plain = nearest(uint8_to_torch(lr))[0].permute(1, 2, 0).numpy()

    def gain_jump(**options: Any) -> float:
        gain = upscale(Pooled(), lr, scale=SCALE, output="float", **options) / plain
        return float(np.abs(np.diff(gain, axis=1)).max())

    whole = upscale(Pooled(), lr, scale=SCALE, output="float")
    tiled = upscale(Pooled(), lr, scale=SCALE, tile=40, output="float", note=notes.append)
    facts = {"model": "the model", "image": "the image", "tile": 40, "blended_over": 20}
    assert notes == [Notice("tiles_blended", facts)]
    assert 1e-4 < np.abs(tiled - whole).max() < 0.3
    # No seam: the gain varies slowly where hard cuts make it jump.
    smooth, hard = gain_jump(tile=40, note=notes.append), gain_jump(tile=40, overlap=10)
    assert smooth < 0.25 * hard
    with pytest.warns(InferenceWarning, match="tiles_blended"):
        upscale(Pooled(), lr, scale=SCALE, tile=40)


def test_windows_and_strides_fall_where_they_fall_on_the_whole_image() -> None:
    """A model that works in windows of 8 pixels: tiles must begin at multiples of 8."""

    def windows(batch: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(batch, 8)
        return nearest(batch + interpolate(small, scale_factor=8))

    lr = photo(61, 90)
    whole = upscale(windows, lr, scale=SCALE, pad_multiple=8, output="float")
    assert whole.shape == (122, 180, 3)
    for tile in (32, 45):
        tiled = upscale(windows, lr, scale=SCALE, pad_multiple=8, tile=tile, output="float")
        np.testing.assert_allclose(tiled, whole, atol=1e-6)


# --- sizes and kinds of images ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 1), (3, 5), (17, 13)])
@pytest.mark.parametrize("multiple", [1, 4, 16])
def test_tiny_and_odd_images(shape: tuple[int, int], multiple: int) -> None:
    watched, lr = Watched(network(scale=4)), photo(*shape)
    output = upscale(watched, lr, scale=4, pad_multiple=multiple)
    assert output.shape == (4 * shape[0], 4 * shape[1], 3) and output.dtype == np.uint8
    assert all(side % multiple == 0 for side in watched.sides[0])


def test_padding_is_symmetric_and_cut_again() -> None:
    seen = []

    def model(batch: Tensor) -> Tensor:
        seen.append((batch[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy())
        return nearest(batch)

    lr = photo(5, 6)
    output = upscale(model, lr, scale=SCALE, pad_multiple=4)
    np.testing.assert_array_equal(seen[0], np.pad(lr, ((0, 3), (0, 2), (0, 0)), mode="symmetric"))
    np.testing.assert_array_equal(output, lr.repeat(2, 0).repeat(2, 1))


def test_gray_and_floating_point_images() -> None:
    gray = photo()[:, :, 0]
    wanted = np.repeat(gray[:, :, None], 3, 2).repeat(2, 0).repeat(2, 1)
    for lr in (gray, gray[:, :, None], gray / 255.0, (gray / 255.0).astype(np.float32)):
        np.testing.assert_array_equal(upscale(nearest, lr, scale=SCALE), wanted)
    exact = np.full((4, 4, 3), 0.123456, np.float32)
    np.testing.assert_array_equal(
        upscale(nearest, exact, scale=SCALE, output="float")[:4, :4], exact
    )


def test_values_are_clipped_and_halves_go_to_even() -> None:
    values = torch.tensor([-0.5, 0.0, 0.5, 1.5, 2.5, 254.5, 255.0, 300.0]) / 255.0
    batch = values.view(1, 1, 1, -1).expand(1, 3, 1, -1)
    assert torch_to_uint8(batch)[0, :, 0].tolist() == [0, 0, 0, 2, 2, 254, 255, 255]
    assert torch_to_uint8(batch[0])[0, :, 1].tolist() == [0, 0, 0, 2, 2, 254, 255, 255]
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(torch_to_uint8(uint8_to_torch(every))[:, :, 2], every)
    with pytest.raises(ImageError, match=r"must be \(1, 3, H, W\)"):
        torch_to_uint8(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ImageError, match="NaN"):
        torch_to_uint8(torch.full((1, 3, 2, 2), torch.nan))


@pytest.mark.parametrize("tile", [None, 32])
def test_the_same_call_gives_the_same_output(tile: int | None) -> None:
    model, lr = network(4), photo()
    first = upscale(model, lr, scale=SCALE, tile=tile)
    np.testing.assert_array_equal(first, upscale(model, lr, scale=SCALE, tile=tile))
    np.testing.assert_array_equal(first, upscale(model, lr.copy(), scale=SCALE, tile=tile))


def test_a_module_runs_in_evaluation_mode_and_is_left_as_it_was() -> None:
    model = nn.Sequential(network(), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = upscale(model, photo(), scale=SCALE)
    np.testing.assert_array_equal(first, upscale(model, photo(), scale=SCALE))
    assert [model.training, model[0].training, model[1].training] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(uint8_to_torch(photo())).mean().backward()  # and can still be trained


def test_a_module_of_another_precision_gets_its_own() -> None:
    model, lr = network(), photo()
    wanted = upscale(model, lr, scale=SCALE, output="float")
    found = upscale(model.double(), lr, scale=SCALE, output="float")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# --- memory -------------------------------------------------------------------------------------


def test_memory_is_bounded_on_a_4k_image() -> None:
    """What the model makes stays in the budget, and tiles are not smaller than they must be."""
    lr = photo(2160, 3840)
    watched = Watched(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)))
    budget = 32 * 2**20
    with memory.LiveBytes() as live:
        output = upscale(watched, lr, scale=1, memory_budget=budget, overlap=0)
    assert output.shape == (2160, 3840, 3)
    largest = max(height * width for height, width in watched.sides)
    # Input, its 4 hidden and 3 final values, and copies: between 28 and 60 bytes a pixel.
    assert budget / 120 < largest < budget / 28
    assert live.peak < budget
    assert len(watched.sides) < 40


def test_large_images_get_tiles_within_the_default_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CPU_BUDGET", 4 * 2**20)
    watched = Watched(network())
    lr = photo(200, 300)
    tiled = upscale(watched, lr, scale=SCALE, output="float")
    assert max(height * width for height, width in watched.sides) < 200 * 300 / 2
    monkeypatch.setattr(memory, "CPU_BUDGET", 2**30)
    whole = upscale(watched, lr, scale=SCALE, output="float")
    assert watched.sides[-1] == (200, 300)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_live_bytes_are_those_of_tensors_alive_at_one_time() -> None:
    with memory.LiveBytes() as live:
        first = torch.zeros(1000)
        second = first + 1  # 8000 bytes alive
        del first
        third = second.view(10, 100)  # a view takes no memory
        fourth = third * 2  # 8000 again
        del second, third, fourth
        torch.zeros(1500)
    assert live.peak == 8000


def test_running_out_of_memory_halves_the_tile_with_a_note() -> None:
    model, lr, notes = network(), photo(100, 130), []
    wanted = upscale(model, lr, scale=SCALE, output="float")
    watched = Watched(model, limit=64)
    found = upscale(watched, lr, scale=SCALE, output="float", note=notes.append, image="baby")
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert notes == [
        Notice("smaller_tiles", {"model": "the model", "image": "baby"} | sides)
        for sides in ({"tile": 130, "smaller_tile": 65}, {"tile": 65, "smaller_tile": 32})
    ]
    with pytest.raises(ModelError, match="out of memory on cpu even with tiles of 32 pixels"):
        upscale(Watched(model, limit=8), lr, scale=SCALE, note=notes.append)
    with pytest.raises(ModelError, match="out of memory on cpu even with tiles of 65"):
        upscale(Watched(model, limit=40), lr, scale=SCALE, overlap=20, note=notes.append)


# --- half precision -----------------------------------------------------------------------------


def test_half_precision_falls_back_when_values_overflow() -> None:
    """On the CPU, whose autocast does the same; upscale itself uses it on CUDA only."""

    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)
            nn.init.constant_(self.layer.weight, 1e5)  # beyond 65504

        def forward(self, batch: Tensor) -> Tensor:
            return nearest(self.layer(batch) * 1e-5)

    for model, kept in ((network(), True), (Large(), False)):
        notes: list[Notice] = []
        run = Runner(model, torch.device("cpu"), True, SCALE, "net", "baby", notes.append)
        output = run(photo())
        wanted = upscale(model, photo(), scale=SCALE, output="float")
        np.testing.assert_allclose(output, wanted, atol=5e-3)
        assert run.half is kept
        assert (output != wanted).any() == kept
        failed = Notice("half_precision_failed", {"model": "net", "image": "baby"})
        assert notes == ([] if kept else [failed])
        run(photo())
        assert notes == ([] if kept else [failed])


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [None, 32])
def test_a_model_of_another_scale_is_refused_by_name(tile: int | None) -> None:
    with pytest.raises(
        ModelError, match=r"edsr-x4 is not an x2 model: it outputs \(1, 3, 240, 300"
    ):
        upscale(network(scale=4), photo(), scale=2, tile=None, name="edsr-x4")
    with pytest.raises(ModelError, match=r"edsr-x4 is not an x2 model.*for baby"):
        upscale(network(scale=4), photo(), scale=2, tile=tile, name="edsr-x4", image="baby")


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (lambda batch: [batch], "list"),
        (lambda batch: batch.numpy(), "ndarray"),
        (lambda batch: nearest(batch)[:, :1], r"\(1, 1, 120, 150\)"),
        (lambda batch: nearest(batch)[0], r"\(3, 120, 150\)"),
    ],
)
def test_outputs_that_are_not_images_are_refused(model: Callable[[Any], Any], got: str) -> None:
    with pytest.raises(ModelError, match=f"is not an x2 model: it outputs {got} where"):
        upscale(model, photo(), scale=SCALE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("tile", [None, 32])
def test_outputs_that_are_not_finite_are_refused_by_name(bad: float, tile: int | None) -> None:
    def model(batch: Tensor) -> Tensor:
        output = nearest(batch)
        output[0, 0, 0, 0] = bad
        return output

    with pytest.raises(ModelError, match="gan outputs NaN or infinite values for baby"):
        upscale(model, photo(), scale=SCALE, tile=tile, overlap=4, name="gan", image="baby")


def test_a_model_that_fails_is_named_with_the_piece() -> None:
    model = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(3, 3, 9))
    with pytest.raises(ModelError, match=r"net fails at dot, in a piece of 2x1 pixels .*pad_mult"):
        upscale(model, photo(1, 2), scale=1, name="net", image="dot")


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (photo()[:, :, :2], r"the image must have the shape .* not \(60, 75, 2\)"),
        (photo()[:0], "the image must have the shape"),
        (photo().astype(np.int64), r"must contain 8-bit values \(uint8\) or floating-point values"),
        (photo().astype(np.float32), r"must be in \[0, 1\]; its values run from 0 to 255"),
        (np.full((4, 4, 3), np.nan), r"must be in \[0, 1\]"),
    ],
)
def test_what_is_not_an_image_is_refused(lr: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        upscale(nearest, lr, scale=SCALE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale must be a whole number of at least 1; got 0"),
        ({"scale": 2, "tile": 0}, "tile must be"),
        ({"scale": 2, "overlap": -1}, "overlap must be"),
        ({"scale": 2, "overlap": "all"}, "overlap must be"),
        ({"scale": 2, "pad_multiple": 1.5}, "pad_multiple must be"),
        ({"scale": 2, "memory_budget": 0}, "memory_budget must be"),
        ({"scale": 2, "half": "maybe"}, "half must be"),
        ({"scale": 2, "half": True, "device": "cpu"}, "half precision needs a CUDA GPU"),
        ({"scale": 2, "output": "png"}, "output must be"),
        ({"scale": 2, "tile": 40, "overlap": 20}, "tile must be more than twice the overlap"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        upscale(nearest, photo(), **options)


# --- on a GPU -----------------------------------------------------------------------------------


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    model, lr = network(6), photo(150, 170)
    wanted = upscale(model, lr, scale=SCALE, device="cpu", output="float")
    single = upscale(model, lr, scale=SCALE, half=False, output="float")
    half = upscale(model, lr, scale=SCALE, output="float")
    assert next(model.parameters()).device.type == "cpu", "moved back"
    np.testing.assert_allclose(single, wanted, atol=2e-3)  # TensorFloat-32
    np.testing.assert_allclose(half, wanted, atol=1e-2)
    assert (half != single).any()
    notes: list[Notice] = []
    tiled = upscale(model, lr, scale=SCALE, tile=64, half=False, output="float", note=notes.append)
    np.testing.assert_allclose(tiled, single, atol=2e-3)
    assert not notes
    overflow = nn.Conv2d(3, 3, 1)
    nn.init.constant_(overflow.weight, 1e5)
    upscale(overflow, lr, scale=1, note=notes.append)
    assert [notice.code for notice in notes] == ["half_precision_failed"]
