"""What all pages share: templates, and scripts that the page's own policy allows."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Script:
    """A script of ours and what a Content-Security-Policy calls it."""

    text: str

    @classmethod
    def read(cls, *names: str) -> Script:
        """Join files of this package."""
        folder = files("cooanalysis.report")
        return cls("\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names))

    @property
    def source(self) -> str:
        """Source expression: the hash of the text."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def environment() -> Environment:
    """Templates, with everything escaped that comes from outside."""
    return Environment(
        loader=PackageLoader("cooanalysis.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def without_surrogates(text: str) -> str:
    """Names of files may hold bytes that are not text; they must not stop a report."""
    return text.encode("utf-8", "replace").decode("utf-8")


def data_url(image: NDArray[np.uint8], kind: str = "png") -> str:
    """An image, (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) uint8, as a ``data:`` address."""
    buffer = io.BytesIO()
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    options = {"optimize": True} if kind == "png" else {"quality": 80}
    Image.fromarray(flat).save(buffer, format=kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
