"""Whether query images come from another domain than the reference images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap


def domain_shift(
    queries: Mapping[str, ArrayLike],
    query_image: ArrayLike,
    held_out: Mapping[str, ArrayLike],
    held_out_image: ArrayLike,
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Distance of clean query patches over that of held-out clean reference patches.

    1 where the ground truth of the queries is as far from the clean manifold as patches of a
    reference image that was left out; above 1 where the queries are of another domain, so that
    distances in absolute terms say more about the images than about a model.

    Parameters
    ----------
    queries
        By feature space: (n,) distances of ground-truth query patches.
    query_image
        (n,) their image numbers.
    held_out
        By feature space: (m,) distances of patches of reference images, each without its own image.
    held_out_image
        (m,) their image numbers.
    seed
        Seed of the resampling of both sets of images.

    Returns
    -------
    dict
        By feature space, the ratio of the mean distances with a 95 % interval over images.
    """
    seeds = np.random.SeedSequence(seed).generate_state(2)
    top, bottom = (
        ImageBootstrap(np.asarray(image), seed=int(part))
        for image, part in zip((query_image, held_out_image), seeds, strict=True)
    )
    found = {}
    for name, distances in queries.items():
        above, below = (
            top.resampled_ratio(distances, 1.0),
            bottom.resampled_ratio(held_out[name], 1.0),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            found[name] = top.interval(float(np.divide(above[0], below[0])), above[1] / below[1])
    return found
