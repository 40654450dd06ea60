"""JSON Schemas of the files that a run leaves behind."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load_schema(name: str = "summary") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file of a run directory.

    Parameters
    ----------
    name
        ``"summary"``: the schema of ``summary.json``.

    Examples
    --------
    >>> load_schema()["title"]
    'Summary of a coo-analyze run'
    """
    text = resources.files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
