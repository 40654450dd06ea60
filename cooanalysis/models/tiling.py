"""From a low-resolution image to a model's answer: in tiles, without seams, in bounded memory.

An image that does not fit the memory budget is answered in tiles that see more than what is kept
of them. How much more is *measured*: the model answers for a piece of the image and for the same
piece with two sides cut off, and the distance from the cut up to which the two answers differ is
its reach. With at least that overlap, the tiled answer is that for the whole image. A model whose
reach has no bound in sight (global attention, pooling over the image) has its tiles blended
smoothly instead, and a note says so.
"""

from __future__ import annotations

import contextlib
import math
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cooanalysis.errors import ConfigError, ImageError, ModelError
from cooanalysis.runtime.notices import Note, Notice, NoticeWarning
from cooanalysis.runtime.precision import single_precision

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Model = Callable[[Tensor], Tensor]

CPU_BUDGET = 2**30
"""Bytes that the model's intermediate results may take on a CPU; on a GPU, half of what is free."""

_MEASURED_FROM = 128 * 128  # smaller images fit any default budget: not worth a measurement
_SAMPLE = 64  # side of the piece that memory is measured on
_WORKSPACE = 1.5  # memory of the libraries below torch, over that of tensors; measured 1.05 to 1.22
_SMALLEST_TILE = 32
_PROBES = (48, 96, 192, 384)  # sides of the pieces that the reach is measured on
_SAME = 5e-6  # answers differ by rounding even where they see the same
_BLEND = 32


class InferenceWarning(NoticeWarning):
    """The output is not quite what was asked for, or took longer; its notice says why."""


def uint8_to_torch(image: Image) -> Tensor:
    """(H, W), (H, W, 1) or (H, W, 3) levels to (1, 3, H, W) float32 in [0, 1]; gray is repeated."""
    return _to_tensor(image) / 255.0


def torch_to_uint8(image: Tensor) -> Image:
    """(1, 3, H, W) or (3, H, W) to (H, W, 3) levels: clipped to [0, 1], rounded, halves to even.

    Raises
    ------
    ImageError
        If the tensor has another shape or holds NaN.
    """
    chosen = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if chosen.ndim != 3 or chosen.shape[0] != 3:
        raise ImageError(f"an image tensor must be (1, 3, H, W), not {tuple(image.shape)}")
    return _to_levels(chosen.detach().float().permute(1, 2, 0).cpu().numpy())


def upscale(
    model: Model,
    lr: NDArray[Any],
    *,
    scale: int,
    tile: int | None = None,
    overlap: int | Literal["auto"] = "auto",
    device: str | torch.device = "auto",
    half: bool | Literal["auto"] = "auto",
    pad_multiple: int = 1,
    memory_budget: int | None = None,
    output: Literal["uint8", "float"] = "uint8",
    name: str = "the model",
    image: str = "the image",
    note: Note | None = None,
) -> NDArray[Any]:
    """Answer of a model for a whole image.

    Parameters
    ----------
    model
        From (1, 3, h, w) RGB in [0, 1] to (1, 3, scale·h, scale·w). A module answers in evaluation
        mode and afterward is in the mode, and on the device, that it was.
    lr
        (h, w), (h, w, 1) or (h, w, 3); uint8 levels, or floating-point values in [0, 1].
    scale
        Upscaling factor that the model must have.
    tile
        Side in LR pixels of the largest piece that the model sees; memory grows with its square.
        None: as large as ``memory_budget`` allows, by a measurement on a small piece.
    overlap
        LR pixels that a tile sees around the part that is kept, at least the model's reach.
        ``"auto"``: measured, see :func:`reach`; tiles of a model that reaches too far are blended.
    device
        ``"auto"``: where the module is, but a GPU if it is on the CPU and there is one. A callable
        that is no module is asked for its attribute ``device`` and otherwise gets CPU tensors.
    half
        16-bit floating point where torch's autocast finds it safe, on a CUDA GPU only; ``"auto"``:
        wherever there is one. Falls back to 32 bits when NaN or infinite values appear.
    pad_multiple
        The model needs heights and widths that are multiples of this. The image is continued
        symmetrically below and to the right, and the answer cut; tiles begin at multiples of it,
        so that windows and strides fall where they fall on the whole image.
    memory_budget
        Bytes for the intermediate results of the model; :data:`CPU_BUDGET` or half of the free
        memory of a GPU unless given. The answer itself and one row of tiles of it come on top.
    output
        ``"uint8"``: clipped and rounded. ``"float"``: as the model answers, in [0, 1] units.
    name, image
        What messages call the model and the image.
    note
        Called with a notice when something has to change: ``tiles_blended``, ``smaller_tiles``
        after running out of memory, ``half_precision_failed``. None: an
        :class:`InferenceWarning`.

    Returns
    -------
    numpy.ndarray
        (scale·h, scale·w, 3), uint8 or float32.

    Raises
    ------
    ModelError
        If the answer has the wrong size or holds NaN or infinite values, if the model fails at
        such an image, or if memory does not even suffice for small tiles.
    ImageError
        If ``lr`` is no such image.
    ConfigError
        If another argument makes no sense.

    Examples
    --------
    >>> double = nn.Upsample(scale_factor=2)
    >>> upscale(double, np.full((2, 3), 7, np.uint8), scale=2).shape
    (4, 6, 3)
    """
    _check_options(scale, tile, overlap, half, pad_multiple, memory_budget, output)
    pixels = _padded(_check_image(lr, image), pad_multiple)
    with _ready(model, device) as where:
        if half is True and where.type != "cuda":
            raise ConfigError(f"half precision needs a CUDA GPU; the model runs on {where}")
        run = _Runner(model, where, half is not False and where.type == "cuda", scale, name, image,
                      note or _warn)  # fmt: skip
        side = tile
        while True:
            try:
                if side is None:
                    side = _affordable_tile(run, pixels, pad_multiple, memory_budget)
                rows, columns = _plan(run, pixels, side, overlap, pad_multiple)
                answer = _assemble(run, pixels, rows, columns, output)
                break
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            # Outside the handler, whose traceback keeps the tensors of the failed attempt alive.
            side = _smaller(run, pixels, side, overlap, pad_multiple)
    height, width = lr.shape[:2]
    return answer[: height * scale, : width * scale]


