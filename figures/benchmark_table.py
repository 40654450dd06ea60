"""Fidelity and perception of the shipped models on the benchmark sets, as a table."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cooanalysis.data import Dataset, LoadedPair, iter_pairs, resolve
from cooanalysis.errors import DatasetNotFoundError
from cooanalysis.measures.bootstrap import ImageBootstrap
from cooanalysis.metrics import METRICS, Metric, available
from cooanalysis.metrics import resolve as resolve_metrics
from figures import shipped
from figures.contract import SHIPPED, Data, Inputs
from figures.text import listed

if TYPE_CHECKING:
    from cooanalysis.models.sources import Source

TITLE = "Benchmark"

BENCHMARKS = ("set5", "set14", "bsd100", "urban100", "manga109")
SCALE = 4


def data(inputs: Inputs) -> Data:
    """Every metric that can be computed here, on the run's data set and each benchmark found.

    Nothing is downloaded: a benchmark that is not on disk is named in the caption.
    """
    sets, missing = _datasets(inputs)
    metrics = resolve_metrics("auto")
    rows = []
    for dataset in sets:
        table = _measured(dataset, metrics, inputs)
        rows += [{"dataset": dataset.title, "n_images": table["image"].nunique()} | row
                 for row in totals(table, metrics, inputs.seed)]  # fmt: skip
    frame = pd.DataFrame(rows)
    absent = {m.name: m.title for m in METRICS.values() if m not in available()}
    facts = {
        "missing_sets": missing,
        "missing_metrics": absent,
        "metrics": {metric.name: metric.title for metric in metrics},
        "scale": SCALE,
    }
    return Data({"totals": frame}, facts=facts, tables={"totals": as_text(frame, metrics)})


def _datasets(inputs: Inputs) -> tuple[list[Dataset], dict[str, str]]:
    """The run's data set and the benchmarks that are on disk; why others are not used."""
    found = {"": resolve(inputs.dataset, scale=SCALE, data_root=inputs.data_root)}
    missing = {}
    for name in BENCHMARKS:
        if name == found[""].name:
            continue
        try:
            found[name] = resolve(name, scale=SCALE, data_root=inputs.data_root, download=False)
        except DatasetNotFoundError:
            missing[name] = f"`coo-analyze --dataset {name}` fetches it or says where to put it"
    return list(found.values()), missing


def _measured(dataset: Dataset, metrics: list[Metric], inputs: Inputs) -> pd.DataFrame:
    """One row per model and image; kept in a file, because learned metrics are slow."""
    from cooanalysis.comparison.cache import OutputCache, default_folder
    from cooanalysis.models.sources import open_source

    sources: list[Source] = [open_source("bicubic", "bicubic", dataset.pairs, scale=SCALE)]
    sources += shipped.open_models(dataset, scale=SCALE)
    words = [str(dataset.root), *(pair.name for pair in dataset.pairs)]
    words += [str(source.key) for source in sources] + [metric.name for metric in metrics]
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "backslashreplace")).hexdigest()[:10]
    kept = inputs.runs / f"{dataset.name}-benchmark-{digest}.csv"
    if kept.is_file():
        return pd.read_csv(kept)
    cache, rows = OutputCache(default_folder()), []
    for pair in iter_pairs(dataset, color="rgb"):
        if not isinstance(pair, LoadedPair):
            continue
        for source in sources:
            output = cache.output(source, pair, lambda line: None)
            values = {m.name: m(output, pair.hr, border=SCALE) for m in metrics}
            rows.append({"model": source.name, "image": pair.name} | values)
    table = pd.DataFrame(rows)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    table.to_csv(partial, index=False)
    partial.replace(kept)
    # Read back, so that the first run and later ones use the same digits.
    return pd.read_csv(kept)


def totals(table: pd.DataFrame, metrics: list[Metric], seed: int) -> list[dict[str, object]]:
    """Means over images with their intervals, one row per model and metric."""
    rows: list[dict[str, object]] = []
    for model in table["model"].unique():
        part = table[table["model"] == model]
        bootstrap = ImageBootstrap(np.arange(len(part)), seed=seed)
        for metric in metrics:
            found = bootstrap.mean(part[metric.name]).as_dict()
            rows.append({"model": model, "metric": metric.name} | found)
    return rows


def as_text(
    frame: pd.DataFrame, metrics: list[Metric]
) -> tuple[pd.DataFrame, set[tuple[int, str]]]:
    """The table as text, and the model of best fidelity for each data set and metric."""
    rows: list[dict[str, str]] = []
    bold: set[tuple[int, str]] = set()
    for dataset, part in frame.groupby("dataset", sort=False):
        first = len(rows)
        for model in part["model"].unique():
            one = part[part["model"] == model].set_index("metric")
            label = f"{dataset} ({part['n_images'].iloc[0]})"
            row = {"data set (images)": label, "model": str(model)}
            row |= {_label(m): _cell(one.loc[m.name], m) for m in metrics}
            rows.append(row)
        for metric in metrics:
            if metric.kind == "learned":  # sharpening and artifacts improve them, too
                continue
            values = part[part["metric"] == metric.name]["value"].to_numpy(np.float64)
            sign = 1.0 if metric.direction == "higher" else -1.0
            best = np.flatnonzero(sign * values == (sign * values).max())
            bold |= {(first + int(place), _label(metric)) for place in best}
    return pd.DataFrame(rows), bold


def _label(metric: Metric) -> str:
    return f"{metric.title} [{metric.unit}]" if metric.unit else metric.title


def _cell(row: pd.Series, metric: Metric) -> str:
    digits = 2 if metric.unit == "dB" else 4
    half = (float(row["ci_high"]) - float(row["ci_low"])) / 2.0
    text = f"{row['value']:.{digits}f}"
    return text if math.isnan(half) else f"{text} ± {half:.{digits}f}"


def draw(data: Data) -> Figure | None:
    """Nothing to draw: this is a table."""
    return None


def caption(data: Data) -> str:
    """Say what was measured on which data, what is missing, and how to get it."""
    facts, frame = data.facts, data.frames["totals"]
    sets = [
        f"{name} ({count} images)"
        for name, count in frame.drop_duplicates("dataset")[["dataset", "n_images"]].values
    ]
    sentences = [
        f"Bicubic interpolation and the shipped models ({', '.join(SHIPPED)}) at ×{facts['scale']} "
        f"on {listed(sets)}: means over images ± half of their 95 % interval (bootstrap over "
        "images); bold: best fidelity for the data set. PSNR and SSIM on luma, "
        f"{facts['scale']} border pixels cut off.",
        "The shipped models are small matched models that show the effect of a loss; they do not "
        "compete with large networks.",
    ]
    if facts["missing_sets"]:
        sentences.append(
            "Not on disk: "
            + "; ".join(f"{name} ({how})" for name, how in _ways(facts["missing_sets"]).items())
            + "."
        )
    if facts["missing_metrics"]:
        sentences.append(
            f"Not computed: {listed(facts['missing_metrics'].values())}; "
            "`coo-compare --metrics NAME` says what each needs."
        )
    return " ".join(sentences)


def _ways(missing: dict[str, str]) -> dict[str, str]:
    """One instruction for all names that differ only in the name."""
    return {listed(missing): next(iter(missing.values())).replace(next(iter(missing)), "NAME")}
