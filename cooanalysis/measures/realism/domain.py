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
    # The two sets have no image in common, so they are two groups of images of one resampling.
    query_image, held_out_image = np.asarray(query_image), np.asarray(held_out_image)
    first = int(query_image.max(initial=-1)) + 1
    image = np.concatenate([query_image, held_out_image + first])
    of_query = np.arange(len(image)) < len(query_image)
    bootstrap = ImageBootstrap(image, seed=seed)
    found = {}
    for name, distances in queries.items():
        both = np.concatenate([np.asarray(distances), np.asarray(held_out[name])])
        both = both.astype(np.float64)
        top, bottom = np.where(of_query, both, np.nan), np.where(of_query, np.nan, both)
        found[name] = bootstrap.ratio_of_means(top, bottom)
    return found
