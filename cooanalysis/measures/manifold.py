"""How far patches lie from the manifold of clean HR patches, calibrated so that it can be read.

The obvious measure, the pixel distance to the nearest clean patch, says that blur is clean:
smooth patches lie near everything. So a distance is taken in a stated *feature space*, and
divided by the same distance of held-out clean patches: 1.0 means "like a clean image".
The pixel space is kept for comparison and carries its warning.

A feature space is a function from patches to vectors. To add one, write the function and
register it in :data:`FEATURE_SPACES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dctn

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.neighbors import NeighborIndex, build_index, search_excluding

NEIGHBORS = 5
"""A distance to the manifold is the mean distance to this many nearest clean patches."""

CONTRAST_FLOOR = 2.0 / 255.0
SUBBAND_FLOOR = 1e-3
"""Energy per coefficient below which a subband counts as empty (-30 dB of a patch's contrast)."""

SPARSITY_FLOOR = 1e-4
"""Energy below which a band counts as empty (-40 dB of a patch's contrast)."""
VARIATION_FLOOR = 0.05

_CHUNK = 8192
_LUMA = np.array([65.481, 128.553, 24.966], np.float32)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureSpace:
    """A feature space: a named function from patches to vectors.

    Attributes
    ----------
    name, title
        Short name (option value, column) and a title for plots.
    function
        From (n, size, size, channels) float32 in [0, 1] to (n, n_features) float32.
    whiten
        Whether features are decorrelated and scaled to unit variance on clean patches.
        Otherwise they are only rotated to their leading principal axes.
    max_dim
        Number of leading principal axes that are kept; distances in hundreds of dimensions
        cost much and say nothing more.
    warning
        What a reader must know before trusting distances in this space, or None.
    missing
        Returns why the space cannot be used here (weights or packages missing), or None.
    """

    name: str
    title: str
    function: Callable[[Floats], Floats]
    whiten: bool = True
    max_dim: int = 64
    warning: str | None = None
    missing: Callable[[], str | None] = lambda: None


def _luma(patches: Floats) -> Floats:
    """(n, size, size, channels) to (n, size, size)."""
    if patches.ndim != 4 or patches.shape[1] != patches.shape[2]:
        raise ConfigError(f"patches must be (n, size, size, channels), got {patches.shape}")
    if patches.shape[-1] == 1:
        return patches[..., 0]
    return np.asarray(patches @ (_LUMA / _LUMA.sum()), np.float32)


def contrast_normalized(patches: Floats) -> Floats:
    """Luma of each patch minus its mean, over its standard deviation (floored at 2/255).

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1].

    Returns
    -------
    numpy.ndarray
        (n, size, size) float32.
    """
    luma = _luma(patches)
    luma = luma - luma.mean(axis=(1, 2), keepdims=True)
    spread = luma.std(axis=(1, 2), keepdims=True)
    return np.asarray(luma / np.maximum(spread, CONTRAST_FLOOR), np.float32)


def pixel_features(patches: Floats) -> Floats:
    """Contrast-normalized gray values, one feature a pixel."""
    normalized = contrast_normalized(patches)
    n, size, _ = normalized.shape
    return normalized.reshape(n, size * size)


def subband_features(
    patches: Floats, *, n_bands: int = 5, n_orientations: int = 3, floor: float = SUBBAND_FLOOR
) -> Floats:
    """Log energies of DCT subbands of the contrast-normalized patch.

    The coefficients of the two-dimensional DCT-II are grouped by radial frequency (bands
    whose edges grow geometrically from two cycles a patch up to the Nyquist frequency) and by
    orientation (horizontal, diagonal, vertical); each group gives the logarithm of its mean
    energy. Blur shows as missing energy in the upper bands, noise as too much of it.

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    n_bands, n_orientations
        Number of radial bands and of orientations.
    floor
        Energy added before the logarithm, relative to a patch of unit variance.

    Returns
    -------
    numpy.ndarray
        (n, n_subbands) float32; subbands that hold no coefficient are left out.
    """
    normalized = contrast_normalized(patches)
    n, size, _ = normalized.shape
    pooling = _subband_pooling(size, n_bands, n_orientations)
    energy = dctn(normalized, axes=(1, 2), norm="ortho").reshape(n, -1) ** 2
    return np.asarray(np.log(energy @ pooling + floor), np.float32)


def sparsity_features(
    patches: Floats, *, sigmas: tuple[float, ...] = (0.6, 1.2, 2.4), window: float = 1.5
) -> Floats:
    """How much energy each fine band of a patch has, and how unevenly it is spread.

    The contrast-normalized patch is split into bands by differences of Gaussians. Of each band's
    local energy (the square, averaged by a Gaussian window) two numbers are kept: the logarithm of
    its mean, and that of its coefficient of variation over the patch. Detail of natural images is
    sparse: edges and grains here, nothing there. Noise has energy too, but everywhere alike, so it
    does not pass for detail, as it does where only mean energies are compared. The features are
    our own choice, made by experiment (see ``docs/compare.md``).

    Parameters
    ----------
    patches
        (n, size, size, channels) in [0, 1]; color is reduced to luma.
    sigmas
        Standard deviations in pixels of the Gaussians between which the bands lie; the finest band
        is above the first.
    window
        Standard deviation in pixels of the local average.

    Returns
    -------
    numpy.ndarray
        (n, 2·len(sigmas)) float32.
    """
    from scipy.ndimage import gaussian_filter

    finer = contrast_normalized(patches)
    features = []
    smooth = finer
    for sigma in sigmas:
        coarser = gaussian_filter(finer, (0, sigma, sigma), mode="reflect")
        energy = gaussian_filter((smooth - coarser) ** 2, (0, window, window), mode="reflect")
        energy = energy + SPARSITY_FLOOR
        mean = energy.mean(axis=(1, 2))
        features += [np.log(mean), np.log(energy.std(axis=(1, 2)) / mean + VARIATION_FLOOR)]
        smooth = coarser
    return np.stack(features, axis=1).astype(np.float32)


def _subband_pooling(size: int, n_bands: int, n_orientations: int) -> Floats:
    """(size*size, n_subbands) averaging matrix."""
    v, u = np.meshgrid(np.arange(size), np.arange(size))
    radius = np.maximum(u, v) / size
    edges = np.geomspace(2.0 / size, 1.0, n_bands)
    band = np.searchsorted(edges, radius, side="right")
    angle = np.arctan2(u, v) / (np.pi / 2)
    orientation = np.minimum((angle * n_orientations).astype(int), n_orientations - 1)
    label = (band * n_orientations + orientation).ravel()
    label[0] = -1  # the mean was removed
    members = label[:, None] == np.arange(n_bands * n_orientations)
    counts = members.sum(0)
    return np.asarray(members[:, counts > 0] / counts[counts > 0], np.float32)


def _deep_features(patches: Floats) -> Floats:
    from cooanalysis.measures.deep_features import deep_features

    return deep_features(patches)


def _deep_missing() -> str | None:
    from cooanalysis.measures.deep_features import missing

    return missing()


FEATURE_SPACES: Mapping[str, FeatureSpace] = {
    space.name: space
    for space in (
        FeatureSpace("subbands", "log subband energies", subband_features),
        FeatureSpace(
            "pixels",
            "pixels (naive)",
            pixel_features,
            whiten=False,
            warning=(
                "pixel distances call blur clean: smooth patches lie near everything, so ratios "
                "below 1 do not mean that a patch is clean; shown for comparison only"
            ),
        ),
        FeatureSpace("sparsity", "energy and its sparsity", sparsity_features),
        FeatureSpace("deep", "deep features", _deep_features, missing=_deep_missing),
    )
}


@dataclass(frozen=True)
class CleanManifold:
    """Clean reference patches in a feature space, ready to be measured against.

    Build it with :meth:`fit`.
    """

    space: FeatureSpace
    mean: Floats
    axes: Floats
    reference_image: NDArray[np.int32]
    index: NeighborIndex

    @classmethod
    def fit(
        cls,
        patches: ArrayLike,
        space: str | FeatureSpace = "subbands",
        image: ArrayLike | None = None,
        *,
        engine: str = "auto",
        device: str = "auto",
    ) -> CleanManifold:
        """Describe the manifold by clean patches.

        Parameters
        ----------
        patches
            (n, size, size, channels) clean HR patches in [0, 1].
        space
            A registered name or a :class:`FeatureSpace` of your own.
        image
            (n,) image number of each patch, for leaving images out in :meth:`distance`.
        engine, device
            See :func:`cooanalysis.neighbors.available_engine`.

        Raises
        ------
        ConfigError
            If the space is unknown.
        NotEnoughDataError
            If there are too few patches: five or fewer, or in a whitened space not more than
            twice the number of features.
        """
        space = feature_space(space) if isinstance(space, str) else space
        features = space.function(np.asarray(patches, np.float32))
        n, dim = features.shape
        needed = max(NEIGHBORS, 2 * dim if space.whiten else 0)
        if n <= needed:
            raise NotEnoughDataError(
                f"feature space {space.name!r} has {dim} features and needs more than "
                f"{needed} clean patches, got {n}"
            )
        mean = features.mean(0)
        values, vectors = np.linalg.eigh(np.cov(features.T.astype(np.float64)).reshape(dim, dim))
        values, vectors = values[::-1][: space.max_dim], vectors[:, ::-1][:, : space.max_dim]
        if space.whiten:
            # Directions in which clean patches hardly vary would otherwise dominate by noise.
            vectors = vectors / np.sqrt(values + 1e-3 * values.max())
        axes = np.ascontiguousarray(vectors, np.float32)
        number = np.zeros(n, np.int32) if image is None else np.asarray(image, np.int32)
        index = build_index(
            _transform(features, mean, axes), kind="exact", engine=engine, device=device
        )
        return cls(space, mean, axes, number, index)

    def distance(
        self,
        patches: ArrayLike,
        image: ArrayLike | None = None,
        excluded: NDArray[np.bool_] | None = None,
    ) -> Floats:
        """Mean distance to the nearest clean patches, in units of the (whitened) features.

        Parameters
        ----------
        patches
            (n, size, size, channels) in [0, 1].
        image
            (n,) query image numbers, rows of ``excluded``.
        excluded
            (n_query_images, n_reference_images): True where a reference image must not serve
            a query image (its own, or a duplicate).

        Returns
        -------
        numpy.ndarray
            (n,) float32. Divide by the same distance of held-out clean patches.
        """
        patches = np.asarray(patches, np.float32)
        number = np.zeros(len(patches), np.int32) if image is None else np.asarray(image, np.int32)
        if excluded is None:
            shape = (int(number.max(initial=0)) + 1, int(self.reference_image.max()) + 1)
            excluded = np.zeros(shape, np.bool_)
        # Features in chunks, which bounds memory; one search, which FAISS does fastest.
        queries = np.concatenate(
            [
                _transform(
                    self.space.function(patches[start : start + _CHUNK]), self.mean, self.axes
                )
                for start in range(0, max(1, len(patches)), _CHUNK)
            ]
        )
        found = search_excluding(
            self.index, queries, NEIGHBORS, number, self.reference_image, excluded
        )
        return np.sqrt(found.squared_distances).mean(axis=1)


def _transform(features: Floats, mean: Floats, axes: Floats) -> Floats:
    return np.ascontiguousarray((features - mean) @ axes, np.float32)


def feature_space(name: str) -> FeatureSpace:
    """Look up a registered feature space; an unknown name raises a :class:`ConfigError`."""
    try:
        return FEATURE_SPACES[name]
    except KeyError:
        known = ", ".join(FEATURE_SPACES)
        raise ConfigError(f"unknown feature space {name!r}; known ones: {known}") from None


@dataclass(frozen=True)
class TwoSampleTest:
    """Outcome of the classifier two-sample test.

    Attributes
    ----------
    auc
        Area under the ROC curve: 0.5 when the samples cannot be told apart, 1.0 when always.
    scores, labels
        (n,) out-of-fold probability of being the second sample, and the truth (0 or 1).
    """

    auc: float
    scores: NDArray[np.float64]
    labels: NDArray[np.int8]


def two_sample_auc(
    first: ArrayLike,
    second: ArrayLike,
    first_group: ArrayLike,
    second_group: ArrayLike,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> TwoSampleTest:
    """Can a classifier tell two samples of feature vectors apart?

    Gradient boosting with cross-validation in which all patches of an image stay in the
    same fold, so that it cannot recognize images (Lopez-Paz & Oquab, "Revisiting classifier
    two-sample tests", ICLR 2017).

    Parameters
    ----------
    first, second
        (n, n_features) and (m, n_features).
    first_group, second_group
        Image numbers; a number means the same image in both.
    n_folds
        Number of folds, lowered to the number of images where there are fewer.
    seed
        Seed of the classifier.

    Raises
    ------
    NotEnoughDataError
        With fewer than two images.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    a, b = np.asarray(first), np.asarray(second)
    x = np.concatenate([a, b])
    labels = np.repeat(np.array([0, 1], np.int8), [len(a), len(b)])
    groups = np.concatenate([np.asarray(first_group), np.asarray(second_group)])
    n_images = len(np.unique(groups))
    if n_images < 2:
        raise NotEnoughDataError("the two-sample test needs patches of at least two images")
    scores = np.full(len(x), np.nan)
    # One thread: its OpenMP threads spin, and on a busy machine take twenty times as long.
    with threadpool_limits(limits=1, user_api="openmp"):
        for train, test in GroupKFold(min(n_folds, n_images)).split(x, labels, groups):
            if len(np.unique(labels[train])) < 2:
                continue
            classifier = HistGradientBoostingClassifier(random_state=seed, max_iter=40)
            classifier.fit(x[train], labels[train])
            scores[test] = classifier.predict_proba(x[test])[:, 1]
    scored = np.isfinite(scores)
    if len(np.unique(labels[scored])) < 2:
        raise NotEnoughDataError("the two-sample test needs both samples in two or more images")
    auc = float(roc_auc_score(labels[scored], scores[scored]))
    return TwoSampleTest(auc, scores, labels)
