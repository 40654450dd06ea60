"""Tables of a comparison as CSV, Markdown and LaTeX (booktabs)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cooanalysis.comparison.record import ComparisonRecord
from cooanalysis.comparison.summary_record import MeasureInfo, ModelSummary
from cooanalysis.report.numbers import Number

FIDELITY = ("psnr", "ssim", "explained")
"""How the names of measures begin that sharpening and artifacts lower."""
DECISIONS = {"like": "yes", "unlike": "no", "undecided": "undecided"}
REFEREES = {"features": "two-sample test (features)", "critic": "two-sample test (critic)"}
"""Titles of the referees that are no feature spaces."""
BUDGET = {
    "unknown": "unknown to all", "known_to_others": "known to others only",
    "wrong_gain": "wrong gain", "made_up": "made up", "remainder": "remainder",
}  # fmt: skip
PLUS_MINUS, DASH, INFINITY = "±", "–", "∞"


def headline(comparison: ComparisonRecord) -> tuple[pd.DataFrame, set[tuple[int, str]]]:
    """The main table as text, and which cells hold the best value of their column.

    Values with half of their 95 % interval; a dash for what is not known or says nothing (see
    :attr:`ComparisonSummary.unreliable`). Best is only said of measures in which one value is
    better than another, and not of ground truth and plain interpolation. Perceived quality is best
    only among models that may look like clean images: sharpening and artifacts raise it, too.
    """
    summary = comparison.summary
    names = comparison.names
    columns: dict[str, list[str]] = {"model": names}
    best: set[tuple[int, str]] = set()
    for measure in summary.measures:
        title = f"{measure.title} [{measure.unit}]" if measure.unit else measure.title
        if measure.name in summary.unreliable:
            columns[title] = [DASH] * len(names)
            continue
        found = comparison.totals[comparison.totals["measure"] == measure.name]
        found = found.set_index("model").loc[names]
        columns[title] = [_cell(row, measure.digits) for _, row in found.iterrows()]
        values: list[float] = found["value"].astype(float).tolist()
        candidates = {
            place: _badness(value, measure.direction)
            for place, (model, value) in enumerate(zip(summary.models, values, strict=True))
            if not math.isnan(value) and _can_be_best(model, measure)
        }
        if len(candidates) > 1:
            least = min(candidates.values())
            best |= {(place, title) for place, value in candidates.items() if value == least}
    return pd.DataFrame(columns), best


def _can_be_best(model: ModelSummary, measure: MeasureInfo) -> bool:
    if measure.direction == "none" or model.kind in ("hr", "bicubic"):
        return False
    if measure.name.startswith(FIDELITY):
        return True
    # Older versions did not ask whether outputs look like clean images.
    return model.realism is not None and model.realism.decision != "unlike"


def differences(comparison: ComparisonRecord) -> pd.DataFrame:
    """Differences to the baseline with intervals and adjusted p-values, as text."""
    rows = []
    unreliable = comparison.summary.unreliable
    for name in comparison.names:
        if name == comparison.summary.baseline:
            continue
        found = comparison.totals[comparison.totals["model"] == name]
        by_measure = {str(row["measure"]): row for row in found.to_dict("records")}
        for measure in comparison.summary.measures:
            row, digits = by_measure[measure.name], measure.digits
            if measure.name in unreliable or not math.isfinite(row["difference"]):
                continue
            rows.append(
                {
                    "model": name,
                    "measure": measure.title,
                    "difference": f"{row['difference']:+.{digits}f}",
                    "95 % interval": _ends(row, digits),
                    "adjusted p": _p(row["p_adjusted"]),
                }
            )
    columns = ["model", "measure", "difference", "95 % interval", "adjusted p"]
    return pd.DataFrame(rows, columns=columns)


def referees(comparison: ComparisonRecord) -> pd.DataFrame:
    """What every referee says of every model, as text; no rows for runs of older versions."""
    judged = [(model, model.realism) for model in comparison.summary.models if model.realism]
    names = list(dict.fromkeys(name for _, realism in judged for name in realism.votes))
    rows = []
    for model, realism in judged:
        row = {"model": model.name, "like clean images?": DECISIONS[realism.decision]}
        for name in names:
            grade = _grade(model, name)
            vote = DECISIONS[realism.votes[name]] if name in realism.votes else DASH
            row[REFEREES.get(name, f"ratio ({name})")] = f"{vote}: {grade}" if grade else vote
        rows.append(row)
    return pd.DataFrame(rows)


def _grade(model: ModelSummary, referee: str) -> str:
    """The numbers behind a vote."""
    assert model.realism is not None
    if referee not in REFEREES:
        ratio = model.measures.get(f"manifold_{referee}")
        return "" if ratio is None or ratio.value is None else Number.of(ratio).text(2)
    area = model.realism.critic_auc if referee == "critic" else model.two_sample_auc
    text = "" if area is None or area.value is None else f"AUC {Number.of(area).text(2)}"
    distance = model.realism.separation.get(referee)
    if text and distance is not None and distance.value is not None:
        text += f", d' {Number.of(distance).text(1)}"
    return text


def budgets(comparison: ComparisonRecord) -> pd.DataFrame:
    """Where the squared error of every model comes from, in 8-bit values squared, as text."""
    rows = []
    for model in comparison.summary.models:
        if model.budget is None or model.kind == "hr":
            continue
        row = {"model": model.name}
        parts = {title: getattr(model.budget, name) for name, title in BUDGET.items()}
        row |= {title: f"{255.0**2 * value:.1f}" for title, value in parts.items()}
        row["sum"] = f"{255.0**2 * sum(parts.values()):.1f}"
        row["closed form"] = DASH if model.closed_form is None else f"{model.closed_form:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def write_tables(comparison: ComparisonRecord, folder: Path) -> None:
    """Write ``models.*``, ``differences.*`` and ``strata.csv`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shown, best = headline(comparison)
    comparison.totals.to_csv(folder / "models.csv", index=False)
    comparison.strata.to_csv(folder / "strata.csv", index=False)
    versus = differences(comparison)
    versus.to_csv(folder / "differences.csv", index=False)
    for name, frame, bold in (("models", shown, best), ("differences", versus, set())):
        (folder / f"{name}.md").write_text(markdown(frame, bold), encoding="utf-8")
        (folder / f"{name}.tex").write_text(latex(frame, bold), encoding="utf-8")


def markdown(frame: pd.DataFrame, bold: Collection[tuple[int, str]] = ()) -> str:
    """A Markdown table; cells (row, column) in ``bold`` are."""
    lines = [_row(map(str, frame.columns)), _row("---" for _ in frame.columns)]
    for place, values in enumerate(frame.to_dict("records")):
        cells = []
        for key, value in values.items():
            text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
            cells.append(f"**{text}**" if (place, str(key)) in bold else text)
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def latex(frame: pd.DataFrame, bold: Collection[tuple[int, str]] = ()) -> str:
    """A LaTeX tabular for booktabs."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (frame.shape[1] - 1)}}}", r"\toprule"]
    lines += [" & ".join(_tex(str(name)) for name in frame.columns) + r" \\", r"\midrule"]
    for place, values in enumerate(frame.to_dict("records")):
        cells = [
            rf"\textbf{{{_tex(str(value))}}}" if (place, str(key)) in bold else _tex(str(value))
            for key, value in values.items()
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: pd.Series, digits: int) -> str:
    value = float(row["value"])
    if math.isinf(value):
        return INFINITY if value > 0 else f"-{INFINITY}"
    if math.isnan(value):
        return DASH
    text = f"{value:.{digits}f}"
    if math.isfinite(row["ci_low"]):
        text += f" {PLUS_MINUS} {(row['ci_high'] - row['ci_low']) / 2:.{digits}f}"
    return text


def _badness(value: float, direction: str) -> float:
    if direction == "one":
        return abs(value - 1.0)
    return value if direction == "lower" else -value


def _ends(row: Mapping[Any, Any], digits: int) -> str:
    low, high = row["difference_low"], row["difference_high"]
    if not math.isfinite(low) or not math.isfinite(high):
        return DASH
    return f"{low:+.{digits}f} to {high:+.{digits}f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return DASH
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    PLUS_MINUS: r"$\pm$", DASH: "--", INFINITY: r"$\infty$", "<": r"$<$", ">": r"$>$",
    "|": r"\textbar{}", "\n": " ",
}  # fmt: skip


def _tex(text: str) -> str:
    plain = "".join(_TEX.get(character, character) for character in text)
    # After a line break of a table, a bracket or star would be read as its argument.
    return "{}" + plain if plain.startswith(("[", "*")) else plain
