"""The summary of an analysis as one typed record, from which its JSON Schema is generated.

``summary.json`` holds exactly these fields. Numbers that are not available are null.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cooanalysis.analysis.config import AnalysisSettings
from cooanalysis.measures.bootstrap import Estimate
from cooanalysis.measures.entropy import ReliabilityCode
from cooanalysis.runtime.notices import Notice

Count = Annotated[int, Meta(ge=0)]
Resampled = Literal["images", "patches"]
CeilingCode = Literal["center_clearly_below", "center_not_clearly_below"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a summary."""


def finite(value: float | None) -> float | None:
    """The number, or None where it is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


class Interval(Record, frozen=True, kw_only=True):
    """A number with its 95 % bootstrap interval; null where not available."""

    value: Annotated[float | None, Meta(description="The number.")]
    ci_low: Annotated[float | None, Meta(description="Lower end of the interval.")]
    ci_high: Annotated[float | None, Meta(description="Upper end of the interval.")]

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        """The estimate as it is recorded: numbers that are not finite become None."""
        return Interval(**limits(estimate))


NOT_AVAILABLE = Interval(value=None, ci_low=None, ci_high=None)


def limits(estimate: Estimate) -> dict[str, float | None]:
    """The fields that an :class:`Interval` shares with records that add to it."""
    return {key: finite(value) for key, value in estimate.as_dict().items()}


# -- Data, search and leakage ----------------------------------------------------------------


class LrSource(Record, frozen=True, kw_only=True):
    """Where LR images came from."""

    dataset: Annotated[Count, Meta(description="Number of LR images given by the data set.")]
    made: Annotated[Count, Meta(description="Number of LR images made by the run.")]


class DatasetInfo(Record, frozen=True, kw_only=True):
    """The images that were analyzed."""

    name: Annotated[str, Meta(description="Name or folder.")]
    title: Annotated[str, Meta(description="Name for people.")]
    n_images: Annotated[Count, Meta(description="Images used.")]
    lr_source: Annotated[LrSource, Meta(description="Where LR images came from.")]


class ReferenceInfo(Record, frozen=True, kw_only=True):
    """The images whose patches form the groups."""

    name: Annotated[str, Meta(description="Name or folder.")]
    title: Annotated[str, Meta(description="Name for people.")]
    n_images: Annotated[Count, Meta(description="Images used.")]
    same_as_dataset: Annotated[
        bool, Meta(description="Whether the data set is its own reference (leave-image-out).")
    ]


class EngineInfo(Record, frozen=True, kw_only=True):
    """How groups were found."""

    engine: Annotated[str, Meta(description="Library and device of the neighbor search.")]
    index: Annotated[str, Meta(description="Kind of index.")]
    effort: Annotated[
        Count | None, Meta(description="Search effort of an approximate index; null if exact.")
    ]
    grouping: Annotated[Literal["knn", "kmeans"], Meta(description="How groups are formed.")]
    workers: Annotated[
        Count | None, Meta(description="Workers of a cluster; null for a run in one process.")
    ]


class IndexRecall(Interval, frozen=True, kw_only=True):
    """Recall of the index against exact search, between 0 and 1."""

    k: Annotated[Count, Meta(description="Members of a group.")]
    n_queries: Annotated[Count, Meta(description="Queries it was measured on.")]
    exact: Annotated[bool, Meta(description="Whether the search is exact.")]


class LeakedPair(Record, frozen=True, kw_only=True):
    """A query image and a reference image that share content."""

    query: Annotated[str, Meta(description="Query image.")]
    reference: Annotated[str, Meta(description="Reference image.")]
    kind: Annotated[str, Meta(description="What they share.")]
    similarity: Annotated[float | None, Meta(description="How alike they are; 1 = equal.")]


class Leakage(Record, frozen=True, kw_only=True):
    """Search for content that query and reference images share."""

    checked: Annotated[bool, Meta(description="Whether it was searched for.")]
    excluded: Annotated[
        bool, Meta(description="Whether such images were excluded as neighbors of those queries.")
    ]
    n_pairs: Annotated[Count, Meta(description="Pairs found.")]
    pairs: Annotated[tuple[LeakedPair, ...], Meta(description="The pairs.")]


class SkippedFile(Record, frozen=True, kw_only=True):
    """A file that could not be used."""

    name: Annotated[str, Meta(description="Image.")]
    path: Annotated[str, Meta(description="File.")]
    reason: Annotated[str, Meta(description="Why.")]


# -- Numbers ---------------------------------------------------------------------------------


class EstimatorReliability(Record, frozen=True, kw_only=True):
    """Bias and scatter of an estimator on Gaussian groups of the run's own size."""

    bias: Annotated[float | None, Meta(description="Mean error, nats per dimension.")]
    standard_deviation: Annotated[
        float | None, Meta(description="Scatter of a single group's estimate, nats per dimension.")
    ]
    reliable: Annotated[bool, Meta(description="Whether the bias is within the tolerance.")]
    reason: Annotated[ReliabilityCode, Meta(description="Why, as a code.")]
    n: Annotated[Count, Meta(description="Members of a group.")]
    d: Annotated[Count, Meta(description="Dimensions of the subspace.")]


