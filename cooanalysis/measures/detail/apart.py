"""A model's detail, taken apart: what it knows, how strongly it shows it, what it makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.measures.detail import parts
from cooanalysis.measures.detail.known import KnownDetail

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class TakenApart:
    """The detail of one model's outputs, taken apart.

    Attributes
    ----------
    sums
        (n_images,) sums over the pixels of each image by name, see
        :mod:`cooanalysis.measures.detail.parts`; a border of ``scale`` pixels is left out.
    pixels
        (n_images,) number of values that were summed.
    known
        E[y | s, a, x], one image per output, in the shape of the details.
    alone
        E[y | s, x] likewise.
    strength, strength_alone
        Ridge strengths that cross-validation chose.
    has_anchor
        Whether ``known`` rests on an anchor; without one it equals ``alone``.
    """

    sums: Mapping[str, Floats]
    pixels: Floats
    known: list[Image]
    alone: list[Image]
    strength: float
    strength_alone: float
    has_anchor: bool

    def _total(self, *names: str) -> list[float]:
        return [float(np.sum(self.sums[name])) for name in names]

    @property
    def detail_energy(self) -> float:
        """See :func:`~cooanalysis.measures.detail.parts.detail_energy`."""
        return float(parts.detail_energy(*self._total(*parts.SUMS[:2])))

    @property
    def explained(self) -> float:
        """What can be known from the output and the LR image, as a share of the detail."""
        return float(parts.explained(*self._total("truth_energy", "alone_energy", "alone_truth")))

    @property
    def explained_with_anchor(self) -> float:
        """What can be known from output, anchor and LR image."""
        return float(parts.explained(*self._total("truth_energy", "known_energy", "known_truth")))

    @property
    def psnr_explained_db(self) -> float:
        """PSNR of the best use of the output and the LR image, dB (peak 1)."""
        error = parts.unknown_energy(*self._total("truth_energy", "alone_energy", "alone_truth"))
        return float(-10.0 * np.log10(error / self.pixels.sum()))

    @property
    def gain(self) -> float:
        """How strongly the known is shown; 1 as it is."""
        return float(parts.gain(*self._total("known_energy", "known_output")))

    @property
    def invented(self) -> float:
        """What is made up, in units of what is unknown."""
        return float(parts.invented(*self._total(*parts.INVENTED)))

    @property
    def invented_at_least(self) -> float:
        """A lower bound of :attr:`invented` that needs no anchor."""
        return float(parts.invented(*self._total(*parts.INVENTED_ALONE)))

    @property
    def gain_alone(self) -> float:
        """The gain without anchor: of a model that samples it is too large."""
        return float(parts.gain(*self._total("alone_energy", "alone_output")))

    @property
    def collapse_index(self) -> float:
        """``1 − invented``: 1 for a conditional mean, 0 for a sample of the posterior."""
        return 1.0 - self.invented

    @property
    def closed_form(self) -> float:
        """See :func:`~cooanalysis.measures.detail.parts.closed_form`."""
        return float(parts.closed_form(*self._total(*parts.SUMS[:3])))

    @property
    def budget(self) -> parts.ErrorBudget:
        """Where the squared error comes from."""
        return parts.error_budget(*self._total(*parts.SUMS[:6]))


def take_apart(
    truth: Sequence[ArrayLike], output: Sequence[ArrayLike], lr: Sequence[ArrayLike], *,
    anchor: Sequence[ArrayLike] | None = None, scale: int, seed: int = 0,
) -> TakenApart:  # fmt: skip
    """Take the detail of a model's outputs apart.

    Parameters
    ----------
    truth, output
        Details (image minus its bicubic upsampling), one (H, W) or (H, W, C) array per image,
        with peak 1.
    lr
        (H / scale, W / scale) or (H / scale, W / scale, C) LR images with peak 1.
    anchor
        Details of a conditional mean of comparable knowledge, such as the outputs of a
        PSNR-oriented network; like ``output``. Without one, what a model that samples makes up
        cannot be distinguished from what it knows, and ``invented`` is a lower bound.
    scale
        Upscaling factor.
    seed
        Seed of the folds of images.

    Returns
    -------
    TakenApart

    Raises
    ------
    ConfigError
        If there are no images, or their number or sizes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> lr = [rng.normal(size=(16, 16)) for _ in range(6)]
    >>> known = [0.1 * np.kron(x, np.ones((2, 2))) for x in lr]
    >>> truth = [k + 0.1 * rng.normal(size=k.shape) for k in known]
    >>> mean = take_apart(truth, [1.5 * k for k in known], lr, scale=2)
    >>> round(mean.gain, 1), abs(round(mean.invented, 1)), round(mean.explained, 1)
    (1.5, 0.0, 0.5)
    """
    versions = [output] if anchor is None else [output, anchor]
    planes = [_planes(images, "details") for images in (truth, *versions)]
    small = _planes(lr, "LR images")
    _check(planes, small, scale, ["truth", "output", "anchor"])
    channels = {len(image) for image in small}
    if len(channels) > 1:
        raise ConfigError("all images must have the same number of channels")
    fitted = KnownDetail.fit(
        [p for image in planes[0] for p in image],
        [[p for image in version for p in image] for version in planes[1:]],
        [p for image in small for p in image],
        subsets=[(0,)] if anchor is None else [(0, 1), (0,)],
        scale=scale, seed=seed, channels=channels.pop(),
    )  # fmt: skip
    estimates = [fitted.images(number) for number in range(len(fitted.lr))]
    known = _as_given([images[0] for images in estimates], output)
    alone = _as_given([images[-1] for images in estimates], output)
    inside = np.s_[scale:-scale, scale:-scale]
    table, pixels = [], []
    for images in zip(truth, output, known, alone, strict=True):
        cut = [np.asarray(image, np.float32)[inside] for image in images]
        table.append(parts.sums_of(parts.products(*cut)))
        pixels.append(cut[0].size)
    columns = np.array(table).T
    return TakenApart(
        dict(zip(parts.SUMS, columns, strict=True)), np.array(pixels, np.float64), known, alone,
        fitted.strengths[0], fitted.strengths[-1], anchor is not None,
    )  # fmt: skip


def _planes(images: Sequence[ArrayLike], name: str) -> list[list[Image]]:
    """The channels of each image as separate float32 images."""
    found = []
    for image in images:
        array = np.asarray(image, np.float32)
        if array.ndim not in (2, 3) or 0 in array.shape:
            raise ConfigError(f"{name} must have shape (H, W) or (H, W, C); got {array.shape}")
        array = array[:, :, None] if array.ndim == 2 else array
        found.append([np.ascontiguousarray(array[:, :, c]) for c in range(array.shape[2])])
    return found


def _check(
    planes: list[list[list[Image]]], lr: list[list[Image]], scale: int, names: list[str]
) -> None:
    if not lr:
        raise ConfigError("taking detail apart needs at least one image")
    for name, images in zip(names, planes, strict=False):
        if len(images) != len(lr):
            raise ConfigError(f"{name} holds {len(images)} images, and lr {len(lr)}")
        for number, (image, small) in enumerate(zip(images, lr, strict=True)):
            wanted = tuple(scale * side for side in small[0].shape)
            if image[0].shape != wanted or len(image) != len(small):
                raise ConfigError(
                    f"{name}[{number}] has {image[0].shape[0]}x{image[0].shape[1]} pixels and "
                    f"{len(image)} channels; at scale {scale} its LR image calls for "
                    f"{wanted[0]}x{wanted[1]} and {len(small)}"
                )


def _as_given(found: Sequence[Image], like: Sequence[ArrayLike]) -> list[Image]:
    """Planes put together again in the shape of the images."""
    planes = iter(found)
    images = []
    for image in like:
        shape = np.shape(image)
        channels = [next(planes) for _ in range(1 if len(shape) == 2 else shape[2])]
        images.append(channels[0] if len(shape) == 2 else np.stack(channels, axis=2))
    return images
