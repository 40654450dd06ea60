"""The files of a comparison in a run directory: writing and reading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.files import EXPLORED_FILE, load_explored
from cooanalysis.comparison.record import ComparisonRecord, Crop
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.comparison.upgrade import upgrade
from cooanalysis.errors import RunDirectoryError
from cooanalysis.runtime.npz import read_arrays, require_regular, write_arrays
from cooanalysis.runtime.run_directory import (
    checked_summary,
    damaged,
    read_plain_summary,
    write_summary,
)

KIND: Final = "comparison"
PICTURES_FILE = "pictures.npz"
FRAMES = ("totals", "models", "patches", "strata", "spectra", "maps")
LATER_FRAMES = ("bands", "bound")
"""Tables that runs of older versions do not have."""


def write_files(record: ComparisonRecord, folder: Path) -> None:
    """Write everything except tables, figures and report."""
    write_summary(folder, record.summary)
    for name in FRAMES:
        getattr(record, name).to_parquet(folder / f"{name}.parquet", index=False)
    for name in LATER_FRAMES:
        if (frame := getattr(record, name)) is not None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
    write_arrays(folder / PICTURES_FILE, _pack_images(record), compress=True)
    if record.explored is not None:
        write_arrays(folder / EXPLORED_FILE, record.explored.pack(), compress=True)


def read_files(folder: Path) -> ComparisonRecord:
    """Read what :func:`write_files` wrote.

    Raises
    ------
    RunDirectoryError
        If it is not the run directory of a comparison, or is damaged.
    """
    import pandas as pd

    summary = read_summary(folder)
    try:
        for name in FRAMES:
            require_regular(folder / f"{name}.parquet")
        frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES}
        for name in LATER_FRAMES:
            if (path := folder / f"{name}.parquet").exists():
                require_regular(path)
                frames[name] = pd.read_parquet(path)
        arrays = read_arrays(folder / PICTURES_FILE)
        images = {str(name): arrays[f"map_{i}"] for i, name in enumerate(arrays["map_names"])}
        crops = []
        for number, name in enumerate(arrays["crop_images"]):
            top, left = map(int, arrays["crop_corners"][number])
            pictures = {
                str(model): arrays[f"crop_{number}_{place}"]
                for place, model in enumerate(arrays[f"crop_{number}_names"])
            }
            crops.append(Crop(str(name), top, left, pictures))
        explored = load_explored(folder)
    except Exception as error:  # damaged files can raise almost anything
        raise damaged(folder, error, "comparison") from error
    return ComparisonRecord(summary, **frames, crops=tuple(crops), images=images, explored=explored)


def read_summary(folder: Path) -> ComparisonSummary:
    """Read ``summary.json`` of a comparison, of the present or an older version.

    Raises
    ------
    RunDirectoryError
        If it is not there, was written by a newer version, is of something else, or does not fit
        the record: the message names the first field that does not.
    """
    plain = read_plain_summary(folder)
    if plain.get("kind") != KIND:
        raise RunDirectoryError(f"{folder} holds an analysis, not a comparison; use coo.load")
    return checked_summary(folder, upgrade(plain), ComparisonSummary, KIND)


def _pack_images(record: ComparisonRecord) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "map_names": np.array(list(record.images), np.str_),
        "crop_images": np.array([crop.image for crop in record.crops], np.str_),
        "crop_corners": np.array([(c.top, c.left) for c in record.crops], np.int64),
    }
    for number, image in enumerate(record.images.values()):
        arrays[f"map_{number}"] = image
    for number, crop in enumerate(record.crops):
        arrays[f"crop_{number}_names"] = np.array(list(crop.pictures), np.str_)
        for place, picture in enumerate(crop.pictures.values()):
            arrays[f"crop_{number}_{place}"] = picture
    return arrays
