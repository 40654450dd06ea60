"""A learned critic: a small convolutional network as the classifier of a two-sample test."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.measures.manifold.contrast import Floats, luma
from cooanalysis.measures.manifold.two_sample import TwoSampleTest, cross_validated, two_labels

CRITIC_SIZE = 24
"""Side in pixels of patches that the critic needs to see detail in its place."""

MINIMUM_SIZE = 12
"""Smallest side in pixels that its convolutions can be applied to."""

_CONTRAST_FLOOR = 4.0 / 255.0
_DETAIL_UNIT = 2.0 / 255.0
_BATCH, _WIDTH, _RATE, _DECAY = 64, 24, 4e-3, 1e-3
_SCORED_AT_ONCE = 512
_STEPS = (20, 150)
_PASSES = 10


def missing() -> str | None:
    """Why the critic cannot be trained here and what to do, or None."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; install it with `pip install 'cooanalysis[torch]'`"
    return None


def critic_inputs(patches: ArrayLike, upsampled: ArrayLike) -> Floats:
    """What the critic sees of a patch: the upsampled LR patch, and the detail on two scales.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    upsampled
        The same of the bicubic upsampling of their LR images, cut out in the same places.

    Returns
    -------
    numpy.ndarray
        (n, 3, size, size) float32: upsampled LR patch, its mean removed, and detail (patch −
        upsampled), both over the standard deviation of the former (floored at 4/255), so that a
        critic can see where detail should be; and detail in units of two 8-bit values, compressed
        by an inverse hyperbolic sine, so that it can see faint noise at strong edges.

    Raises
    ------
    ConfigError
        If the shapes differ, or patches are not square, smaller than 12 pixels or of odd size.
    """
    first, low = (luma(np.asarray(part, np.float32)) for part in (patches, upsampled))
    if first.shape != low.shape:
        raise ConfigError(f"patches are {first.shape}, but the upsampled LR patches {low.shape}")
    if first.shape[1] < MINIMUM_SIZE or first.shape[1] % 2:
        raise ConfigError(
            f"the critic needs patches whose side is even and at least {MINIMUM_SIZE} pixels; "
            f"got {first.shape[1]}"
        )
    detail = first - low
    contrast = np.maximum(low.std(axis=(1, 2), keepdims=True), _CONTRAST_FLOOR)
    centered = low - low.mean(axis=(1, 2), keepdims=True)
    channels = [centered / contrast, detail / contrast, np.arcsinh(detail / _DETAIL_UNIT)]
    return np.stack(channels, axis=1).astype(np.float32)


def critic_test(
    first: ArrayLike,
    second: ArrayLike,
    first_group: ArrayLike,
    second_group: ArrayLike,
    *,
    n_folds: int = 2,
    steps: int | None = None,
    seed: int = 0,
) -> TwoSampleTest:
    """Can a small convolutional network distinguish outputs from the ground truth?

    Three 3 × 3 convolutions on pixels taken two by two, averaged over the patch; trained by
    binary cross-entropy on randomly flipped and transposed patches, with folds by image as in
    :func:`cooanalysis.measures.manifold.two_sample_auc`. Unlike its features, those of the critic
    are learned for each pair of samples, so no artifact can be made to fit them.

    Both samples are best taken at the same places of the same images: the LR patches then have
    the same distribution in both, and all that can be learned is how the outputs differ from the
    ground truth given the LR patch. A sample of the posterior still gives 0.5, because its patches
    and those of the ground truth are exchangeable.

    Parameters
    ----------
    first, second
        (n, 3, size, size) and (m, 3, size, size), see :func:`critic_inputs`. Corners of patches
        must lie at LR pixels, because otherwise the phase of the upsampling is not that of its
        mirror image.
    first_group, second_group
        Image numbers; a number means the same image in both.
    n_folds
        Number of folds, lowered to the number of images where there are fewer.
    steps
        Training steps of 64 patches in each fold; by default ten passes over the patches, but from
        20 to 150 steps.
    seed
        Seed of weights, batches and flips; on the same machine, the same result.

    Returns
    -------
    TwoSampleTest
        Scores are out-of-fold probabilities of belonging to the second sample.

    Raises
    ------
    MissingDependencyError
        Without torch.
    NotEnoughDataError
        With fewer than two images.
    """
    if (reason := missing()) is not None:
        raise MissingDependencyError(reason)
    import torch

    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    x = torch.from_numpy(np.concatenate([a, b]))
    labels = two_labels(len(a), len(b))
    y = torch.from_numpy(labels.astype(np.float32))
    groups = np.concatenate([np.asarray(first_group), np.asarray(second_group)])

    def scorer(train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
        passes = _PASSES * len(train) // _BATCH
        chosen = int(np.clip(passes, *_STEPS)) if steps is None else steps
        network = _trained(x, y, train, chosen, seed)
        with torch.inference_mode():
            parts = [
                network(x[rows])[:, 0] for rows in torch.from_numpy(test).split(_SCORED_AT_ONCE)
            ]
            return np.asarray(torch.sigmoid(torch.cat(parts).double()).numpy())

    with _one_thread():
        return cross_validated(scorer, labels, groups, n_folds=n_folds)


def _trained(x: Any, y: Any, rows: NDArray[np.intp], steps: int, seed: int) -> Any:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * x.shape[1], _WIDTH, 3), nn.LeakyReLU(0.2),
            nn.Conv2d(_WIDTH, _WIDTH, 3), nn.LeakyReLU(0.2),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, stride=2), nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_WIDTH, 1),
        )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    loss = nn.BCEWithLogitsLoss()
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = torch.from_numpy(rng.choice(rows, min(_BATCH, len(rows)), replace=False))
        batch, (across, down, transpose) = x[chosen], rng.integers(2, size=3)
        batch = batch.flip([axis for axis, flip in ((2, down), (3, across)) if flip])
        if transpose:
            batch = batch.transpose(2, 3)
        optimizer.zero_grad()
        loss(network(batch)[:, 0], y[chosen]).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: the order of sums, and so the result, must not depend on the number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
