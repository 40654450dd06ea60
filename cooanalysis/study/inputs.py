"""From images to patches: the stores, the reference patches and the query patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.config import AnalysisConfig
from cooanalysis.data import Dataset, LoadedPair, SkippedImage, iter_pairs
from cooanalysis.data.leakage import Leak
from cooanalysis.data.patches import Patches, PatchStore
from cooanalysis.errors import ImageError, NotEnoughDataError
from cooanalysis.progress import Progress
from cooanalysis.study.context import Context

SUBSPACE_SAMPLE = 20_000
"""Reference details from which the principal axes are found."""

_CHUNK = 8192


@dataclass(frozen=True)
class ReferencePatches:
    """Everything about the reference patches that later steps need.

    Attributes
    ----------
    patches, features, std
        Positions, LR features (n, dim) and LR contrasts (n,).
    basis
        (patch_dim, patch_dim) principal axes of the contrast-normalised details, leading first.
    projected
        (n, subspace_dim) details on the leading axes.
    """

    patches: Patches
    features: NDArray[np.float32]
    std: NDArray[np.float32]
    basis: NDArray[np.float32]
    projected: NDArray[np.float32]


@dataclass(frozen=True)
class QueryPatches:
    """Query patches with their LR features."""

    patches: Patches
    features: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, which: Any) -> QueryPatches:
        return QueryPatches(
            self.patches[which], self.features[which], self.mean[which], self.std[which]
        )


def load_images(
    config: AnalysisConfig, queries: Dataset, reference: Dataset, progress: Progress
) -> tuple[PatchStore, PatchStore, list[SkippedImage]]:
    """Load both data sets; the stores are one object when the data sets are.

    Raises
    ------
    NotEnoughDataError
        If a data set holds no usable image.
    ImageError
        With ``strict``, at the first image that cannot be used.
    """
    skipped: list[SkippedImage] = []
    datasets = [queries] if reference is queries else [queries, reference]
    progress.start("loading images", sum(len(d.pairs) for d in datasets))
    stores = []
    for dataset in datasets:
        pairs = _usable(config, dataset, skipped, progress)
        try:
            store = PatchStore.from_pairs(pairs, scale=config.scale, width=config.patch_width)
        except NotEnoughDataError as error:
            reason = f": {skipped[0].reason}" if skipped else ""
            raise NotEnoughDataError(f"data set {dataset.name!r}: {error}{reason}") from error
        stores.append(store)
    return stores[0], stores[-1], skipped


def _usable(
    config: AnalysisConfig, dataset: Dataset, skipped: list[SkippedImage], progress: Progress
) -> Iterator[LoadedPair]:
    for item in iter_pairs(dataset, colour=config.colour, strict=config.strict):
        progress.advance()
        if isinstance(item, LoadedPair):
            height, width, _ = item.lr.shape
            if min(height, width) >= config.patch_width:
                yield item
                continue
            path = next(p.hr_path for p in dataset.pairs if p.name == item.name)
            item = SkippedImage(
                item.name,
                path,
                f"{path} is too small: {width}x{height} LR pixels hold no patch of "
                f"{config.patch_width}x{config.patch_width}",
            )
            if config.strict:
                raise ImageError(item.reason)
        skipped.append(item)


def reference_patches(run: Context) -> ReferencePatches:
    """All reference patches on the grid, with LR features and projected details."""
    store = run.reference
    patches = store.grid(run.config.stride)
    features, _, std = store.lr_patches(patches, normalise=run.config.normalise)
    rng = np.random.default_rng((run.config.seed, 1))
    size = min(len(patches), SUBSPACE_SAMPLE)
    chosen = np.sort(rng.choice(len(patches), size=size, replace=False))
    sample = store.details(patches[chosen]) / std[chosen, None]
    covariance = (sample.T @ sample).astype(np.float64) / size
    if not np.trace(covariance) > 0.0:
        raise NotEnoughDataError(
            "the reference images hold no detail at all (they equal their bicubic upsampling), so "
            "there is nothing to analyse; use photographs"
        )
    basis = np.ascontiguousarray(np.linalg.eigh(covariance)[1][:, ::-1], np.float32)
    leading = np.ascontiguousarray(basis[:, : subspace_dim(run)])
    projected = np.empty((len(patches), leading.shape[1]), np.float32)
    steps = range(0, len(patches), _CHUNK)
    run.progress.start("projecting details", len(steps))
    for start in steps:
        rows = slice(start, start + _CHUNK)
        projected[rows] = store.details(patches[rows]) @ leading / std[rows, None]
        run.progress.advance()
    return ReferencePatches(patches, features, std, basis, projected)


def subspace_dim(run: Context) -> int:
    """Dimension of the entropy subspace: as configured, at most that of a patch."""
    return min(run.config.subspace_dim, run.reference.patch_dim)


def sample_queries(run: Context) -> QueryPatches:
    """Draw the query patches, evenly over the images."""
    store = run.queries
    rng = np.random.default_rng((run.config.seed, 2))
    patches = store.sample(run.config.queries, rng)
    if len(patches) < run.config.queries:
        run.warnings.append(
            f"the images hold only {len(patches)} distinct query patches; all of them are used"
        )
    return describe(run, patches)


def describe(run: Context, patches: Patches) -> QueryPatches:
    """Gather the LR features of query patches."""
    features, mean, std = run.queries.lr_patches(patches, normalise=run.config.normalise)
    return QueryPatches(patches, features, mean, std)


def excluded_images(run: Context, leaks: list[Leak]) -> NDArray[np.bool_]:
    """Which reference image must not serve which query image: (queries, references)."""
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
