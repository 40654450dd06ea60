"""How far the models of a comparison lie from the perception-distortion bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from cooanalysis.errors import ImageError
from cooanalysis.measures.perception_distortion import (
    PATCH,
    Bound,
    patch_sums,
    squared_errors,
)

if TYPE_CHECKING:
    import pandas as pd

Image = NDArray[Any]

COLUMNS = (
    "model", "mse", "wasserstein", "excess_db", "excess_low", "excess_high", "predictor",
    "best_mse", "best_wasserstein",
)  # fmt: skip
"""Columns of :func:`bound_table`."""


def bound_table(
    outputs: Mapping[str, Sequence[Image]],
    truth: Sequence[Image],
    predictor: Sequence[Image] | None = None,
) -> pd.DataFrame:
    """Place models in the perception-distortion plane.

    How is said in :mod:`cooanalysis.measures.perception_distortion`.

    Images smaller than a patch of 12x12 pixels are left out.

    Parameters
    ----------
    outputs
        By model: one image for each of the ground truth, of its shape; uint8, or floating point
        with peak 1. Without the ground truth itself, of which the bound says nothing.
    truth
        (H, W) or (H, W, C) each.
    predictor
        Images of the best known predictor, which sets the bound; if None, the outputs with the
        smallest mean squared error.

    Returns
    -------
    pandas.DataFrame
        One row per model. ``mse`` and ``wasserstein`` (root mean square) are per pixel, peak 1;
        ``excess_db`` with its 95 % interval ``excess_low`` to ``excess_high``, NaN for fewer than
        two images. The same in each row: ``predictor``, the name of the model that sets the bound
        ("" for images passed in), and D* and P*, ``best_mse`` and ``best_wasserstein``. No rows if
        there are no models, or no image holds a patch.

    Raises
    ------
    ImageError
        If an output differs from the ground truth in number or shape.
    """
    import pandas as pd

    for name, images in outputs.items():
        if len(images) != len(truth):
            raise ImageError(f"{len(images)} outputs of {name!r} for {len(truth)} images")
    kept = [number for number, image in enumerate(truth) if min(image.shape[:2]) >= PATCH]
    if not kept or not outputs:
        return pd.DataFrame(columns=list(COLUMNS))
    true = [truth[number] for number in kept]
    shown = {name: [images[number] for number in kept] for name, images in outputs.items()}
    errors = {name: squared_errors(images, true) for name, images in shown.items()}
    best = ""
    if predictor is None:
        best = min(errors, key=lambda name: float(errors[name].sum()))
        images = shown[best]
    elif len(predictor) == len(truth):
        images = [predictor[number] for number in kept]
    else:
        raise ImageError(f"{len(predictor)} images of the predictor for {len(truth)} images")
    bound = Bound.of(patch_sums(true), patch_sums(images), squared_errors(images, true))
    rows = []
    for name, sums in errors.items():
        placed = bound.place(patch_sums(shown[name]), sums)
        excess = placed.excess
        rows.append(
            (name, placed.mse, placed.wasserstein, excess.value, excess.ci_low, excess.ci_high,
             best, bound.best.mse, bound.best.wasserstein)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
