"""``python -m figures``: what a folder of results holds, and what it says about what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import typer

import figures.__main__ as command
from figures import registry
from figures.contract import Data, Inputs, MissingData
from figures.page import read_caption, recorded

TABLE = pd.DataFrame({"model": ["a|b", "<i>"], "PSNR [dB]": ["1.0", "2.0"]})


def _tabular(**changes: Any) -> SimpleNamespace:
    def data(inputs: Inputs) -> Data:
        return Data({"totals": TABLE}, facts={"n": 2}, tables={"totals": (TABLE, {(1, "model")})})

    found = {"TITLE": "A table", "data": data, "draw": lambda data: None,
             "caption": lambda data: "Two rows & `code`."}  # fmt: skip
    return SimpleNamespace(**found | changes)


def _lacking(inputs: Inputs) -> Data:
    raise MissingData("no <weights>; install `them`")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand-ins of two figures and a table, by their names."""
    found = {
        "coo_picture": _tabular(TITLE="A picture"),
        "power_spectra": _tabular(TITLE="Spectra", data=_lacking),
        "benchmark_table": _tabular(),
    }
    assert set(found) <= set(registry.NAMES)
    monkeypatch.setattr(command, "NAMES", tuple(found))
    monkeypatch.setattr(command, "module", found.__getitem__)
    return found


def _run(out: Path, *only: str) -> None:
    command.main("sample", None, list(only) or None, out, queries=7, seed=3, data_root=None)


def test_the_page_shows_what_was_made_and_says_what_was_not(
    modules: dict[str, Any], tmp_path: Path
) -> None:
    _run(tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.index("A picture") < page.index("A table")
    assert "Not drawn: no &lt;weights&gt;; install <code>them</code>" in page
    assert "Two rows &amp; <code>code</code>." in page
    assert "<th>PSNR [dB]</th>" in page and "<td>a|b</td>" in page
    assert "<td><b>&lt;i&gt;</b></td>" in page
    for link in ("benchmark_table.totals.csv", "benchmark_table.totals.tex", "made.json"):
        assert f'href="{link}"' in page and (tmp_path / link).is_file()
    assert read_caption(tmp_path, "benchmark_table") == ("A table", "Two rows & `code`.")


def test_seeds_and_versions_are_recorded(modules: dict[str, Any], tmp_path: Path) -> None:
    _run(tmp_path)
    made = recorded(tmp_path)
    assert set(made) == set(modules)
    assert made["coo_picture"]["seed"] == 3 and made["coo_picture"]["queries"] == 7
    assert "numpy" in made["coo_picture"]["versions"]
    assert made["power_spectra"]["missing"].startswith("no <weights>")
    assert "missing" not in made["coo_picture"]


def test_a_single_figure_leaves_the_others_in_the_page(
    modules: dict[str, Any], tmp_path: Path
) -> None:
    _run(tmp_path)
    _run(tmp_path, "coo_picture")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "A picture" in page and "A table" in page and "Not drawn" in page


def test_no_old_figure_is_left_where_the_new_one_lacks_its_data(
    modules: dict[str, Any], tmp_path: Path
) -> None:
    _run(tmp_path)
    modules["benchmark_table"].data = _lacking
    _run(tmp_path)
    assert not list(tmp_path.glob("benchmark_table.*"))
    assert "A table" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_two_runs_write_the_same_bytes(modules: dict[str, Any], tmp_path: Path) -> None:
    for name in ("first", "second"):
        _run(tmp_path / name)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert json.loads(first["made.json"])


def test_nothing_to_draw_is_a_failure(modules: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(typer.Exit):
        _run(tmp_path, "power_spectra")
    with pytest.raises(typer.BadParameter, match="unknown figure such_figure"):
        _run(tmp_path, "such_figure")
