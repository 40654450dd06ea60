"""Griffe extension: functions and classes whose documentation is made from declared options.

Griffe reads source, where :func:`cooanalysis.runtime.options.takes` and ``documented`` have not
run; for what they decorate, signature and docstring are taken from the running program.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import griffe

_FIELDS = ("option", "like")


class DeclaredOptions(griffe.Extension):
    """Parameters and attributes as ``help`` shows them."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Signature and docstring of a function of declared arguments."""
        if not _decorated(func, "takes"):
            return
        function = _running(func)
        _set_docstring(func, function)
        func.parameters = griffe.Parameters(
            *(
                griffe.Parameter(
                    parameter.name,
                    kind=griffe.ParameterKind(parameter.kind.description),
                    annotation=inspect.formatannotation(parameter.annotation),
                    default=None
                    if parameter.default is inspect.Parameter.empty
                    else repr(parameter.default),
                )
                for parameter in inspect.signature(function).parameters.values()
            )
        )

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Docstring of a class of declared attributes."""
        if _decorated(cls, "documented"):
            _set_docstring(cls, _running(cls))

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Default of a declared field, in place of its declaration."""
        declaration = attr.value
        if isinstance(declaration, griffe.ExprCall) and str(declaration.function) in _FIELDS:
            assert isinstance(attr.parent, griffe.Class)
            attr.value = repr(getattr(_running(attr.parent), attr.name))


def _decorated(thing: griffe.Function | griffe.Class, name: str) -> bool:
    return any(str(decorator.value).partition("(")[0] == name for decorator in thing.decorators)


def _running(thing: griffe.Object) -> Any:
    return getattr(importlib.import_module(thing.module.path), thing.name)


def _set_docstring(thing: griffe.Function | griffe.Class, running: Any) -> None:
    old = thing.docstring
    thing.docstring = griffe.Docstring(
        running.__doc__, lineno=old.lineno if old else None, parent=thing,
        parser=old.parser if old else None,
        parser_options=old.parser_options if old else None,
    )  # fmt: skip
