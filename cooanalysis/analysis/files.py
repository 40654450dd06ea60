"""The files of an analysis in a run directory: written and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.record import AnalysisRecord, ExampleGroup, Explored
from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.analysis.upgrade import upgrade
from cooanalysis.errors import RunDirectoryError
from cooanalysis.runtime.npz import read_arrays, require_regular, write_arrays
from cooanalysis.runtime.run_directory import (
    checked_summary,
    damaged,
    read_plain_summary,
    write_summary,
)

KIND = "analysis"
"""What ``kind`` in a summary means where it is missing, as it is in those of analyses."""

GROUPS_FILE = "groups.parquet"
MAPS_FILE = "maps.parquet"
EXAMPLES_FILE = "examples.npz"
EXPLORED_FILE = "explored.npz"


def write_files(record: AnalysisRecord, folder: Path) -> None:
    """Write everything but figures and report."""
    write_summary(folder, record.summary)
    record.groups.to_parquet(folder / GROUPS_FILE, index=False)
    record.maps.to_parquet(folder / MAPS_FILE, index=False)
    write_arrays(
        folder / EXAMPLES_FILE, pack_examples(record.examples, record.images), compress=True
    )
    if record.explored is not None:
        write_arrays(folder / EXPLORED_FILE, record.explored.pack(), compress=True)


def read_files(folder: Path) -> AnalysisRecord:
    """Read what :func:`write_files` wrote.

    Raises
    ------
    RunDirectoryError
        If it is not a complete run directory, or was written by a newer version.
    """
    import pandas as pd

    summary = read_summary(folder)
    try:
        for name in (GROUPS_FILE, MAPS_FILE):
            require_regular(folder / name)
        groups = pd.read_parquet(folder / GROUPS_FILE)
        maps = pd.read_parquet(folder / MAPS_FILE)
        if lacking := sorted({"image", "y", "x"} - set(groups.columns)):
            raise ValueError(f"{GROUPS_FILE} lacks the columns {', '.join(lacking)}")
        shown = unpack_examples(read_arrays(folder / EXAMPLES_FILE))
        explored = load_explored(folder)
    except Exception as error:  # damaged files can raise almost anything
        raise damaged(folder, error, "analysis") from error
    return AnalysisRecord(summary, groups, maps, *shown, explored)


def read_summary(folder: Path) -> AnalysisSummary:
    """Read ``summary.json`` of an analysis, of the present or an older version.

    Raises
    ------
    RunDirectoryError
        If it is not there, was written by a newer version, is of something else, or does not fit
        the record: the message names the first field that does not.
    """
    plain = read_plain_summary(folder)
    if plain.get("kind", KIND) != KIND:
        raise RunDirectoryError(
            f"{folder} holds no analysis but a {plain['kind']!s:.40}; use coo.load_comparison"
        )
    return checked_summary(folder, upgrade(plain), AnalysisSummary, KIND)


def load_explored(folder: Path) -> Explored | None:
    """Read the explored patches of a run directory; None where an older version wrote none."""
    path = folder / EXPLORED_FILE
    if not path.exists():
        return None
    return Explored.unpack(read_arrays(path))


def pack_examples(
    examples: tuple[ExampleGroup, ...], images: dict[str, NDArray[np.uint8]]
) -> dict[str, NDArray[Any]]:
    """Flatten example groups and images into arrays for an ``.npz`` file."""
    arrays: dict[str, NDArray[Any]] = {"image_names": np.array(list(images), np.str_)}
    for number, image in enumerate(images.values()):
        arrays[f"image_{number}"] = image
    arrays["example_rows"] = np.array([e.row for e in examples], np.int64)
    arrays["example_kinds"] = np.array([e.kind for e in examples], np.str_)
    for number, example in enumerate(examples):
        for part in ("lr", "truth", "bicubic", "center", "members"):
            arrays[f"example_{number}_{part}"] = getattr(example, part)
    return arrays


def unpack_examples(
    arrays: dict[str, NDArray[Any]],
) -> tuple[tuple[ExampleGroup, ...], dict[str, NDArray[np.uint8]]]:
    """The inverse of :func:`pack_examples`."""
    images = {str(name): arrays[f"image_{i}"] for i, name in enumerate(arrays["image_names"])}
    examples = tuple(
        ExampleGroup(
            int(row),
            str(kind),
            *(
                arrays[f"example_{i}_{part}"]
                for part in ("lr", "truth", "bicubic", "center", "members")
            ),
        )
        for i, (row, kind) in enumerate(
            zip(arrays["example_rows"], arrays["example_kinds"], strict=True)
        )
    )
    return examples, images
