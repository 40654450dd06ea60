"""Named extension points: what the package ships, what users add, what other packages bring."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import metadata
from typing import Generic, TypeVar, cast

from cooanalysis.errors import ConfigError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things that can be used by name.

    Listing names imports nothing: what the package ships is named as ``"module:attribute"`` and
    loaded when it is asked for, and so is what other packages announce by entry points.

    Parameters
    ----------
    kind
        What is registered, for messages: ``"entropy estimator"``.
    group
        Entry-point group in which other packages announce theirs:
        ``"cooanalysis.estimators"``.
    builtin
        What the package ships: name to ``"module:attribute"``.

    Examples
    --------
    >>> constants: Registry[float] = Registry("constant", "tests.constants", {"pi": "math:pi"})
    >>> constants["pi"]
    3.141592653589793
    >>> constants.register("zero", 0.0)
    >>> list(constants)
    ['pi', 'zero']
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._registered: dict[str, T] = {}

    @cached_property
    def _announced(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.group)}

    def register(self, name: str, thing: T, *, replace: bool = False) -> None:
        """Add something under a name, for as long as this process runs.

        Raises
        ------
        ConfigError
            If the name is taken and ``replace`` is False.
        """
        if name in self and not replace:
            raise ConfigError(f"there is already a {self.kind} named {name!r}; use replace=True")
        self._registered[name] = thing

    def unregister(self, name: str) -> None:
        """Take back what :meth:`register` added."""
        self._registered.pop(name, None)

    def find(self, name: str) -> T:
        """What ``name`` stands for.

        Raises
        ------
        ConfigError
            If nothing has this name; the message lists the nearest one and all others.
        """
        if name not in self:
            near = difflib.get_close_matches(name, list(self), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"there is no {self.kind} named {name!r}{hint} (there are: {', '.join(self)})"
            )
        return self[name]

    def __getitem__(self, name: str) -> T:
        if name in self._registered:
            return self._registered[name]
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return cast(T, getattr(importlib.import_module(module), attribute))
        return cast(T, self._announced[name].load())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._builtin, *self._announced, *self._registered]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return any(name in known for known in (self._registered, self._builtin, self._announced))
