"""A model on a whole image: choose tiles, run the model on them, put its outputs together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError, ModelError
from cooanalysis.models.tiling.arrays import checked_image, padded, rounded_up, to_uint8
from cooanalysis.models.tiling.memory import SMALLEST_TILE, affordable_tile
from cooanalysis.models.tiling.receptive import PROBES, measured_reach
from cooanalysis.models.tiling.runner import Model, Runner, ready, warn
from cooanalysis.models.tiling.spans import Span, plan_tiles
from cooanalysis.runtime.notices import Note, Notice
from cooanalysis.runtime.out_of_memory import is_out_of_memory


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
    """Output of a model for a whole image.

    Parameters
    ----------
    model
        From (1, 3, h, w) RGB in [0, 1] to (1, 3, scale·h, scale·w). A module runs in evaluation
        mode; afterward it is in the mode, and on the device, that it was before.
    lr
        (h, w), (h, w, 1) or (h, w, 3); 8-bit values (uint8), or floating-point values in [0, 1].
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
        that is not a module states it in its attribute ``device`` and otherwise gets CPU tensors.
    half
        16-bit floating point where torch's autocast finds it safe, on a CUDA GPU only; ``"auto"``:
        wherever there is one. Falls back to 32 bits when NaN or infinite values appear.
    pad_multiple
        The model needs heights and widths that are multiples of this. The image is continued
        symmetrically below and to the right, and the output cut; tiles begin at multiples of it,
        so that windows and strides fall where they fall on the whole image.
    memory_budget
        Bytes for the intermediate results of the model; :data:`CPU_BUDGET` or half of the free
        memory of a GPU unless given. The output itself and one row of tiles of it come on top.
    output
        ``"uint8"``: clipped and rounded. ``"float"``: as the model outputs it, in [0, 1] units.
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
        If the output has the wrong size or contains NaN or infinite values, if the model fails at
        such an image, or if memory does not even suffice for small tiles.
    ImageError
        If ``lr`` is not such an image.
    ConfigError
        If another argument is invalid.

    Examples
    --------
    >>> double = nn.Upsample(scale_factor=2)
    >>> upscale(double, np.full((2, 3), 7, np.uint8), scale=2).shape
    (4, 6, 3)
    """
    _check_options(scale, tile, overlap, half, pad_multiple, memory_budget, output)
    pixels = padded(checked_image(lr, image), pad_multiple)
    with ready(model, device) as where:
        if half is True and where.type != "cuda":
            raise ConfigError(f"half precision needs a CUDA GPU; the model runs on {where}")
        run = Runner(model, where, half is not False and where.type == "cuda", scale, name, image,
                      note or warn)  # fmt: skip
        side = tile
        while True:
            try:
                if side is None:
                    side = affordable_tile(run, pixels, pad_multiple, memory_budget)
                rows, columns = plan_tiles(run, pixels, side, overlap, pad_multiple)
                result = _assemble(run, pixels, rows, columns, output)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler, whose traceback keeps the tensors of the failed attempt alive.
            side = _smaller(run, pixels, side, overlap, pad_multiple)
    height, width = lr.shape[:2]
    return result[: height * scale, : width * scale]


def reach(
    model: Model,
    *,
    scale: int,
    device: str | torch.device = "auto",
    pad_multiple: int = 1,
    largest: int = PROBES[-1],
    sample: NDArray[Any] | None = None,
) -> int | None:
    """How far, in LR pixels, a cut edge is felt in a model's output: the overlap that tiles need.

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
    pixels = None if sample is None else checked_image(sample, "the sample")
    with ready(model, device) as where:
        run = Runner(model, where, False, scale, "the model", "a piece of noise", warn)
        return measured_reach(run, pixels, pad_multiple, largest)


def _assemble(
    run: Runner, pixels: NDArray[Any], rows: list[Span], columns: list[Span], output: str
) -> NDArray[Any]:
    """Run the model on every tile; only one row of tiles is kept as floating-point values."""
    scale = run.scale
    height, width = pixels.shape[:2]
    finish = to_uint8 if output == "uint8" else np.asarray
    kind = np.uint8 if output == "uint8" else np.float32
    if len(rows) == len(columns) == 1:
        return finish(run(pixels))
    result = np.empty((height * scale, width * scale, 3), kind)
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
        result[row.start * scale : end * scale] = finish(band[:done])
        carried = band[done:].copy()
    return result


def _smaller(
    run: Runner, pixels: NDArray[Any], side: int | None, overlap: int | str, multiple: int
) -> int:
    """Half of a tile that did not fit into memory."""
    if run.device.type == "cuda":
        torch.cuda.empty_cache()
    tried = min(side or max(pixels.shape[:2]), max(pixels.shape[:2]))
    smaller = tried // 2 // multiple * multiple
    least = max(SMALLEST_TILE, multiple)
    if overlap != "auto":
        least = max(least, 2 * rounded_up(int(overlap), multiple) + multiple)
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
