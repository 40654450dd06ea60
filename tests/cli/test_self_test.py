"""``coo-analyze --self-test``: passes here, fails where a measure is wrong."""

from __future__ import annotations

import time

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")

from cooanalysis.cli.analyze import app
from cooanalysis.cli.self_test import Check, run_checks
from cooanalysis.measures.detail import take_apart


def test_everything_passes_in_well_under_a_minute() -> None:
    started = time.process_time()
    checks = list(run_checks())
    failed = [check for check in checks if not check.passed]
    assert not failed
    assert len(checks) > 20
    assert len({check.title for check in checks}) == len(checks)
    assert time.process_time() - started < 40


def test_the_command_prints_a_table() -> None:
    done = CliRunner().invoke(app, ["--self-test"])
    assert done.exit_code == 0, done.output
    assert done.output.count("pass") == len(list(run_checks())) + 1
    assert "FAIL" not in done.output


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        ("cooanalysis.measures.center.center", lambda members: np.asarray(members)[0]),
        ("cooanalysis.measures.entropy.entropy", lambda groups, method: np.ones(len(groups))),
        ("cooanalysis.measures.entropy.psnr_ceiling", lambda mse: np.float64("nan")),
        (
            "cooanalysis.measures.detail.take_apart",
            lambda truth, output, lr, anchor, scale: take_apart(
                truth, output, lr, anchor=[1.1 * a for a in output], scale=scale
            ),
        ),
    ],
)
def test_a_wrong_measure_is_seen(
    function: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, wrong)
    done = CliRunner().invoke(app, ["--self-test"])
    assert done.exit_code == 1
    assert "FAIL" in done.output


def test_not_a_number_never_passes() -> None:
    assert not Check("x", 1.0, float("nan"), 10.0).passed
    assert Check("x", 1.0, 1.5, 0.5).passed
