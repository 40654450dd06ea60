"""Numbers as people read them: with their intervals, separators and units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

NOT_AVAILABLE = "not available"


class Estimated(Protocol):
    """A number with the ends of its 95 % interval; None or NaN where not available."""

    @property
    def value(self) -> float | None: ...
    @property
    def ci_low(self) -> float | None: ...
    @property
    def ci_high(self) -> float | None: ...


@dataclass(frozen=True)
class Number:
    """A number with its 95 % interval; anything may be missing.

    Attributes
    ----------
    value, low, high
        The number and the ends of its interval; None where not available.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimated) -> Number:
        """The number of an estimate; what is missing or not finite becomes None."""
        return cls.finite(estimate.value, estimate.ci_low, estimate.ci_high)

    @classmethod
    def finite(
        cls, value: float | None, low: float | None = None, high: float | None = None
    ) -> Number:
        """The number where it is finite, and its interval where both ends are.

        Examples
        --------
        >>> Number.finite(1.5, float("nan"), 2.0)
        Number(value=1.5, low=None, high=None)
        """
        if value is None or not math.isfinite(value):
            return cls(None)
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return cls(value)
        return cls(value, low, high)

    def above(self, limit: float) -> bool:
        """Whether the whole interval lies above ``limit``; False without an interval."""
        return self.low is not None and self.low > limit

    def below(self, limit: float) -> bool:
        """Whether the whole interval lies below ``limit``; False without an interval."""
        return self.high is not None and self.high < limit

    def text(self, digits: int, unit: str = "", factor: float = 1.0) -> str:
        """The number with its interval.

        Examples
        --------
        >>> Number(1.31, 1.29, 1.33).text(2, "×")
        '1.31× (1.29–1.33)'
        >>> Number(0.042, 0.039, 0.045).text(1, " %", factor=100)
        '4.2 % (3.9–4.5)'
        >>> Number(None).text(2)
        'not available'
        """
        if self.value is None:
            return NOT_AVAILABLE
        interval = self.interval(digits, factor)
        return self.plain(digits, unit, factor) + (f" ({interval})" if interval else "")

    def plain(self, digits: int, unit: str = "", factor: float = 1.0) -> str:
        """The number without its interval."""
        return NOT_AVAILABLE if self.value is None else _digits(factor * self.value, digits) + unit

    def interval(self, digits: int, factor: float = 1.0) -> str:
        """The interval alone, or nothing."""
        if self.low is None or self.high is None:
            return ""
        low, high = _digits(factor * self.low, digits), _digits(factor * self.high, digits)
        # A dash between negative numbers cannot be read.
        return f"{low} to {high}" if self.low < 0 else f"{low}–{high}"


def _digits(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: float) -> str:
    """A whole number with separators.

    Examples
    --------
    >>> count(881600)
    '881,600'
    """
    return f"{value:,.0f}"


def images(n: int) -> str:
    """A number of images.

    Examples
    --------
    >>> images(1), images(1000)
    ('1 image', '1,000 images')
    """
    return f"{count(n)} image" + ("" if n == 1 else "s")


def size(n_bytes: int | None) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size(3 * 2**30)
    '3.0 GiB'
    """
    if n_bytes is None:
        return NOT_AVAILABLE
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"


def seconds(value: float | None) -> str:
    """A duration for people.

    Examples
    --------
    >>> seconds(0.034), seconds(83)
    ('0.03 s', '1 min 23 s')
    """
    if value is None:
        return NOT_AVAILABLE
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
