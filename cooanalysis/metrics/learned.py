"""Learned perceptual metrics, with the trained weights of their authors or not at all.

Nothing here downloads, and nothing is replaced by random weights: where a package or a file is
missing, the metric's ``*_missing`` function says which and how to get it. All metrics use
entire RGB images; none resizes them. A CUDA GPU is used if there is one.

=============  =================================================================================
metric         source
=============  =================================================================================
ST-LPIPS       Ghildyal & Liu, "Shift-tolerant perceptual similarity metric", ECCV 2022; the
               wheel of ``stlpips_pytorch`` carries all of its weights
LPIPS          Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
               Metric", CVPR 2018; ``lpips`` carries the calibration, the backbone is torchvision's
DISTS          Ding et al., "Image Quality Assessment: Unifying Structure and Texture
               Similarity", TPAMI 2022; ``torchmetrics`` carries the calibration, the backbone is
               torchvision's VGG-16. Its authors downsample images to 256 pixels first; we do not
``pyiqa:…``    Chen & Mo, "IQA-PyTorch: PyTorch Toolbox for Image Quality Assessment", 2022
=============  =================================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from cooanalysis.errors import ConfigError, ImageError, MissingDependencyError
from cooanalysis.metrics.metric import Metric
from cooanalysis.metrics.pairs import Image, check_pair, three_channels
from cooanalysis.runtime.torch_hub import checkpoints_folder

# Largest input, in values, whose features are kept: 2 megapixels, a third of a GB with AlexNet.
_CACHED_VALUES = 3 * 2**21
# The deepest of the networks halves its input five times.
_SMALLEST = 32


@dataclass(frozen=True)
class Backbone:
    """A network of torchvision and the file of its ImageNet weights.

    Attributes
    ----------
    builder
        Name in ``torchvision.models``.
    file
        Name of the file; it ends with the first digits of the file's SHA-256 sum.
    """

    builder: str
    file: str

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"https://download.pytorch.org/models/{self.file}"

    @property
    def path(self) -> Path:
        """Path at which torch looks for the file."""
        return checkpoints_folder() / self.file

    def missing(self) -> str | None:
        """What to download and where to put it, or None if the file is there."""
        return (
            None
            if self.path.is_file()
            else f"download {self.url} and put it into {self.path.parent}"
        )

    def state(self) -> dict[str, Any]:
        """The weights.

        Raises
        ------
        MissingDependencyError
            If the file is missing or is not the original.
        """
        import torch

        if (reason := self.missing()) is not None:
            raise MissingDependencyError(f"trained weights are missing: {reason}")
        wanted = self.file.removesuffix(".pth").rpartition("-")[2]
        found = _sha256(self.path)
        if not found.startswith(wanted):
            raise MissingDependencyError(
                f"{self.path} is not the original file: its SHA-256 sum begins with "
                f"{found[: len(wanted)]} instead of {wanted}; download it again from {self.url}"
            )
        # weights_only: a checkpoint is data and must never run code.
        return dict(torch.load(self.path, map_location="cpu", weights_only=True))


BACKBONES = {
    "alex": Backbone("alexnet", "alexnet-owt-7be5be79.pth"),
    "vgg": Backbone("vgg16", "vgg16-397923af.pth"),
}


# --- ST-LPIPS -----------------------------------------------------------------------------------


def st_lpips(sr: Image, hr: Image) -> float:
    """Shift-tolerant LPIPS with AlexNet: 0 for equal images, lower is better."""
    return _compare(_st_lpips_network, sr, hr, normalize=True)


def st_lpips_missing() -> str | None:
    """What is missing for :func:`st_lpips` and how to get it, or None."""
    # The package imports the last three without declaring them.
    return _lacking(
        ("torch", "torch"), ("torchvision", "torchvision"), ("stlpips_pytorch", "stlpips_pytorch"),
        ("torchsummary", "torchsummary"), ("IPython", "ipython"),
        ("cv2", "opencv-python-headless"), extra="perceptual",
    )  # fmt: skip


@lru_cache(maxsize=2)
def _st_lpips_network(device: str) -> Any:
    with _quiet():
        package = importlib.import_module("stlpips_pytorch.stlpips")
        network = package.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    _all_trained(network, _folder(package) / "weights/vST0.0/alex_shift_tolerant.pth")
    network.net.forward = _caching(network.net.forward)
    return network.eval().requires_grad_(False).to(device)


# --- LPIPS --------------------------------------------------------------------------------------


def lpips(sr: Image, hr: Image, net: Literal["alex", "vgg"]) -> float:
    """LPIPS 0.1 with a backbone of :data:`BACKBONES`: 0 for equal images, lower is better."""
    return _compare(lambda device: _lpips_network(net, device), sr, hr, normalize=True)


def lpips_missing(net: Literal["alex", "vgg"]) -> str | None:
    """What is missing for :func:`lpips` and how to get it, or None."""
    packages = _lacking(("torch", "torch"), ("torchvision", "torchvision"), ("lpips", "lpips"))
    return _both(packages, BACKBONES[net].missing())


@lru_cache(maxsize=4)
def _lpips_network(net: Literal["alex", "vgg"], device: str) -> Any:
    # If the package loaded the backbone itself, it would use torchvision, which may download.
    with _quiet():
        package = importlib.import_module("lpips")
        network = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = BACKBONES[net].state()
    # The package cuts torchvision's ``features.3`` into ``slice2.3`` and so on.
    own = network.net.state_dict()
    network.net.load_state_dict({name: state[f"features.{name.split('.', 1)[1]}"] for name in own})
    calibration = _folder(package) / "weights" / "v0.1" / f"{net}.pth"
    _all_trained(network, calibration, besides="net.")
    network.net.forward = _caching(network.net.forward)
    return network.eval().requires_grad_(False).to(device)


# --- DISTS --------------------------------------------------------------------------------------


def dists(sr: Image, hr: Image) -> float:
    """DISTS without resizing: 0 for equal images, lower is better."""
    return _compare(_dists_network, sr, hr)


def dists_missing() -> str | None:
    """What is missing for :func:`dists` and how to get it, or None."""
    packages = _lacking(
        ("torch", "torch"), ("torchvision", "torchvision"), ("torchmetrics", "torchmetrics")
    )
    return _both(packages, BACKBONES["vgg"].missing())


@lru_cache(maxsize=2)
def _dists_network(device: str) -> Any:
    BACKBONES["vgg"].state()  # refuses a file that is not the original; torchvision would take it
    with _quiet(), _no_network():
        package = importlib.import_module("torchmetrics.functional.image.dists")
        network = package.DISTSNetwork(load_weights=True)
    return network.eval().requires_grad_(False).to(device)


# --- pyiqa --------------------------------------------------------------------------------------


def pyiqa(sr: Image, hr: Image, name: str) -> float:
    """A metric of ``pyiqa``; a no-reference metric uses ``sr`` alone."""
    network = _pyiqa_network(name, _device())
    images = (sr, hr) if network.metric_mode == "FR" else (sr,)
    check_pair(sr, hr)
    return _value(network, images)


def pyiqa_direction(name: str) -> Literal["higher", "lower"]:
    """Which values of a metric of ``pyiqa`` are better."""
    return "lower" if _pyiqa_network(name, _device()).lower_better else "higher"


def pyiqa_missing(name: str) -> str | None:
    """What is missing for a metric of ``pyiqa``, or None. Has to load the metric to find out.

    Raises
    ------
    ConfigError
        If ``pyiqa`` has no such metric, or one that does not compare single images.
    """
    if importlib.util.find_spec("pyiqa") is None:
        return "install it with `pip install pyiqa`"
    try:
        _pyiqa_network(name, _device())
    except MissingDependencyError as error:
        return str(error)
    return None


@lru_cache(maxsize=8)
def _pyiqa_network(name: str, device: str) -> Any:
    import torch

    with _quiet(), _no_network() as refused:
        try:
            package = importlib.import_module("pyiqa")
        except ImportError as error:
            raise MissingDependencyError(f"pyiqa cannot be imported: {error}") from error
        if name not in package.list_models():
            raise ConfigError(
                f"pyiqa has no metric {name!r}; `pyiqa.list_models()` names those it has"
            )
        try:
            network = package.create_metric(name, device=torch.device(device))
        except Exception as error:  # pyiqa passes on any error of its downloaders
            if not refused:
                raise
            raise MissingDependencyError(
                f"pyiqa has to download the weights of {name} from {refused[0]} first: run "
                f"`python -c \"import pyiqa; pyiqa.create_metric('{name}')\"` once"
            ) from error
    if network.metric_mode not in ("FR", "NR") or name in ("fid", "inception_score"):
        raise ConfigError(f"pyiqa's {name} compares sets of images, not single images")
    return network.eval()


# --- shared helpers -----------------------------------------------------------------------------


def _caching(forward: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A backbone that caches the features of its last two inputs.

    A comparison evaluates many outputs against one ground truth, whose features take as long as
    theirs.
    """
    known: list[tuple[Any, Any]] = []

    def cached(images: Any) -> Any:
        import torch

        for place, (before, features) in enumerate(known):
            if before.shape == images.shape and torch.equal(before, images):
                known.append(known.pop(place))
                return features
        features = forward(images)
        del known[:-1]
        if images.numel() <= _CACHED_VALUES:
            known.append((images, features))
        return features

    return cached


