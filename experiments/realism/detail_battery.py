"""What taking detail apart says of artifacts: none may pass for knowledge or for recovered detail.

    python -m experiments.realism.detail_battery --dataset bsd100

The artifacts of :mod:`experiments.battery` are applied to the output of a shipped PSNR-oriented
network and to bicubic upsampling, in luma; that network is the anchor. Its detail at other gains,
the other shipped networks and the ground truth's own detail in the wrong place are the controls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.data.degradation import upsample
from cooanalysis.data.images import rgb_to_y
from cooanalysis.measures.detail import TakenApart
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from cooanalysis.models.tiling import upscale
from cooanalysis.report.tables import markdown
from experiments.battery import ARTIFACTS, bicubic, nearest_neighbor, to_8_bit
from experiments.detail import Apart, columns_of, totals_of
from experiments.keeping import kept

Image = NDArray[np.uint8]
Images = list[Image]

SCALE = 4
PREFIX = f"edsr-small-x{SCALE}-"
ANCHOR = "l1"
GAINS = (1.3, 1.5)
SHOWN = {
    "detail_energy": ("detail energy", "{:.3f}"),
    "explained": ("explained", "{:.3f}"),
    "gain": ("gain", "{:.2f}"),
    "invented": ("invented", "{:.3f}"),
}


def main(
    dataset: Annotated[str, typer.Option(help="Images.")] = "bsd100",
    artifacts: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of intervals and tests.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path(
        "experiments/realism/measured"
    ),
) -> None:
    """Measure, print and keep."""
    names = artifacts.split(",") if artifacts else list(ARTIFACTS)
    with kept(out, "detail", {"dataset": dataset, "artifacts": names, "seed": seed}):
        found = iter_pairs(resolve(dataset, scale=SCALE, data_root=data_root), color="rgb")
        pairs = [pair for pair in found if isinstance(pair, LoadedPair)]
        models = _models(pairs)
        lr, truth = [luma(pair.lr) for pair in pairs], [luma(pair.hr) for pair in pairs]
        apart = Apart(truth, lr, models[ANCHOR], SCALE)
        taken = {}
        for name, outputs in _outputs(models, lr, truth, names):
            taken[name] = apart.of(outputs)
            typer.echo(name, err=True)
        table = _table(taken, seed)
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "detail.csv", index=False, float_format="%.5f")
        typer.echo(markdown(_shown(table)))
        typer.echo(
            f"{len(pairs)} images, anchor {ANCHOR}. Explained: ± half of the 95 % interval over "
            f"images. Against {ANCHOR}: difference of what is explained, paired, with its interval."
        )


def luma(image: Image) -> Image:
    """Rounded luma of an image."""
    return rgb_to_y(image).astype(np.uint8)


def _models(pairs: list[LoadedPair]) -> dict[str, Images]:
    """Luma outputs of the shipped networks of this scale."""
    found = {}
    for name, path in sorted(shipped().items()):
        if name.startswith(PREFIX):
            network = load_weights(path)
            outputs = [upscale(network, pair.lr, scale=SCALE) for pair in pairs]
            found[name.removeprefix(PREFIX)] = [luma(image) for image in outputs]
    return found


def _outputs(
    models: Mapping[str, Images], lr: Images, truth: Images, names: list[str]
) -> Iterator[tuple[str, Images]]:
    upsampled = [bicubic(image, SCALE) for image in lr]
    yield "bicubic", upsampled
    yield from models.items()
    for gain in GAINS:
        yield f"{ANCHOR}, detail × {gain:g}", [
            _with_gain(image, small, gain)
            for image, small in zip(models[ANCHOR], lr, strict=True)
        ]  # fmt: skip
    for start, outputs in ((ANCHOR, models[ANCHOR]), ("bicubic", upsampled)):
        for name in names:
            if name != "nearest neighbor":  # which needs no output
                change = ARTIFACTS[name]
                yield (
                    f"{start}, {name}",
                    [change(*images) for images in zip(outputs, lr, truth, strict=True)],
                )
    if "nearest neighbor" in names:
        yield "nearest neighbor", [nearest_neighbor(image, SCALE) for image in lr]


def _with_gain(output: Image, lr: Image, gain: float) -> Image:
    start = upsample(lr, SCALE)
    return to_8_bit(start + gain * (output - start))


def _table(taken: Mapping[str, TakenApart], seed: int) -> pd.DataFrame:
    """One row per output: measures with intervals, and the change of what is explained."""
    rows = []
    for name, own in totals_of(taken, ANCHOR, seed=seed).groupby("model", sort=False):
        known = own[own["measure"] == "explained"].iloc[0]
        change = {
            f"explained_{key}": known[key]
            for key in ("difference", "difference_low", "difference_high", "p_adjusted")
        }
        part = taken[str(name)]
        alone = {"closed_form": part.closed_form, "gain_alone": part.gain_alone}
        rows.append({"output": name, **columns_of(own), **change, **alone})
    return pd.DataFrame(rows)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame({"output": table["output"]})
    for name, (title, pattern) in SHOWN.items():
        shown[title] = table[name].map(pattern.format)
    half = (table["explained_ci_high"] - table["explained_ci_low"]) / 2
    shown["explained"] += half.map(" ± {:.3f}".format)
    change = table[
        ["explained_difference", "explained_difference_low", "explained_difference_high"]
    ]
    shown[f"explained, against {ANCHOR}"] = [
        "" if np.isnan(value) else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        for value, low, high in change.to_numpy(np.float64)
    ]
    shown["closed form"] = table["closed_form"].map("{:.2f}".format)
    shown["without anchor: gain, invented"] = [
        f"{row.gain_alone:.2f}, {row.invented_at_least:.3f}" for row in table.itertuples()
    ]
    return shown


if __name__ == "__main__":
    typer.run(main)
