"""Write a figure with its data."""

from __future__ import annotations

import json
from pathlib import Path

from cooanalysis.plots.style import save_figure
from cooanalysis.report.tables import latex, markdown
from cooanalysis.runtime.npz import write_arrays
from figures.contract import FigureModule, Inputs


def write_figure(name: str, module: FigureModule, inputs: Inputs, out: Path) -> None:
    """Write PDF, PNG, caption and data of a figure.

    Equal data give equal files: no dates are written.
    """
    found = module.data(inputs)
    out.mkdir(parents=True, exist_ok=True)
    for part, frame in found.frames.items():
        frame.to_csv(out / f"{name}.{part}.csv", index=False, float_format="%.6g")
    if found.arrays:
        write_arrays(out / f"{name}.npz", dict(found.arrays), compress=True)
    if found.facts:
        text = json.dumps(dict(found.facts), indent=1, sort_keys=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for part, (table, bold) in found.tables.items():
        (out / f"{name}.{part}.md").write_text(markdown(table, bold), encoding="utf-8")
        (out / f"{name}.{part}.tex").write_text(latex(table, bold), encoding="utf-8")
    (out / f"{name}.md").write_text(
        f"**{module.TITLE}.** {module.caption(found)}\n", encoding="utf-8"
    )
    figure = module.draw(found)
    if figure is None:
        return
    for kind in ("png", "pdf"):
        with (out / f"{name}.{kind}").open("wb") as file:
            save_figure(figure, file, kind)
