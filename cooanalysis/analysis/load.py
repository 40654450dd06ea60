"""From images to patches: load the images, draw the reference patches and the query patches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.patches import QueryPatches, ReferencePatches
from cooanalysis.data import Dataset, LoadedPair, SkippedImage, iter_pairs
from cooanalysis.data.decoded import decoded_bytes, open_decoded
from cooanalysis.data.leakage import Leak
from cooanalysis.data.patches import Patches, PatchStore, table_name
from cooanalysis.errors import ImageError, NotEnoughDataError
from cooanalysis.runtime.memory import MemoryBudget
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.progress import Progress

SUBSPACE_SAMPLE = 20_000
"""Number of reference details from which the principal axes are computed."""


def load_images(
    config: AnalysisConfig,
    queries: Dataset,
    reference: Dataset,
    progress: Progress,
    *,
    in_files: bool = False,
    check: bool = True,
    budget: MemoryBudget | None = None,
) -> tuple[PatchStore, PatchStore, list[SkippedImage]]:
    """Load both data sets; the stores are one object when the data sets are.

    Parameters
    ----------
    config
        The configuration.
    queries, reference
        The data sets.
    progress
        Progress reporter.
    in_files
        Map images from files however small the data sets are, so that processes share them.
    check
        Check all contents of such files, see :func:`cooanalysis.data.decoded.open_decoded`.
    budget
        How much memory the process may use; by default, as configured.

    Raises
    ------
    NotEnoughDataError
        If a data set holds no usable image.
    ImageError
        With ``strict``, at the first image that cannot be used.
    CacheError
        If a data set exceeds the memory budget and cannot be kept in files.
    """
    skipped: list[SkippedImage] = []
    datasets = [queries] if reference is queries else [queries, reference]
    progress.start("loading images", sum(len(d.pairs) for d in datasets))
    budget = budget or MemoryBudget.of(config.memory)
    stores = []
    for dataset in datasets:
        try:
            limit = 0 if in_files else budget.decoded
            stores.append(_load(config, dataset, limit, budget, skipped, progress, check))
        except NotEnoughDataError as error:
            reason = f": {skipped[0].reason}" if skipped else ""
            raise NotEnoughDataError(f"data set {dataset.name!r}: {error}{reason}") from error
    return stores[0], stores[-1], skipped


def _load(
    config: AnalysisConfig,
    dataset: Dataset,
    in_memory: int,
    budget: MemoryBudget,
    skipped: list[SkippedImage],
    progress: Progress,
    check: bool,
) -> PatchStore:
    """One data set: in memory up to a number of bytes, otherwise mapped from the user's cache."""
    if in_memory > 0 and decoded_bytes(dataset, config.color) <= in_memory:
        pairs = _usable(config, dataset, skipped, progress)
        return PatchStore.from_pairs(pairs, scale=config.scale, width=config.patch_width)
    store, broken = open_decoded(
        dataset,
        color=config.color,
        width=config.patch_width,
        on_image=progress.advance,
        check=check,
        budget=budget,
    )
    if broken and config.strict:
        raise ImageError(broken[0].reason)
    skipped.extend(broken)
    fits = np.minimum(store.heights, store.widths) >= config.patch_width
    for number in np.flatnonzero(~fits):
        name = store.names[number]
        size = (int(store.heights[number]), int(store.widths[number]))
        skipped.append(_too_small(config, dataset, name, *size))
    if not fits.any():
        raise NotEnoughDataError("no usable image was found; see the list of skipped files")
    return store if fits.all() else store.only(np.flatnonzero(fits))


def _usable(
    config: AnalysisConfig, dataset: Dataset, skipped: list[SkippedImage], progress: Progress
) -> Iterator[LoadedPair]:
    for item in iter_pairs(dataset, color=config.color, strict=config.strict):
        progress.advance()
        if isinstance(item, LoadedPair):
            height, width, _ = item.lr.shape
            if min(height, width) >= config.patch_width:
                yield item
                continue
            item = _too_small(config, dataset, item.name, height, width)
        skipped.append(item)


def _too_small(
    config: AnalysisConfig, dataset: Dataset, name: str, height: int, width: int
) -> SkippedImage:
    path = next(p.hr_path for p in dataset.pairs if name in (p.name, table_name(p.name)))
    item = SkippedImage(
        name,
        path,
        f"{path} is too small: {width}x{height} LR pixels cannot hold a patch of "
        f"{config.patch_width}x{config.patch_width}",
    )
    if config.strict:
        raise ImageError(item.reason)
    return item


def reference_patches(run: Context) -> ReferencePatches:
    """All reference patches on the grid, and the principal axes of their details."""
    store, config = run.reference, run.config
    patches = store.patch_grid(config.stride)
    rng = np.random.default_rng((config.seed, 1))
    size = min(len(patches), SUBSPACE_SAMPLE)
    chosen = np.sort(rng.choice(len(patches), size=size, replace=False))
    positions = patches[chosen]
    std = store.lr_patches(positions, normalize=config.normalize)[2]
    sample = store.details(positions) / std[:, None]
    covariance = (sample.T @ sample).astype(np.float64) / size
    if not np.trace(covariance) > 0.0:
        raise NotEnoughDataError(
            "the reference images have no detail at all (they equal their bicubic upsampling), so "
            "there is nothing to analyze; use photographs"
        )
    # One thread: more threads are slower at this size, and round differently in each run.
    with threadpool_limits(limits=1, user_api="blas"):
        axes = np.linalg.eigh(covariance)[1]
    basis = np.ascontiguousarray(axes[:, ::-1], np.float32)
    return ReferencePatches(store, patches, config.normalize, basis, subspace_dim(run))


def subspace_dim(run: Context) -> int:
    """Dimension of the entropy subspace: as configured, but at most that of a patch."""
    return min(run.config.subspace_dim, run.reference.patch_dim)


def sample_queries(run: Context) -> QueryPatches:
    """Draw the query patches evenly over the images."""
    store = run.queries
    rng = np.random.default_rng((run.config.seed, 2))
    patches = store.sample(run.config.queries, rng)
    if len(patches) < run.config.queries:
        run.note(Notice("fewer_queries", {"n_queries": len(patches), "wanted": run.config.queries}))
    return describe(run, patches)


def describe(run: Context, patches: Patches) -> QueryPatches:
    """Compute the LR features of query patches."""
    features, mean, std = run.queries.lr_patches(patches, normalize=run.config.normalize)
    return QueryPatches(patches, features, mean, std)


def excluded_images(run: Context, leaks: list[Leak]) -> NDArray[np.bool_]:
    """(query images, reference images): True where the latter must not be used for the former."""
    shape = (len(run.queries.names), len(run.reference.names))
    excluded = np.zeros(shape, np.bool_)
    if run.same_reference:
        np.fill_diagonal(excluded, True)
    if run.config.exclude_leaks:
        for leak in leaks:
            excluded[leak.query, leak.reference] = True
    return excluded


def square(run: Context, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, patch_dim) rows as (n, size, size, channels) patches."""
    size = run.reference.patch_size
    return rows.reshape(len(rows), size, size, -1)