def reach(
    model: Model,
    *,
    scale: int,
    device: str | torch.device = "auto",
    pad_multiple: int = 1,
    largest: int = _PROBES[-1],
    sample: NDArray[Any] | None = None,
) -> int | None:
    """How far, in LR pixels, a cut edge is felt in a model's answer: the overlap that tiles need.

    Measured on noise, and on ``sample``: what a model ignores there may matter elsewhere, so a
    network of convolutions gives at most its theoretical receptive radius. Differences below
    5e-6 count as rounding.

    Parameters
    ----------
    model, scale, device, pad_multiple
        See :func:`upscale`.
    largest
        Side of the largest piece to try. Larger pieces find larger reaches and take longer.
    sample
        An image such as :func:`upscale` takes.

    Returns
    -------
    int or None
        0 for a model that treats each pixel by itself; None if the reach is more than about half
        of ``largest``.

    Raises
    ------
    ModelError, ImageError
        See :func:`upscale`.

    Examples
    --------
    >>> reach(nn.Conv2d(3, 3, 5, padding=2), scale=1)
    2
    """
    pixels = None if sample is None else _check_image(sample, "the sample")
    with _ready(model, device) as where:
        run = _Runner(model, where, False, scale, "the model", "a piece of noise", _warn)
        return _reach(run, pixels, pad_multiple, largest)


# --- running the model --------------------------------------------------------------------------


