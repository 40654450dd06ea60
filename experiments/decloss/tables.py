"""From measures to tables: means over seeds with 95 % intervals, as Markdown, CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

HEADLINE = {
    "psnr_y": ("PSNR-Y [dB]", 2),
    "ssim_y": ("SSIM-Y", 4),
    "st_lpips": ("ST-LPIPS", 4),
    "detail_energy_retained": ("detail energy", 3),
    "explained": ("explained", 3),
    "gain": ("gain", 3),
    "invented": ("invented", 3),
    "spread_ratio": ("spread of outputs", 3),
    "entropy_given_features": ("entropy given features [nats/dim]", 3),
}


def per_model(images: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """One row per variant and seed: means over images, ratios of sums, and the COO measures."""
    keys = ["variant", "seed"]
    grouped = images.groupby(keys)
    rows = grouped[["psnr_y", "ssim_y", "st_lpips"]].mean()
    sums = grouped[["detail_energy", "true_detail_energy"]].sum()
    rows["detail_energy_retained"] = sums["detail_energy"] / sums["true_detail_energy"]
    return rows.reset_index().merge(records, on=keys, how="left")


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds (Student's t); NaN bounds for a single seed."""
    values = values.dropna()
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def summary(models: pd.DataFrame) -> pd.DataFrame:
    """One row per variant and measure: mean, interval, number of seeds."""
    rows = []
    for variant, group in models.groupby("variant", sort=False):
        for measure in HEADLINE:
            mean, low, high = interval(group[measure])
            seeds = int(group[measure].notna().sum())
            rows.append((variant, measure, mean, low, high, seeds))
    columns = ["variant", "measure", "mean", "ci_low", "ci_high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def paired(models: pd.DataFrame, variant: str, baseline: str) -> dict[str, tuple[float, ...]]:
    """Differences of a variant to its matched model: mean and interval over seeds."""
    a = models[models["variant"] == variant].set_index("seed")
    b = models[models["variant"] == baseline].set_index("seed")
    return {measure: interval((a[measure] - b[measure]).dropna()) for measure in HEADLINE}


def table(found: pd.DataFrame) -> pd.DataFrame:
    """The summary as text: one row per variant, one column per measure."""
    variants = list(dict.fromkeys(found["variant"]))
    out = pd.DataFrame(index=pd.Index(variants, name="fine-tuned with"))
    for measure, (title, digits) in HEADLINE.items():
        rows = found[found["measure"] == measure].set_index("variant")
        out[title] = [_cell(rows.loc[variant], digits) for variant in variants]
    return out.reset_index()


def _cell(row: pd.Series, digits: int) -> str:
    if not np.isfinite(row["mean"]):
        return "–"
    text = f"{row['mean']:.{digits}f}"
    if np.isfinite(row["ci_low"]):
        text += f" ± {(row['ci_high'] - row['ci_low']) / 2:.{digits}f}"
    return text


def write(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a table as CSV, Markdown and LaTeX (booktabs)."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + " --- |" * frame.shape[1]]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tex = [r"\begin{tabular}{l" + "r" * (frame.shape[1] - 1) + "}", r"\toprule"]
    tex += [" & ".join(map(_tex, frame.columns)) + r" \\", r"\midrule"]
    tex += [" & ".join(map(_tex, row)) + r" \\" for row in frame.itertuples(index=False)]
    tex += [r"\bottomrule", r"\end{tabular}", ""]
    (folder / f"{name}.tex").write_text("\n".join(tex), encoding="utf-8")


def _tex(value: object) -> str:
    text = str(value)
    for plain, escaped in (("&", r"\&"), ("%", r"\%"), ("_", r"\_"), ("±", r"$\pm$"), ("–", "--")):
        text = text.replace(plain, escaped)
    return text
