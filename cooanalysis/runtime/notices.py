"""What the reader of a result must know: a code with its facts, never a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

Fact = str | int | float | bool | None | list[str]


class Notice(msgspec.Struct, frozen=True):
    """One warning about a result.

    Sentences are made from it where it is shown, and programs tell notices by their code.

    Attributes
    ----------
    code
        What happened, such as ``"few_images"``; every code is listed in ``docs/warnings.md``.
    facts
        The numbers and names that its sentence needs, ready for JSON.
    """

    code: str
    facts: Mapping[str, Fact] = {}


Note = Callable[[Notice], None]
"""Where steps report notices to."""
