"""Copy the measurements into the small tables that figures are drawn from.

    python -m experiments.decloss.run --tier small
    python -m experiments.decloss.ablation
    python -m experiments.decloss.publish

Training takes hours, so its results are kept in ``experiments/decloss/measured``: the measures of
each model, the logs of each training, and the origin of all of it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from cooanalysis.errors import CooError
from experiments.decloss import tables

HERE = Path(__file__).parent

MEASURED = HERE / "measured"


def main(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results/decloss"),
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = MEASURED,
) -> None:
    """Check that measures belong to the weights next to them, and write the tables."""
    models, curves, provenance = [], [], {}
    for kind in ("small", "ablation"):
        folder = results / kind
        for measures in sorted((folder / "measures").iterdir()):
            name = measures.name
            record = json.loads((measures / "record.json").read_text(encoding="utf-8"))
            home = _home(results, kind, name)
            if record.pop("weights") != _digest(home):
                raise CooError(
                    f"{measures} was measured on other weights than those in {home}; measure them "
                    "with experiments/decloss/run.py or ablation.py and publish again"
                )
            anchor = record.pop("anchor")
            variant, seed = _variant(name)
            images = pd.read_csv(measures / "images.csv").assign(variant=variant, seed=seed)
            row = {"variant": variant, "seed": seed} | record
            found = tables.per_model(images, pd.DataFrame([row]))
            models.append(found.assign(experiment=kind, **_constants(name, kind)))
            if home is not None:
                trained = json.loads((home / "summary.json").read_text(encoding="utf-8"))
                if kind == "small":
                    curves.append(_curve(home / "metrics.csv", variant, seed))
                provenance[f"{kind}/{name}"] = {
                    key: trained[key]
                    for key in ("iterations", "parameters", "data", "seconds", "device", "seed",
                                "versions")
                } | {"weights_sha256": _digest(home), "anchor_sha256": anchor,
                     "images": len(images)}  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    table = pd.concat(models, ignore_index=True).dropna(axis=1, how="all")
    first = ["experiment", "variant", "seed", "weight", "temperature"]
    table = table[[*first, *(column for column in table if column not in first)]]
    table.to_csv(out / "models.csv", index=False, float_format="%.7g")
    pd.concat(curves, ignore_index=True).to_csv(
        out / "training.csv", index=False, float_format="%.7g"
    )
    text = json.dumps(provenance, indent=1, sort_keys=True)
    (out / "provenance.json").write_text(text + "\n", encoding="utf-8")
    typer.echo(f"{len(table)} models written to {out}")


def _home(results: Path, kind: str, name: str) -> Path | None:
    """Folder of the training behind a measurement; None for plain interpolation."""
    if name.startswith("bicubic"):
        return None
    if name.startswith("start"):
        return results / kind / "start"
    # The baseline of the ablation is that of the small tier.
    own = results / kind / name
    return own if own.is_dir() else results / "small" / name


def _digest(home: Path | None) -> str:
    if home is None:
        return "bicubic"
    return hashlib.sha256((home / "weights.safetensors").read_bytes()).hexdigest()


def _variant(name: str) -> tuple[str, int]:
    variant, _, seed = name.rpartition("-seed")
    return variant, int(seed)


def _constants(name: str, kind: str) -> dict[str, float]:
    """Weight and temperature of DECLoss in the ablation."""
    if kind != "ablation":
        return {"weight": float("nan"), "temperature": float("nan")}
    if not name.startswith("weight"):
        return {"weight": 0.0, "temperature": float("nan")}
    weight, temperature = _variant(name)[0].split("-temperature")
    return {"weight": float(weight.removeprefix("weight")), "temperature": float(temperature)}


def _curve(path: Path, variant: str, seed: int) -> pd.DataFrame:
    """Logged numbers of a training, one row each."""
    log: Any = pd.read_csv(path).drop(columns="learning_rate")
    rows = log.melt("iteration", var_name="quantity").dropna()
    rows["iteration"] = rows["iteration"].astype(int)
    return rows.assign(variant=variant, seed=seed)[
        ["variant", "seed", "iteration", "quantity", "value"]
    ]


if __name__ == "__main__":
    try:
        typer.run(main)
    except CooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