@dataclass
class _Runner:
    """A model with all that is needed to ask it for one piece and to judge the answer."""

    model: Model
    device: torch.device
    half: bool
    scale: int
    name: str
    image: str
    note: Note

    def __call__(self, piece: NDArray[Any]) -> Floats:
        """(h, w, 3) to (scale·h, scale·w, 3) float32 in [0, 1] units, finite."""
        batch = _to_tensor(piece).to(self.device)
        if piece.dtype == np.uint8:
            batch = batch / 255.0
        if isinstance(self.model, nn.Module):
            kinds = (value.dtype for value in self.model.parameters() if value.is_floating_point())
            batch = batch.to(next(kinds, batch.dtype))
        answer = self._ask(batch, self.half)
        if self.half and isinstance(answer, Tensor) and not torch.isfinite(answer).all():
            self.half = False
            self.note(Notice("half_precision_failed", {"model": self.name, "image": self.image}))
            answer = self._ask(batch, False)
        self._check(answer, piece.shape[0], piece.shape[1])
        return answer[0].float().permute(1, 2, 0).cpu().numpy()

    def _ask(self, batch: Tensor, half: bool) -> Any:
        # Not inference_mode: some models cache masks of the size they saw last, and could not be
        # trained any more with tensors made there.
        with torch.no_grad(), torch.autocast(self.device.type, torch.float16, enabled=half):
            try:
                return self.model(batch)
            except RuntimeError as error:
                if _out_of_memory(error):
                    raise
                height, width = batch.shape[2:]
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise ModelError(
                    f"{self.name} fails at {self.image}, in a piece of {width}x{height} pixels "
                    f"(it may need another pad_multiple): {reason}"
                ) from error

    def _check(self, answer: Any, height: int, width: int) -> None:
        wanted = (1, 3, height * self.scale, width * self.scale)
        if not isinstance(answer, Tensor) or tuple(answer.shape) != wanted:
            got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ModelError(
                f"{self.name} is no x{self.scale} model: it answers with {got} where {wanted} "
                f"was expected (for {self.image})"
            )
        if not torch.isfinite(answer).all():
            raise ModelError(f"{self.name} answers with NaN or infinite values for {self.image}")


@contextlib.contextmanager
def _ready(model: Model, device: str | torch.device) -> Iterator[torch.device]:
    """A module in evaluation mode on the device it shall run on, and back again."""
    if not isinstance(model, nn.Module):
        yield torch.device(getattr(model, "device", "cpu") if device == "auto" else device)
        return
    held = next(iter(model.parameters()), None)
    home = torch.device("cpu") if held is None else held.device
    where = torch.device(device) if device != "auto" else home
    if device == "auto" and home.type == "cpu" and torch.cuda.is_available():
        where = torch.device("cuda")
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        if where != home:  # a model that is spread over devices stays so
            model.to(where)
        yield where
    finally:
        if where != home:
            model.to(home)
        for module, training in modes:
            module.training = training


def _out_of_memory(error: BaseException) -> bool:
    # On a CPU torch raises a plain RuntimeError.
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def _warn(notice: Notice) -> None:
    warnings.warn(InferenceWarning(notice), stacklevel=3)


# --- how large and how far ----------------------------------------------------------------------


