"""The audit of dependencies: findings fail, an unreachable database does not."""

from __future__ import annotations

import importlib.util

from tests.helpers import ROOT

SPEC = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
assert SPEC is not None and SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "version": "1", "skip_reason": "not found"}


def test_findings_fail() -> None:
    code, line = audit.judge({"dependencies": [GOOD, BAD, UNKNOWN]})
    assert code == 1 and "b 2: CVE-1, fixed in 3" in line


def test_nothing_found() -> None:
    assert audit.judge({"dependencies": [GOOD, UNKNOWN]}) == (
        0,
        "dependency audit: nothing known against 1 of 2 packages",
    )


def test_nothing_known_is_not_nothing_found() -> None:
    code, line = audit.judge({"dependencies": [UNKNOWN]})
    assert code == 0 and "skipped" in line