class EntropySummary(Record, frozen=True, kw_only=True):
    """What one entropy estimator found."""

    mean: Annotated[Interval, Meta(description="Mean conditional entropy, nats per dimension.")]
    unit: Annotated[str, Meta(description="Unit of the entropies.")]
    subspace: Annotated[str, Meta(description="Where entropies are estimated.")]
    absolute_mean: Annotated[
        Interval, Meta(description="The same for details in units of the peak.")
    ]
    spearman_center_distance: Annotated[
        Interval, Meta(description="Rank correlation with the RMS distance of the center.")
    ]
    entropy_power: Annotated[Interval, Meta(description="Mean entropy power exp(2h)/(2 pi e).")]
    mmse_floor: Annotated[
        Interval,
        Meta(description="Floor of the mean squared error from the subspace alone, peak = 1."),
    ]
    psnr_ceiling_db: Annotated[Interval, Meta(description="The same as PSNR, dB.")]
    reliability: Annotated[
        EstimatorReliability, Meta(description="Whether absolute values can be relied on.")
    ]


class CheckedCeiling(Interval, frozen=True, kw_only=True):
    """PSNR that no estimator seeing only the LR patch can exceed (an estimate), dB."""

    reliable: Annotated[
        bool,
        Meta(description="Whether the centers stay clearly below it, as every estimator must."),
    ]
    reason: Annotated[CeilingCode, Meta(description="Why, as a code.")]


class Ceiling(CheckedCeiling, frozen=True, kw_only=True):
    """PSNR that no estimator seeing only the LR patch can exceed (an estimate), and its method."""

    unit: Annotated[Literal["dB"], Meta(description="Unit.")]
    method: Annotated[str, Meta(description="How it was computed and what it holds for.")]
    half_k_db: Annotated[
        float | None,
        Meta(
            description="The same from the nearer half of each group, dB: how much the width of "
            "the groups matters."
        ),
    ]


class DetailDecile(Record, frozen=True, kw_only=True):
    """Detail energy of the center in one decile of entropy."""

    decile: Annotated[
        int, Meta(ge=1, le=10, description="Number of the decile; 1 is the lowest entropy.")
    ]
    entropy_low: Annotated[
        float | None, Meta(description="Lowest entropy in it, nats per dimension.")
    ]
    entropy_high: Annotated[
        float | None, Meta(description="Highest entropy in it, nats per dimension.")
    ]
    retained: Annotated[Interval, Meta(description="Share of the ground-truth detail energy kept.")]
    by_chance: Annotated[float | None, Meta(description="The part of it that is due to chance.")]
    n: Annotated[Count, Meta(description="Query patches in it.")]


class CenterDistance(Record, frozen=True, kw_only=True):
    """Distances from the center, RMS per value of the patch."""

    rms: Annotated[Interval, Meta(description="To the members of its group.")]
    min: Annotated[Interval, Meta(description="To the nearest member.")]
    error: Annotated[Interval, Meta(description="To the ground truth.")]
    unit: Annotated[str, Meta(description="Unit.")]


Quartiles = Annotated[tuple[Interval, ...], Meta(min_length=4, max_length=4)]


class SpaceSummary(Record, frozen=True, kw_only=True):
    """Distances to the clean manifold in one feature space.

    They are relative to those of held-out clean patches. Where the space was left out, its
    numbers are null.
    """

    title: Annotated[str, Meta(description="Name for people.")]
    missing: Annotated[str | None, Meta(description="Why the space was left out, if it was.")]
    center_ratio: Annotated[
        Interval, Meta(description="Distance of the centers; 1 = like a clean patch.")
    ]
    bicubic_ratio: Annotated[Interval, Meta(description="Distance of bicubic upsamplings.")]
    clean_ratio: Annotated[
        Interval,
        Meta(description="Check: one half of the clean patches over the other; should be 1."),
    ]
    center_ratio_by_quartile: Annotated[
        Quartiles, Meta(description="Of the centers by entropy quartile, lowest entropy first.")
    ]
    bicubic_ratio_by_quartile: Annotated[
        Quartiles, Meta(description="Of bicubic by entropy quartile, lowest entropy first.")
    ]
    warning: Annotated[
        str | None, Meta(description="Why the numbers of this space mislead, if they do.")
    ]


class TwoSampleTests(Record, frozen=True, kw_only=True):
    """Classifier two-sample tests against clean patches (AUC; 0.5 = indistinguishable).

    Scores are null where there are too few images.
    """

    space: Annotated[str, Meta(description="Feature space of the classifier.")]
    center: Annotated[Interval, Meta(description="Centers.")]
    bicubic: Annotated[Interval, Meta(description="Bicubic upsamplings.")]
    clean_null: Annotated[
        Interval, Meta(description="Clean patches against clean patches; should be 0.5.")
    ]


