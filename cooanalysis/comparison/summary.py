"""The headline numbers of a comparison, with its verdicts and warnings, from its tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.summary import skipped_files, validated
from cooanalysis.analysis.summary_record import CheckedCeiling, Interval, finite
from cooanalysis.comparison.anchor import Anchor
from cooanalysis.comparison.config import CompareConfig
from cooanalysis.comparison.files import KIND
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.patches import CRITIC, CleanPatches
from cooanalysis.comparison.realism import FEATURES, Judged
from cooanalysis.comparison.statistics import Measure, Reach, reach
from cooanalysis.comparison.summary_record import (
    AnchorSummary,
    BudgetSummary,
    ComparedDataset,
    ComparedReference,
    ComparisonSummary,
    MeasuredValue,
    MeasureInfo,
    ModelSummary,
    RealismSummary,
)
from cooanalysis.comparison.verdict import verdict
from cooanalysis.measures.bootstrap import MIN_IMAGES
from cooanalysis.measures.detail import closed_form, error_budget, unknown_energy
from cooanalysis.measures.detail.parts import SUMS
from cooanalysis.measures.realism import domain_shift
from cooanalysis.models.sources import Source
from cooanalysis.runtime.environment import peak_rss_bytes, versions
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import SCHEMA_VERSION

KNOWS_MORE = 0.02
"""An anchor that explains this much more of the detail than an output does is reported."""
TOP = 0.01
"""Share of the patches whose share of the detail energy is reported."""


def notices(
    anchor: Anchor | None, totals: pd.DataFrame, kinds: Mapping[str, str], *, n_images: int,
    ceiling: CheckedCeiling,
) -> Iterator[Notice]:  # fmt: skip
    """What the reader of a comparison should know."""
    if n_images < MIN_IMAGES:
        yield Notice("few_images", {"n_images": n_images, "needed": MIN_IMAGES, "compared": True})
    if ceiling.value is not None and not ceiling.reliable:
        yield Notice("ceiling_unreliable", {"ceiling_db": ceiling.value})
    if anchor is None:
        yield Notice("anchor_missing")
        return
    if not anchor.is_mean:
        yield Notice(
            "anchor_not_a_mean", {"anchor": anchor.name, "closed_form": finite(anchor.closed_form)}
        )
    explained = totals[totals["measure"] == "explained"].set_index("model")["value"]
    weaker = [
        str(name)
        for name, value in explained.items()
        if kinds[str(name)] not in ("bicubic", "hr") and anchor.explained - value > KNOWS_MORE
    ]
    if weaker:
        yield Notice(
            "anchor_explains_more",
            {"anchor": anchor.name, "models": weaker, "explained": anchor.explained},
        )


def summarize(
    config: CompareConfig, plan: Plan, groups: QueryGroups, clean: CleanPatches,
    sources: Sequence[Source], wanted: Sequence[Measure], *, models: pd.DataFrame,
    patches: pd.DataFrame, totals: pd.DataFrame, referees: Mapping[str, Judged],
    anchor: Anchor | None, ceiling: CheckedCeiling, fingerprint: str, reused: int,
) -> ComparisonSummary:  # fmt: skip
    """The summary of a comparison, checked against its schema."""
    run, n_images = groups.run, len(groups.run.queries.names)
    tests = reach(totals, n_images)
    sums = {
        str(name): part[list(SUMS)].sum() / part["pixels"].sum()
        for name, part in models.groupby("model", sort=False)
    }
    unknown = {
        source.name: _unknown(sums[source.name]) for source in sources if source.kind != "hr"
    }
    least = min(unknown.values(), default=None)
    shift = domain_shift(
        clean.distance,
        groups.image,
        clean.held_out,
        clean.held_out_image,
        seed=config.analysis.seed,
    )
    summary = ComparisonSummary(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint,
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        dataset=ComparedDataset(
            name=plan.queries.name, title=plan.queries.title, n_images=n_images
        ),
        reference=ComparedReference(name=plan.reference.name, title=plan.reference.title),
        scale=run.config.scale,
        n_queries=len(groups.queries),
        baseline=config.baseline,
        anchor=_anchor_summary(anchor),
        top_share=_top_share(patches[patches["model"] == sources[0].name]),
        lead=f"manifold_{next(iter(clean.manifolds), '')}",
        domain_shift={name: Interval.of(estimate) for name, estimate in shift.items()},
        smallest_adjusted_p=finite(tests.smallest_adjusted_p),
        images_needed=tests.images_needed,
        measures=tuple(
            MeasureInfo(
                name=measure.name,
                title=measure.title,
                unit=measure.unit,
                direction=measure.direction,
                digits=measure.digits,
            )
            for measure in wanted
        ),
        models=tuple(
            _model_summary(
                source, totals, wanted, referees[source.name], tests, config.baseline,
                anchor.name if anchor else None, sums[source.name],
                None if source.kind == "hr" else least,
            )
            for source in sources
        ),
        psnr_ceiling_db=ceiling,
        protocol=(
            f"PSNR and SSIM on BT.601 luma (not rounded, as BasicSR), {run.config.scale} border "
            "pixels cut off; a gray image stands for R = G = B"
        ),
        resampled="images" if n_images >= MIN_IMAGES else "patches",
        cached_outputs=reused,
        skipped=skipped_files(run.skipped),
        warnings=tuple(run.warnings),
        timings_s=dict(run.clock.seconds),
        peak_rss_bytes=peak_rss_bytes(),
        config=config,
        versions=versions(),
        seed=config.analysis.seed,
    )  # fmt: skip
    return validated(summary)


def _unknown(sums: pd.Series) -> float:
    names = ("truth_energy", "known_energy", "known_truth")
    return float(unknown_energy(*(float(sums[name]) for name in names)))


def _anchor_summary(anchor: Anchor | None) -> AnchorSummary | None:
    if anchor is None:
        return None
    return AnchorSummary(
        name=anchor.name,
        chosen=anchor.chosen,
        closed_form=finite(anchor.closed_form),
        detail_energy=finite(anchor.detail_energy),
        explained=finite(anchor.explained),
    )


def _top_share(patches: pd.DataFrame) -> float | None:
    """Share of the detail energy in the patches that hold most of it."""
    energy = np.sort(patches["truth_energy"].to_numpy(np.float64))[::-1]
    top = max(1, round(TOP * len(energy)))
    return finite(float(energy[:top].sum() / energy.sum())) if energy.sum() > 0 else None


def _model_summary(
    source: Source, totals: pd.DataFrame, wanted: Sequence[Measure], referee: Judged, tests: Reach,
    baseline: str, anchor: str | None, sums: pd.Series, least: float | None,
) -> ModelSummary:  # fmt: skip
    rows = totals[totals["model"] == source.name].set_index("measure")
    alone, against = verdict(
        source.name, totals, wanted, baseline=baseline, anchor=anchor, realism=referee.realism,
        reach=tests,
    )  # fmt: skip
    found = error_budget(*(float(sums[name]) for name in SUMS[:6]), best_unknown=least)
    return ModelSummary(
        name=source.name,
        kind=source.kind,
        detail=source.detail,
        verdict=(alone, against),
        measures={
            str(name): MeasuredValue(
                value=finite(row["value"]),
                ci_low=finite(row["ci_low"]),
                ci_high=finite(row["ci_high"]),
                difference=finite(row["difference"]),
                difference_low=finite(row["difference_low"]),
                difference_high=finite(row["difference_high"]),
                p_adjusted=finite(row["p_adjusted"]),
            )
            for name, row in rows.iterrows()
        },
        closed_form=finite(float(closed_form(*(float(sums[name]) for name in SUMS[:3])))),
        budget=BudgetSummary(
            unknown=found.unknown,
            known_to_others=found.known_to_others,
            wrong_gain=found.wrong_gain,
            made_up=found.made_up,
            remainder=found.remainder,
        ),
        two_sample_auc=Interval.of(referee.areas[FEATURES]),
        realism=RealismSummary(
            decision=referee.realism.decision,
            votes=dict(referee.realism.votes),
            critic_auc=(Interval.of(referee.areas[CRITIC]) if CRITIC in referee.areas else None),
            separation={
                name: Interval.of(estimate) for name, estimate in referee.separations.items()
            },
        ),
    )
