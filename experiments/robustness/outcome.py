"""Outcome of one bad or unusual input: handled, refused in one clear line, or a fault."""

from __future__ import annotations

import signal
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from cooanalysis.errors import CooError

SECONDS = 20
"""Time limit per input in seconds."""

Verdict = Literal["handled", "refused", "fault"]


@dataclass(frozen=True)
class Case:
    """An input, and the public function that it is passed to.

    Attributes
    ----------
    kind
        Category of the input.
    name
        Unique within its kind.
    run
        Passes the input to the function.
    """

    kind: str
    name: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """The verdict on a case, and the reason."""

    case: Case
    verdict: Verdict
    detail: str = ""


class TooLong(BaseException):
    """Not an Exception, so that ``except Exception`` does not hide it."""


def try_case(case: Case) -> Outcome:
    """Run a case within a time limit; it may raise only a :class:`CooError`.

    Python warnings count as faults: a user sees them as two lines of library source code.
    Ours, about a data set that lacks images, are caught and reported in the summary.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            case.run()
    except CooError as error:
        message = " ".join(str(error).split())
        if not message or len(message) > 1500:
            return Outcome(case, "fault", f"a message of {len(message)} characters: {message:.200}")
        return Outcome(case, "refused", message)
    except TooLong:
        return Outcome(case, "fault", f"took longer than {SECONDS} s")
    except Exception:
        return Outcome(case, "fault", traceback.format_exc(limit=-4))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    if caught:
        return Outcome(case, "fault", f"warns: {caught[0].message} ({caught[0].filename})")
    return Outcome(case, "handled")
