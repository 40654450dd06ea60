"""Where the outputs of a model come from: a checkpoint, a folder of images, a baseline, a function.

To add a kind of source, write a class with ``name``, ``kind``, ``detail``, ``key`` and ``output``,
and a line in :func:`open_source`.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data import ImagePair, LoadedPair
from cooanalysis.data.degradation import modcrop
from cooanalysis.data.images import read_image
from cooanalysis.errors import ConfigError, ImageError, MissingDependencyError, ModelError
from cooanalysis.models.folders import match_files
from cooanalysis.models.shipped import WEIGHTS
from cooanalysis.runtime.notices import Note, Notice

if TYPE_CHECKING:
    from torch import nn

Image = NDArray[np.uint8]
Specification = str | Path | Callable[..., Any]

_REFUSED = re.compile(
    "GLOBAL|Unsupported (global|class)|reduce|build instruction|persistent|instantiat", re.I
)
"""Torch's messages for a pickle that would call something; any other error is damage."""

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".ckpt")


class Source(Protocol):
    """Outputs of a model, one image at a time.

    Attributes
    ----------
    name
        Its name in tables and figures.
    kind
        ``bicubic``, ``hr``, ``checkpoint``, ``folder`` or ``callable``.
    detail
        A short description for the report.
    key
        Identifies the outputs: equal keys mean equal outputs. None if the outputs cannot be
        identified.
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    @property
    def kind(self) -> str:
        """See above."""
        ...

    @property
    def detail(self) -> str:
        """See above."""
        ...

    @property
    def key(self) -> str | None:
        """See above."""
        ...

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """(H, W, 3) uint8 output for one image.

        Raises
        ------
        ModelError
            If there is no output, or it cannot be used; the message names model and image.
        """
        ...


@dataclass(frozen=True)
class Bicubic:
    """Bicubic upsampling of the LR image, MATLAB's."""

    name: str
    kind: str = "bicubic"
    detail: str = "bicubic upsampling"
    key: str | None = "bicubic"

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """See :class:`Source`."""
        return np.rint(np.clip(pair.upsampled, 0.0, 255.0)).astype(np.uint8)


@dataclass(frozen=True)
class GroundTruth:
    """The HR images themselves."""

    name: str
    kind: str = "hr"
    detail: str = "the ground truth"
    key: str | None = "hr"

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """See :class:`Source`."""
        return pair.hr


@dataclass(frozen=True)
class Folder:
    """Images that a model wrote earlier, matched to those of the data set by name."""

    name: str
    path: Path
    files: Mapping[str, Path]
    kind: str = "folder"
    # No key: a cached copy would be as slow to read as the file itself.
    key: str | None = None

    @property
    def detail(self) -> str:
        """See :class:`Source`."""
        return f"images in {self.path}"

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """See :class:`Source`; a file as large as the uncropped HR image is cropped like it."""
        path = self.files[pair.name]
        try:
            image = read_image(path)
        except ImageError as error:
            raise ModelError(f"model {self.name!r}, image {pair.name!r}: {error}") from error
        height, width = pair.hr.shape[:2]
        scale = height // pair.lr.shape[0]
        if image.shape[:2] != (height, width):
            found = f"{image.shape[1]}x{image.shape[0]}"
            if (image.shape[0] // scale * scale, image.shape[1] // scale * scale) != (
                height, width,
            ):  # fmt: skip
                raise ModelError(
                    f"model {self.name!r}: {path} is {found} pixels, but the ground truth "
                    f"{pair.name!r} is {width}x{height}; are these images of scale {scale}?"
                )
            image = modcrop(image, scale)
        return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


@dataclass(frozen=True)
class Network:
    """A torch network from a checkpoint."""

    name: str
    module: nn.Module
    scale: int
    detail: str
    key: str | None
    device: str = "auto"
    kind: str = "checkpoint"

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """See :class:`Source`."""
        from cooanalysis.models.tiling import upscale

        def named(notice: Notice) -> None:
            note(Notice(notice.code, {**notice.facts, "model": self.name}))

        device: Any = self.device
        return upscale(
            self.module, pair.lr, scale=self.scale, device=device, name=f"model {self.name!r}",
            image=pair.name, note=named,
        )  # fmt: skip


