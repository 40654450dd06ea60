"""What the referees say of every model: distances to clean patches and two-sample tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cooanalysis.analysis.summary import LabeledScores
from cooanalysis.comparison.groups import QueryGroups
from cooanalysis.comparison.patches import CRITIC, control_scores, critic_scores_of, scores_of
from cooanalysis.measures.bootstrap import Estimate, ImageBootstrap
from cooanalysis.measures.realism import Realism, judge_realism, separation
from cooanalysis.runtime.run_directory import Arrays

FEATURES = "features"
"""Name of the two-sample test on features, beside the critic's."""

_RESAMPLES = 200


@dataclass(frozen=True)
class Judged:
    """What the referees say of one model.

    Attributes
    ----------
    realism
        Decision and votes.
    areas, separations
        By two-sample test: area under the curve, and distance of the two samples' log-odds.
    """

    realism: Realism
    areas: Mapping[str, Estimate]
    separations: Mapping[str, Estimate]


def judge_models(
    groups: QueryGroups, found: Mapping[str, Arrays], totals: pd.DataFrame, seed: int
) -> dict[str, Judged]:
    """Ask all referees about every model.

    Parameters
    ----------
    groups
        The query patches.
    found
        What :func:`cooanalysis.comparison.patches.measure_patches` returned, by model.
    totals
        See :func:`cooanalysis.comparison.statistics.totals`.
    seed
        Seed of the bootstrap.
    """
    controls = {FEATURES: _area(control_scores(groups), seed)}
    judged = {}
    for name, arrays in found.items():
        tests = {FEATURES: scores_of(arrays), CRITIC: critic_scores_of(arrays)}
        areas = {key: _area(test, seed) for key, test in tests.items() if test is not None}
        judged[name] = Judged(
            judge_realism(_ratios(totals, name), areas, controls=controls),
            areas,
            {key: _separation(test, seed) for key, test in tests.items() if test is not None},
        )
    return judged


def _ratios(totals: pd.DataFrame, model: str) -> dict[str, Estimate]:
    rows = totals[(totals["model"] == model) & totals["measure"].str.startswith("manifold_")]
    return {
        str(row["measure"]).removeprefix("manifold_"): Estimate(
            float(row["value"]), float(row["ci_low"]), float(row["ci_high"])
        )
        for row in rows.to_dict("records")
    }


def _area(test: LabeledScores, seed: int) -> Estimate:
    if not len(test.scores):
        return Estimate(float("nan"), float("nan"), float("nan"))
    bootstrap = ImageBootstrap(test.image, n_resamples=_RESAMPLES, seed=seed)
    return bootstrap.auc(test.scores, test.labels)


def _separation(test: LabeledScores, seed: int) -> Estimate:
    if not len(test.scores):
        return Estimate(float("nan"), float("nan"), float("nan"))
    bootstrap = ImageBootstrap(test.image, n_resamples=_RESAMPLES, seed=seed)
    return separation(test.scores, test.labels, bootstrap)
