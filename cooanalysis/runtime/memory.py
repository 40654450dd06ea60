"""How much memory a run may use, and staying within it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

GIB = 2**30

SHARE_OF_MACHINE = 0.6
"""Share of the machine's memory that a run may use by default."""

WORKING_SHARE = 0.25
"""Share of the budget that is reserved for batches of patches."""

DECODED_SHARE = 0.125
"""Share of the budget up to which a data set's decoded images stay in memory."""

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Releasable(Protocol):
    """An object that can release pages of files."""

    def release(self) -> None:
        """Release the pages."""
        ...


class Mapped(Releasable, Protocol):
    """An object that holds pages of files in memory, which can be read again."""

    @property
    def digest(self) -> str:
        """Hash of the content of the files."""
        ...

    def keep(self) -> None:
        """Release pages if the memory budget is nearly used up."""
        ...

    def verify(self, lr_starts: Iterable[int]) -> None:
        """Check the contents of some images."""
        ...


def machine_bytes() -> int:
    """Memory of this machine in bytes, or of the container that limits it further."""
    total = int(psutil.virtual_memory().total)
    for path in _CGROUP_LIMITS:
        try:
            total = min(total, int(path.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


@dataclass(frozen=True)
class MemoryBudget:
    """Bytes that this process may keep resident.

    Attributes
    ----------
    total
        The budget in bytes.
    """

    total: int

    @classmethod
    def of(cls, gib: float | None) -> MemoryBudget:
        """A budget in GiB; None for 60 % of the memory of the machine (or container)."""
        return cls(int(SHARE_OF_MACHINE * machine_bytes() if gib is None else gib * GIB))

    @property
    def decoded(self) -> int:
        """Bytes up to which a data set's decoded images stay in memory."""
        return int(DECODED_SHARE * self.total)

    @property
    def left(self) -> int:
        """Bytes that are neither in use now nor reserved for batches of patches."""
        return max(0, int((1.0 - WORKING_SHARE) * self.total) - self.resident())

    def keep(self, mapped: Releasable) -> None:
        """Release mapped pages once three quarters of the budget are resident."""
        if self.resident() > (1.0 - WORKING_SHARE) * self.total:
            mapped.release()

    @staticmethod
    def resident() -> int:
        """Resident bytes of this process, including pages of mapped files."""
        return int(psutil.Process().memory_info().rss)
