"""Weights that come with the package: small twins, trained with and without DECLoss."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "pretrained"


def shipped() -> dict[str, Path]:
    """Files of the shipped weights by name; beside each lies its model card (``.md``).

    Examples
    --------
    >>> from cooanalysis.models import load_weights
    >>> network = load_weights(shipped()["edsr-small-x4-l1-decloss"])
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("*.safetensors"))}
