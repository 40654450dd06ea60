"""How a model relates to potential-HR groups; one value per query patch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.data.patches import Patches, PatchStore
from cooanalysis.errors import ConfigError
from cooanalysis.measures.entropy import entropy
from cooanalysis.neighbors import build_index, search_excluding

Floats = NDArray[np.float64]

_BATCH = 1024


def group_spread(groups: QueryGroups, store: PatchStore) -> Floats:
    """Mean squared distance of a group's members to their center, per value.

    With the store of the reference images it is the spread of the ground-truth details; with a
    model's outputs for the same images it is the spread of the model's outputs for LR patches that
    look alike. (They differ between members because a model sees more than the patch.)

    Parameters
    ----------
    groups
        Groups, found on the ground-truth images.
    store
        The reference images, or a model's outputs for them.

    Returns
    -------
    numpy.ndarray
        (q,), in units of the LR contrast squared.
    """
    reference = groups.run.reference
    if not (
        np.array_equal(store.heights, reference.heights)
        and np.array_equal(store.widths, reference.widths)
    ):
        raise ConfigError("the store must hold the reference images of the groups")
    moments = groups.reference.moments(groups.members, store=store)
    return moments.rms_distance.astype(np.float64) ** 2


def residual_entropy(
    groups: QueryGroups,
    feature_maps: Sequence[NDArray[np.float32]],
    *,
    dim: int = 24,
    neighborhood: int = 3,
    method: str = "gaussian",
    seed: int = 0,
) -> Floats:
    """Entropy of the ground-truth detail given a model's features of a patch.

    Potential-HR groups are formed again: the ``k`` patches (of other images) whose *features* are
    nearest, instead of those whose LR patches are. The features of ``neighborhood`` × ``
    neighborhood`` LR pixels around the middle of a patch are reduced to ``dim`` principal
    components of unit variance. The lower the entropy of the ground-truth details in such groups,
    the more the features of a model predict them. This test is ours; the paper's abstract only
    claims that DECLoss "reduces the variance of the potential high-resolution distribution".

    Parameters
    ----------
    groups
        Groups of a data set that is its own reference (leave-image-out).
    feature_maps
        One (h, w, F) array per image of the store: a feature vector for each LR pixel.
    dim
        Principal components of the features.
    neighborhood
        Odd number of LR pixels.
    method
        Entropy estimator.
    seed
        Seed of the sample that principal components are computed from.

    Returns
    -------
    numpy.ndarray
        (q,) nats per dimension, in the same subspace and unit as ``groups.entropy``.

    Raises
    ------
    ConfigError
        If the groups have another reference set, or a map differs in size from its image.
    """
    run, patches = groups.run, groups.reference.patches[:]
    if not run.same_reference:
        raise ConfigError("residual_entropy needs groups whose data set is its own reference")
    for number, array in enumerate(feature_maps):
        if array.shape[:2] != run.reference.lr_image(number).shape[:2]:
            raise ConfigError(f"feature map {number} has another size than its LR image")
    reference = _gather(feature_maps, patches, run.reference.width, neighborhood)
    queries = _gather(feature_maps, groups.queries.patches, run.reference.width, neighborhood)
    rng = np.random.default_rng(seed)
    sample = reference[rng.choice(len(reference), min(len(reference), 20_000), replace=False)]
    mean = sample.mean(0)
    values, vectors = np.linalg.eigh(np.cov((sample - mean).T.astype(np.float64)))
    dim = min(dim, len(values))
    axes = (vectors[:, ::-1][:, :dim] / np.sqrt(values[::-1][:dim] + 1e-12)).astype(np.float32)
    vectors32 = np.ascontiguousarray((reference - mean) @ axes)
    index = build_index(vectors32, kind="exact", engine=run.config.engine, device=run.config.device)
    found = search_excluding(
        index, np.ascontiguousarray((queries - mean) @ axes), groups.members.shape[1],
        groups.image, patches.image, groups.excluded, vectors=vectors32,
    )  # fmt: skip
    parts = [
        entropy(groups.reference.projected(found.index[start : start + _BATCH]), method)
        for start in range(0, len(queries), _BATCH)
    ]
    return np.concatenate(parts)


def _gather(
    maps: Sequence[NDArray[np.float32]], patches: Patches, width: int, neighborhood: int
) -> NDArray[np.float32]:
    """(n, neighborhood² · F) features around the middle of each patch."""
    first = (width - neighborhood) // 2
    out = np.empty((len(patches), neighborhood**2 * maps[0].shape[2]), np.float32)
    for number in np.unique(patches.image):
        rows = np.flatnonzero(patches.image == number)
        windows = np.lib.stride_tricks.sliding_window_view(
            maps[number], (neighborhood, neighborhood), axis=(0, 1)
        )
        y, x = patches.y[rows] + first, patches.x[rows] + first
        out[rows] = windows[y, x].reshape(len(rows), -1)
    return out
