"""Known vulnerabilities in what is installed beside this Python; fails for findings alone.

The advisory database is on the network: where it cannot be reached, or knows none of the packages,
that is said and no failure. Needs ``pip install pip-audit``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def judge(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and one line for a report of pip-audit, as JSON."""
    packages = report["dependencies"]
    checked = [each for each in packages if "skip_reason" not in each]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for each in checked
        for vulnerability in each["vulns"]
    ]
    if found:
        return 1, "dependency audit: " + "; ".join(found)
    if not checked:
        return 0, "dependency audit skipped: the advisory database knows none of the packages here"
    return 0, f"dependency audit: nothing known against {len(checked)} of {len(packages)} packages"


def main() -> int:
    """Run pip-audit and say what it found."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format=json",
               "--progress-spinner=off", "--timeout=10"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        code, line = judge(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        code, line = 0, "dependency audit skipped: the advisory database does not answer"
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        code, line = 0, f"dependency audit skipped: the database cannot be reached ({reason:.200})"
    print(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
