"""Published measurements of ``experiments/decloss`` on trained models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from cooanalysis.measures.bootstrap import Estimate
from figures.contract import MissingData

FOLDER = Path(__file__).parents[1] / "experiments" / "decloss" / "measured"
HOW = (
    "train and measure with `python -m experiments.decloss.run`, `python "
    "experiments/decloss/ablation.py` (hours on a CPU), then `python "
    "experiments/decloss/publish.py`"
)


def models() -> pd.DataFrame:
    """One row per trained model: ``experiment``, ``variant``, ``seed``, ``weight``, … and measures.

    Raises
    ------
    MissingData
        If nothing was published.
    """
    return _table("models.csv")


def training() -> pd.DataFrame:
    """Logs of the small models: ``variant``, ``seed``, ``iteration``, ``quantity``."""
    return _table("training.csv")


def provenance() -> dict[str, Any]:
    """By model: iterations, seconds, device, versions, digest of the weights."""
    try:
        found: dict[str, Any] = json.loads((FOLDER / "provenance.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise MissingData(f"{error.filename} is not there; {HOW}") from error
    return found


def _table(name: str) -> pd.DataFrame:
    try:
        return pd.read_csv(FOLDER / name)
    except FileNotFoundError as error:
        raise MissingData(f"{error.filename} is not there; {HOW}") from error


def over_seeds(values: pd.Series) -> Estimate:
    """Mean with its 95 % interval over seeds (Student's t); NaN bounds for a single seed."""
    known = values.dropna().to_numpy(np.float64)
    mean = float(known.mean()) if len(known) else float("nan")
    if len(known) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(student.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return Estimate(mean, mean - half, mean + half)


def paired(table: pd.DataFrame, variant: str, base: str, measure: str) -> Estimate:
    """Difference of a variant to its matched model of the same seed, with interval over seeds."""
    small = table[table["experiment"] == "small"]
    by_seed = small.pivot(index="seed", columns="variant", values=measure)
    return over_seeds(by_seed[variant] - by_seed[base])
