"""Named extension points: what the package ships, what users add, what other packages announce."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from cooanalysis.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def load_attribute(path: str) -> Any:
    """Import what ``"module:attribute"`` names.

    Examples
    --------
    >>> load_attribute("math:pi")
    3.141592653589793
    """
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, T], Generic[T]):
    """Things that can be used by name.

    There are three kinds of entries: *built-in* ones, those that other packages *announce* by
    entry points, and those that are *registered* while the process runs. Listing names imports
    nothing; what a name stands for is loaded on first use. A registered entry hides an
    announced or built-in one of the same name (only with ``replace=True``), and a built-in one
    hides an announced one, so that installing a package never changes what a name means.

    Parameters
    ----------
    kind
        What is registered, for messages: ``"entropy estimator"``.
    group
        Entry-point group in which other packages announce theirs:
        ``"cooanalysis.estimators"``.
    builtin
        What the package ships: a name and what ``load`` makes the thing from.
    check
        ``check(name, thing)`` raises a :class:`~cooanalysis.errors.ConfigError` if ``thing``
        cannot be used. It sees what users register and what other packages announce.
    load
        Turns a value of ``builtin`` into the thing; by default the value is
        ``"module:attribute"``.

    Examples
    --------
    >>> constants: Registry[float] = Registry("constant", "tests.constants", {"pi": "math:pi"})
    >>> constants["pi"]
    3.141592653589793
    >>> constants.register("zero", 0.0)
    >>> list(constants)
    ['pi', 'zero']
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: Mapping[str, str],
        *,
        check: Callable[[str, Any], None] | None = None,
        load: Callable[[str], Any] = load_attribute,
    ) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._check = check
        self._load = load
        self._registered: dict[str, T] = {}
        self._tokens: dict[str, str] = {}
        self._loaded: dict[str, T] = {}

    @property
    def builtin(self) -> tuple[str, ...]:
        """Names of what the package ships. Unlike iterating, it looks for no other packages."""
        return tuple(self._builtin)

    @cached_property
    def _announced(self) -> dict[str, EntryPoint]:
        # Importing this module and reading the metadata of all packages takes a tenth of a second,
        # which `--help` must not.
        from importlib import metadata

        found: dict[str, EntryPoint] = {}
        for point in metadata.entry_points(group=self.group):
            found.setdefault(point.name, point)
        return found

    def register(self, name: str, thing: T, *, replace: bool = False) -> None:
        """Add something under a name, for as long as this process runs.

        Raises
        ------
        ConfigError
            If the name is taken and ``replace`` is False, if it cannot be used on the command
            line, or if ``thing`` cannot be used.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"the name of a {self.kind} must consist of letters, digits, '-', '_' and '.' and "
                f"start with a letter or digit; got {name!r}"
            )
        if name in self and not replace:
            raise ConfigError(f"{self.kind} {name!r} exists already; replace=True takes its place")
        if self._check is not None:
            self._check(name, thing)
        self._registered[name] = thing
        self._tokens[name] = os.urandom(16).hex()

    def unregister(self, name: str) -> None:
        """Take back what :meth:`register` added."""
        self._registered.pop(name, None)
        self._tokens.pop(name, None)

    def is_registered(self, name: str) -> bool:
        """Whether a name was registered in this process, so that others do not know it."""
        return name in self._registered

    def require_shared(self, names: Iterable[str]) -> None:
        """Refuse names that other processes do not know.

        Raises
        ------
        ConfigError
            If one of them was registered in this process.
        """
        own = [name for name in names if self.is_registered(name)]
        if own:
            raise ConfigError(
                f"workers do not know the {self.kind} {own[0]!r}, because it was registered in "
                f"this process; announce it as an entry point of a package (group {self.group!r}), "
                "or run without workers"
            )

    def origins(self, names: Iterable[str]) -> list[str]:
        """What identifies the code behind names that are not built in.

        For the fingerprint of a run: results are reused only where the same package and version,
        or the same registration of this process, made them. Built-in names are left out, because
        the version of cooanalysis identifies them.
        """
        found = []
        for name in names:
            if name in self._registered:
                found.append(f"{self.group}:{name}={self._tokens[name]}")
            elif name not in self._builtin and name in self._announced:
                found.append(f"{self.group}:{name}={self._package(name)}")
        return found

    def find(self, name: str, *, also: Sequence[str] = ()) -> T:
        """What ``name`` stands for.

        Parameters
        ----------
        name
            A name of this registry.
        also
            What the message lists beside the names: other values that an option takes.

        Raises
        ------
        ConfigError
            If nothing has this name; the message lists the nearest one and all others. Also if
            another package announces it and it cannot be loaded or used.
        """
        self.require(name, also=also)
        return self[name]

    def require(self, name: str, *, also: Sequence[str] = ()) -> None:
        """Refuse an unknown name like :meth:`find`, but load nothing."""
        if name in self:
            return
        known = [*self, *also]
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown {self.kind} {name!r};{hint} known ones: {', '.join(known)}")

    def __getitem__(self, name: str) -> T:
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            if name in self._builtin:
                self._loaded[name] = self._load(self._builtin[name])
            else:
                self._loaded[name] = self._load_announced(name)
        return self._loaded[name]

    def _load_announced(self, name: str) -> T:
        point = self._announced[name]
        try:
            thing = cast(T, point.load())
        except Exception as error:  # importing code of others can fail in any way
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(
                f"the {self.kind} {name!r} of {self._package(name)} cannot be loaded ({reason})"
            ) from error
        if self._check is not None:
            try:
                self._check(name, thing)
            except ConfigError as error:
                raise ConfigError(f"{error} (it comes from {self._package(name)})") from error
        return thing

    def _package(self, name: str) -> str:
        point = self._announced[name]
        return point.value if point.dist is None else f"{point.dist.name} {point.dist.version}"

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._builtin, *self._announced, *self._registered]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        # The metadata of other packages is read only where it matters.
        return name in self._registered or name in self._builtin or name in self._announced


def check_call(
    what: str, function: object, positional: Sequence[str], keywords: Sequence[str] = ()
) -> None:
    """Refuse a function that cannot be called as it will be.

    Parameters
    ----------
    what
        How messages name it: ``"the function of entropy estimator 'mine'"``.
    function
        What should be called.
    positional, keywords
        Names of what it will be given by position and by keyword.

    Raises
    ------
    ConfigError
        If it is not callable, or not like this.

    Examples
    --------
    >>> check_call("round", round, ["number"])
    """
    if not callable(function):
        raise ConfigError(f"{what} must be callable; got {function!r}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions in C do not say
        return
    try:
        signature.bind(*positional, **dict.fromkeys(keywords))
    except TypeError as error:
        wanted = ", ".join([*positional, *(f"{name}=…" for name in keywords)])
        raise ConfigError(f"{what} must accept ({wanted}): {error}") from None
