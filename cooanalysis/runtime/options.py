"""Options declared once: a field of a dataclass carries what is shown, completed and checked.

The commands (:mod:`cooanalysis.cli.options`), the Python functions (:func:`takes`), their
documentation (:func:`documented`) and validation (:func:`validate`) all read the same metadata.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import (
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import Registry

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")
P = ParamSpec("P")

Panel = Literal[
    "Models and metrics", "Data", "Patches and groups", "Measures", "Search and resources", "Output"
]
Values = Literal["", "dataset", "model", "metric", "file", "folder"]

UNBOUNDED = 10**9
"""Upper bounds from here on are there to catch nonsense, and are not shown in help."""

_KEY = "option"
_INDENT = "    "


@dataclass(frozen=True)
class Option:
    """What is known about one option beside its name, type and default.

    Attributes
    ----------
    help
        One or two sentences; ``{choices}`` stands for the allowed values.
    panel
        Heading under which the commands list it.
    flags
        Spelling on the command line where it is not just ``--name``.
    choices
        Allowed values, or the registry of those that can be named.
    low, high
        Bounds of a number, both allowed.
    above
        Lower bound of a number that is not allowed itself.
    unit
        Unit of a number.
    otherwise
        What None, or an empty text, stands for.
    values
        What shells complete where there are no choices.
    repeat
        Whether the commands take several values by repeating the option, not separated by commas.
    command
        Whether the commands have it; otherwise only the Python functions do.
    """

    help: str
    panel: Panel
    flags: tuple[str, ...] = ()
    choices: tuple[object, ...] | Registry[Any] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    unit: str = ""
    otherwise: str = ""
    values: Values = ""
    repeat: bool = False
    command: bool = True

    def allowed(self) -> tuple[object, ...]:
        """The allowed values now; empty where any is."""
        return tuple(self.choices)

    def text(self) -> str:
        """The help text with its choices filled in: of a registry, what the package ships."""
        listed = self.choices.builtin if isinstance(self.choices, Registry) else self.choices
        return self.help.replace("{choices}", ", ".join(map(str, listed)))


def option(default: T, **about: Any) -> T:
    """A field of a dataclass with this default; keywords are the attributes of :class:`Option`."""
    return field(default=default, metadata={_KEY: Option(**about)})


def about(**about: Any) -> Mapping[str, Option]:
    """Metadata of a field without a default: ``field(metadata=about(help=..., panel=...))``."""
    return {_KEY: Option(**about)}


def about_like(owner: type, name: str, **changes: Any) -> Mapping[str, Option]:
    """Metadata of a field that is described as another one is, but for ``changes``."""
    return {_KEY: dataclasses.replace(option_of(owner, name), **changes)}


def like(owner: type, name: str, default: Any = MISSING, **changes: Any) -> Any:
    """A field that is described as another one is; with its default, unless one is given."""
    if default is MISSING:
        default = next(f.default for f in dataclasses.fields(owner) if f.name == name)
    return field(default=default, metadata=about_like(owner, name, **changes))


def option_of(owner: type, name: str) -> Option:
    """What is declared for a field."""
    return next(known.option for known in declared(owner) if known.name == name)


@dataclass(frozen=True)
class Declared:
    """One option of a dataclass.

    Attributes
    ----------
    name
        Name of the field.
    hint
        Its type as written.
    kind
        What a value is made of on the command line: bool, int, float, str, Path, or tuple for
        several texts.
    default
        Its default; :data:`dataclasses.MISSING` where a value is required.
    keyword
        Whether Python takes it by keyword only.
    option
        All else.
    """

    name: str
    hint: Any
    kind: type
    default: Any
    keyword: bool
    option: Option

    @property
    def optional(self) -> bool:
        """Whether None is allowed."""
        return type(None) in _alternatives(self.hint)


def declared(owner: type) -> tuple[Declared, ...]:
    """Options of a dataclass: its own first, then those that it inherits.

    Fields without :class:`Option` metadata are skipped. Where a class only inherits, the fields of
    its nearest base come first.
    """
    own = next(found for base in owner.__mro__ if (found := inspect.get_annotations(base)))
    hints = get_type_hints(owner)
    fields = sorted(dataclasses.fields(owner), key=lambda f: f.name not in own)
    return tuple(
        Declared(
            f.name, hints[f.name], _kind(hints[f.name], f.metadata[_KEY]), f.default,
            bool(f.kw_only), f.metadata[_KEY],
        )
        for f in fields
        if _KEY in f.metadata
    )  # fmt: skip


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _kind(hint: Any, option: Option) -> type:
    plain = [get_origin(part) or part for part in _alternatives(hint) if part is not type(None)]
    if any(isinstance(part, type) and issubclass(part, Iterable) and part is not str
           for part in plain):  # fmt: skip
        return tuple
    if Path in plain and option.values in ("file", "folder"):
        return Path
    if Literal in plain or str in plain:
        return str
    return cast(type, plain[0])


def validate(record: Any) -> None:
    """Check the values of a dataclass against what its fields declare.

    Raises
    ------
    ConfigError
        At the first value of a wrong type, out of bounds, or that is not one of the choices.
    """
    for known in declared(type(record)):
        value = getattr(record, known.name)
        if value is None and known.optional:
            continue
        _CHECKS[known.kind](known, value)


def _check_text(known: Declared, value: object) -> None:
    if allowed := known.option.allowed():
        _check_choice(known.name, value, allowed)
    elif not isinstance(value, str):
        nothing = " or nothing" if known.optional else ""
        raise ConfigError(f"{known.name} must be text{nothing}; got {value!r}")


def _check_switch(known: Declared, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{known.name} must be True or False; got {value!r}")


def _check_whole(known: Declared, value: object) -> None:
    if allowed := known.option.allowed():
        _check_choice(known.name, value, allowed)
    elif isinstance(value, bool) or not isinstance(value, int) or not _inside(known.option, value):
        low, high = known.option.low, known.option.high
        raise ConfigError(
            f"{known.name} must be a whole number from {low} to {high}; got {value!r}"
        )


def _check_number(known: Declared, value: object) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not _inside(known.option, value)
    ):
        raise ConfigError(f"{known.name} must lie in {bounds(known.option)}, got {value!r}")


def _check_names(known: Declared, value: object) -> None:
    if not isinstance(value, (tuple, list)):
        raise ConfigError(f"{known.name} must be a list of names; got {value!r}")
    choices = known.option.choices
    if isinstance(choices, Registry):
        for name in value:
            choices.require(name)
    elif choices:
        for name in value:
            _check_choice(known.name, name, choices)
    elif not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{known.name} must be a list of names; got {value!r}")
    if len(set(value)) != len(value):
        raise ConfigError(f"{known.name} names one thing twice: {', '.join(value)}")


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    # 4.0 and numpy's 4 equal 4, but would end in another fingerprint or in none.
    if not any(isinstance(value, type(choice)) and value == choice for choice in allowed):
        raise ConfigError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value!r}")


_CHECKS: Mapping[type, Callable[[Declared, object], None]] = {
    str: _check_text,
    bool: _check_switch,
    int: _check_whole,
    float: _check_number,
    tuple: _check_names,
}


def _inside(option: Option, value: float) -> bool:
    # Written so that NaN is outside.
    return (
        (option.low is None or value >= option.low)
        and (option.above is None or value > option.above)
        and (option.high is None or value <= option.high)
        and value == value
    )


def bounds(option: Option) -> str:
    """The interval of a number with its unit, such as ``(0, 1]``; empty where there is none."""
    if option.low is None and option.above is None:
        return ""
    start = f"[{option.low:g}" if option.above is None else f"({option.above:g}"
    end = "∞)" if option.high is None else f"{option.high:g}]"
    return f"{start}, {end} {option.unit}".rstrip()


def refuse_unknown(given: Iterable[object], known: Iterable[str]) -> None:
    """Raise a :class:`ConfigError` in one line, with the nearest name, for unknown options."""
    names = list(known)
    unknown = sorted(map(str, set(given) - set(names)))
    if not unknown:
        return
    import difflib

    near = {name: difflib.get_close_matches(name, names, n=1) for name in unknown}
    if len(unknown) == 1:
        hint = "".join(f"; did you mean {name!r}?" for name in near[unknown[0]])
        raise ConfigError(f"unknown option {unknown[0]!r}{hint}")
    listed = (
        repr(name) + "".join(f" (did you mean {other!r}?)" for other in near[name])
        for name in unknown
    )
    raise ConfigError(f"unknown options {', '.join(listed)}")


def takes(arguments: Callable[P, C]) -> Callable[[Callable[[C], R]], Callable[P, R]]:
    """Turn a function of a record into one with an explicit parameter per field of the record.

    Type checkers see the parameters of the record's constructor; ``inspect.signature``, ``help``
    and completion in notebooks see them with their types, defaults and help texts.

    Parameters
    ----------
    arguments
        A dataclass whose fields are declared with :func:`option`.
    """
    owner = cast(type, arguments)

    def decorate(function: Callable[[C], R]) -> Callable[P, R]:
        returned = inspect.signature(function, eval_str=True).return_annotation
        signature = _signature(owner, returned)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            refuse_unknown(kwargs, signature.parameters)
            bound = signature.bind(*args, **kwargs)
            return function(cast(Callable[..., C], arguments)(**bound.arguments))

        del call.__wrapped__
        call.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        call.__annotations__["return"] = returned
        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = _with_section(function.__doc__ or "", "Parameters", owner)
        return call

    return decorate


def _signature(owner: type, returned: Any) -> inspect.Signature:
    parameters = [
        inspect.Parameter(
            known.name,
            inspect.Parameter.KEYWORD_ONLY if known.keyword
            else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if known.default is MISSING else known.default,
            annotation=known.hint,
        )
        for known in declared(owner)
    ]  # fmt: skip
    return inspect.Signature(
        sorted(parameters, key=lambda parameter: parameter.kind), return_annotation=returned
    )


def documented(owner: type[T]) -> type[T]:
    """Class decorator: an ``Attributes`` section from the help texts ends the docstring."""
    owner.__doc__ = _with_section(owner.__doc__ or "", "Attributes", owner)
    return owner


def _with_section(doc: str, title: str, owner: type) -> str:
    """A docstring with a section of all options, before the sections that it has."""
    lines = inspect.cleandoc(doc).splitlines()
    place = next((i for i, line in enumerate(lines[1:]) if line and set(line) == {"-"}), len(lines))
    entries: list[str] = []
    for known in declared(owner):
        text = textwrap.wrap(
            described(known),
            96,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_on_hyphens=False,
        )
        entries += [f"{known.name} : {_type_text(known)}", *text]
    before, after = lines[:place], lines[place:]
    while before and not before[-1]:
        before.pop()
    rest = ["", *after] if after else []
    return "\n".join([*before, "", title, "-" * len(title), *entries, *rest])


def described(known: Declared) -> str:
    """Help text for Python: what the option is, its bounds, what None stands for."""
    about, text = known.option, known.option.text()
    if known.kind is float and (interval := bounds(about)):
        text += f" In {interval}."
    elif about.low is not None:
        text += (
            f" At least {about.low}."
            if about.high is None or about.high >= UNBOUNDED
            else f" From {about.low} to {about.high:,}."
        )
    if about.otherwise:
        value = "An empty text" if known.default == "" else known.default
        text += f" {value} for {about.otherwise}"
        text += ", False for none." if known.default is True else "."
    return text


def _type_text(known: Declared) -> str:
    default = "" if known.default is MISSING else f", default {known.default!r}"
    parts = []
    for part in _alternatives(known.hint):
        if get_origin(part) is Literal:
            parts.append("{" + ", ".join(map(repr, get_args(part))) + "}")
        elif part is type(None):
            parts.append("None")
        else:
            parts.append(re.sub(r"\b(?:\w+\.)+(?=\w)", "", inspect.formatannotation(part)))
    return " or ".join(parts) + default
