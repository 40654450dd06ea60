"""The summary of a comparison as one typed record, from which its JSON Schema is generated."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cooanalysis.analysis.summary_record import (
    CheckedCeiling,
    Count,
    Interval,
    Record,
    Resampled,
    SkippedFile,
)
from cooanalysis.comparison.config import CompareSettings
from cooanalysis.runtime.notices import Notice

NEED_ANCHOR = ("gain", "invented", "collapse_index")
"""Measures that cannot tell, without an anchor, what a model knows from what it makes up."""


class ComparedDataset(Record, frozen=True, kw_only=True):
    """The images that models were compared on."""

    name: Annotated[str, Meta(description="Name or folder.")]
    title: Annotated[str, Meta(description="Name for people.")]
    n_images: Annotated[Count, Meta(description="Images used.")]


class ComparedReference(Record, frozen=True, kw_only=True):
    """The images whose patches form the groups."""

    name: Annotated[str, Meta(description="Name or folder.")]
    title: Annotated[str, Meta(description="Name for people.")]


class MeasureInfo(Record, frozen=True, kw_only=True):
    """A number that models are compared by."""

    name: Annotated[str, Meta(description="Key in tables.")]
    title: Annotated[str, Meta(description="Title for people.")]
    unit: Annotated[str, Meta(description="Unit; empty for none.")]
    direction: Annotated[
        Literal["lower", "higher", "one", "none"],
        Meta(
            description="Which value is better: lower, higher, or as near to 1 as possible; none "
            "where a value alone is neither good nor bad."
        ),
    ]
    digits: Annotated[Count, Meta(description="Decimals in tables.")]


class MeasuredValue(Interval, frozen=True, kw_only=True):
    """A measure of one model, and its paired difference to the baseline.

    The difference is null for the baseline and where a value is not finite.
    """

    difference: Annotated[float | None, Meta(description="Difference to the baseline.")]
    difference_low: Annotated[
        float | None, Meta(description="Lower end of its 95 % bootstrap interval.")
    ]
    difference_high: Annotated[
        float | None, Meta(description="Upper end of its 95 % bootstrap interval.")
    ]
    p_adjusted: Annotated[
        float | None,
        Meta(description="p-value of the paired test, adjusted for all models and measures."),
    ]


class AnchorSummary(Record, frozen=True, kw_only=True):
    """The model whose outputs tell what can be known."""

    name: Annotated[str, Meta(description="Name of the model or of the shipped weights.")]
    chosen: Annotated[
        Literal["given", "baseline", "model", "shipped"],
        Meta(
            description="Why it is the anchor: given as an option, the baseline, another model "
            "that behaves like a conditional mean, or a network that comes with the package."
        ),
    ]
    closed_form: Annotated[
        float | None, Meta(description="Near 1 if it is a conditional mean, shown as it is.")
    ]
    detail_energy: Annotated[
        float | None,
        Meta(description="Detail energy of its outputs, as a share of the ground truth's."),
    ]
    explained: Annotated[
        float | None, Meta(description="Share of the detail that it explains at its best gain.")
    ]


class RealismSummary(Record, frozen=True, kw_only=True):
    """What the referees say: do the model's patches look like clean ones?"""

    decision: Annotated[
        Literal["like", "unlike", "undecided"],
        Meta(description="Like clean images only if every referee says so."),
    ]
    votes: Annotated[
        dict[str, Literal["like", "unlike", "undecided"]],
        Meta(description="By referee: feature spaces and two-sample tests."),
    ]
    critic_auc: Annotated[
        Interval | None,
        Meta(
            description="Two-sample test by a learned critic; 0.5 = no difference; null without "
            "torch."
        ),
    ] = None
    separation: Annotated[
        dict[str, Interval],
        Meta(description="By two-sample test: distance d' of the log-odds of the two samples."),
    ] = {}


class BudgetSummary(Record, frozen=True, kw_only=True):
    """Where the squared error of a model comes from; mean squares, peak 1."""

    unknown: Annotated[float, Meta(description="Known to none of the models.")]
    known_to_others: Annotated[float, Meta(description="Known to another model only.")]
    wrong_gain: Annotated[float, Meta(description="Known, but sharpened or damped.")]
    made_up: Annotated[float, Meta(description="Made up.")]
    remainder: Annotated[
        float, Meta(description="What the parts leave of the error; 0 where they close exactly.")
    ]