# -- The whole -------------------------------------------------------------------------------


class Findings(Record, frozen=True, kw_only=True):
    """The headline numbers of an analysis."""

    n_queries: Annotated[Count, Meta(description="Query patches.")]
    recall_at_k: Annotated[
        IndexRecall | None,
        Meta(description="Recall of the index against exact search; null for k-means groups."),
    ]
    spearman_entropy_center_distance: Annotated[
        Interval,
        Meta(
            description="Rank correlation of entropy (first estimator) and RMS distance of the "
            "center."
        ),
    ]
    entropy: Annotated[
        dict[str, EntropySummary], Meta(min_length=1, description="By estimator; the first ranks.")
    ]
    mmse_floor: Annotated[Interval, Meta(description="Floor of the mean squared error, peak = 1.")]
    psnr_ceiling_db: Annotated[
        Ceiling,
        Meta(
            description="PSNR that no estimator seeing only the LR patch can exceed, by estimate, "
            "dB."
        ),
    ]
    psnr_center_db: Annotated[
        Interval,
        Meta(description="PSNR of the centers against the ground truth on the same patches, dB."),
    ]
    psnr_bicubic_db: Annotated[
        Interval, Meta(description="PSNR of bicubic upsampling on the same patches, dB.")
    ]
    detail_energy: Annotated[
        Interval, Meta(description="Energy of the center's detail over that of the ground truth.")
    ]
    detail_energy_by_chance: Annotated[
        Interval,
        Meta(
            description="The part of it that the mean of k details with nothing in common would "
            "keep."
        ),
    ]
    detail_energy_by_decile: Annotated[
        tuple[DetailDecile, ...],
        Meta(
            max_length=10,
            description="The same by entropy decile, lowest entropy first; empty deciles are left "
            "out.",
        ),
    ]
    center_distance: Annotated[
        CenterDistance, Meta(description="Distances from the center, RMS per value of the patch.")
    ]
    manifold: Annotated[dict[str, SpaceSummary], Meta(description="By feature space.")]
    two_sample_auc: Annotated[
        TwoSampleTests,
        Meta(description="Classifier two-sample tests against clean patches; 0.5 = no difference."),
    ]
    resampled: Annotated[
        Resampled,
        Meta(
            description="What the bootstrap of the intervals draws: whole images, or single "
            "patches where there are too few images."
        ),
    ]

    @property
    def leading_estimator(self) -> str:
        """Name of the estimator that bins and ranks."""
        return next(iter(self.entropy))

    @property
    def leading_space(self) -> SpaceSummary | None:
        """The first feature space that was measured and carries no warning."""
        for space in self.manifold.values():
            if space.missing is None and not space.warning:
                return space
        return None


class AnalysisSummary(Findings, frozen=True, kw_only=True):
    """Summary of a coo-analyze run.

    Every headline number of a run with its 95 % interval, and all that is needed to judge and
    repeat it. Numbers that are not available are null.
    """

    schema_version: Annotated[
        Literal[2], Meta(description="Raised when a key changes its meaning.")
    ]
    fingerprint: Annotated[str, Meta(description="Identifies configuration and data.")]
    created: Annotated[
        str,
        Meta(description="When the run ended (UTC).", extra_json_schema={"format": "date-time"}),
    ]
    dataset: Annotated[DatasetInfo, Meta(description="The images that were analyzed.")]
    reference: Annotated[
        ReferenceInfo, Meta(description="The images whose patches form the groups.")
    ]
    scale: Annotated[
        int, Meta(description="Upscaling factor.", extra_json_schema={"enum": [2, 3, 4, 8]})
    ]
    n_reference_patches: Annotated[Count, Meta(description="Reference patches.")]
    engine: Annotated[EngineInfo, Meta(description="How groups were found.")]
    leakage: Annotated[
        Leakage, Meta(description="Search for content that query and reference images share.")
    ]
    skipped: Annotated[tuple[SkippedFile, ...], Meta(description="Files that could not be used.")]
    warnings: Annotated[
        tuple[Notice, ...],
        Meta(description="What a reader should know, as codes with their facts."),
    ]
    timings_s: Annotated[
        dict[str, float], Meta(description="Seconds by stage; the key total is all of it.")
    ]
    peak_rss_bytes: Annotated[
        Count | None,
        Meta(
            description="Largest resident memory of the process, bytes; null where the system "
            "does not report it."
        ),
    ]
    config: Annotated[AnalysisSettings, Meta(description="Every option of the run.")]
    versions: Annotated[
        dict[str, str], Meta(description="Versions of Python, the system and packages.")
    ]
    seed: Annotated[Count, Meta(description="Seed of everything that was drawn.")]
    device: Annotated[str, Meta(description="cpu or cuda.")]
