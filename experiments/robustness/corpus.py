"""All bad or unusual inputs, tried one by one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cooanalysis as coo
from experiments.robustness import bad_files, bad_folders, bad_images, bad_settings
from experiments.robustness.outcome import Case, Outcome, try_case

SMALL: dict[str, Any] = {
    "scale": 2, "patch_width": 3, "queries": 100, "k": 16, "stride": 1, "subspace_dim": 4,
    "estimators": ("gaussian",), "features": ("subbands",), "manifold_reference": 200,
    "ceiling_queries": 10, "map_images": 1, "device": "cpu",
}  # fmt: skip


def whole_runs(folder: Path) -> tuple[Path, Path]:
    """A complete analysis and comparison, to be damaged."""
    images = folder / "images"
    images.mkdir(parents=True)
    for number in range(4):
        picture = bad_images.picture(12, 12, seed=number).resize((48, 48))
        picture.save(images / f"{number}.png")
    coo.analyze(images, out=folder / "analysis", **SMALL)
    models = {"bicubic": "bicubic", "flat": lambda lr: np.zeros((48, 48, 3), np.uint8)}
    options = {k: v for k, v in SMALL.items() if k not in ("estimators", "ceiling_queries")}
    coo.compare(images, models, metrics=["psnr_y"], out=folder / "comparison", crops=1, cache=False,
                **options)  # fmt: skip
    return folder / "analysis", folder / "comparison"


def all_cases(folder: Path) -> Iterator[Case]:
    """The entire corpus, written into ``folder``, which must not exist."""
    yield from bad_images.cases(folder / "images")
    yield from bad_folders.cases(folder / "folders")
    yield from bad_settings.cases(folder / "settings")
    yield from bad_files.cases(folder / "files", *whole_runs(folder / "runs"))


def try_all(cases: Iterable[Case]) -> list[Outcome]:
    """Outcome of each case."""
    return [try_case(case) for case in cases]


def table(outcomes: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """Counts of verdicts by the first word of the kind."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        kind = outcome.case.kind.split(":")[0]
        counts.setdefault(kind, Counter())[outcome.verdict] += 1
    return {
        kind: {verdict: found[verdict] for verdict in ("handled", "refused", "fault")}
        for kind, found in counts.items()
    }


if __name__ == "__main__":
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        found = try_all(all_cases(Path(place) / "corpus"))
    for outcome in found:
        if outcome.verdict == "fault":
            print(outcome.case.kind, "|", outcome.case.name, "|", outcome.detail, file=sys.stderr)
    print(json.dumps(table(found)))
