"""Weights by name: those that come with the package, and those that others add.

The shipped ones are small matched models, trained with and without DECLoss.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import Registry

_FOLDER = Path(__file__).parent / "pretrained"


def _check_weights(name: str, path: Any) -> None:
    if not isinstance(path, Path) or not path.is_file():
        raise ConfigError(f"weights {name!r} must be the path of a file; got {path!r:.200}")


WEIGHTS: Registry[Path] = Registry(
    "weights file",
    "cooanalysis.weights",
    # To ship more, put the file beside the others, with its model card.
    {path.stem: path.name for path in sorted(_FOLDER.glob("*.safetensors"))},
    check=_check_weights,
    load=lambda file: _FOLDER / file,
)
"""Files of weights by name; other packages add the paths of theirs to ``cooanalysis.weights``."""


def shipped() -> dict[str, Path]:
    """Files of the shipped weights by name; next to each is its model card (``.md``).

    Examples
    --------
    >>> from cooanalysis.models import load_weights
    >>> network = load_weights(shipped()["edsr-small-x4-l1-decloss"])
    """
    return {name: _FOLDER / f"{name}.safetensors" for name in WEIGHTS.builtin}


def register_weights(name: str, path: str | Path, *, replace: bool = False) -> None:
    """Make a weights file usable by name, as ``coo-compare --model NAME`` takes it.

    Parameters
    ----------
    name
        Its name.
    path
        A file of any kind that :func:`cooanalysis.compare` takes.
    replace
        Whether it may take the place of another one of the same name.

    Raises
    ------
    ConfigError
        If the name is taken or cannot be used, or there is no such file.
    """
    WEIGHTS.register(name, Path(path), replace=replace)
