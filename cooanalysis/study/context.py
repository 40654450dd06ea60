"""What all steps of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field

from cooanalysis.config import AnalysisConfig
from cooanalysis.data import SkippedImage
from cooanalysis.data.patches import PatchStore
from cooanalysis.progress import Progress, Stopwatch
from cooanalysis.rundir import Checkpoints


@dataclass(frozen=True)
class Context:
    """What all steps of a run share.

    Attributes
    ----------
    config
        What is asked.
    queries, reference
        Images of the query set and of the reference set (the same object when equal).
    skipped
        Files that could not be used.
    progress, checkpoints, clock
        Where steps report to, keep their pieces, and book their time.
    warnings
        What the reader of the result must know; steps append to it.
    """

    config: AnalysisConfig
    queries: PatchStore
    reference: PatchStore
    skipped: list[SkippedImage]
    progress: Progress
    checkpoints: Checkpoints
    clock: Stopwatch
    warnings: list[str] = field(default_factory=list)

    @property
    def same_reference(self) -> bool:
        """Whether the data set is its own reference (then leave-image-out)."""
        return self.reference is self.queries
