"""What all steps of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.kernels import CpuKernels, Kernels, choose_kernels
from cooanalysis.analysis.workers import Workers
from cooanalysis.data import SkippedImage
from cooanalysis.data.patches import PatchStore
from cooanalysis.runtime.memory import MemoryBudget
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.progress import Progress, Stopwatch
from cooanalysis.runtime.run_directory import Checkpoints


@dataclass(frozen=True)
class Context:
    """What all steps of a run share.

    Attributes
    ----------
    config
        The configuration.
    queries, reference
        Images of the query set and of the reference set (the same object when equal).
    skipped
        Files that could not be used.
    progress, checkpoints, clock
        Objects that record the progress, pieces and time of steps.
    warnings
        Notes for the reader of the result; steps add to them with :meth:`note`.
    workers
        The workers that search and measure; None does everything in this process.
    budget
        How much memory the run may use; by default, as configured.
    """

    config: AnalysisConfig
    queries: PatchStore
    reference: PatchStore
    skipped: list[SkippedImage]
    progress: Progress
    checkpoints: Checkpoints
    clock: Stopwatch
    warnings: list[Notice] = field(default_factory=list)
    workers: Workers | None = None
    budget: MemoryBudget | None = None

    @cached_property
    def memory(self) -> MemoryBudget:
        """How much memory the run may use."""
        return self.budget or MemoryBudget.of(self.config.memory)

    @cached_property
    def kernels(self) -> Kernels:
        """The kernels that gather and measure groups."""
        return choose_kernels(self.config, self.reference, self.note)

    def fall_back(self) -> bool:
        """Measure groups on the CPU from now on; False if that is the case already."""
        if isinstance(self.kernels, CpuKernels):
            return False
        self.__dict__["kernels"] = CpuKernels()
        self.note(Notice("gpu_out_of_memory", {"step": "measuring_groups", "engine": "cpu"}))
        return True

    def note(self, notice: Notice) -> None:
        """Add a warning for the reader of the result, once."""
        if notice not in self.warnings:
            self.warnings.append(notice)

    @property
    def same_reference(self) -> bool:
        """Whether the data set is its own reference (then leave-image-out)."""
        return self.reference is self.queries
