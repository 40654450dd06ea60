"""Metadata of a folder of results: how it was made, and one page that shows all of it."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from cooanalysis.runtime.environment import versions
from figures.contract import Inputs
from figures.registry import NAMES

MADE = "made.json"
"""By figure: its data and versions, or why it was not drawn."""

Record = dict[str, Any]


def recorded(out: Path) -> dict[str, Record]:
    """Records of the figures of a folder, by name."""
    try:
        found: dict[str, Record] = json.loads((out / MADE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def record(out: Path, name: str, inputs: Inputs, missing: str | None = None) -> None:
    """Record how a figure was made, or why it is missing; files of a missing figure are removed."""
    made: Record = {
        "dataset": inputs.dataset,
        "reference": inputs.reference,
        "queries": inputs.queries,
        "seed": inputs.seed,
        "versions": versions(),
    }
    if missing is not None:
        made["missing"] = missing
        for stale in out.glob(f"{name}.*"):
            stale.unlink()
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recorded(out) | {name: made}, indent=1, sort_keys=True)
    (out / MADE).write_text(text + "\n", encoding="utf-8")


def write_page(out: Path) -> None:
    """Write ``index.html``, which shows every figure of the folder with its caption and files."""
    made = recorded(out)
    names = [name for name in NAMES if name in made]
    style = files("cooanalysis.report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{name}">{escape(_title(out, name))}</a></li>' for name in names)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Figures</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{style}</style>",
        f"<header><h1>Figures and tables</h1><ol>{links}</ol></header><main>",
        *(_section(out, name, made[name]) for name in names),
        f'</main><footer>Seeds and versions: <a href="{MADE}">{MADE}</a>.</footer></html>',
    ]
    (out / "index.html").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _section(out: Path, name: str, made: Record) -> str:
    head = f'<section id="{name}"><h2>{escape(_title(out, name))}</h2>'
    if "missing" in made:
        return f'{head}<p class="warnings">Not drawn: {_text(made["missing"])}</p></section>'
    _, words = read_caption(out, name)
    tables = sorted(out.glob(f"{name}.*.md"))
    shown = "".join(_table(path.read_text(encoding="utf-8")) for path in tables)
    if (out / f"{name}.png").is_file():
        shown = f'<img src="{name}.png" alt="{escape(_title(out, name))}">' + shown
    kept = sorted(path.name for path in out.glob(f"{name}.*") if path.name != f"{name}.md")
    links = ", ".join(f'<a href="{file}">{file}</a>' for file in kept)
    return (
        f"{head}<figure>{shown}<figcaption>{_text(words)}</figcaption></figure>"
        f"<details><summary>Files</summary>{links}</details></section>"
    )


def read_caption(out: Path, name: str) -> tuple[str, str]:
    """Title and caption of a figure that was written."""
    text = (out / f"{name}.md").read_text(encoding="utf-8").strip()
    title, _, words = text.removeprefix("**").partition("**")
    return title.rstrip("."), words.strip()


def _title(out: Path, name: str) -> str:
    return read_caption(out, name)[0] if (out / f"{name}.md").is_file() else name


def _text(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _table(markdown: str) -> str:
    """A Markdown table of :func:`cooanalysis.report.tables.markdown` as HTML."""
    head, _, *lines = markdown.strip().splitlines()
    rows = "".join(f"<tr>{_cells(line, 'td')}</tr>" for line in lines)
    return (
        f'<div class="table"><table><thead><tr>{_cells(head, "th")}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(line: str, tag: str) -> str:
    cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    texts = (re.sub(r"\\(.)", r"\1", cell.strip()) for cell in cells)
    bold = (re.sub(r"^\*\*(.*)\*\*$", r"<b>\1</b>", escape(text)) for text in texts)
    return "".join(f"<{tag}>{text}</{tag}>" for text in bold)
