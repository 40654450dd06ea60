"""Train pairs with and without DECLoss, measure them, and write the tables.

    python -m experiments.decloss.run --tier small

Each step is skipped if its result exists, so an interrupted run resumes where it
stopped. Results go to ``results/decloss/<tier>``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import pandas as pd
import typer

from cooanalysis.errors import CooError
from experiments.decloss import tables
from experiments.decloss.steps import BICUBIC, Measures, train_once

HERE = Path(__file__).parent

VARIANTS = ("l1", "l1-decloss", "ragan", "ragan-decloss")
ANCHOR = "l1"
MATCHED = {"l1-decloss": "l1", "ragan-decloss": "ragan"}


def main(
    tier: Annotated[str, typer.Option(help="small or full.")] = "small",
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0,1,2",
    variants: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(VARIANTS),
    data_root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(envvar="COO_DATA_HOME", help="Folder that holds the data sets."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results/decloss"),
    measure: Annotated[bool, typer.Option(help="Also measure; --no-measure only trains.")] = True,
    overwrite: Annotated[
        bool, typer.Option(help="Repeat trainings whose configuration or start differ.")
    ] = False,
) -> None:
    """Train, measure, tabulate."""
    target, folder = out / tier, HERE / tier
    start = train_once([folder / "start.yaml"], [], target / "start", data_root, overwrite)
    weights: dict[tuple[str, int], Path | None] = {(BICUBIC, 0): None, ("start", 0): start}
    for seed in [int(seed) for seed in seeds.split(",")]:
        for variant in variants.split(","):
            configs = [folder / "start.yaml", folder / "pair.yaml", folder / f"{variant}.yaml"]
            weights[variant, seed] = train_once(
                configs, [f"init={start}", f"seed={seed}"], target / f"{variant}-seed{seed}",
                data_root, overwrite,
            )  # fmt: skip
    if not measure:
        return
    kept = Measures(target / "measures", data_root)
    images, records = [], []
    for (variant, seed), path in weights.items():
        # Models are taken apart with the matched L1 model as anchor.
        anchor = weights.get((ANCHOR, seed)) or start
        table, record = kept.of(f"{variant}-seed{seed}", path, anchor)
        images.append(table.assign(variant=variant, seed=seed))
        records.append({"variant": variant, "seed": seed} | record)
    models = tables.per_model(pd.concat(images, ignore_index=True), pd.DataFrame(records))
    tables.write(models, target / "tables", "models")
    found = tables.summary(models)
    found.to_csv(target / "tables" / "summary.csv", index=False)
    tables.write(tables.table(found), target / "tables", "summary_table")
    typer.echo((target / "tables" / "summary_table.md").read_text(encoding="utf-8"))
    for variant, baseline in MATCHED.items():
        if {variant, baseline} <= set(models["variant"]):
            typer.echo(f"{variant} minus {baseline}, same seeds:")
            for name, (mean, low, high) in tables.paired(models, variant, baseline).items():
                typer.echo(f"  {name:26s} {mean:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
