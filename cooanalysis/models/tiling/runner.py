"""One call of a model: on its device, in evaluation mode, and with a check of what it outputs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cooanalysis.errors import ModelError
from cooanalysis.models.tiling.arrays import to_tensor
from cooanalysis.runtime.notices import Note, Notice, NoticeWarning
from cooanalysis.runtime.out_of_memory import is_out_of_memory

Floats = NDArray[np.float32]
Model = Callable[[Tensor], Tensor]


class InferenceWarning(NoticeWarning):
    """The output differs from the requested one or took longer; its notice explains why."""


@dataclass
class Runner:
    """A model with all that is needed to run it on one piece and to check its output."""

    model: Model
    device: torch.device
    half: bool
    scale: int
    name: str
    image: str
    note: Note

    def __call__(self, piece: NDArray[Any]) -> Floats:
        """(h, w, 3) to (scale·h, scale·w, 3) float32 in [0, 1] units, finite."""
        batch = to_tensor(piece).to(self.device)
        if piece.dtype == np.uint8:
            batch = batch / 255.0
        if isinstance(self.model, nn.Module):
            kinds = (value.dtype for value in self.model.parameters() if value.is_floating_point())
            batch = batch.to(next(kinds, batch.dtype))
        result = self._run(batch, self.half)
        if self.half and isinstance(result, Tensor) and not torch.isfinite(result).all():
            self.half = False
            self.note(Notice("half_precision_failed", {"model": self.name, "image": self.image}))
            result = self._run(batch, False)
        self._check(result, piece.shape[0], piece.shape[1])
        return result[0].float().permute(1, 2, 0).cpu().numpy()

    def _run(self, batch: Tensor, half: bool) -> Any:
        # Not inference_mode: some models cache masks of the size they saw last, and could not be
        # trained any more with tensors made there.
        with torch.no_grad(), torch.autocast(self.device.type, torch.float16, enabled=half):
            try:
                return self.model(batch)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                height, width = batch.shape[2:]
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise ModelError(
                    f"{self.name} fails at {self.image}, in a piece of {width}x{height} pixels "
                    f"(it may need another pad_multiple): {reason}"
                ) from error

    def _check(self, result: Any, height: int, width: int) -> None:
        wanted = (1, 3, height * self.scale, width * self.scale)
        if not isinstance(result, Tensor) or tuple(result.shape) != wanted:
            got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise ModelError(
                f"{self.name} is not an x{self.scale} model: it outputs {got} where {wanted} "
                f"was expected (for {self.image})"
            )
        if not torch.isfinite(result).all():
            raise ModelError(f"{self.name} outputs NaN or infinite values for {self.image}")


@contextlib.contextmanager
def ready(model: Model, device: str | torch.device) -> Iterator[torch.device]:
    """A module in evaluation mode on the device that it should run on; restored afterward."""
    if not isinstance(model, nn.Module):
        yield torch.device(getattr(model, "device", "cpu") if device == "auto" else device)
        return
    first = next(iter(model.parameters()), None)
    home = torch.device("cpu") if first is None else first.device
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


def warn(notice: Notice) -> None:
    """Where notices go by default."""
    warnings.warn(InferenceWarning(notice), stacklevel=3)