class _LiveBytes(TorchDispatchMode):
    """Most bytes that tensors made inside were alive at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:  # a view of a tensor that counts already
            return
        self._known.add(key)
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size


def _affordable_tile(run: _Runner, pixels: NDArray[Any], multiple: int, budget: int | None) -> int:
    """Side of the largest tile within the memory budget."""
    height, width = pixels.shape[:2]
    if budget is None:
        if height * width <= _MEASURED_FROM:
            return max(height, width)
        budget = CPU_BUDGET
        if run.device.type == "cuda":
            budget = torch.cuda.mem_get_info(run.device)[0] // 2
    piece = _middle(pixels, _up(_SAMPLE, multiple))
    with _LiveBytes() as live:
        run(piece)
    # What cannot be seen from here (a model outside of torch) counts at least as its answer.
    least = 4 * 3 * (1 + run.scale**2)
    cost = _WORKSPACE * max(live.peak / (piece.shape[0] * piece.shape[1]), least)
    if height * width * cost <= budget:
        return max(height, width)
    return max(int(math.sqrt(budget / cost)), _SMALLEST_TILE)


def _reach(run: _Runner, sample: NDArray[Any] | None, multiple: int, largest: int) -> int | None:
    sides = sorted({_up(side, multiple) for side in _PROBES if side <= largest})
    for side in sides or [_up(largest, multiple)]:
        kept = side - _up(side // 4, multiple)
        if kept <= 0:
            continue
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        pieces = [noise]
        if sample is not None and min(sample.shape[:2]) >= side:
            pieces.append(_middle(sample, side))
        with single_precision():
            found = max(_felt(run, piece, kept) for piece in pieces)
        if found <= 0.75 * kept:
            return found
    return None


def _felt(run: _Runner, piece: NDArray[Any], kept: int) -> int:
    """LR pixels from a cut edge up to which the answer is not that for the uncut piece."""
    scale, cut = run.scale, len(piece) - kept
    whole = run(piece)
    tolerance = _SAME * max(1.0, float(np.abs(whole).max()))
    furthest = 0
    # Paddings and strides need not be symmetric: cut above and left, then below and right.
    for corner, flip in ((slice(cut, None), 1), (slice(0, kept), -1)):
        at = slice(cut * scale, None) if flip == 1 else slice(0, kept * scale)
        off = np.abs(whole[at, at] - run(piece[corner, corner])).max(axis=2) > tolerance
        blocks = off.reshape(kept, scale, kept, scale).any(axis=(1, 3))[::flip, ::flip]
        rows, columns = np.nonzero(blocks)
        if len(rows):
            furthest = max(furthest, int(np.minimum(rows, columns).max()) + 1)
    return furthest


# --- tiles --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    """What a tile sees along one axis, in LR pixels, and how much it counts at each HR pixel."""

    start: int
    stop: int
    weight: Floats


def _plan(
    run: _Runner, pixels: NDArray[Any], side: int, overlap: int | str, multiple: int
) -> tuple[list[_Span], list[_Span]]:
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        whole = (height, width)
        rows, columns = ([_Span(0, n, np.ones(n * run.scale, np.float32))] for n in whole)
        return rows, columns
    side = max(side // multiple, 1) * multiple
    blend = False
    if overlap == "auto":
        # Half precision would drown small differences.
        found = _reach(_Runner(**{**vars(run), "half": False}), pixels, multiple, side)
        around = 0 if found is None else _up(found + found // 8 + 1, multiple)
        blend = found is None or side - 2 * around < side // 4
        if blend:
            around = min(_up(_BLEND, multiple), side // 4 // multiple * multiple)
            run.note(
                Notice(
                    "tiles_blended",
                    {
                        "model": run.name,
                        "image": run.image,
                        "tile": side,
                        "blended_over": 2 * around,
                    },
                )
            )
    else:
        around = _up(int(overlap), multiple)
    if side - 2 * around < multiple:
        raise ConfigError(
            f"tile must be more than twice the overlap; got a tile of {side} and an overlap of "
            f"{around} pixels"
        )
    spans = [_spans(n, side, around, multiple, run.scale, blend) for n in (height, width)]
    return spans[0], spans[1]


def _spans(
    size: int, side: int, around: int, multiple: int, scale: int, blend: bool
) -> list[_Span]:
    """Tiles of one length at even distances, of which neighbors share at least ``2 * around``."""
    side = min(side, size)
    count = 1 if size == side else math.ceil((size - 2 * around) / (side - 2 * around))
    steps = (size - side) // multiple
    starts = [i * steps // max(count - 1, 1) * multiple for i in range(count)]
    # Cuts in the middle of what neighbors share. Ramps around two cuts must not meet, even where
    # three tiles overlap: only then do all weights add up to one everywhere.
    cuts = [(a + side + b) * scale / 2.0 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    gaps = [b - a for a, b in zip(starts[:-1], starts[1:], strict=True)]
    ramp = min([2 * around, *gaps]) * scale if blend else 0
    spans = []
    for i, start in enumerate(starts):
        position = np.arange(start * scale, (start + side) * scale) + 0.5
        weight = np.ones(side * scale)
        if i > 0:
            weight *= _rise(position - cuts[i - 1], ramp)
        if i < count - 1:
            weight *= 1.0 - _rise(position - cuts[i], ramp)
        spans.append(_Span(start, start + side, weight.astype(np.float32)))
    return spans


def _rise(distance: NDArray[np.floating], ramp: float) -> NDArray[np.floating]:
    """From 0 to 1 across a cut, at once or smoothly over ``ramp`` pixels."""
    if ramp == 0:
        return (distance >= 0).astype(np.float64)
    return np.sin(0.5 * np.pi * np.clip(distance / ramp + 0.5, 0.0, 1.0)) ** 2


def _assemble(
    run: _Runner, pixels: NDArray[Any], rows: list[_Span], columns: list[_Span], output: str
) -> NDArray[Any]:
    """Ask for every tile; only one row of tiles is held as floating-point values."""
    scale = run.scale
    height, width = pixels.shape[:2]
    finish = _to_levels if output == "uint8" else np.asarray
    kind = np.uint8 if output == "uint8" else np.float32
    if len(rows) == len(columns) == 1:
        return finish(run(pixels))
    answer = np.empty((height * scale, width * scale, 3), kind)
    carried = np.zeros((0, width * scale, 3), np.float32)
    for number, row in enumerate(rows):
        band = np.zeros(((row.stop - row.start) * scale, width * scale, 3), np.float32)
        band[: len(carried)] = carried
        for column in columns:
            tile = run(pixels[row.start : row.stop, column.start : column.stop])
            tile *= row.weight[:, None, None] * column.weight[None, :, None]
            band[:, column.start * scale : column.stop * scale] += tile
        # Where the next row of tiles does not come, this one is finished.
        end = rows[number + 1].start if number + 1 < len(rows) else row.stop
        done = (end - row.start) * scale
        answer[row.start * scale : end * scale] = finish(band[:done])
        carried = band[done:].copy()
    return answer


def _smaller(
    run: _Runner, pixels: NDArray[Any], side: int | None, overlap: int | str, multiple: int
) -> int:
    """Half of a tile that did not fit into memory."""
    if run.device.type == "cuda":
        torch.cuda.empty_cache()
    tried = min(side or max(pixels.shape[:2]), max(pixels.shape[:2]))
    smaller = tried // 2 // multiple * multiple
    least = max(_SMALLEST_TILE, multiple)
    if overlap != "auto":
        least = max(least, 2 * _up(int(overlap), multiple) + multiple)
    if smaller < least:
        raise ModelError(
            f"{run.name} runs out of memory on {run.device} even with tiles of {tried} pixels "
            f"for {run.image}"
        )
    run.note(
        Notice(
            "smaller_tiles",
            {"model": run.name, "image": run.image, "tile": tried, "smaller_tile": smaller},
        )
    )
    return smaller


# --- arrays -------------------------------------------------------------------------------------


def _check_image(lr: Any, name: str) -> NDArray[Any]:
    """(h, w, 3), uint8 or float32, of whatever :func:`upscale` takes."""
    array = np.asarray(lr)
    if array.ndim not in (2, 3) or array.size == 0 or array.shape[2:] not in ((), (1,), (3,)):
        raise ImageError(
            f"{name} must have the shape (h, w), (h, w, 1) or (h, w, 3), not {array.shape}"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind != "f":
            raise ImageError(
                f"{name} must hold uint8 levels or floating-point values in [0, 1], not "
                f"{array.dtype}"
            )
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):  # also with NaN
            raise ImageError(f"{name} must be in [0, 1]; its values run from {low:g} to {high:g}")
        array = array.astype(np.float32, copy=False)
    flat = array if array.ndim == 3 else array[:, :, None]
    return np.broadcast_to(flat, (*flat.shape[:2], 3))


def _check_options(
    scale: int, tile: int | None, overlap: int | str, half: bool | str, multiple: int,
    budget: int | None, output: str,
) -> None:  # fmt: skip
    for name, value, least in (
        ("scale", scale, 1), ("tile", tile, 1), ("overlap", overlap, 0),
        ("pad_multiple", multiple, 1), ("memory_budget", budget, 1),
    ):  # fmt: skip
        if value is None or (name == "overlap" and value == "auto"):
            continue
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or int(value) < least:
            raise ConfigError(f"{name} must be a whole number of at least {least}; got {value!r}")
    if half not in (True, False, "auto"):
        raise ConfigError(f"half must be True, False or 'auto'; got {half!r}")
    if output not in ("uint8", "float"):
        raise ConfigError(f"output must be 'uint8' or 'float'; got {output!r}")


def _to_tensor(image: NDArray[Any]) -> Tensor:
    """(H, W[, C]) to (1, 3, H, W) float32 with the same values; gray is repeated."""
    flat = image if image.ndim == 3 else image[:, :, None]
    # astype copies: torch does not take arrays that cannot be written to.
    values = np.broadcast_to(flat, (*flat.shape[:2], 3)).astype(np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


def _to_levels(values: NDArray[Any]) -> Image:
    if np.isnan(values).any():
        raise ImageError("an image with NaN has no levels")
    return np.rint(np.clip(values, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


def _padded(image: NDArray[Any], multiple: int) -> NDArray[Any]:
    """The image continued symmetrically to multiples of a size, below and to the right."""
    below, right = -image.shape[0] % multiple, -image.shape[1] % multiple
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")


def _middle(image: NDArray[Any], side: int) -> NDArray[Any]:
    """A square piece from the middle, smaller if the image is."""
    top, left = ((size - min(side, size)) // 2 for size in image.shape[:2])
    return image[top : top + side, left : left + side]


def _up(size: int, multiple: int) -> int:
    """The next multiple, not below the size."""
    return -(-size // multiple) * multiple
