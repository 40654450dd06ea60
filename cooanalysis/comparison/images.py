"""Outputs of all models for all images, and measures of whole images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.context import Context
from cooanalysis.comparison.cache import OutputCache
from cooanalysis.data import Dataset, LoadedPair, iter_pairs
from cooanalysis.data.images import rgb_to_y
from cooanalysis.errors import ModelError
from cooanalysis.metrics import Metric, radial_power_spectrum
from cooanalysis.models.sources import Source
from cooanalysis.runtime.run_directory import Arrays

BINS = 32
"""Rings of the power spectrum."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageMeasures:
    """The result of :func:`measure_images`.

    Attributes
    ----------
    outputs
        By model: one uint8 array per image, as ``with_outputs`` takes them (luma for a luma store).
    metrics
        (n_models, n_images, n_metrics).
    spectra
        (n_models + 1, n_images, BINS) radial power; the last is the ground truth's. NaN for images
        too small for that many rings.
    frequency
        (BINS,) cycles per pixel.
    """

    outputs: dict[str, list[Image]]
    metrics: NDArray[np.float64]
    spectra: NDArray[np.float64]
    frequency: NDArray[np.float64]


def usable_pairs(run: Context, dataset: Dataset) -> Iterator[LoadedPair]:
    """The images of the query store in its order, in color."""
    wanted = set(run.queries.names)
    for item in iter_pairs(dataset, color="rgb"):
        name = item.name.encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(item, LoadedPair) and name in wanted:
            yield item


def measure_images(
    run: Context,
    dataset: Dataset,
    sources: Sequence[Source],
    metrics: Sequence[Metric],
    cache: OutputCache,
) -> ImageMeasures:
    """Upscale and measure every image with every model.

    Raises
    ------
    ModelError
        If an output cannot be used; the message names model and image.
    """
    outputs: dict[str, list[Image]] = {source.name: [] for source in sources}
    parts: list[Arrays] = []
    gray = run.queries.channels == 1
    run.progress.start("upscaling and measuring", len(run.queries.names) * len(sources))
    for number, pair in enumerate(usable_pairs(run, dataset)):
        with run.clock.time("models"):
            made = []
            for source in sources:
                made.append(_checked(source, pair, cache.output(source, pair, run.note)))
                run.progress.advance()
        for source, output in zip(sources, made, strict=True):
            outputs[source.name].append(_stored(output, gray))

        def compute(pair: LoadedPair = pair, made: list[Image] = made) -> Arrays:
            return _measure(run, pair, made, metrics)

        parts.append(run.checkpoints.load_or_compute(f"image-{number:05d}", compute))
    return ImageMeasures(
        outputs,
        np.stack([part["metrics"] for part in parts], axis=1),
        np.stack([part["spectra"] for part in parts], axis=1),
        (np.arange(BINS) + 0.5) / (2 * BINS),
    )


def outputs_of(run: Context, dataset: Dataset, source: Source, cache: OutputCache) -> list[Image]:
    """Outputs of one more model, as in :attr:`ImageMeasures.outputs`."""
    made = []
    run.progress.start("upscaling for the anchor", len(run.queries.names))
    for pair in usable_pairs(run, dataset):
        with run.clock.time("models"):
            output = _checked(source, pair, cache.output(source, pair, run.note))
        made.append(_stored(output, run.queries.channels == 1))
        run.progress.advance()
    return made


def _stored(output: Image, gray: bool) -> Image:
    return rgb_to_y(output).astype(np.uint8)[:, :, None] if gray else output


def _measure(
    run: Context, pair: LoadedPair, outputs: Sequence[Image], metrics: Sequence[Metric]
) -> Arrays:
    border = run.config.scale
    values = np.empty((len(outputs), len(metrics)))
    for column, metric in enumerate(metrics):
        with run.clock.time(f"metric {metric.name}"):
            for row, output in enumerate(outputs):
                values[row, column] = metric(output, pair.hr, border=border)
    spectra = np.full((len(outputs) + 1, BINS), np.nan)
    if min(pair.hr.shape[:2]) >= 4 * BINS:
        with run.clock.time("spectra"):
            for row, image in enumerate([*outputs, pair.hr]):
                spectra[row] = radial_power_spectrum(image, bins=BINS)[1]
    return {"metrics": values, "spectra": spectra}


def _checked(source: Source, pair: LoadedPair, output: Image) -> Image:
    if output.shape != pair.hr.shape or output.dtype != np.uint8:
        raise ModelError(
            f"model {source.name!r} returns {output.dtype} of shape {output.shape} for "
            f"{pair.name!r}; it must return uint8 of shape {pair.hr.shape}"
        )
    return output
