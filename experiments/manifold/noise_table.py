"""Which feature spaces distinguish noise from detail: manifold ratios of outputs with white noise.

    python -m experiments.manifold.noise_table --dataset bsd100 --reference BSDS400

White noise is added to the ground truth and to the outputs of shipped models. If the ratio of a
space falls with it, that space mistakes noise for detail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from numpy.typing import NDArray

import cooanalysis as coo
from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from cooanalysis.models.tiling import upscale
from cooanalysis.report.tables import markdown
from experiments.keeping import kept

Image = NDArray[np.uint8]
ANCHOR = "edsr-small-x4-l1"
BASES = ("hr", "edsr-small-x4-l1", "edsr-small-x4-l1-decloss", "edsr-small-x4-ragan-decloss")


def outputs(base: str, dataset: str, data_root: Path | None) -> dict[bytes, Image]:
    """Clean outputs by the bytes of the LR image."""
    network = None if base == "hr" else load_weights(shipped()[base])
    found = {}
    for pair in iter_pairs(resolve(dataset, scale=4, data_root=data_root), color="rgb"):
        assert isinstance(pair, LoadedPair)
        output = pair.hr if network is None else upscale(network, pair.lr, scale=4)
        found[pair.lr.tobytes()] = output
    return found


def noisy(clean: dict[bytes, Image], sigma: float) -> Callable[[Image], Image]:
    """A model that adds white noise of ``sigma`` 8-bit values to a clean output."""

    def model(lr: Image) -> Image:
        output = clean[lr.tobytes()]
        noise = np.random.default_rng(int(lr.sum())).standard_normal(output.shape[:2])
        return np.rint(np.clip(output + sigma * noise[:, :, None], 0, 255)).astype(np.uint8)

    return model


def main(
    dataset: Annotated[str, typer.Option(help="Images.")] = "sample",
    reference: Annotated[Optional[str], typer.Option(help="Reference set.")] = None,  # noqa: UP045
    queries: Annotated[int, typer.Option(help="Query patches.")] = 3000,
    features: Annotated[str, typer.Option(help="Feature spaces.")] = "sparsity,subbands,deep",
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the query patches.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("results/manifold"),
) -> None:
    """Measure, print and keep."""
    options = {"dataset": dataset, "reference": reference, "queries": queries,
               "features": features, "seed": seed}  # fmt: skip
    with kept(out, "noise_table", options):
        _print(dataset, reference, queries, features, data_root, seed)


def _print(
    dataset: str, reference: str | None, queries: int, features: str, data_root: Path | None,
    seed: int,
) -> None:  # fmt: skip
    models: dict[str, Any] = {}
    for base in BASES:
        clean = outputs(base, dataset, data_root)
        for sigma in (0, 1, 2, 5, 10):
            models[f"{base.removeprefix('edsr-small-x4-')} + {sigma}"] = noisy(clean, sigma)
    found = coo.compare(
        dataset, models, reference=reference, metrics=["psnr_y"], queries=queries, map_images=0,
        features=tuple(features.split(",")), data_root=data_root, crops=1, cache=False,
        anchor=ANCHOR, seed=seed,
    )  # fmt: skip
    wanted = ["explained", "invented", *(f"manifold_{name}" for name in features.split(","))]
    table = found.table()[wanted].map(_number).reset_index()
    typer.echo(markdown(table.rename(columns={"model": "output + noise [8-bit values]"})))


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


if __name__ == "__main__":
    typer.run(main)
