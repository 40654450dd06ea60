"""The table of docs/reliability.md is what was measured."""

from __future__ import annotations

import json

from experiments.robustness import measure  # noqa: E402


def test_the_table_is_that_of_the_measured_file() -> None:
    measured = json.loads(measure.MEASURED.read_text(encoding="utf-8"))
    page = measure.PAGE.read_text(encoding="utf-8")
    between = page.split(measure.START)[1].split(measure.END)[0]
    assert between.strip() == measure.table(measured)


def test_the_long_form_was_run() -> None:
    measured = json.loads(measure.MEASURED.read_text(encoding="utf-8"))
    assert set(measured) == {*measure.PARTS, "runs"} and set(measured["runs"]) == set(measure.PARTS)
    assert measured["bad_input"]["tried"] >= 500 and measured["bad_input"]["faults"] == 0
    assert measured["malicious"]["ran"] == 0
    for command in measured["kill"].values():
        assert command["survived"] == command["kills"] >= 50
    assert measured["fuzz"]["findings"] == 0 and not measured["fuzz"]["failed"]
