"""Local linear regression of ground-truth detail on the images that are known, out of image.

The weights are the same at every LR pixel and equivariant under the eight symmetries of the square:
the moments of the data are averaged over mirrored and rotated copies, which costs next to nothing
and makes eight times as much of few images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

STRENGTHS = tuple(10.0 ** np.arange(-7.0, 1.5, 0.5))
"""Ridge strengths to choose from, in units of the mean squared feature."""

_ROWS = 2**15
"""Windows that are unfolded at once."""


@dataclass(frozen=True)
class View:
    """Square windows of one kind of image around every LR pixel.

    Attributes
    ----------
    scale
        Pixels of the image per LR pixel: the upscaling factor, or 1 for the LR image.
    reach
        Pixels beyond the block of the LR pixel on every side.
    center
        Whether the mean of each window is subtracted.
    """

    scale: int
    reach: int
    center: bool = False

    @property
    def width(self) -> int:
        """Side of a window in pixels of the image."""
        return self.scale + 2 * self.reach

    def windows(self, image: Image, stride: int = 1) -> Image:
        """(h, w, width, width) windows of one image, mirrored at its borders."""
        padded = np.pad(image, self.reach, mode="symmetric")
        step = self.scale * stride
        view = np.lib.stride_tricks.sliding_window_view(padded, (self.width, self.width))
        return np.asarray(view[::step, ::step], np.float32)


@dataclass(frozen=True)
class Moments:
    """Second moments of windows (features) and of the blocks to predict (targets).

    Attributes
    ----------
    features
        (d, d) sum of products of features.
    cross
        (d, m) sum of products of features and targets.
    energy
        Sum of squared targets.
    """

    features: Floats
    cross: Floats
    energy: float

    def __add__(self, other: Moments) -> Moments:
        return self._combined(other, 1.0)

    def __sub__(self, other: Moments) -> Moments:
        return self._combined(other, -1.0)

    def _combined(self, other: Moments, sign: float) -> Moments:
        return Moments(
            self.features + sign * other.features,
            self.cross + sign * other.cross,
            self.energy + sign * other.energy,
        )

    def only(self, columns: NDArray[np.intp]) -> Moments:
        """Moments of some of the features."""
        inside = self.features[np.ix_(columns, columns)]
        return Moments(inside, self.cross[columns], self.energy)

    def error(self, weights: Floats) -> float:
        """Sum of squared errors of a linear prediction."""
        fitted = np.sum(weights * (self.features @ weights - 2.0 * self.cross))
        return self.energy + float(fitted)


def unfold(images: Sequence[Image], views: Sequence[View], stride: int = 1) -> Image:
    """(n, d) windows of one image in several versions, one row per LR pixel, row by row."""
    parts = []
    for image, view in zip(images, views, strict=True):
        flat = view.windows(image, stride)
        flat = flat.reshape(-1, view.width**2)
        parts.append(flat - flat.mean(axis=1, keepdims=True) if view.center else flat)
    return np.concatenate(parts, axis=1)


def moments_of(
    images: Sequence[Image], views: Sequence[View], target: Image, scale: int, stride: int
) -> Moments:
    """Moments of the windows of one image, not yet symmetrized."""
    features = unfold(images, views, stride)
    blocks = View(scale, 0).windows(target, stride).reshape(len(features), -1)
    return Moments(
        (features.T @ features).astype(np.float64),
        (features.T @ blocks).astype(np.float64),
        float(np.sum(blocks**2, dtype=np.float64)),
    )


def symmetrized(moments: Moments, views: Sequence[View], scale: int) -> Moments:
    """Moments of the eight mirrored and rotated versions of the data, averaged."""
    features, cross = np.zeros_like(moments.features), np.zeros_like(moments.cross)
    inputs = _symmetries([view.width for view in views])
    outputs = _symmetries([scale])
    for rows, columns in zip(inputs, outputs, strict=True):
        features += moments.features[np.ix_(rows, rows)]
        cross += moments.cross[np.ix_(rows, columns)]
    return Moments(features / len(inputs), cross / len(inputs), moments.energy)


def _symmetries(widths: Sequence[int]) -> list[NDArray[np.intp]]:
    """Order of the pixels of concatenated square windows under each symmetry of the square."""
    orders = []
    for turns in range(4):
        for mirror in (False, True):
            parts, first = [], 0
            for width in widths:
                square = np.rot90(np.arange(width**2).reshape(width, width), turns)
                parts.append(first + (square.T if mirror else square).ravel())
                first += width**2
            orders.append(np.concatenate(parts))
    return orders


def columns_of(views: Sequence[View]) -> list[NDArray[np.intp]]:
    """Columns of the features that belong to each view."""
    edges = np.cumsum([0, *(view.width**2 for view in views)])
    return [np.arange(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]


class Ridge:
    """Ridge regression that shrinks toward a combination of the blocks to be replaced.

    With ever more shrinkage the prediction becomes the best combination of the central blocks of
    those views that show images of the target's size, one factor each, instead of zero: a model's
    output is the natural guess of what is known from it.

    Parameters
    ----------
    moments
        Of the training data.
    views
        What the features are.
    scale
        Side of a block; views of this scale show images of the target's size.
    """

    def __init__(self, moments: Moments, views: Sequence[View], scale: int) -> None:
        blocks = []
        for view, columns in zip(views, columns_of(views), strict=True):
            if view.scale == scale:
                inside = slice(view.reach, view.reach + scale)
                blocks.append(columns.reshape(view.width, view.width)[inside, inside].ravel())
        self._start = _start(moments, blocks)
        power = np.diag(moments.features)
        self._unit = np.sqrt(np.maximum(power, 1e-9 * max(float(power.mean()), 1e-300)))
        standardized = moments.features / self._unit / self._unit[:, None]
        values, self._vectors = np.linalg.eigh(standardized)
        self._values = np.maximum(values, 0.0)
        left = moments.cross - moments.features @ self._start
        self._left = self._vectors.T @ (left / self._unit[:, None])

    def weights(self, strength: float) -> Floats:
        """(d, m) weights for a strength in units of the mean eigenvalue."""
        penalty = strength * max(float(self._values.mean()), 1e-300)
        change = self._vectors @ (self._left / (self._values + penalty)[:, None])
        return np.asarray(self._start + change / self._unit[:, None])


def _start(moments: Moments, blocks: Sequence[NDArray[np.intp]]) -> Floats:
    """Weights of the best combination of whole blocks, one factor each."""
    start = np.zeros_like(moments.cross)
    if not blocks:
        return start
    products = np.array(
        [[np.trace(moments.features[np.ix_(a, b)]) for b in blocks] for a in blocks]
    )
    known = np.array([np.trace(moments.cross[block]) for block in blocks])
    factors = np.linalg.lstsq(products, known, rcond=1e-6)[0]
    for block, factor in zip(blocks, factors, strict=True):
        start[block, np.arange(len(block))] = factor
    return start


def predict(
    images: Sequence[Image], views: Sequence[View], weights: Sequence[Floats], scale: int
) -> list[Image]:
    """(h·scale, w·scale) predictions of one image, one for each of ``weights``."""
    height, width = images[-1].shape
    joint = np.concatenate(weights, axis=1).astype(np.float32)
    step = max(1, _ROWS // width)
    out = np.empty((len(weights), height, scale, width, scale), np.float32)
    beyond = max(-(-view.reach // view.scale) for view in views)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        first, last = max(0, top - beyond), min(height, bottom + beyond)
        parts = [i[first * v.scale : last * v.scale] for i, v in zip(images, views, strict=True)]
        features = unfold(parts, views)[(top - first) * width : (bottom - first) * width]
        blocks = (features @ joint).reshape(bottom - top, width, len(weights), scale, scale)
        out[:, top:bottom] = blocks.transpose(2, 0, 3, 1, 4)
    return list(out.reshape(len(weights), height * scale, width * scale))
