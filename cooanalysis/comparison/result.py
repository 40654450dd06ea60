"""What a comparison leaves behind: tables, pictures, headline numbers; saved and loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.comparison.crops import Crop
from cooanalysis.errors import RunDirectoryError
from cooanalysis.explored import Explored
from cooanalysis.npz import read_arrays, require_regular, write_arrays
from cooanalysis.result import (
    EXPLORED_FILE,
    FIGURES_FOLDER,
    REPORT_FILE,
    damaged,
    load_explored,
    read_summary,
)
from cooanalysis.rundir import write_summary, write_whole

if TYPE_CHECKING:
    import pandas as pd

    from cooanalysis.comparison.plots import Plots
    from cooanalysis.report.explorer import Explorer

KIND = "comparison"
TABLES_FOLDER = "tables"
PICTURES_FILE = "pictures.npz"
_KEYS = ("dataset", "scale", "models", "measures", "fingerprint", "warnings", "n_queries")
"""What nothing can be shown without."""

FRAMES = ("totals", "models", "patches", "strata", "spectra", "maps")


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`cooanalysis.compare`.

    Attributes
    ----------
    summary
        Headline numbers, verdicts in words, configuration, provenance.
    totals
        A row a model and measure; see :func:`cooanalysis.comparison.statistics.totals`.
    models
        A row a model and image: the metrics, and ``psnr_y`` and so on, by name.
    patches
        A row a model and query patch.
    strata
        A row a model, entropy quantile and measure.
    spectra
        A row a model and frequency: mean radial power of the luma (levels squared), and its ratio
        to that of the truth with its interval.
    maps
        A row a model and patch of the densely measured images.
    crops
        The most over-smoothed places, as every model shows them.
    images
        HR images behind the maps: name to (height, width, channels) uint8.
    explored
        Patches that the report lets its reader point at; None in runs of older versions.
    """

    summary: dict[str, Any]
    totals: pd.DataFrame
    models: pd.DataFrame
    patches: pd.DataFrame
    strata: pd.DataFrame
    spectra: pd.DataFrame
    maps: pd.DataFrame
    crops: tuple[Crop, ...]
    images: dict[str, NDArray[np.uint8]]
    explored: Explored | None = None

    @cached_property
    def plot(self) -> Plots:
        """Figures: ``comparison.plot.perception_distortion()`` and so on."""
        from cooanalysis.comparison.plots import Plots

        return Plots(self)

    @property
    def names(self) -> list[str]:
        """Names of the models, in the order in which they were given."""
        return [str(model["name"]) for model in self.summary["models"]]

    @property
    def fingerprint(self) -> str:
        """Identifies configuration, data and models."""
        return str(self.summary["fingerprint"])

    def table(self) -> pd.DataFrame:
        """A row a model, a column a measure: the numbers of the totals."""
        wide = self.totals.pivot(index="model", columns="measure", values="value")
        order = [measure["name"] for measure in self.summary["measures"]]
        return wide.loc[self.names, order]

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run directory: whole or not at all.

        Raises
        ------
        RunDirectoryError
            If the directory holds something else or cannot be written.
        """
        from cooanalysis.comparison.plots import save_figures
        from cooanalysis.comparison.tables import write_tables
        from cooanalysis.report.comparison import write_report

        def fill(building: Path) -> None:
            write_summary(building, self.summary)
            for name in FRAMES:
                getattr(self, name).to_parquet(building / f"{name}.parquet", index=False)
            write_arrays(building / PICTURES_FILE, self._pictures(), compress=True)
            if self.explored is not None:
                write_arrays(building / EXPLORED_FILE, self.explored.pack(), compress=True)
            write_tables(self, building / TABLES_FOLDER)
            drawn = save_figures(self, building / FIGURES_FOLDER)
            pictures = {path.stem: path.read_bytes() for path in drawn if path.suffix == ".png"}
            write_report(self, building / REPORT_FILE, pictures)

        return write_whole(Path(directory), fill, overwrite=overwrite)

    def _pictures(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "map_names": np.array(list(self.images), np.str_),
            "crop_images": np.array([crop.image for crop in self.crops], np.str_),
            "crop_corners": np.array([(c.top, c.left) for c in self.crops], np.int64),
        }
        for number, image in enumerate(self.images.values()):
            arrays[f"map_{number}"] = image
        for number, crop in enumerate(self.crops):
            arrays[f"crop_{number}_names"] = np.array(list(crop.pictures), np.str_)
            for place, picture in enumerate(crop.pictures.values()):
                arrays[f"crop_{number}_{place}"] = picture
        return arrays

    def explore(self) -> Explorer:
        """An interactive view for notebooks: point at a patch, see what every model answers.

        Raises
        ------
        CooError
            If the comparison is of a version that kept no pictures of patches.
        """
        from cooanalysis.report.comparison import explore

        return explore(self)

    def _repr_html_(self) -> str:
        from cooanalysis.report.comparison import card

        return card(self)

    def __repr__(self) -> str:
        return (
            f"<Comparison on {self.summary['dataset']['name']} x{self.summary['scale']}: "
            f"{', '.join(self.names)}>"
        )


def load_comparison(directory: str | Path) -> Comparison:
    """Read the run directory of a comparison back.

    Raises
    ------
    RunDirectoryError
        If it is not one, or is damaged.
    """
    import pandas as pd

    folder = Path(directory)
    summary = read_summary(folder)
    if summary.get("kind") != KIND:
        raise RunDirectoryError(f"{folder} holds an analysis and no comparison; use coo.load")
    try:
        for name in FRAMES:
            require_regular(folder / f"{name}.parquet")
        frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES}
        if lacking := sorted(set(_KEYS) - set(summary)):
            raise ValueError(f"summary.json lacks {', '.join(lacking)}")
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
    except Exception as error:  # damaged files fail in nearly any way
        raise damaged(folder, error, "comparison") from error
    return Comparison(summary, **frames, crops=tuple(crops), images=images, explored=explored)
