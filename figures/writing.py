"""Write a figure with everything behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cooanalysis import plotting
from cooanalysis.comparison.tables import latex, markdown
from cooanalysis.npz import write_arrays
from figures.contract import FigureModule, Inputs


def write_figure(name: str, module: FigureModule, inputs: Inputs, out: Path) -> str:
    """Write PDF, PNG, caption and data of a figure; return its name.

    Equal data give equal bytes: no dates are written.
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
        return name
    for kind in ("png", "pdf"):
        with (out / f"{name}.{kind}").open("wb") as file:
            plotting.save_figure(figure, file, kind)
    return name


def write_index(out: Path, written: Sequence[str], missing: Mapping[str, str]) -> None:
    """Write one page that shows all figures with their captions."""
    parts = [
        "<!doctype html><meta charset=utf-8><title>Figures</title><style>"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
        "img{max-width:100%}figure{margin:2.5rem 0}</style><h1>Figures</h1>"
    ]
    for name in written:
        caption = (out / f"{name}.md").read_text(encoding="utf-8").strip().replace("**", "")
        shown = f'<img src="{name}.png" alt="{name}">'
        if not (out / f"{name}.png").exists():
            tables = sorted(path for path in out.glob(f"{name}.*.md"))
            shown = "".join(f"<pre>{escape(path.read_text('utf-8'))}</pre>" for path in tables)
        parts.append(
            f'<figure id="{name}">{shown}<figcaption>{escape(caption)}</figcaption></figure>'
        )
    parts += [
        f"<p><b>{escape(name)}</b>: not drawn. {escape(why)}</p>" for name, why in missing.items()
    ]
    (out / "index.html").write_text("\n".join(parts) + "\n", encoding="utf-8")
