"""MkDocs hooks: pages generated from the commands and from the figures."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any, get_args

from mkdocs.exceptions import PluginError

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
REQUIRED = (
    "coo_picture", "entropy_vs_center_distance", "detail_energy_vs_entropy", "manifold_vs_entropy",
)  # fmt: skip
OTHERS = "Options"
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
    """Every command with its options, from the commands themselves."""
    import importlib

    import typer

    parts = []
    for name in COMMANDS:
        module = importlib.import_module(f"cooanalysis.cli.{name}")
        command = typer.main.get_command(module.app)
        types = _types(getattr(module, name))
        options = _options(command, types)
        parts += [f"## coo-{name}", command.help, options, _terminal(command.epilog)]
    return "\n\n".join(parts)


def _types(function: Any) -> dict[str, str]:
    """Types of a command's values by the name of the parameter."""
    hints = {
        name: get_args(parameter.annotation)[0]
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
    }
    names = {bool: "switch", int: "integer", float: "number", str: "text", Path: "path"}
    return {
        name: next(word for kind, word in names.items() if kind.__name__ in str(hint))
        for name, hint in hints.items()
    }


def _options(command: Any, types: dict[str, str]) -> str:
    """Tables of options, one per panel of ``--help``."""
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        panel = getattr(parameter, "rich_help_panel", None) or OTHERS
        row = _row(parameter, types.get(parameter.name, "switch"))
        panels.setdefault(panel, []).append(row)
    ordered = sorted(panels.items(), key=lambda item: item[0] == OTHERS)
    head = "| Option | Type | Default | Meaning |\n|---|---|---|---|\n"
    return "\n\n".join(f"**{title}**\n\n{head}" + "\n".join(rows) for title, rows in ordered)


def _row(parameter: Any, kind: str) -> str:
    names = parameter.metavar or ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    if parameter.required:
        shown = "required"
    elif isinstance(default, bool):
        shown = "on" if default else "off"
    else:
        shown = "" if default in (None, "") else f"`{default}`"
    cells = (f"`{names}`", kind, shown, " ".join((parameter.help or "").split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _terminal(text: str) -> str:
    """Help written for terminals, with rich's markup, as Markdown: command lines become code."""
    text = text.strip().replace("[bold]", "**").replace("[/bold]", "**")
    blocks = text.split("\n\n")
    return "\n\n".join(
        f"```sh\n{textwrap.dedent(block)}\n```" if block.startswith("  coo-") else block.strip()
        for block in blocks
    )


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
