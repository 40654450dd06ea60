"""Searching with excluded images, and measuring the recall of an approximate index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.neighbors.images import ImageNumbers, as_images
from cooanalysis.neighbors.index import TAIL_SHARE, NeighborIndex, Neighbors, exact_search
from cooanalysis.neighbors.vectors import ChosenRows, Vectors, VectorSource, as_source


def search_excluding(
    index: NeighborIndex,
    queries: Vectors,
    k: int,
    query_image: NDArray[np.integer],
    reference_image: NDArray[np.integer] | ImageNumbers,
    excluded: NDArray[np.bool_],
    *,
    vectors: Vectors | VectorSource | None = None,
    partial: bool = False,
) -> Neighbors:
    """The ``k`` nearest neighbors, none of them from an excluded image.

    No engine can exclude images itself for every kind of index, so more neighbors than
    needed are fetched, the excluded ones dropped, and the few queries that run short are
    searched again for more.

    Parameters
    ----------
    index
        The index over the reference vectors.
    queries
        (q, dim) float32.
    k
        Number of neighbors.
    query_image, reference_image
        Image number of every query and of every indexed vector: an array, or an object that
        computes them.
    excluded
        (n_query_images, n_reference_images): True where a reference image must not provide
        neighbors to a query image.
    vectors
        The indexed vectors; allow an approximate index that runs short to fall back to exact
        search for those queries.
    partial
        Return fewer neighbors where fewer than ``k`` vectors are allowed: for a shard of a larger
        set.

    Returns
    -------
    Neighbors
        Exactly ``k`` per query, nearest first; with ``partial``, -1 and infinite where there are
        fewer.

    Raises
    ------
    ConfigError
        If a query is not finite: it has no neighbors.
    NotEnoughDataError
        If fewer than ``k`` vectors are left for some query.
    """
    if not np.isfinite(queries).all():
        raise ConfigError("queries must be finite, but hold NaN or infinite values")
    found = np.full((len(queries), k), -1, np.int64)
    distances = np.full((len(queries), k), np.inf, np.float32)
    images = as_images(reference_image)
    left = allowed_vectors(images, query_image, excluded)
    if not partial:
        check_enough(left, k)
    wanted = np.minimum(k, left)
    pending = np.arange(len(queries))
    touched = bool(excluded[np.unique(query_image)].any())
    # Another request costs an exact search as much as the first, and other indices little.
    spare = k // 2 if index.kind == "exact" else k // 8
    fetch = k + spare if touched else k
    while len(pending):
        fetch = min(fetch, max(k, min(index.size, index.largest_k)))
        result = index.search(queries[pending], fetch)
        safe = np.maximum(result.index, 0)
        usable = (result.index >= 0) & ~excluded[query_image[pending][:, None], images[safe]]
        enough = usable.sum(1) >= wanted[pending]
        # A stable sort by "not usable" moves usable neighbors to the front, still by distance.
        order = np.argsort(~usable[enough], axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(usable[enough], order, 1)
        done, columns = pending[enough], slice(order.shape[1])
        rows = np.take_along_axis(result.index[enough], order, 1)
        squares = np.take_along_axis(result.squared_distances[enough], order, 1)
        found[done, columns] = np.where(kept, rows, -1)
        distances[done, columns] = np.where(kept, squares, np.inf)
        pending = pending[~enough]
        if len(pending) and fetch >= min(index.size, index.largest_k, 32 * k):
            if vectors is None and index.kind == "exact" and fetch < index.largest_k:
                fetch = index.size
                continue
            if vectors is None:
                raise NotEnoughDataError(
                    f"{len(pending)} queries found fewer than k = {k} neighbors outside the "
                    "excluded images; use --index exact"
                )
            _search_per_image(
                pending, queries, k, query_image, images, excluded, vectors, found, distances
            )
            break
        fetch *= 2
    return Neighbors(found, distances)


def allowed_vectors(
    images: ImageNumbers, query_image: NDArray[np.integer], excluded: NDArray[np.bool_]
) -> NDArray[np.integer]:
    """(q,) number of vectors that may be used as neighbors of each query."""
    allowed: NDArray[np.integer] = (images.counts(excluded.shape[1]) @ ~excluded.T)[query_image]
    return allowed


def check_enough(allowed: NDArray[np.integer], k: int) -> None:
    """Refuse a search that cannot find ``k`` vectors for every query.

    Raises
    ------
    NotEnoughDataError
        If fewer are left for some query.
    """
    if len(allowed) and (short := int(allowed.min())) < k:
        raise NotEnoughDataError(
            f"only {short} reference patches are left after excluding a query's own and duplicate "
            f"images, fewer than k = {k}; use a larger reference set, a smaller stride or smaller k"
        )


def _search_per_image(
    pending: NDArray[np.intp],
    queries: Vectors,
    k: int,
    query_image: NDArray[np.integer],
    images: ImageNumbers,
    excluded: NDArray[np.bool_],
    vectors: Vectors | VectorSource,
    found: NDArray[np.int64],
    distances: Vectors,
) -> None:
    """Exact search among the allowed vectors only, one query image at a time (fills in place)."""
    numbers = images[slice(None)]
    for number in np.unique(query_image[pending]):
        rows = pending[query_image[pending] == number]
        allowed = np.flatnonzero(~excluded[number, numbers])
        result = exact_search(queries[rows], ChosenRows(as_source(vectors), allowed), k)
        found[rows, : result.index.shape[1]] = allowed[result.index]
        distances[rows, : result.index.shape[1]] = result.squared_distances


def merge_neighbors(parts: Sequence[Neighbors], k: int) -> Neighbors:
    """The ``k`` nearest of the neighbors that shards found.

    Parameters
    ----------
    parts
        One per shard, in the order of their rows and with row numbers of the whole set; -1 and
        infinite where a shard has fewer.
    k
        Neighbors per query.

    Examples
    --------
    >>> import numpy as np
    >>> one = Neighbors(np.array([[4, 2]]), np.array([[0.5, 2.0]], np.float32))
    >>> other = Neighbors(np.array([[9, -1]]), np.array([[1.0, np.inf]], np.float32))
    >>> merge_neighbors([one, other], 2).index
    array([[4, 9]])
    """
    index = np.concatenate([part.index for part in parts], axis=1)
    distances = np.concatenate([part.squared_distances for part in parts], axis=1)
    # A stable sort: of equal distances the smaller row is first, within shards and across them.
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Neighbors(np.take_along_axis(index, order, 1), np.take_along_axis(distances, order, 1))


@dataclass(frozen=True)
class Recall:
    """Recall@k of an approximate index: the mean and its 95 % interval over queries."""

    value: float
    ci_low: float
    ci_high: float
    n_queries: int


def recall_at_k(found: NDArray[np.integer], exact: NDArray[np.integer]) -> Recall:
    """Share of the exact ``k`` neighbors that were found.

    Parameters
    ----------
    found, exact
        (q, k) row numbers.

    Examples
    --------
    >>> import numpy as np
    >>> recall_at_k(np.array([[1, 2, 9]]), np.array([[1, 2, 3]])).value
    0.6666666666666666
    """
    return _mean_share(np.array([np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]))


def recall_by_distance(found: Neighbors, exact: Neighbors) -> Recall:
    """Share of the neighbors found that are at least as near as the ``k``-th of an exact search.

    Where several vectors are equally near (as thousands of flat patches are), any of them
    counts. Both distances must have been computed in the same way, as those of
    :class:`~cooanalysis.neighbors.NeighborIndex` are.

    Parameters
    ----------
    found, exact
        (q, k) neighbors of the same queries.

    Examples
    --------
    >>> import numpy as np
    >>> exact = Neighbors(np.array([[1, 2]]), np.array([[0.0, 1.0]], np.float32))
    >>> found = Neighbors(np.array([[1, 7]]), np.array([[0.0, 1.0]], np.float32))
    >>> recall_by_distance(found, exact).value
    1.0
    """
    return _mean_share((found.squared_distances <= exact.squared_distances[:, -1:]).mean(axis=1))


def _mean_share(shares: NDArray[np.floating]) -> Recall:
    half = 1.96 * shares.std() / np.sqrt(max(len(shares), 1))
    value = float(shares.mean())
    return Recall(value, max(0.0, value - half), min(1.0, value + half), len(shares))


def tune_to_recall(
    index: NeighborIndex,
    vectors: Vectors | VectorSource,
    queries: Vectors,
    k: int,
    target: float,
    *,
    exact: Neighbors | None = None,
) -> int:
    """Raise the effort of an approximate index until it reaches a recall on sample queries.

    Parameters
    ----------
    index
        The index; its effort (nprobe or efSearch) and ``tail_share`` are set.
    vectors
        The indexed vectors, for the exact search.
    queries
        A few hundred queries of the run.
    k
        Neighbors per query.
    target
        Recall@k to reach, in (0, 1]: by the lower end of its 95 % interval, so that chance in the
        sample does not miss it.
    exact
        The exact neighbors, where they are known.

    Returns
    -------
    int
        The effort that was set: within a twentieth of the smallest that reaches the target, or
        the largest possible. The index's ``tail_share`` is set as well.
    """
    if exact is None:
        exact = exact_search(queries, vectors, k, ties=False)

    def reaches(effort: int) -> bool:
        index.set_effort(effort)
        return recall_by_distance(index.search(queries, k), exact).ci_low >= target

    largest = max(1, index.largest_effort)
    too_little, effort = 0, min(largest, max(8, k // 8))
    while not reaches(effort):
        if effort < largest:
            too_little, effort = effort, min(largest, 2 * effort)
        elif index.kind == "pq" and index.tail_share > 0.0:
            # All cells were searched; more candidates may include neighbors that the codes confuse.
            share = index.tail_share
            index.tail_share = share / 4.0 if share > TAIL_SHARE / 20.0 else 0.0
            too_little, effort = 0, max(1, largest // 8)
        else:
            return largest
    while effort - too_little > max(1, effort // 20):
        middle = (too_little + effort) // 2
        if reaches(middle):
            effort = middle
        else:
            too_little = middle
    index.set_effort(effort)
    return effort
