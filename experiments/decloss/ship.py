"""Copy the small tier's weights of one seed into the package, each with a model card.

    python -m experiments.decloss.ship

Everything in a card is read from the files written by ``run.py``.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

import cooanalysis
from cooanalysis.models import read_info

TITLES = {
    "l1": "L1",
    "l1-decloss": "L1 + DECLoss",
    "ragan": "L1 + RaGAN",
    "ragan-decloss": "L1 + RaGAN + DECLoss",
}
HEAD = "Measured on BSD100 and Set14"
"""How the measures of a card begin."""

MEASURES = {
    "psnr_y": ("PSNR-Y", "{:.2f} dB"),
    "ssim_y": ("SSIM-Y", "{:.4f}"),
    "st_lpips": ("ST-LPIPS (AlexNet)", "{:.4f}"),
    "detail_energy_retained": ("detail energy retained", "{:.3f}"),
    "explained": ("explained share of the detail (BSD100)", "{:.3f}"),
    "gain": ("gain (BSD100)", "{:.2f}"),
    "invented": ("invented share of the unknown (BSD100)", "{:.3f}"),
}


def main(
    results: Annotated[Path, typer.Option(help="Folder written by run.py.")] = Path(
        "results/decloss/small"
    ),
    seed: Annotated[int, typer.Option(help="Which seed.")] = 0,
) -> None:
    """Copy and describe."""
    target = Path(cooanalysis.__file__).parent / "models" / "pretrained"
    target.mkdir(exist_ok=True)
    models = pd.read_csv(results / "tables" / "models.csv").set_index(["variant", "seed"])
    for variant, title in TITLES.items():
        folder = results / f"{variant}-seed{seed}"
        name = f"edsr-small-x4-{variant}"
        shutil.copyfile(folder / "weights.safetensors", target / f"{name}.safetensors")
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        (target / f"{name}.md").write_text(
            card(
                name, variant, title, seed, summary, pd.Series(models.loc[(variant, seed)]), folder
            ),
            encoding="utf-8",
        )
        typer.echo(f"{name}: {read_info(target / f'{name}.safetensors').metadata['data']}")


def card(
    name: str,
    variant: str,
    title: str,
    seed: int,
    summary: dict[str, Any],
    row: pd.Series,
    folder: Path,
) -> str:
    """Text of a model card."""
    config = summary["config"]
    return f"""# {name}

A small EDSR ({summary["parameters"]:,} parameters) for scale {config["scale"]}, fine-tuned \
with {title}. One of four matched models that differ only in their loss (same start, crops and \
iterations); made to show the effect of a loss, not to be the best model of its size.

- Training data: {", ".join(summary["data"])}, bicubic downsampling.
- {summary["iterations"]} iterations with batches of {config["data"]["batch_size"]} crops of \
{config["data"]["crop"]}x{config["data"]["crop"]} LR pixels, after the shared L1 start; seed {seed}.
- Losses: `{json.dumps(config["losses"])}`{gan(config)}.
- Command: `python -m experiments.decloss.run --tier small --seeds {seed} --variants {variant}` \
({summary["seconds"]:.0f} s on {summary["device"]}).
- torch {summary["versions"]["torch"]}.

{measured_part(row, "run")}
MIT license. The training images (BSDS400) are from the Berkeley Segmentation Dataset.
"""


def measured_part(row: pd.Series, script: str) -> str:
    """The measures of a model card."""
    rows = "\n".join(
        f"| {label} | {pattern.format(row[key])} |" for key, (label, pattern) in MEASURES.items()
    )
    return f"""{HEAD}, x4 (`experiments/decloss/{script}.py`; lower ST-LPIPS is better; the last \
three are explained in `docs/concepts.md`; anchor: the matched L1 model):

| measure | value |
| --- | --- |
{rows}
"""


def gan(config: dict[str, Any]) -> str:
    """The adversarial loss in words."""
    adversary = config["gan"]
    return "" if adversary is None else f"; adversarial weight {adversary['weight']:g}"


if __name__ == "__main__":
    typer.run(main)