def _compare(load: Callable[[str], Any], sr: Image, hr: Image, **options: Any) -> float:
    """Value of a full-reference network, on the GPU if there is one with enough memory."""
    import torch

    check_pair(sr, hr)
    try:
        return _value(load(_device()), (sr, hr), **options)
    except torch.cuda.OutOfMemoryError:
        # Networks of this kind cannot process an image in tiles, but the CPU has more memory.
        torch.cuda.empty_cache()
        return _value(load("cpu"), (sr, hr), **options)


def _value(network: Any, images: tuple[Image, ...], **options: Any) -> float:
    import torch

    height, width = images[0].shape[:2]
    if min(height, width) < _SMALLEST:
        raise ImageError(
            f"learned metrics need images of at least {_SMALLEST}x{_SMALLEST} pixels; "
            f"this one has {width}x{height}"
        )
    held = next(iter(network.parameters()), None)
    batch = [
        torch.from_numpy(np.ascontiguousarray(three_channels(image))).permute(2, 0, 1)[None]
        for image in images
    ]
    inputs = [tensor.to(held.device if held is not None else "cpu").float() / 255.0
              for tensor in batch]  # fmt: skip
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about deprecated calls in the packages
        return float(network(*inputs, **options))


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _lacking(*needed: tuple[str, str], extra: str | None = None) -> str | None:
    """How to install those of some (module, PyPI package) that are missing, or None."""
    lacking = [pip for module, pip in needed if importlib.util.find_spec(module) is None]
    if not lacking:
        return None
    alternative = f" (or `pip install 'cooanalysis[{extra}]'`)" if extra else ""
    return f"install what is missing with `pip install {' '.join(lacking)}`{alternative}"


