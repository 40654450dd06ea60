"""Train pairs with and without DECLoss, measure them, and write the tables.

    python experiments/decloss/run.py --tier small

Each step is skipped where its result is there already, so an interrupted run goes on where it
stopped. Results land in ``results/decloss/<tier>``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import pandas as pd
import typer

from cooanalysis.errors import CooError
from cooanalysis.training import read_config, train

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import tables  # noqa: E402

VARIANTS = ("l1", "l1-decloss", "ragan", "ragan-decloss")
TWINS = {"l1-decloss": "l1", "ragan-decloss": "ragan"}


def train_all(
    tier: str, seeds: list[int], variants: list[str], out: Path, data_root: Path | None
) -> dict[tuple[str, int], Path]:
    """Weights of every variant and seed, trained where they are not there yet."""
    folder = HERE / tier
    start = out / "start"
    _train([folder / "start.yaml"], [], start, data_root)
    found = {}
    for seed in seeds:
        for variant in variants:
            target = out / f"{variant}-seed{seed}"
            configs = [folder / "start.yaml", folder / "pair.yaml", folder / f"{variant}.yaml"]
            overrides = [f"init={start / 'weights.safetensors'}", f"seed={seed}"]
            _train(configs, overrides, target, data_root)
            found[variant, seed] = target / "weights.safetensors"
    return found


def _train(configs: list[Path], overrides: list[str], out: Path, data_root: Path | None) -> None:
    if (out / "summary.json").is_file():
        return
    typer.echo(f"training {out}")
    train(read_config(configs, overrides), out=out, data_root=data_root)


def measure_all(
    weights: dict[tuple[str, int], Path], start: Path, reference: str, out: Path,
    data_root: Path | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Image table and COO records of every model, kept a file a model."""
    from evaluate import Evaluation

    models: dict[tuple[str, int], Path | None] = {("bicubic", 0): None, ("start", 0): start}
    models |= weights
    evaluation = None
    images, records = [], []
    for (variant, seed), path in models.items():
        kept = out / "measures" / f"{variant}-seed{seed}"
        if not (kept / "record.json").is_file():
            evaluation = evaluation or Evaluation(reference, data_root)
            typer.echo(f"measuring {variant}, seed {seed}")
            table, record = evaluation.images_of(path)
            kept.mkdir(parents=True, exist_ok=True)
            table.to_csv(kept / "images.csv", index=False)
            (kept / "record.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        labels = {"variant": variant, "seed": seed}
        images.append(pd.read_csv(kept / "images.csv").assign(**labels))
        record = json.loads((kept / "record.json").read_text(encoding="utf-8"))
        records.append(labels | record)
    return pd.concat(images, ignore_index=True), pd.DataFrame(records)


def main(
    tier: Annotated[str, typer.Option(help="small or full.")] = "small",
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0,1,2",
    variants: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(VARIANTS),
    reference: Annotated[str, typer.Option(help="Reference set of the COO measures.")] = "BSDS400",
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results land.")] = Path("results/decloss"),
    measure: Annotated[
        bool, typer.Option(help="Measure too; --no-measure only trains, say on another machine.")
    ] = True,
) -> None:
    """Train, measure, tabulate."""
    target = out / tier
    numbers = [int(seed) for seed in seeds.split(",")]
    weights = train_all(tier, numbers, variants.split(","), target, data_root)
    if not measure:
        return
    start = target / "start" / "weights.safetensors"
    images, records = measure_all(weights, start, reference, target, data_root)
    models = tables.per_model(images, records)
    tables.write(models, target / "tables", "models")
    found = tables.summary(models)
    found.to_csv(target / "tables" / "summary.csv", index=False)
    tables.write(tables.table(found), target / "tables", "summary_table")
    typer.echo((target / "tables" / "summary_table.md").read_text(encoding="utf-8"))
    for variant, baseline in TWINS.items():
        if {variant, baseline} <= set(models["variant"]):
            typer.echo(f"{variant} minus {baseline}, same seeds:")
            for measure, (mean, low, high) in tables.paired(models, variant, baseline).items():
                typer.echo(f"  {measure:26s} {mean:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
