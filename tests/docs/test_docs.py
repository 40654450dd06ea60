"""What the documents say is there is there: links, commands, names, exit codes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import cooanalysis
from cooanalysis import errors
from cooanalysis.cli.common import INTERRUPTED
from tests.helpers import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for path in ROOT.glob("docs/**/*.md") if "generated" not in path.parts),
        *(ROOT / folder / "README.md" for folder in ("experiments", "figures", "notebooks")),
    ]
)
IDS = [str(path.relative_to(ROOT)) for path in PAGES]
EXTERNAL = ("http://", "https://", "mailto:")


def _anchors(page: Path) -> set[str]:
    """Anchors of headings, as the forge and mkdocs make them."""
    titles = re.findall(r"^#+\s+(.*)$", page.read_text(encoding="utf-8"), re.M)
    plain = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles)
    return {re.sub(r"[\s]+", "-", title) for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    # Code and references to the API, [name][cooanalysis.x], are not links to files.
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(EXTERNAL):
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        if "generated" in where.parts:
            continue  # made when the site is built, which fails where they are missing
        assert where.exists(), f"{target} in {page.name}"
        if anchor:
            assert anchor in _anchors(where), f"{target} in {page.name}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_compiles(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        lines = block.splitlines()
        indent = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
        compile("\n".join(line[indent:] for line in lines), page.name, "exec")


def _options(name: str) -> set[str]:
    module = importlib.import_module(f"cooanalysis.cli.{name.removeprefix('coo-')}")
    command = typer.main.get_command(module.app)
    return {
        text
        for parameter in command.params
        for text in [*parameter.opts, *parameter.secondary_opts]
    } | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    blocks += re.findall(r"`((?:coo-analyze|coo-compare|coo-train)[^`\n]*)`", text)
    for line in "\n".join(blocks).splitlines():
        words = shlex.split(line.replace("…", ""), comments=True)
        if not words or not Path(words[0]).name.startswith("coo-"):
            continue
        known = _options(Path(words[0]).name)
        for word in words[1:]:
            if word.startswith("-") and len(word) > 1:
                assert word.partition("=")[0] in known, f"{word} in: {line}"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/api/*.md"))
    shown = set(re.findall(r"^::: (\S+)$", text, re.M))
    for name in cooanalysis.__all__:
        if name == "__version__":
            continue
        home = getattr(cooanalysis, name).__module__
        assert f"cooanalysis.{name}" in shown or home in shown, name
    for name in shown:
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and not name.startswith(error.name):
                continue  # torch and its like
            assert hasattr(importlib.import_module(module), attribute), name


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r"([\w/]+\.md)", text))
    assert listed == {
        str(path.relative_to(ROOT / "docs")) for path in PAGES if (ROOT / "docs") in path.parents
    }


def test_exit_codes_are_those_of_the_errors() -> None:
    codes = {0, INTERRUPTED} | {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CooError)
    }
    table = (ROOT / "docs/howto/resume.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)} == codes
    for page in ("README.md", "docs/cli.md"):
        words = (ROOT / page).read_text(encoding="utf-8")
        sentence = re.search(r"Exit codes[^:]*:(.*?interrupted)", words, re.S)
        assert sentence is not None
        assert {int(code) for code in re.findall(r"\b(\d+) ", sentence[1])} == codes


def test_every_figure_is_named_in_the_readme_of_figures() -> None:
    from figures.registry import NAMES

    text = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in NAMES)
    assert all((ROOT / "figures" / f"{name}.py").is_file() for name in NAMES)


def _load(name: str) -> Any:
    """A module of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["analyze", "compare", "train"])
def test_option_tables_are_those_of_the_command(name: str) -> None:
    pytest.importorskip("mkdocs")
    text = _load("hooks").command_line()
    section = text.partition(f"## coo-{name}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| (.*?) \| (.+) \|$", section, re.M)
    shown = {flag for row in rows for flag in row[0].split(", ") if flag.startswith("-")}
    flags = {flag for flag in _options(f"coo-{name}") if flag.startswith("-")}
    assert shown == flags - {"--help"}
    if name != "train":
        table = {row[0]: row[1:] for row in rows}
        assert table["--scale"] == ("integer", "`4`", "Upscaling factor: 2, 3, 4, 8.")
        assert table["--memory"][:2] == ("number", "")
        assert table["--normalize, --no-normalize"][:2] == ("switch", "on")


def test_the_reference_shows_what_help_shows() -> None:
    griffe = pytest.importorskip("griffe")
    extensions = griffe.load_extensions(ROOT / "docs" / "griffe_declared.py")
    package = griffe.load("cooanalysis", search_paths=[ROOT], extensions=extensions)
    for name in ("analyze", "compare"):
        function = getattr(cooanalysis, name)
        documented = package["api"][name]
        assert documented.docstring.value == function.__doc__
        assert [parameter.name for parameter in documented.parameters] == list(
            inspect.signature(function).parameters
        )
        assert documented.parameters["scale"].default == "4"
    config = package["analysis.config.AnalysisConfig"]
    assert config.parameters["scale"].default == "4"
    assert config.docstring.value == cooanalysis.AnalysisConfig.__doc__
