"""Measure the shipped matched models: what each explains, shows and makes up, on BSD100.

    python -m experiments.decloss.shipped

Writes ``shipped.csv``, with intervals over images and paired differences to the L1 model, and
``shipped.md`` beside the other measurements, and renews the measures in the model cards. The
metrics in the cards are those that were published of the same weights (``measured/models.csv``);
weights of other bytes are refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import pandas as pd
import typer

from cooanalysis.errors import CooError
from cooanalysis.models import load_weights
from cooanalysis.models.shipped import shipped
from experiments.battery import bicubic
from experiments.decloss.evaluate import load_images, upscaled
from experiments.decloss.publish import MEASURED
from experiments.decloss.ship import HEAD, TITLES, measured_part
from experiments.decloss.steps import BICUBIC, digest_of
from experiments.detail import Apart, columns_of, totals_of
from experiments.keeping import kept

SCALE = 4
ANCHOR = "l1"
SHOWN = {
    "detail_energy": ("detail energy", "{:.3f}"),
    "explained": ("explained", "{:.3f}"),
    "psnr_explained_db": ("PSNR of the explained [dB]", "{:.2f}"),
    "gain": ("gain", "{:.3f}"),
    "invented": ("invented", "{:.3f}"),
    "invented_at_least": ("invented at least", "{:.3f}"),
    "collapse_index": ("collapse index", "{:.3f}"),
}


def main(
    dataset: Annotated[str, typer.Option(help="Images.")] = "bsd100",
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of intervals and tests.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = MEASURED,
    cards: Annotated[bool, typer.Option(help="Renew the measures in the model cards.")] = True,
) -> None:
    """Measure, print and keep."""
    weights = {name: shipped()[f"edsr-small-x{SCALE}-{name}"] for name in TITLES}
    published = _published(weights) if cards else None
    with kept(out, "shipped", {"dataset": dataset, "seed": seed}):
        pairs = load_images([dataset], SCALE, data_root)[dataset]
        lr = [pair.lr for pair in pairs]
        outputs = {BICUBIC: [bicubic(image, SCALE) for image in lr]}
        outputs |= {
            name: upscaled(load_weights(path), pairs, SCALE) for name, path in weights.items()
        }
        apart = Apart([pair.hr for pair in pairs], lr, outputs[ANCHOR], SCALE)
        totals = totals_of(
            {name: apart.of(images) for name, images in outputs.items()}, ANCHOR, seed=seed
        )
        out.mkdir(parents=True, exist_ok=True)
        totals.to_csv(out / "shipped.csv", index=False, float_format="%.6g")
        _print(totals, len(pairs))
    if published is not None:
        for name, path in weights.items():
            row = published[name] | columns_of(totals[totals["model"] == name])
            _renew(path.with_suffix(".md"), pd.Series(row))


def _published(weights: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Metrics published of the very weights that are shipped."""
    models = pd.read_csv(MEASURED / "models.csv")
    origin = json.loads((MEASURED / "provenance.json").read_text(encoding="utf-8"))
    found = {}
    for name, path in weights.items():
        digest = digest_of(path)
        same = [
            key
            for key, own in origin.items()
            if key.startswith("small/") and own["weights_sha256"] == digest
        ]
        if not same:
            raise CooError(f"nothing was published of the weights in {path}; add --no-cards")
        variant, _, seed = same[0].removeprefix("small/").rpartition("-seed")
        row = models[
            (models["experiment"] == "small")
            & (models["variant"] == variant)
            & (models["seed"] == int(seed))
        ]
        found[name] = {str(key): value for key, value in row.iloc[0].items()}
    return found


def _print(totals: pd.DataFrame, n_images: int) -> None:
    names = list(dict.fromkeys(totals["model"]))
    rows = totals.set_index(["model", "measure"])
    titles = ["fine-tuned with", *(title for title, _ in SHOWN.values())]
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    for name in names:
        cells = [
            _cell(rows.loc[(name, measure)], pattern) for measure, (_, pattern) in SHOWN.items()
        ]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    typer.echo("\n".join(lines))
    typer.echo(f"\n{n_images} images, anchor {ANCHOR}; ± half of the 95 % interval over images.")
    typer.echo(f"\nDifferences to {ANCHOR}, paired, with their intervals and adjusted p-values:\n")
    typer.echo("| fine-tuned with | explained | gain | invented |\n| --- | --- | --- | --- |")
    for name in names:
        if name not in (ANCHOR, BICUBIC):
            cells = [_change(rows.loc[(name, key)]) for key in ("explained", "gain", "invented")]
            typer.echo("| " + " | ".join([name, *cells]) + " |")


def _cell(row: pd.Series, pattern: str) -> str:
    text = pattern.format(row["value"])
    if np.isfinite(row["ci_low"]):
        text += " ± " + pattern.format((row["ci_high"] - row["ci_low"]) / 2)
    return text


def _change(row: pd.Series) -> str:
    return (
        f"{row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f}, "
        f"p {row['p_adjusted']:.2g})"
    )


def _renew(card: Path, row: pd.Series) -> None:
    text = card.read_text(encoding="utf-8")
    before, _, after = text.partition(HEAD)
    card.write_text(
        before
        + measured_part(row, "shipped")
        + "\nMIT license"
        + after.partition("MIT license")[2],
        encoding="utf-8",
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