class ModelSummary(Record, frozen=True, kw_only=True):
    """What was found about one model."""

    name: Annotated[str, Meta(description="Name in tables.")]
    kind: Annotated[str, Meta(description="Kind of source, such as bicubic, hr or checkpoint.")]
    detail: Annotated[str, Meta(description="What it is, for people.")]
    verdict: Annotated[
        tuple[str, str],
        Meta(description="What it does by itself, and against the baseline, in words."),
    ]
    measures: Annotated[dict[str, MeasuredValue], Meta(description="By name of the measure.")]
    closed_form: Annotated[
        float | None,
        Meta(description="Collapse index if the gain were 1, from energies alone: a check."),
    ] = None
    budget: Annotated[
        BudgetSummary | None, Meta(description="Where its squared error comes from.")
    ] = None
    two_sample_auc: Annotated[
        Interval,
        Meta(description="Classifier two-sample test against clean patches; 0.5 = no difference."),
    ]
    realism: Annotated[
        RealismSummary | None, Meta(description="Whether its patches look like clean ones.")
    ] = None


class ComparisonSummary(Record, frozen=True, kw_only=True):
    """Summary of a coo-compare run.

    Every total of every model with its 95 % interval, and all that is needed to judge and repeat
    it. Numbers that are not available are null.
    """

    kind: Annotated[Literal["comparison"], Meta(description="What the run directory holds.")]
    schema_version: Annotated[
        Literal[2], Meta(description="Raised when a key changes its meaning.")
    ]
    fingerprint: Annotated[str, Meta(description="Identifies configuration, data and models.")]
    created: Annotated[
        str,
        Meta(description="When the run ended (UTC).", extra_json_schema={"format": "date-time"}),
    ]
    dataset: Annotated[
        ComparedDataset, Meta(description="The images that models were compared on.")
    ]
    reference: Annotated[
        ComparedReference, Meta(description="The images whose patches form the groups.")
    ]
    scale: Annotated[
        int, Meta(description="Upscaling factor.", extra_json_schema={"enum": [2, 3, 4, 8]})
    ]
    n_queries: Annotated[Count, Meta(description="Query patches.")]
    baseline: Annotated[str, Meta(description="Model that the others are tested against.")]
    anchor: Annotated[
        AnchorSummary | None,
        Meta(description="The model whose outputs tell what can be known; null without one."),
    ]
    top_share: Annotated[
        float | None,
        Meta(description="Share of the ground truth's detail energy in the top 1 % of patches."),
    ]
    domain_shift: Annotated[
        dict[str, Interval],
        Meta(
            description="By feature space: distance of the queries' clean patches over that of "
            "held-out reference patches; 1 = the same domain."
        ),
    ]
    smallest_adjusted_p: Annotated[
        float | None,
        Meta(description="Smallest adjusted p-value that a test over these images can reach."),
    ]
    images_needed: Annotated[
        Count | None, Meta(description="Fewest images with which it can fall below 0.05.")
    ]
    lead: Annotated[
        str, Meta(description="Manifold ratio that judges whether detail is like that of clean "
                              "images.")
    ]  # fmt: skip
    measures: Annotated[
        tuple[MeasureInfo, ...], Meta(description="The measures, in the order of the tables.")
    ]
    models: Annotated[
        tuple[ModelSummary, ...],
        Meta(min_length=1, description="The models, in the order in which they were given."),
    ]
    psnr_ceiling_db: Annotated[
        CheckedCeiling,
        Meta(
            description="PSNR that no model seeing only the LR patch can exceed, by estimate, dB."
        ),
    ]
    protocol: Annotated[str, Meta(description="How PSNR and SSIM were measured.")]
    resampled: Annotated[
        Resampled,
        Meta(
            description="What the bootstrap of the intervals draws: whole images, or single "
            "patches where there are too few images."
        ),
    ]
    cached_outputs: Annotated[
        Count, Meta(description="Outputs of models that were taken from the cache.")
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
    config: Annotated[CompareSettings, Meta(description="Every option of the run.")]
    versions: Annotated[
        dict[str, str], Meta(description="Versions of Python, the system and packages.")
    ]
    seed: Annotated[Count, Meta(description="Seed of everything that was drawn.")]

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of every model by its name."""
        return {model.name: model.kind for model in self.models}

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Names of measures whose numbers say nothing here: without an anchor, what needs one."""
        return NEED_ANCHOR if self.anchor is None else ()
