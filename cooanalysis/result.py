"""What an analysis leaves behind: tables, headline numbers, example groups; saved and loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.errors import RunDirectoryError
from cooanalysis.explored import Explored
from cooanalysis.npz import read_arrays, require_regular

if TYPE_CHECKING:
    import pandas as pd

    from cooanalysis.plotting import Plots
    from cooanalysis.report.explorer import Explorer

SCHEMA_VERSION = 1
"""Version of the files in a run directory; raised when a key or column changes its meaning."""

KIND = "analysis"
"""What ``kind`` in a summary means where it is missing, as it is in those of analyses."""

_KEYS: dict[str, type] = {
    "fingerprint": str, "scale": int, "n_queries": int, "n_reference_patches": int,
    "dataset": dict, "reference": dict, "entropy": dict, "psnr_ceiling_db": dict,
    "manifold": dict, "two_sample_auc": dict, "warnings": list,
}  # fmt: skip
"""What nothing can be shown without."""

SUMMARY_FILE = "summary.json"
GROUPS_FILE = "groups.parquet"
MAPS_FILE = "maps.parquet"
EXAMPLES_FILE = "examples.npz"
EXPLORED_FILE = "explored.npz"
REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"


@dataclass(frozen=True)
class ExampleGroup:
    """One potential-HR group as pictures; all images are (height, width, channels) uint8.

    Attributes
    ----------
    row
        Row of the query in ``groups``.
    kind
        ``"highest"`` or ``"lowest"`` entropy.
    lr, truth, bicubic, center
        LR patch, true HR patch, bicubic upsampling, and center of the group (brought to the
        query's own mean and contrast).
    members
        (n, height, width, channels): some members, likewise, nearest first.
    """

    row: int
    kind: str
    lr: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    bicubic: NDArray[np.uint8]
    center: NDArray[np.uint8]
    members: NDArray[np.uint8]


@dataclass(frozen=True)
class Result:
    """The outcome of :func:`cooanalysis.analyze`.

    Attributes
    ----------
    summary
        Headline numbers, each with unit and interval; see ``schemas/summary.schema.json``.
    groups
        One row a query patch.
    maps
        One row a patch of the densely analysed images, for entropy maps.
    examples
        Groups with the highest and lowest entropy as pictures.
    images
        HR images behind the maps: name to (height, width, channels) uint8.
    explored
        Patches that the report lets its reader point at; None in runs of older versions.
    """

    summary: dict[str, Any]
    groups: pd.DataFrame
    maps: pd.DataFrame
    examples: tuple[ExampleGroup, ...]
    images: dict[str, NDArray[np.uint8]]
    explored: Explored | None = None

    @cached_property
    def plot(self) -> Plots:
        """Figures of this result: ``result.plot.entropy_vs_center_distance()`` and so on."""
        from cooanalysis.plotting import Plots

        return Plots(self)

    @property
    def fingerprint(self) -> str:
        """Identifies configuration and data; equal fingerprints mean equal results."""
        return str(self.summary["fingerprint"])

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run directory: whole or not at all.

        Parameters
        ----------
        directory
            Where to write. It must not exist, unless it is a run directory and ``overwrite``.

        Raises
        ------
        RunDirectoryError
            If the directory holds something else or cannot be written.
        """
        from cooanalysis.rundir import write_run

        return write_run(self, Path(directory), overwrite=overwrite)

    def explore(self) -> Explorer:
        """An interactive view for notebooks: point at a patch, see its group, center and truth.

        Raises
        ------
        CooError
            If the run is of a version that kept no pictures of patches.
        """
        from cooanalysis.report.html import explore

        return explore(self)

    def _repr_html_(self) -> str:
        from cooanalysis.report import summary_card

        return summary_card(self.summary)

    def __repr__(self) -> str:
        s = self.summary
        return (
            f"<Result {s['dataset']['name']} x{s['scale']}: {s['n_queries']} queries, "
            f"PSNR ceiling {s['psnr_ceiling_db']['value']:.2f} dB>"
        )


def load(directory: str | Path) -> Result:
    """Read a run directory back.

    Raises
    ------
    RunDirectoryError
        If it is not a complete run directory, or was written by a newer version.
    """
    import pandas as pd

    folder = Path(directory)
    summary = read_summary(folder)
    if summary.get("kind", KIND) != KIND:
        raise RunDirectoryError(
            f"{folder} holds no analysis but a {summary['kind']!s:.40}; use coo.load_comparison"
        )
    _require(folder, summary)
    try:
        for name in (GROUPS_FILE, MAPS_FILE):
            require_regular(folder / name)
        groups = pd.read_parquet(folder / GROUPS_FILE)
        maps = pd.read_parquet(folder / MAPS_FILE)
        if lacking := sorted({"image", "y", "x"} - set(groups.columns)):
            raise ValueError(f"{GROUPS_FILE} lacks the columns {', '.join(lacking)}")
        shown = unpack_examples(read_arrays(folder / EXAMPLES_FILE))
        explored = load_explored(folder)
    except Exception as error:  # damaged files fail in nearly any way
        raise damaged(folder, error, "analysis") from error
    return Result(summary, groups, maps, *shown, explored)


def damaged(folder: Path, error: Exception, what: str) -> RunDirectoryError:
    """The error that says that a run directory cannot be read, and what to do."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunDirectoryError(
        f"{folder} is damaged ({reason:.300}); run the {what} again with --overwrite"
    )


def _require(folder: Path, summary: dict[str, Any]) -> None:
    wrong = [name for name, kind in _KEYS.items() if not isinstance(summary.get(name), kind)]
    if wrong:
        raise RunDirectoryError(
            f"{folder} is damaged: {SUMMARY_FILE} lacks {', '.join(wrong)}, or holds something "
            "else there; run the analysis again with --overwrite"
        )


def load_explored(folder: Path) -> Explored | None:
    """Read the explored patches of a run directory; None where an older version wrote none."""
    path = folder / EXPLORED_FILE
    if not path.exists():
        return None
    return Explored.unpack(read_arrays(path))


def read_summary(folder: Path) -> dict[str, Any]:
    """Read and check ``summary.json`` of a run directory."""
    path = folder / SUMMARY_FILE
    if not path.is_file():
        raise RunDirectoryError(f"{folder} is not a run directory: it has no {SUMMARY_FILE}")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        version = summary["schema_version"]
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise ValueError(f"the schema version is {version!r:.40}")
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise RunDirectoryError(
            f"{path} cannot be read ({' '.join(str(error).split())}); run the analysis again with "
            "--overwrite"
        ) from error
    if version > SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{path} was written by a newer version of cooanalysis (schema {version}, this one "
            f"reads up to {SCHEMA_VERSION}); upgrade cooanalysis"
        )
    return dict(summary)


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
