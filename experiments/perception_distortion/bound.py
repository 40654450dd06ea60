"""How far the shipped models, and simple changes of one of them, lie from the bound.

    python -m experiments.perception_distortion.bound --dataset bsd100

The error and the Gaussian Wasserstein distance of 12x12 luma patches; the model with the smallest
error sets the bound. Sharpening and noise are the controls: both bring the patches nearer to clean
ones, and neither adds knowledge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from numpy.typing import NDArray

from cooanalysis.comparison.bound import bound_table
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.images import rgb_to_y
from cooanalysis.metrics.decibels import mse_to_psnr
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from cooanalysis.models.tiling import upscale
from cooanalysis.report.tables import markdown
from experiments.keeping import kept

Image = NDArray[np.uint8]
MODELS = ("l1", "l1-decloss", "ragan", "ragan-decloss")
NOISE, GAINS = 5.0, (1.5, 2.1)


def luma(image: NDArray[Any]) -> Image:
    """Rounded luma of a color image in 8-bit values."""
    return np.asarray(rgb_to_y(_rounded(image)), np.uint8)


def _rounded(image: NDArray[Any]) -> Image:
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def outputs_of(pairs: list[LoadedPair], seed: int) -> dict[str, list[Image]]:
    """Luma outputs of all models, by name."""
    rng = np.random.default_rng(seed)
    found = {"bicubic": [luma(pair.upsampled) for pair in pairs]}
    for name in MODELS:
        network = load_weights(shipped()[f"edsr-small-x4-{name}"])
        found[name] = [luma(upscale(network, pair.lr, scale=4)) for pair in pairs]
    found[f"l1 + white noise, {NOISE:g} levels"] = [
        _rounded(image + NOISE * rng.standard_normal(image.shape)) for image in found["l1"]
    ]
    for gain in GAINS:
        found[f"l1, detail x {gain:g}"] = [
            _rounded(start + gain * (image.astype(np.float64) - start))
            for start, image in zip(found["bicubic"], found["l1"], strict=True)
        ]
    return found


def main(
    dataset: Annotated[str, typer.Option(help="Images.")] = "sample",
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path(
        "results/perception_distortion"
    ),
) -> None:
    """Measure, print and keep."""
    with kept(out, "bound", {"dataset": dataset, "seed": seed}):
        pairs = [
            pair
            for pair in iter_pairs(resolve(dataset, scale=4, data_root=data_root), color="rgb")
            if isinstance(pair, LoadedPair)
        ]
        table = bound_table(outputs_of(pairs, seed), [luma(pair.hr) for pair in pairs])
        shown = table[["model"]].assign(
            **{
                "PSNR of all patches [dB]": mse_to_psnr(table["mse"]),
                "distance [8-bit values]": 255.0 * table["wasserstein"],
                "excess [dB]": table["excess_db"],
                "from": table["excess_low"],
                "to": table["excess_high"],
            }
        )
        typer.echo(markdown(shown.map(lambda v: v if isinstance(v, str) else f"{v:.2f}")))
    table.to_csv(out / "bound.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    typer.run(main)
