"""The fuzz targets in their short form: seeds, earlier findings, and mutations of both.

The long form is ``experiments/robustness/fuzz.py``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.robustness.fuzz_targets import TARGETS
from tests.helpers import ROOT

FINDINGS = ROOT / "experiments" / "robustness" / "findings"


def usable(name: str) -> list[bytes]:
    """Seeds and findings of a target; skips where a package is missing."""
    for module in TARGETS[name].needs:
        pytest.importorskip(module)
    kept = sorted((FINDINGS / name).glob("*")) if (FINDINGS / name).is_dir() else []
    return [*TARGETS[name].seeds(), *(path.read_bytes() for path in kept)]


def mutate(data: bytes, seed: int) -> bytes:
    """Change, cut, repeat or insert a few bytes, as a fuzzer does."""
    rng, found = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(found) + 1)
        kind = rng.randrange(5)
        if kind == 0 and place < len(found):
            found[place] = rng.randrange(256)
        elif kind == 1:
            found[place:] = b""
        elif kind == 2:
            found[place:place] = found[place : place + rng.randint(1, 64)]
        elif kind == 3:
            found[place : place + rng.randint(1, 16)] = b""
        else:
            found[place:place] = rng.choice([b"\xff\xff\xff\xff", b"\0" * 4, b"9" * 20, b"../"])
    return bytes(found)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_earlier_findings(name: str) -> None:
    for data in usable(name):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_any_mutation_is_handled(name: str) -> None:
    seeds = usable(name)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(range(len(seeds))), st.integers(0, 2**32))
    def check(which: int, seed: int) -> None:
        TARGETS[name].run(mutate(seeds[which], seed))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_handled(name: str) -> None:
    usable(name)

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=512))
    def check(data: bytes) -> None:
        TARGETS[name].run(data)

    check()


@pytest.mark.slow
@pytest.mark.needs("atheris")
def test_the_coverage_guided_fuzzer_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.robustness.fuzz", "--seconds", "3", "--only",
         "configuration", "--out", tmp_path],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["executions"] > 100  # thousands, where nothing else runs
    assert not found["findings"]
