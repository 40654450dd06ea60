"""Packages that import their modules on first use, so that listing names costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def exporter(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` (PEP 562) of a package that re-exports names of its modules.

    Parameters
    ----------
    package
        ``__name__`` of the package.
    modules
        Public name to the module below the package that defines it.

    Returns
    -------
    callable
        From a name to what it stands for.

    Examples
    --------
    >>> exporter("importlib", {"EntryPoint": "metadata"})("EntryPoint").__name__
    'EntryPoint'
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return find
