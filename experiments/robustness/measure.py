"""Measure the reliability, and write the numbers to measured.json next to this file.

    python -m experiments.robustness.measure             # everything: about an hour and a half
    python -m experiments.robustness.measure --only agreement

Each part replaces its own numbers and leaves the others. ``--table`` writes them into
docs/reliability.md, whose table a test compares with the file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # not on import, where Numba may be running already
    # Before Numba is imported: more threads than cores are tried.
    os.environ.setdefault("NUMBA_NUM_THREADS", "4")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MEASURED = HERE / "measured.json"
PAGE = ROOT / "docs" / "reliability.md"
START, END = "<!-- measured: from here -->", "<!-- measured: to here -->"


def bad_input(options: argparse.Namespace) -> dict[str, Any]:
    """The corpus of bad input: counts of what was handled, refused, or a fault."""
    from experiments.robustness import corpus

    with tempfile.TemporaryDirectory() as folder:
        outcomes = corpus.try_all(corpus.all_cases(Path(folder) / "corpus"))
    return {
        "tried": len(outcomes),
        "handled": sum(o.verdict == "handled" for o in outcomes),
        "refused": sum(o.verdict == "refused" for o in outcomes),
        "faults": sum(o.verdict == "fault" for o in outcomes),
        "kinds": corpus.table(outcomes),
    }


def malicious(options: argparse.Namespace) -> dict[str, Any]:
    """Files that would run code or lie about their size, and hostile archives."""
    from experiments.robustness import bad_files
    from experiments.robustness import malicious as files
    from experiments.robustness.outcome import Case, try_case

    with tempfile.TemporaryDirectory() as folder:
        canary, place = Path(folder) / "canary", Path(folder) / "files"
        place.mkdir()
        tried = passed_over = refused = ran = 0
        for one in files.files(place, canary):
            verdict = try_case(Case("malicious", one.name, one.load)).verdict
            tried += 1
            refused += verdict == "refused"
            passed_over += verdict == "handled" and not one.refusal
            ran += canary.exists()
            canary.unlink(missing_ok=True)
        archives = Path(folder) / "archives"
        verdicts = [try_case(case).verdict for case in bad_files._archives(archives)]
    return {
        "tried": tried, "refused": refused, "passed_over": passed_over, "ran": ran,
        "archives_tried": len(verdicts), "archives_refused": verdicts.count("refused"),
        "archives_unpacked_inside": verdicts.count("handled"),
        "archives_faults": verdicts.count("fault"),
    }  # fmt: skip


def kill(options: argparse.Namespace) -> dict[str, Any]:
    """SIGKILL at random moments, then resumed and compared."""
    from experiments.robustness import kills

    found = {}
    for command in kills.COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = kills.torture(command, options.kills, Path(folder), options.seed)
        found[command] = outcome.__dict__
    return found


def interrupt(options: argparse.Namespace) -> dict[str, Any]:
    """Ctrl-C at random moments: exit code 130, one line, resumed and compared."""
    from experiments.robustness import kills

    found = {}
    for command in kills.COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            outcome = kills.interrupt(
                command, options.interrupts, Path(folder), options.seed, cold=command == "analyze"
            )
        found[command] = outcome.__dict__
    return found


def fuzz(options: argparse.Namespace) -> dict[str, Any]:
    """Coverage-guided fuzzing of every target."""
    from experiments.robustness import fuzz as fuzzer
    from experiments.robustness.fuzz_targets import TARGETS

    outcomes = [fuzzer.run(name, options.seconds, ROOT / "runs" / "fuzz") for name in TARGETS]
    return {
        "targets": len(outcomes),
        "seconds_a_target": options.seconds,
        "executions": sum(o["executions"] for o in outcomes),
        "findings": sum(len(o["findings"]) for o in outcomes),
        "found_and_fixed": len([p for p in (HERE / "findings").rglob("*") if p.is_file()]),
        "failed": [o["target"] for o in outcomes if o["failed"]],
    }


def agreement(options: argparse.Namespace) -> dict[str, Any]:
    """Largest differences between threads, batch sizes, engines and precisions."""
    from experiments.robustness import agreement as agree

    return {
        "threads": agree.between_threads("sample"),
        "batches": agree.between_batches("sample"),
        "engines": agree.between_engines("sample"),
        "precisions": agree.between_precisions(),
    }


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "bad_input": bad_input, "malicious": malicious, "agreement": agreement, "kill": kill,
    "interrupt": interrupt, "fuzz": fuzz,
}  # fmt: skip


def table(measured: dict[str, Any]) -> str:
    """The numbers as a table in Markdown."""
    bad, evil, agree = measured["bad_input"], measured["malicious"], measured["agreement"]
    fuzzed = measured["fuzz"]
    rows = [
        ("bad or unusual inputs tried", f"{bad['tried']:,}"),
        ("handled; refused with a one-line message; faults",
         f"{bad['handled']:,}; {bad['refused']:,}; {bad['faults']}"),
        ("malicious weights, run directories and configurations tried", f"{evil['tried']}"),
        ("refused; set aside and recomputed; executed code",
         f"{evil['refused']}; {evil['passed_over']}; {evil['ran']}"),
        ("hostile or broken archives: refused; unpacked inside the target folder; faults",
         f"{evil['archives_refused']}; {evil['archives_unpacked_inside']}; "
         f"{evil['archives_faults']}"),
    ]  # fmt: skip
    for part, title in (("kill", "SIGKILL"), ("interrupt", "Ctrl-C")):
        for command, found in measured[part].items():
            rows.append(
                (f"`coo-{command}`: {title} at random moments, survived",
                 f"{found['survived']} of {found['kills']}")
            )  # fmt: skip
    hours = fuzzed["targets"] * fuzzed["seconds_a_target"] / 3600
    rows += [
        ("coverage-guided fuzzing",
         f"{fuzzed['targets']} targets, {hours:.2f} hours, {fuzzed['executions']:,} executions"),
        ("findings, all fixed and kept as tests; open findings",
         f"{fuzzed['found_and_fixed']}; {fuzzed['findings']}"),
    ]  # fmt: skip
    titles = {
        "threads": "largest relative difference between 1, 2 and 4 threads",
        "batches": "between batch sizes",
        "engines": "between engines",
        "precisions": "between float32 and float64",
    }
    for part, title in titles.items():
        shown = max(agree[part].values(), default=None)
        which = f" ({', '.join(agree[part])})" if part == "engines" and agree[part] else ""
        rows.append((title + which, "not measured" if shown is None else f"{shown:.1e}"))
    lines = ["| what | measured |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    return "\n".join(lines)


def write_table() -> None:
    """Put the table into the page."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    text = f"{before}{START}\n{table(measured)}\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Run the selected measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--kills", type=int, default=50, help="for each command")
    parser.add_argument("--interrupts", type=int, default=20, help="for each command")
    parser.add_argument("--seconds", type=int, default=120, help="of fuzzing for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MEASURED)
    parser.add_argument("--table", action="store_true", help="write the table of the docs and stop")
    options = parser.parse_args()
    if options.table:
        write_table()
        return
    for name in options.only:
        started = time.perf_counter()
        found = PARTS[name](options)
        found_at = {
            "date": dt.date.today().isoformat(),
            "minutes": round((time.perf_counter() - started) / 60, 1),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
        kept = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        kept.setdefault("runs", {})[name] = found_at
        kept[name] = found
        options.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
