"""The headline numbers: each against a few lines of numpy on the same table."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.summary import (
    ABSOLUTE_UNITS,
    CONTRAST_UNITS,
    FeatureSpaceDistances,
    LabeledScores,
    Measured,
    entropy_column,
    jsonable,
    summarize,
    validated,
)
from cooanalysis.analysis.summary_record import (
    NOT_AVAILABLE,
    EstimatorReliability,
    Findings,
    IndexRecall,
    Interval,
)
from cooanalysis.measures.bootstrap import Estimate
from cooanalysis.measures.entropy import Reliability
from cooanalysis.neighbors import Recall

N, N_IMAGES = 600, 20


@pytest.fixture
def measured() -> Measured:
    """Made-up measurements in which every column has another scale, so that a mix-up shows."""
    rng = np.random.default_rng(0)
    entropy = rng.normal(-1.0, 0.5, N)
    table: dict[str, Any] = {
        "image": np.arange(N) % N_IMAGES,
        "lr_std": rng.uniform(0.02, 0.2, N),
        "entropy_gaussian": entropy,
        "entropy_copula": entropy + 1.0,
        "center_rms": np.exp(entropy + rng.normal(0, 0.2, N)),
        "center_min": rng.uniform(0.1, 0.2, N),
        "center_error": rng.uniform(2.0, 3.0, N),
        "center_energy": rng.uniform(0.01, 0.03, N),
        "truth_energy": rng.uniform(10.0, 20.0, N),
        "mmse_floor": np.where(rng.random(N) < 0.3, rng.uniform(1e-4, 2e-4, N), np.nan),
    }
    table["mmse_floor_half_k"] = 0.5 * table["mmse_floor"]
    half = rng.random(N) < 0.5
    distances = {
        kind: (scale * rng.uniform(0.8, 1.2, N)).astype(np.float32)
        for kind, scale in (("clean", 3.0), ("center", 4.0), ("bicubic", 6.0))
    }
    labels = (rng.random(N) < 0.5).astype(np.int8)
    return Measured(
        config=AnalysisConfig(dataset="a", estimators=("gaussian", "copula"), k=64),
        table=table,
        manifold={
            "subbands": FeatureSpaceDistances("subbands", None, distances, half),
            "deep": FeatureSpaceDistances("deep features", None, {}, half, "no weights"),
        },
        tests={"center": LabeledScores(rng.normal(labels, 1.0), labels, table["image"])},
        reliability={
            "gaussian": Reliability(
                "gaussian", 64, 24, 0.01, 0.02, True, "tested", "bias_within_tolerance"
            ),
            "copula": Reliability(
                "copula", 64, 24, math.nan, math.nan, False, "too few", "too_few_members"
            ),
        },
        recall=Recall(0.985, 0.98, 0.99, 512),
        subspace_dim=24,
        patch_dim=400,
    )


def with_columns(measured: Measured, **columns: Any) -> Measured:
    return dataclasses.replace(measured, table=measured.table | columns)


def psnr(error: float) -> float:
    return -10.0 * math.log10(error)


def test_means_ratios_and_correlations(measured: Measured) -> None:
    table, summary = measured.table, summarize(measured)
    assert summary.n_queries == N
    expected = {
        "spearman_entropy_center_distance": spearmanr(
            table["entropy_gaussian"], table["center_rms"]
        ).statistic,
        "detail_energy": table["center_energy"].sum() / table["truth_energy"].sum(),
        "detail_energy_by_chance": (table["center_rms"] ** 2).sum()
        / ((measured.config.k - 1) * table["truth_energy"].sum()),
        "mmse_floor": np.nanmean(table["mmse_floor"]),
    }
    for key, value in expected.items():
        assert getattr(summary, key).value == pytest.approx(value), key
        assert getattr(summary, key).ci_low < value < getattr(summary, key).ci_high, key
    for key, column in (("rms", "center_rms"), ("min", "center_min"), ("error", "center_error")):
        assert getattr(summary.center_distance, key).value == pytest.approx(table[column].mean())
    assert summary.resampled == "images"


@pytest.mark.parametrize("name", ["gaussian", "copula"])
def test_entropies(name: str, measured: Measured) -> None:
    values, std = measured.table[entropy_column(name)], measured.table["lr_std"]
    found = summarize(measured).entropy[name]
    assert found.mean.value == pytest.approx(values.mean())
    assert found.absolute_mean.value == pytest.approx((values + np.log(std)).mean())
    power = np.exp(2 * values) / (2 * np.pi * np.e)
    assert found.entropy_power.value == pytest.approx(power.mean())
    # The subspace holds 24 of 400 dimensions; the others could be without any error.
    floor = (24 / 400 * power * std**2).mean()
    assert found.mmse_floor.value == pytest.approx(floor)
    assert found.psnr_ceiling_db.value == pytest.approx(psnr(floor))
    assert found.psnr_ceiling_db.ci_low < found.psnr_ceiling_db.ci_high
    assert found.unit == "nats per dimension"
    assert found.subspace.startswith("24 leading principal components")


def test_reliability_is_passed_on_with_its_reason(measured: Measured) -> None:
    entropy = summarize(measured).entropy
    assert entropy["gaussian"].reliability == EstimatorReliability(
        bias=0.01, standard_deviation=0.02, reliable=True, reason="bias_within_tolerance",
        n=64, d=24,
    )  # fmt: skip
    assert entropy["copula"].reliability.bias is None
    assert not entropy["copula"].reliability.reliable
    assert entropy["copula"].reliability.reason == "too_few_members"


def test_the_ceiling_is_compared_on_the_same_patches(measured: Measured) -> None:
    table, summary = measured.table, summarize(measured)
    chosen = np.isfinite(table["mmse_floor"])
    unit = table["lr_std"] ** 2
    center = (table["center_error"] ** 2 * unit)[chosen].mean()
    bicubic = (table["truth_energy"] * unit)[chosen].mean()
    assert summary.psnr_center_db.value == pytest.approx(psnr(center))
    assert summary.psnr_bicubic_db.value == pytest.approx(psnr(bicubic))
    ceiling = summary.psnr_ceiling_db
    floor = np.nanmean(table["mmse_floor"])
    assert ceiling.value == pytest.approx(psnr(floor))
    assert ceiling.half_k_db == pytest.approx(psnr(0.5 * floor))
    assert f"{chosen.sum()} queries" in ceiling.method
    assert ceiling.reliable and ceiling.reason == "center_clearly_below"


def test_a_ceiling_that_the_center_reaches_is_unreliable(measured: Measured) -> None:
    error = (measured.table["center_error"] * measured.table["lr_std"]) ** 2
    floors = np.where(np.isfinite(measured.table["mmse_floor"]), error, np.nan)
    for factor, reliable in ((0.9, True), (1.0, False), (1.1, False)):
        ceiling = summarize(with_columns(measured, mmse_floor=factor * floors)).psnr_ceiling_db
        assert ceiling.reliable is reliable
        assert (ceiling.reason == "center_not_clearly_below") is not reliable


def test_without_ceiling_queries_there_is_no_ceiling(measured: Measured) -> None:
    nothing = np.full(N, np.nan)
    summary = summarize(with_columns(measured, mmse_floor=nothing, mmse_floor_half_k=nothing))
    assert summary.mmse_floor == NOT_AVAILABLE
    ceiling = summary.psnr_ceiling_db
    assert ceiling.value is None and ceiling.half_k_db is None
    assert not ceiling.reliable
    assert summary.psnr_center_db.value is None


def test_deciles(measured: Measured) -> None:
    table = measured.table
    order = np.argsort(table["entropy_gaussian"])
    rows = summarize(measured).detail_energy_by_decile
    assert [row.decile for row in rows] == list(range(1, 11))
    for number, row in enumerate(rows):
        inside = order[60 * number : 60 * (number + 1)]
        assert row.n == 60
        assert row.entropy_low == table["entropy_gaussian"][inside].min()
        assert row.entropy_high == table["entropy_gaussian"][inside].max()
        retained = table["center_energy"][inside].sum() / table["truth_energy"][inside].sum()
        assert row.retained.value == pytest.approx(retained)
        spread = (table["center_rms"][inside] ** 2).sum() / table["truth_energy"][inside].sum()
        assert row.by_chance == pytest.approx(spread / (measured.config.k - 1))


def test_the_first_estimator_bins_and_ranks(measured: Measured) -> None:
    other = measured.table["entropy_gaussian"][::-1]
    config = dataclasses.replace(measured.config, estimators=("copula", "gaussian"))
    summary = summarize(
        dataclasses.replace(with_columns(measured, entropy_copula=other), config=config)
    )
    expected = spearmanr(other, measured.table["center_rms"]).statistic
    assert summary.spearman_entropy_center_distance.value == pytest.approx(expected)


def test_manifold_ratios(measured: Measured) -> None:
    distances = measured.manifold["subbands"].distances
    half = measured.manifold["subbands"].calibration
    order = np.argsort(measured.table["entropy_gaussian"])
    found = summarize(measured).manifold["subbands"]
    clean = distances["clean"]
    for kind in ("center", "bicubic"):
        ratio = distances[kind].sum() / clean.sum()
        assert getattr(found, f"{kind}_ratio").value == pytest.approx(ratio, rel=1e-5)
        for number, row in enumerate(getattr(found, f"{kind}_ratio_by_quartile")):
            inside = order[150 * number : 150 * (number + 1)]
            ratio = distances[kind][inside].sum() / clean[inside].sum()
            assert row.value == pytest.approx(ratio, rel=1e-5)
    check = clean[~half].mean() / clean[half].mean()
    assert found.clean_ratio.value == pytest.approx(check, rel=1e-5)
    # As narrow as for two means of 300: the random split of the patches adds no uncertainty.
    width = found.clean_ratio.ci_high - found.clean_ratio.ci_low
    assert width == pytest.approx(2 * 1.96 * clean.std() / clean.mean() * math.sqrt(4 / N), rel=0.3)


def test_a_space_that_is_missing_says_why(measured: Measured) -> None:
    found = summarize(measured).manifold["deep"]
    assert (found.title, found.missing) == ("deep features", "no weights")
    numbers = (found.center_ratio, found.clean_ratio, *found.bicubic_ratio_by_quartile)
    assert set(map(msgspec.structs.astuple, numbers)) == {(None, None, None)}


def test_two_sample_auc(measured: Measured) -> None:
    test = measured.tests["center"]
    found = summarize(measured).two_sample_auc
    assert found.center.value == pytest.approx(roc_auc_score(test.labels, test.scores))
    assert found.bicubic == found.clean_null == NOT_AVAILABLE


def test_recall_of_exact_approximate_and_no_index(measured: Measured) -> None:
    assert summarize(measured).recall_at_k == IndexRecall(
        value=0.985, ci_low=0.98, ci_high=0.99, k=64, n_queries=512, exact=False
    )
    exact = dataclasses.replace(measured, recall=Recall(1.0, 1.0, 1.0, 0))
    assert summarize(exact).recall_at_k.exact
    assert summarize(dataclasses.replace(measured, recall=None)).recall_at_k is None


def test_units_follow_the_normalization(measured: Measured) -> None:
    assert summarize(measured).center_distance.unit == CONTRAST_UNITS
    config = dataclasses.replace(measured.config, normalize=False)
    plain = summarize(dataclasses.replace(measured, config=config))
    assert plain.center_distance.unit == ABSOLUTE_UNITS
    assert "contrast" not in plain.entropy["gaussian"].subspace


def test_few_images_are_said_so(measured: Measured) -> None:
    summary = summarize(with_columns(measured, image=np.arange(N) % 3))
    assert summary.resampled == "patches"


def test_groups_without_a_density_do_not_spoil_the_means(measured: Measured) -> None:
    entropy = measured.table["entropy_gaussian"].copy()
    entropy[:20] = -np.inf
    summary = summarize(with_columns(measured, entropy_gaussian=entropy))
    found = summary.entropy["gaussian"]
    assert found.mean.value == pytest.approx(entropy[20:].mean())
    assert summary.detail_energy_by_decile[0].entropy_low is None
    assert summary.detail_energy_by_decile[0].n == 60


def test_single_precision_columns_give_the_same_summary(measured: Measured) -> None:
    """Tables are float32: sums over thousands of patches must not be."""
    single = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in measured.table.items()
    }
    found = summarize(dataclasses.replace(measured, table=single))
    expected = summarize(measured)
    for key in ("detail_energy", "mmse_floor", "psnr_center_db", "psnr_bicubic_db"):
        assert getattr(found, key).value == pytest.approx(getattr(expected, key).value, rel=1e-6), (
            key
        )


def test_one_seed_one_summary_in_plain_json(measured: Measured) -> None:
    summary = summarize(measured)
    assert summary == summarize(measured)
    plain = json.loads(json.dumps(msgspec.to_builtins(summary), allow_nan=False))
    assert msgspec.convert(plain, Findings) == summary == validated(summary)


# -- Plain values ----------------------------------------------------------------------------


def test_plain_values() -> None:
    odd = {
        "numbers": [1.0, -math.inf, math.nan],
        "numpy": [np.float32(0.5), np.int64(3), np.bool_(True), np.float64(math.inf)],
        "tuple": (1, "x", None, False),
        "name": os.fsdecode(b"caf\xe9"),
    }
    plain = jsonable(odd)
    assert plain == {
        "numbers": [1.0, None, None],
        "numpy": [0.5, 3, True, None],
        "tuple": [1, "x", None, False],
        "name": "caf\\udce9",
    }
    assert [type(value) for value in plain["numpy"][:3]] == [float, int, bool]


def test_what_does_not_fit_a_summary_is_our_mistake(measured: Measured) -> None:
    wrong = msgspec.structs.replace(summarize(measured), n_queries="many")
    with pytest.raises(msgspec.ValidationError, match="n_queries"):
        validated(wrong)
    odd = msgspec.structs.replace(summarize(measured), n_queries=np.int64(3))
    assert type(validated(odd).n_queries) is int


def test_estimates_that_are_not_finite_are_not_available() -> None:
    assert Interval.of(Estimate(1.0, -math.inf, math.nan)) == Interval(
        value=1.0, ci_low=None, ci_high=None
    )


@pytest.mark.parametrize(
    ("method", "column"),
    [("gaussian", "entropy_gaussian"), ("kozachenko-leonenko", "entropy_kozachenko_leonenko")],
)
def test_entropy_columns(method: str, column: str) -> None:
    assert entropy_column(method) == column
