"""What an analysis finds, as plain data: tables, headline numbers, example groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.summary_record import AnalysisSummary

if TYPE_CHECKING:
    import pandas as pd

Image = NDArray[np.uint8]
COLUMNS = ("image", "y", "x", "entropy", "distance", "center_error", "lr_std")


@dataclass(frozen=True)
class ExampleGroup:
    """One potential-HR group as images; all are (height, width, channels) uint8.

    Attributes
    ----------
    row
        Row of the query in ``groups``.
    kind
        ``"highest"`` or ``"lowest"`` entropy.
    lr, truth, bicubic, center
        LR patch, ground-truth HR patch, bicubic upsampling, and center of the group (brought to the
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
class Explored:
    """A sample of patches with everything that can be shown of them.

    Attributes
    ----------
    table
        One row per patch: ``image`` (name), ``y``, ``x`` (LR pixels), ``entropy`` (nats per
        dimension), ``distance`` (RMS distance of the group's members from its center in the entropy
        subspace), ``center_error`` (of the ground truth from the center) and ``lr_std`` (LR
        contrast).
    lr
        (n, w, w, channels) uint8.
    members
        (n, m, s, s, channels) uint8: members of the group, brought to the mean and contrast of the
        query, nearest first.
    pictures
        Name to (n, s, s, channels) uint8: ``center``, ``truth``, ``bicubic``, and the outputs of
        models by name.
    thumbnails
        Name of an image to a small (h, w, channels) uint8 copy.
    sizes
        Name of an image to its (height, width) in HR pixels.
    """

    table: pd.DataFrame
    lr: Image
    members: Image
    pictures: Mapping[str, Image]
    thumbnails: Mapping[str, Image]
    sizes: Mapping[str, tuple[int, int]]

    def pack(self) -> dict[str, NDArray[Any]]:
        """Flatten into arrays for an ``.npz`` file."""
        arrays: dict[str, NDArray[Any]] = {
            "lr": self.lr,
            "members": self.members,
            "picture_names": np.array(list(self.pictures), np.str_),
            "thumbnail_names": np.array(list(self.thumbnails), np.str_),
            "sizes": np.array(list(self.sizes.values()), np.int64).reshape(-1, 2),
            "table_image": self.table["image"].to_numpy(np.str_),
        }
        arrays |= {f"table_{name}": self.table[name].to_numpy() for name in COLUMNS[1:]}
        arrays |= {f"picture_{i}": stack for i, stack in enumerate(self.pictures.values())}
        arrays |= {f"thumbnail_{i}": image for i, image in enumerate(self.thumbnails.values())}
        return arrays

    @classmethod
    def unpack(cls, arrays: Mapping[str, NDArray[Any]]) -> Explored:
        """The inverse of :meth:`pack`."""
        import pandas as pd

        names = [str(name) for name in arrays["thumbnail_names"]]
        return cls(
            pd.DataFrame({name: arrays[f"table_{name}"] for name in COLUMNS}).astype(
                {"image": object}
            ),
            arrays["lr"],
            arrays["members"],
            {str(n): arrays[f"picture_{i}"] for i, n in enumerate(arrays["picture_names"])},
            {name: arrays[f"thumbnail_{i}"] for i, name in enumerate(names)},
            {
                name: (int(height), int(width))
                for name, (height, width) in zip(names, arrays["sizes"], strict=True)
            },
        )


@dataclass(frozen=True)
class AnalysisRecord:
    """Everything that an analysis finds.

    Attributes
    ----------
    summary
        Headline numbers with their intervals, configuration and provenance.
    groups
        One row per query patch.
    maps
        One row per patch of the densely analyzed images, for entropy maps.
    examples
        Groups with the highest and lowest entropy as images.
    images
        HR images behind the maps: name to (height, width, channels) uint8.
    explored
        Patches that the report lets its reader point at; None in runs of older versions.
    """

    summary: AnalysisSummary
    groups: pd.DataFrame
    maps: pd.DataFrame
    examples: tuple[ExampleGroup, ...]
    images: dict[str, NDArray[np.uint8]]
    explored: Explored | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies configuration and data; equal fingerprints mean equal results."""
        return self.summary.fingerprint
