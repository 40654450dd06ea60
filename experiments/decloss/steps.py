"""Train one model or measure one model: each is done once and kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import typer

from cooanalysis.training import read_config, train

if TYPE_CHECKING:
    from experiments.decloss.evaluate import Evaluation

HERE = Path(__file__).parent
BICUBIC = "bicubic"


def train_once(
    configs: list[Path], overrides: list[str], out: Path, data_root: Path | None, overwrite: bool
) -> Path:
    """Weights of a finished training, which is run now unless it has been."""
    typer.echo(f"training {out}")
    train(
        read_config(configs, overrides),
        out=out,
        data_root=data_root,
        overwrite=overwrite,
        note=lambda line: typer.echo(f"  {line}"),
    )
    return out / "weights.safetensors"


def digest_of(weights: Path) -> str:
    """SHA-256 of a weights file."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()


class Measures:
    """Measures of models, kept in one folder per model, and repeated if its weights changed.

    Parameters
    ----------
    folder
        The folder of the measures.
    data_root
        Folder of the data sets.
    """

    def __init__(self, folder: Path, data_root: Path | None) -> None:
        self.folder, self.data_root = folder, data_root
        self._evaluation: Evaluation | None = None

    def of(
        self, name: str, weights: Path | None, anchor: Path
    ) -> tuple[pd.DataFrame, dict[str, float]]:
        """Table of images and record of a model; of bicubic upsampling if ``weights`` is None.

        ``anchor`` are the weights of the matched model trained with the pixel loss alone.
        """
        kept = self.folder / name
        digest = BICUBIC if weights is None else digest_of(weights)
        wanted = {"weights": digest, "anchor": digest_of(anchor)}
        record_file = kept / "record.json"
        if record_file.is_file():
            record = json.loads(record_file.read_text(encoding="utf-8"))
            if {key: record.pop(key, None) for key in wanted} == wanted:
                return pd.read_csv(kept / "images.csv"), record
        typer.echo(f"measuring {name}")
        if self._evaluation is None:
            from experiments.decloss.evaluate import Evaluation

            self._evaluation = Evaluation(self.data_root)
        table, record = self._evaluation.images_of(weights, anchor)
        kept.mkdir(parents=True, exist_ok=True)
        table.to_csv(kept / "images.csv", index=False)
        # The record last: without it, the table next to it is ignored.
        record_file.write_text(json.dumps(record | wanted, indent=2), encoding="utf-8")
        return table, record