def _both(first: str | None, second: str | None) -> str | None:
    return "; ".join(reason for reason in (first, second) if reason is not None) or None


def _folder(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _all_trained(network: Any, path: Path, besides: str | None = None) -> None:
    """Refuse a network if its package did not load some of the weights from the file.

    The packages load their files with ``strict=False``, which leaves weights that are not in the
    file, or have another name in it, at their random initial values.
    """
    import torch

    stored = torch.load(path, map_location="cpu", weights_only=True)
    for name, value in network.named_parameters():
        if besides is not None and name.startswith(besides):
            continue
        if name not in stored or not torch.equal(stored[name], value.detach().cpu()):
            raise MissingDependencyError(
                f"{path} holds no weights for {name}; install the package it belongs to again"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence a package that prints and warns while it is loaded."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield


@contextlib.contextmanager
def _no_network() -> Iterator[list[str]]:
    """Refuse all connections by host name from this thread; yields the refused host names.

    Packages that download missing files have no common option to prevent it.
    """
    refused: list[str] = []
    thread = threading.get_ident()
    original = socket.getaddrinfo

    def refuse(host: Any, *args: Any, **options: Any) -> Any:
        if threading.get_ident() != thread:
            return original(host, *args, **options)
        refused.append(str(host))
        raise OSError(f"not connected to {host}: nothing is downloaded silently")

    socket.getaddrinfo = refuse
    try:
        yield refused
    finally:
        socket.getaddrinfo = original


# --- the records --------------------------------------------------------------------------------


def _record(
    name: str, title: str, function: Callable[[Image, Image], float],
    missing: Callable[[], str | None],
) -> Metric:  # fmt: skip
    return Metric(name, title, "lower", "", "learned", lambda sr, hr, _: function(sr, hr), missing)


ST_LPIPS = _record("st-lpips", "ST-LPIPS", st_lpips, st_lpips_missing)
LPIPS_ALEX = _record(
    "lpips-alex", "LPIPS (AlexNet)", lambda sr, hr: lpips(sr, hr, "alex"),
    lambda: lpips_missing("alex"),
)  # fmt: skip
LPIPS_VGG = _record(
    "lpips-vgg", "LPIPS (VGG-16)", lambda sr, hr: lpips(sr, hr, "vgg"),
    lambda: lpips_missing("vgg"),
)  # fmt: skip
DISTS = _record("dists", "DISTS", dists, dists_missing)
