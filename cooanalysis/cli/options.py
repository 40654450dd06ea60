"""Options of the commands, built from the arguments that the Python functions declare."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from cooanalysis.cli.common import show_version
from cooanalysis.cli.complete import completer
from cooanalysis.runtime.options import Declared, Panel, declared, option

A = TypeVar("A")


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What a command prints; Python functions print nothing."""

    quiet: bool = option(
        False, panel="Output", help="Print nothing but errors.", flags=("--quiet", "-q")
    )
    as_json: bool = option(
        False,
        panel="Output",
        help="Print summary.json on standard output, and nothing else.",
        flags=("--json",),
    )


def _parameter(name: str, hint: Any, about: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=Annotated[hint, about],
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def shows_progress(printing: Printing) -> bool:
    """Whether to draw progress bars."""
    return not (printing.quiet or printing.as_json) and sys.stderr.isatty()


def eager(
    name: str, callback: Callable[[bool], None], text: str, panel: Panel | None = None
) -> inspect.Parameter:
    """A switch that does something else and stops, such as ``--version``."""
    about = typer.Option(
        _flag(name), callback=callback, is_eager=True, help=text,
        rich_help_panel=panel,
    )  # fmt: skip
    return _parameter(name, bool, about, False)


VERSION = eager("version", show_version, "Print the version and stop.")


def command_of(
    arguments: type[A],
    *,
    defaults: Mapping[str, Any] | None = None,
    otherwise: Mapping[str, str] | None = None,
    switches: Sequence[inspect.Parameter] = (VERSION,),
) -> Callable[[Callable[[A, Printing], None]], Callable[..., None]]:
    """Turn a function of arguments into one that typer makes a command of.

    Parameters
    ----------
    arguments
        Dataclass whose fields become options.
    defaults
        Defaults of the command where they differ from those of the Python function.
    otherwise
        What happens without an option where this differs from the Python function.
    switches
        Further parameters, which :func:`eager` makes.
    """
    known = [
        replace(
            one,
            default=(defaults or {}).get(one.name, one.default),
            option=replace(
                one.option, otherwise=(otherwise or {}).get(one.name, one.option.otherwise)
            ),
        )
        for one in declared(arguments)
        if one.option.command
    ]
    prints = declared(Printing)
    panels = get_args(Panel)
    ordered = sorted((*known, *prints), key=lambda one: panels.index(one.option.panel))
    parameters = [parameter for one in ordered for parameter in _parameters(one)]

    def decorate(function: Callable[[A, Printing], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            given, printing = (
                {one.name: _value(one, values) for one in group} for group in (known, prints)
            )
            function(arguments(**given), Printing(**printing))

        command.__name__ = function.__name__
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*parameters, *switches]
        )
        return command

    return decorate


def _parameters(known: Declared) -> list[inspect.Parameter]:
    """Parameters of the command for one option."""
    about, default, kind = known.option, known.default, known.kind
    flags = about.flags
    hint: Any = kind
    if kind is tuple and about.repeat:
        hint = list[str]
    elif kind is tuple:
        hint = str
        default = default if isinstance(default, str) else ",".join(default)
    elif kind is bool and default is False and not flags:
        flags = (_flag(known.name),)
    elif kind is Path and isinstance(default, bool):
        # A folder, or True for the usual one, or False for none.
        off = typer.Option(
            _flag(f"no_{known.name}"), help="Keep no outputs.", rich_help_panel=about.panel
        )
        return [
            *_parameters(replace(known, default=None)),
            _parameter(f"no_{known.name}", bool, off, False),
        ]
    if default is None:
        hint = hint | None
    shown = typer.Option(
        *flags,
        help=_help(known),
        show_default=default not in (None, "", MISSING),
        rich_help_panel=about.panel,
        autocompletion=completer(about, several=kind is tuple and not about.repeat),
    )
    return [_parameter(known.name, hint, shown, default)]


def _value(known: Declared, values: Mapping[str, Any]) -> Any:
    """Value of an argument from what typer found on the command line."""
    value = values[known.name]
    if known.kind is tuple and not known.option.repeat:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if values.get(f"no_{known.name}"):
        return False
    return known.default if value is None else value


def _help(known: Declared) -> str:
    text = known.option.text()
    if known.kind is tuple:
        text += " May be repeated." if known.option.repeat else " Separated by commas."
    if known.option.otherwise:
        text += f" Default: {known.option.otherwise}."
    return text
