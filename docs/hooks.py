"""MkDocs hooks: pages generated from the commands and from the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
REQUIRED = (
    "coo_picture", "entropy_vs_center_distance", "detail_energy_vs_entropy", "manifold_vs_entropy",
)  # fmt: skip
COMMANDS = ("analyze", "compare", "train")


def on_pre_build(config: Any) -> None:
    """Say how to make the figures if they are missing."""
    absent = [name for name in REQUIRED if not (GENERATED / f"{name}.png").is_file()]
    if absent:
        raise PluginError(f"docs/generated lacks {', '.join(absent)}; run `make docs`")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Append the generated parts to the pages that have them."""
    if page.file.src_uri == "cli.md":
        return markdown + "\n" + command_line()
    if page.file.src_uri == "figures.md":
        return markdown + "\n" + figures()
    return markdown


def command_line() -> str:
    """Options of every command, taken from the commands themselves."""
    import importlib

    import typer
    from typer.cli import get_docs_for_click

    parts = []
    for name in COMMANDS:
        module = importlib.import_module(f"cooanalysis.cli.{name}")
        command = typer.main.get_command(module.app)
        context = typer.Context(command, info_name=f"coo-{name}")
        text = get_docs_for_click(obj=command, ctx=context, name=f"coo-{name}", indent=1)
        # The help text is written for terminals, with rich's markup.
        for mark in ("[bold]", "[/bold]"):
            text = text.replace(mark, "**")
        parts.append(text)
    return "\n\n".join(parts)


def figures() -> str:
    """All figures that were made, with their captions and tables."""
    from figures.page import read_caption, recorded
    from figures.registry import NAMES

    made = recorded(GENERATED)
    parts = []
    for name in NAMES:
        if not (GENERATED / f"{name}.md").is_file():
            why = made.get(name, {}).get("missing", f"run `python -m figures --only {name}`")
            parts.append(f"*{name}* was not drawn: {why}\n")
            continue
        title, words = read_caption(GENERATED, name)
        parts.append(f"## {title}\n")
        if (GENERATED / f"{name}.png").is_file():
            parts.append(f"![{title}](generated/{name}.png)\n")
        parts.append(words + "\n")
        for table in sorted(GENERATED.glob(f"{name}.*.md")):
            parts.append(table.read_text(encoding="utf-8"))
        parts.append(f"Made by `python -m figures --only {name}`.\n")
    return "\n".join(parts)
