"""What shells complete: names that are known, folders and files.

Nothing is imported before a shell asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cooanalysis.runtime.options import Option

Complete = Callable[[str], list[str]]


def completer(about: Option, *, several: bool) -> Complete | None:
    """What completes the values of an option; None where nothing can.

    Parameters
    ----------
    about
        The option.
    several
        Whether it takes several names, separated by commas.
    """
    # A registry is not asked whether it is empty: that would look for other packages.
    if about.choices == () and not about.values:
        return None

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        given = set(before.split(","))
        found = _VALUES[about.values](last) if about.values else map(str, about.allowed())
        return [
            before + comma + name for name in found if name.startswith(last) and name not in given
        ]

    return complete


def _datasets(incomplete: str) -> Iterable[str]:
    from cooanalysis.data import DATASETS

    return [*dict.fromkeys(("sample", *DATASETS)), *_folders(incomplete)]


def _models(incomplete: str) -> Iterable[str]:
    from cooanalysis.models.shipped import WEIGHTS

    name, equals, what = incomplete.rpartition("=")
    values = ["bicubic", "hr", *WEIGHTS, *_files(what)]
    return [name + equals + value for value in values]


def _metrics(_: str) -> Iterable[str]:
    from cooanalysis.metrics import METRICS

    return ["auto", *METRICS]


def _folders(incomplete: str) -> list[str]:
    return [path for path in _files(incomplete) if path.endswith("/")]


def _files(incomplete: str) -> list[str]:
    """Files and folders (which end with ``/``) whose path begins as typed."""
    folder, slash, start = incomplete.rpartition("/")
    hidden = start.startswith(".")
    try:
        entries = sorted(Path(folder + slash or ".").expanduser().iterdir())
    except OSError:
        return []
    return [
        f"{folder}{slash}{entry.name}{'/' * entry.is_dir()}"
        for entry in entries
        if entry.name.startswith(start) and (hidden or not entry.name.startswith("."))
    ]


_VALUES: Mapping[str, Callable[[str], Iterable[str]]] = {
    "dataset": _datasets,
    "model": _models,
    "metric": _metrics,
    "file": _files,
    "folder": _folders,
}