@dataclass(frozen=True)
class Function:
    """A Python callable: from (h, w, 3) uint8 to (H, W, 3) uint8, or a ``torch.nn.Module``."""

    name: str
    function: Callable[..., Any]
    scale: int
    device: str = "auto"
    kind: str = "callable"
    key: str | None = None

    @property
    def detail(self) -> str:
        """See :class:`Source`."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def output(self, pair: LoadedPair, note: Note) -> Image:
        """See :class:`Source`."""
        if _is_module(self.function):
            module: Any = self.function
            return Network(
                self.name, module, self.scale, self.detail, None, self.device
            ).output(pair, note)  # fmt: skip
        returned = self.function(pair.lr.copy())
        try:
            output = np.asarray(returned)
        except (ValueError, RuntimeError, TypeError) as error:
            raise ModelError(
                f"model {self.name!r} returns {type(returned).__name__} for {pair.name!r}, which "
                f"is not an array ({_first_line(error)}); a callable must return uint8 of shape "
                f"{pair.hr.shape}"
            ) from error
        if output.shape != pair.hr.shape or output.dtype != np.uint8:
            raise ModelError(
                f"model {self.name!r} returns {output.dtype} of shape {output.shape} for "
                f"{pair.name!r}; a callable must return uint8 of shape {pair.hr.shape}"
            )
        return output


def parse(texts: Sequence[str]) -> dict[str, Specification]:
    """Parse models as given on the command line, ``NAME=WHAT`` or ``WHAT``, by name.

    Raises
    ------
    ConfigError
        If a name is empty or used twice.

    Examples
    --------
    >>> parse(["bicubic", "ours=runs/ours/weights.safetensors"])
    {'bicubic': 'bicubic', 'ours': 'runs/ours/weights.safetensors'}
    """
    found: dict[str, Specification] = {}
    for text in texts:
        name, equals, what = text.partition("=")
        if not equals:
            name, what = _default_name(text), text
        if not name.strip() or not what.strip():
            raise ConfigError(f"a model must look like NAME=WHAT or WHAT; got {text!r}")
        if name in found:
            raise ConfigError(f"two models are called {name!r}; name them with NAME=WHAT")
        found[name] = what
    return found


def _default_name(text: str) -> str:
    path = Path(text)
    # coo-train writes each model's weights.safetensors into a separate folder.
    return path.parent.name if path.stem == "weights" and path.parent.name else path.stem


def open_source(
    name: str, what: Specification, pairs: Sequence[ImagePair], *, scale: int, device: str = "auto"
) -> Source:
    """Recognize what a model is, and load it.

    Parameters
    ----------
    name
        Its name.
    what
        ``"bicubic"``, ``"hr"``, the name of shipped weights, the path of a checkpoint or of a
        folder of images, or a callable (see :class:`Function`).
    pairs
        The images of the data set.
    scale, device
        Upscaling factor that it must have; device that networks run on.

    Raises
    ------
    ModelError
        If a checkpoint is broken, has an unknown architecture or a different scale, or would run
        code; if a folder lacks images or holds others.
    ConfigError
        If nothing with that name exists.
    MissingDependencyError
        If torch or spandrel is needed but missing.
    """
    if name in ("bicubic", "hr") and what != name:
        raise ConfigError(f"a model can be called {name!r} only if it is {name}")
    if callable(what):
        return Function(name, what, scale, device)
    text = str(what)
    if text == "bicubic":
        return Bicubic(name)
    if text == "hr":
        return GroundTruth(name)
    if not name.strip() or not text.strip():
        raise ConfigError(f"a model needs a name and a file or folder; got {name!r}: {text!r}")
    try:
        path = WEIGHTS[text] if text in WEIGHTS else Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"model {name!r}: {text}: {_first_line(error)}") from error
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # too long, no permission, a zero byte
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise ConfigError(f"model {name!r}: {text[:100]!r} cannot be opened ({reason})") from error
    if is_folder:
        return Folder(name, path, match_files(name, path, pairs, scale))
    if not is_file:
        raise ConfigError(
            f"model {name!r}: there is no file or folder {text}; a model is a checkpoint "
            f"({', '.join(CHECKPOINTS)}), a folder of images, bicubic, hr, or one of "
            f"{', '.join(WEIGHTS)}"
        )
    if path.suffix.lower() not in CHECKPOINTS:
        raise ConfigError(
            f"model {name!r}: {path} is neither a folder nor a checkpoint "
            f"({', '.join(CHECKPOINTS)})"
        )
    return load_network(name, path, scale=scale, device=device)


def load_network(name: str, path: Path, *, scale: int, device: str = "auto") -> Network:
    """Load a checkpoint: ours, or any architecture that spandrel knows. None of its code is run.

    Raises
    ------
    ModelError, MissingDependencyError
        See :func:`open_source`.
    """
    _require("torch", "torch")
    try:
        with path.open("rb") as file:
            found_digest = hashlib.sha256()
            while block := file.read(1 << 20):
                found_digest.update(block)
    except OSError as error:
        raise ModelError(f"model {name!r}: {path} cannot be read ({error.strerror})") from error
    key = found_digest.hexdigest()
    module, found, detail = _ours(name, path) or _spandrel(name, path)
    if found != scale:
        raise ModelError(f"model {name!r}: {path} is a x{found} model; x{scale} is needed")
    return Network(name, module, scale, detail, key, device)


def _ours(name: str, path: Path) -> tuple[nn.Module, int, str] | None:
    """A network that coo-train wrote, or None."""
    from cooanalysis import models

    if path.suffix.lower() != ".safetensors" or not _says_ours(name, path):
        return None
    try:
        info = models.read_info(path)
        return models.load_weights(path), info.scale, f"{info.name}, {path.name}"
    except ModelError as error:
        raise ModelError(f"model {name!r}: {error}") from error


def _says_ours(name: str, path: Path) -> bool:
    safetensors = _require("safetensors", "safetensors")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            return any(key.startswith("cooanalysis.") for key in file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"model {name!r}: {path} is not a safetensors file, or is damaged: {error}"
        ) from error


def _spandrel(name: str, path: Path) -> tuple[nn.Module, int, str]:
    spandrel = _require("spandrel", "spandrel")
    state = _state_dict(name, path)
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(
            spandrel.canonicalize_state_dict(state)
        )
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"model {name!r}: spandrel knows no architecture with the weights in {path}; give a "
            "folder of its output images instead"
        ) from error
    except Exception as error:  # damaged shapes can lead to any architecture and error
        raise ModelError(
            f"model {name!r}: the weights in {path} do not fit the architecture that they appear "
            f"to belong to ({_first_line(error)})"
        ) from error
    architecture = descriptor.architecture.name
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.purpose not in (
        "SR", "FaceSR",
    ):  # fmt: skip
        raise ModelError(f"model {name!r}: {path} ({architecture}) does not upscale images")
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        raise ModelError(
            f"model {name!r}: {path} ({architecture}) maps {descriptor.input_channels} channels to "
            f"{descriptor.output_channels}; only models of RGB images can be compared"
        )
    return _as_module(descriptor), descriptor.scale, f"{architecture}, {path.name}"


def _as_module(descriptor: Any) -> nn.Module:
    from torch import Tensor, nn

    class Described(nn.Module):
        """A network with spandrel's pre- and postprocessing (such as padding), as a module."""

        def __init__(self) -> None:
            super().__init__()
            self.network = descriptor.model

        def forward(self, image: Tensor) -> Tensor:
            output: Tensor = descriptor(image)
            return output.clone()  # out of inference mode

    return Described()


