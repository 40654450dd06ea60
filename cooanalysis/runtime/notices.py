"""What the reader of a result must know: a code with its facts, never a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

Fact = str | int | float | bool | None | list[str]


class Notice(msgspec.Struct, frozen=True):
    """One warning about a result.

    Sentences are made from it where it is shown, and programs distinguish notices by their code.

    Attributes
    ----------
    code
        What happened, such as ``"few_images"``; every code is listed in ``docs/warnings.md``.
    facts
        The numbers and names that its sentence needs, ready for JSON.
    """

    code: str
    facts: Mapping[str, Fact] = {}

    def __str__(self) -> str:
        """The code and its facts, for readers who have no sentence for it.

        Examples
        --------
        >>> str(Notice("few_images", {"n_images": 3, "needed": 5}))
        'few_images (n_images: 3, needed: 5)'
        """
        facts = ", ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"{self.code} ({facts})" if facts else self.code


Note = Callable[[Notice], None]
"""Where steps report notices to."""


class NoticeWarning(UserWarning):
    """A notice as a Python warning, where the caller of a function takes no notices.

    Attributes
    ----------
    notice
        The notice; the text of the warning is its code with its facts.
    """

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice)
        self.notice = notice
