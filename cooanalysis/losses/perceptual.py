"""Perceptual loss on features of the user's choice.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv 1603.08155); features before activation as in Wang et al., ESRGAN, ECCVW 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.runtime.torch_hub import checkpoints_folder

Features = Callable[[Tensor], "Mapping[str, Tensor] | Tensor"]

VGG19_FILE = "vgg19-dcbb9e9d.pth"
_VGG19_URL = f"https://download.pytorch.org/models/{VGG19_FILE}"
# Index in torchvision's vgg19().features of the last convolution of each block (no activation).
_VGG19_LAYERS = {"conv1_2": 2, "conv2_2": 7, "conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class VGG19Features(nn.Module):
    """Convolution outputs of torchvision's VGG-19, trained on ImageNet, frozen.

    Parameters
    ----------
    layers
        Some of ``conv1_2, conv2_2, conv3_4, conv4_4, conv5_4``.

    Raises
    ------
    MissingDependencyError
        If torchvision or the weights file is missing. Nothing is downloaded and nothing is
        replaced by random weights; the message says where to put the file.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: tuple[str, ...] = ("conv5_4",)) -> None:
        super().__init__()
        if unknown := sorted(set(layers) - set(_VGG19_LAYERS)):
            raise ConfigError(
                f"layers must be some of {', '.join(_VGG19_LAYERS)}; got {', '.join(unknown)}"
            )
        try:
            from torchvision.models import vgg19
        except ImportError as error:
            raise MissingDependencyError(
                "VGG-19 features need torchvision; install it with `pip install torchvision`"
            ) from error
        path = checkpoints_folder() / VGG19_FILE
        if not path.is_file():
            raise MissingDependencyError(
                f"VGG-19 features need trained weights: put {_VGG19_URL} into {path.parent}"
            )
        network = vgg19(weights=None)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.wanted = {_VGG19_LAYERS[name]: name for name in layers}
        self.net = network.features[: max(self.wanted) + 1].eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to a feature map for each layer."""
        x = (image - self.mean) / self.std
        found = {}
        for index, layer in enumerate(self.net):
            x = layer(x)
            if index in self.wanted:
                # ReLU layers work in place and would overwrite the stored features.
                found[self.wanted[index]] = x.clone()
        return found


class PerceptualLoss(nn.Module):
    """L1 distance of two images in a feature space.

    Parameters
    ----------
    features
        ``"vgg19"`` (see :class:`VGG19Features`) or any callable, such as a frozen network of the
        user, from (B, 3, H, W) images in [0, 1] to a tensor or a mapping of named tensors.
    layers
        Weight of each layer. With ``"vgg19"`` it also chooses the layers; for a callable that
        returns one tensor leave it out.

    Examples
    --------
    >>> import torch
    >>> blur = torch.nn.AvgPool2d(2)
    >>> loss = PerceptualLoss(blur)
    >>> float(loss(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)))
    1.0
    """

    def __init__(
        self, features: str | Features = "vgg19", layers: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        if isinstance(features, str):
            if features != "vgg19":
                raise ConfigError(f"features must be 'vgg19' or a callable; got {features!r}")
            layers = dict(layers or {"conv5_4": 1.0})
            features = VGG19Features(tuple(layers))
        self.layers = None if layers is None else dict(layers)
        # A module is registered, so that .to(device) and .half() reach it.
        self.features = features
        if isinstance(features, nn.Module):
            features.requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """(B, 3, H, W) images in [0, 1] to a scalar."""
        found = self.features(sr)
        with torch.no_grad():
            wanted = self.features(hr)
        if isinstance(found, Tensor) or isinstance(wanted, Tensor):
            found, wanted = {"features": found}, {"features": wanted}
        weights = self.layers or dict.fromkeys(found, 1.0)
        if missing := sorted(set(weights) - set(found)):
            raise ConfigError(f"the features have no layer {', '.join(missing)}")
        terms = [w * l1_loss(found[name], wanted[name]) for name, w in weights.items()]
        return torch.stack(terms).sum()
