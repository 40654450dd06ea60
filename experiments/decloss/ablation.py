"""Weight and temperature of DECLoss: one seed of L1 + DECLoss for each combination.

    python -m experiments.decloss.ablation

Everything except the two constants is as in the small tier's ``l1-decloss``, and differences are
relative to its ``l1`` of the same seed. Results go to ``results/decloss/ablation``; finished steps
are not repeated.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Annotated, Optional

import pandas as pd
import typer

from cooanalysis.errors import CooError
from experiments.decloss import tables
from experiments.decloss.steps import Measures, train_once

HERE = Path(__file__).parent

COLUMNS = {
    "weight": ("weight", "g"),
    "temperature": ("temperature", "g"),
    "psnr_y": ("PSNR-Y [dB]", ".2f"),
    "st_lpips": ("ST-LPIPS", ".4f"),
    "detail_energy_retained": ("detail energy", ".3f"),
    "explained": ("explained", ".3f"),
    "gain": ("gain", ".2f"),
    "invented": ("invented", ".3f"),
    "gained_per_db": ("ST-LPIPS gained per dB", ".3f"),
}


def main(
    weights: Annotated[
        str, typer.Option(help="Weights of DECLoss, comma-separated.")
    ] = "0.005,0.02,0.08",
    temperatures: Annotated[str, typer.Option(help="Comma-separated.")] = "0.05,0.1,0.2",
    seed: Annotated[int, typer.Option(help="Seed of the fine-tuning.")] = 0,
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results/decloss"),
) -> None:
    """Train, measure, tabulate."""
    small, target = HERE / "small", out / "ablation"
    start = train_once([small / "start.yaml"], [], out / "small" / "start", data_root, False)
    common = [small / "start.yaml", small / "pair.yaml"]
    shared = [f"init={start}", f"seed={seed}"]
    kept = Measures(target / "measures", data_root)
    baseline = train_once(
        [*common, small / "l1.yaml"], shared, out / "small" / f"l1-seed{seed}", data_root, False
    )
    images, records = [], []

    def add(name: str, path: Path, weight: float, temperature: float) -> None:
        table, record = kept.of(name, path, baseline)
        images.append(table.assign(variant=name, seed=seed))
        labels = {"variant": name, "seed": seed, "weight": weight, "temperature": temperature}
        records.append(labels | record)

    add(f"l1-seed{seed}", baseline, 0.0, float("nan"))
    for weight, temperature in product(_numbers(weights), _numbers(temperatures)):
        name = f"weight{weight:g}-temperature{temperature:g}-seed{seed}"
        constants = [f"losses.1.loss_weight={weight}", f"losses.1.temperature={temperature}"]
        path = train_once(
            [*common, small / "l1-decloss.yaml"], shared + constants, target / name, data_root,
            False,
        )  # fmt: skip
        add(name, path, weight, temperature)
    models = tables.per_model(pd.concat(images, ignore_index=True), pd.DataFrame(records))
    plain = models.iloc[0]
    lost = plain["psnr_y"] - models["psnr_y"]
    # Only if enough is lost for a ratio to be meaningful.
    models["gained_per_db"] = ((plain["st_lpips"] - models["st_lpips"]) / lost).where(lost > 0.01)
    tables.write(models, target / "tables", "models")
    shown = pd.DataFrame(
        {
            title: [f"{value:{digits}}" if pd.notna(value) else "–" for value in models[key]]
            for key, (title, digits) in COLUMNS.items()
        }
    )
    tables.write(shown, target / "tables", "ablation_table")
    typer.echo((target / "tables" / "ablation_table.md").read_text(encoding="utf-8"))


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
