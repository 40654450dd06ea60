"""Leakage: does the reference set hold the query's own images?

A duplicate among the reference images makes the ground truth itself a member of its
potential-HR group, and distances of clean patches fall to zero. Two checks find it: whole
images by their thumbnails (also mirrored or rotated), and shared regions (crops, collages)
by the details of nearest neighbors, which agree far beyond chance only when both patches
show the same content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cooanalysis.data.patches import Patches, PatchStore

THUMBNAIL = 32
SAME_THUMBNAIL = 0.98
"""Two images whose thumbnails correlate at least this much show the same scene."""

SAME_DETAIL = 0.95
"""Two detail patches that correlate at least this much show the same place in a scene."""

MIN_SHARED = 5
MIN_SHARED_FRACTION = 0.05
"""A pair of images shares content when at least this many, and this share, of the query
image's textured patches find their own detail in the reference image."""

TEXTURED_STD = 6.0 / 255.0


@dataclass(frozen=True)
class Leak:
    """A query image and a reference image that show the same content.

    Attributes
    ----------
    query, reference
        Image numbers.
    kind
        ``"near-duplicate image"`` or ``"shared patches"``.
    similarity
        Thumbnail correlation, or the share of textured patches that match.
    """

    query: int
    reference: int
    kind: str
    similarity: float


def duplicate_images(queries: PatchStore, reference: PatchStore) -> list[Leak]:
    """Pairs of whole images that show the same scene, up to mirroring and rotation.

    Compressed, rescaled or brightened copies are found; crops are left to
    :func:`shared_patches`.
    """
    theirs = _thumbnails(reference).reshape(len(reference.names), -1)
    own = _thumbnails(queries)
    best = np.full((len(own), len(theirs)), -1.0, np.float32)
    for turns in range(4):
        turned = np.rot90(own, turns, axes=(1, 2))
        for variant in (turned, turned[:, :, ::-1]):
            np.maximum(best, variant.reshape(len(own), -1) @ theirs.T, out=best)
    return [
        Leak(int(q), int(r), "near-duplicate image", min(1.0, float(best[q, r])))
        for q, r in np.argwhere(best >= SAME_THUMBNAIL)
    ]


def shared_patches(
    queries: PatchStore,
    query_patches: Patches,
    query_std: NDArray[np.float32],
    reference: PatchStore,
    nearest: Patches,
) -> list[Leak]:
    """Pairs of images that share regions, found by each query's nearest neighbor.

    Parameters
    ----------
    queries, query_patches, query_std
        The query images, patches and LR contrasts.
    reference, nearest
        The reference images and the nearest neighbor of every query patch.
    """
    textured = np.flatnonzero(query_std >= TEXTURED_STD)
    counts: dict[tuple[int, int], int] = {}
    for start in range(0, len(textured), 4096):
        rows = textured[start : start + 4096]
        a = _standardized(queries.details(query_patches[rows]))
        b = _standardized(reference.details(nearest[rows]))
        same = rows[np.einsum("ij,ij->i", a, b) >= SAME_DETAIL]
        for q, r in zip(query_patches.image[same], nearest.image[same], strict=True):
            counts[int(q), int(r)] = counts.get((int(q), int(r)), 0) + 1
    totals = np.bincount(query_patches.image[textured], minlength=len(queries.names))
    return [
        Leak(q, r, "shared patches", count / int(totals[q]))
        for (q, r), count in sorted(counts.items())
        if count >= MIN_SHARED and count >= MIN_SHARED_FRACTION * totals[q]
    ]


def _thumbnails(store: PatchStore) -> NDArray[np.float32]:
    out = np.empty((len(store.names), THUMBNAIL, THUMBNAIL), np.float32)
    for number in range(len(store.names)):
        gray = store.lr_image(number).mean(axis=2)
        # A box filter would alias: with one, copies of half the size fell below the threshold.
        small = Image.fromarray(gray.astype(np.float32), mode="F").resize(
            (THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR
        )
        out[number] = _standardized(np.asarray(small, np.float32).reshape(1, -1)).reshape(
            THUMBNAIL, THUMBNAIL
        )
    return out


def _standardized(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows minus their mean, to unit length; flat rows become zero and match nothing."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-6, rows / np.maximum(length, 1e-6), 0.0), np.float32)