def _state_dict(name: str, path: Path) -> dict[str, Any]:
    """Tensors of a file by name. Only tensors and plain values are ever unpickled."""
    import torch

    if path.suffix.lower() == ".safetensors":
        try:
            return dict(_require("safetensors.torch", "safetensors").load_file(str(path)))
        except Exception as error:
            raise ModelError(f"model {name!r}: {path} is damaged ({_first_line(error)})") from error
    try:
        with warnings.catch_warnings():  # about pickle protocols; problems raise errors
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _REFUSED.search(str(error)):
            raise ModelError(
                f"model {name!r}: {path} cannot be read as a checkpoint; is it complete?"
            ) from error
        raise ModelError(
            f"model {name!r}: {path} holds more than weights, which could run code when loaded, "
            "and is refused; ask for a .safetensors file, or save its state_dict() alone"
        ) from error
    except Exception as error:  # unpickling a damaged file can raise almost anything
        raise ModelError(
            f"model {name!r}: {path} cannot be read as a checkpoint ({_first_line(error)})"
        ) from error
    if not isinstance(state, dict):
        raise ModelError(f"model {name!r}: {path} does not hold a dictionary of weights")
    return state


def _is_module(value: object) -> bool:
    import sys

    torch = sys.modules.get("torch")  # without torch loaded, nothing can be a module
    return torch is not None and isinstance(value, torch.nn.Module)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _require(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"checkpoints need {package}; install it with `pip install 'cooanalysis[models]'`"
        ) from error
