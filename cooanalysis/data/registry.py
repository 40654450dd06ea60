"""Data sets by name. Importing this module imports none of them."""

from __future__ import annotations

from cooanalysis.data.spec import DatasetSpec, check_dataset
from cooanalysis.runtime.registry import Registry

_CATALOG = "cooanalysis.data.catalog"

DATASETS: Registry[DatasetSpec] = Registry(
    "data set",
    "cooanalysis.datasets",
    {
        "sample": f"{_CATALOG}.sample:SAMPLE",
        "div2k": f"{_CATALOG}.div2k:DIV2K",
        "div2k-valid": f"{_CATALOG}.div2k:DIV2K_VALID",
        "flickr2k": f"{_CATALOG}.flickr2k:FLICKR2K",
        "set5": f"{_CATALOG}.benchmark:SET5",
        "set14": f"{_CATALOG}.benchmark:SET14",
        "bsd100": f"{_CATALOG}.benchmark:BSD100",
        "urban100": f"{_CATALOG}.benchmark:URBAN100",
        "manga109": f"{_CATALOG}.manga109:MANGA109",
    },
    check=check_dataset,
)
"""Every data set that has a name; other packages add theirs to ``cooanalysis.datasets``."""


def register_dataset(spec: DatasetSpec, *, replace: bool = False) -> None:
    """Make a data set usable by its name, for as long as this process runs.

    Parameters
    ----------
    spec
        Its name, title, where its images lie, and how many there are.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken, not in lower case or cannot be used, or if the record does not say
        where the images lie.

    Examples
    --------
    >>> register_dataset(DatasetSpec("my-photos", "My photos", ("photos",), n_images=12))
    >>> DATASETS["my-photos"].title
    'My photos'
    >>> DATASETS.unregister("my-photos")
    """
    DATASETS.register(spec.name, spec, replace=replace)
