"""Totals, tests and strata against known values; what chance alone may do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

pytest.importorskip("torch")  # a comparison imports it

from cooanalysis.comparison import statistics  # noqa: E402
from cooanalysis.comparison.statistics import (  # noqa: E402
    Measure,
    Reach,
    by_frequency,
    ceiling_db,
    measures,
    per_image,
    psnr_explained,
    ratio,
    reach,
    strata,
    totals,
)
from cooanalysis.measures.bootstrap import ImageBootstrap  # noqa: E402
from cooanalysis.metrics import METRICS  # noqa: E402

Floats = NDArray[np.float64]

SCORE = ratio("score", "score", "dB", "higher", "image", "score")
SHARE = ratio("share", "share", "", "lower", "patch", "part", "whole", bounds=(0.0, np.inf))


def _invented(sums: Floats) -> Floats:
    output, product, known, truth = np.moveaxis(sums, -1, 0)
    return np.asarray((output - product**2 / known) / (truth - known))


INVENTED = Measure(
    "invented", "invented", "", "lower", "patch", ("output", "product", "known", "truth"),
    _invented, bounds=(0.0, np.inf),
)  # fmt: skip
NO_ROWS = pd.DataFrame({"model": [], "image": []})


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PERMUTATIONS", 299)


def scores(**models: ArrayLike) -> pd.DataFrame:
    """One row per model and image."""
    table = pd.DataFrame({name: np.asarray(values, np.float64) for name, values in models.items()})
    table["image"] = [f"{i:03}" for i in range(len(table))]
    return table.melt("image", var_name="model", value_name="score")


def of_images(baseline: str = "a", seed: int = 0, **models: ArrayLike) -> pd.DataFrame:
    found = totals([SCORE], scores(**models), NO_ROWS, baseline=baseline, seed=seed)
    return found.set_index("model")


def patches(seed: int = 0, n_images: int = 12, per_image: int = 20) -> pd.DataFrame:
    """Models a (the baseline), b and c; images have unequal numbers of patches."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, n_images, n_images * per_image)
    image[:n_images] = np.arange(n_images)
    common = {
        "image": [f"{i:03}" for i in image],
        "whole": rng.gamma(2.0, 1.0, len(image)),
        "entropy": rng.normal(size=len(image)),
    }
    frames = [
        pd.DataFrame({"model": name} | common | {"part": rng.gamma(2.0, factor, len(image))})
        for name, factor in (("a", 1.0), ("b", 0.9), ("c", 0.4))
    ]
    return pd.concat(frames, ignore_index=True)


def of_patches(frame: pd.DataFrame, wanted: Measure = SHARE) -> pd.DataFrame:
    return totals([wanted], NO_ROWS, frame, baseline="a", seed=0).set_index("model")


# --- values -------------------------------------------------------------------------------------


def test_values_are_ratios_of_sums() -> None:
    frame = patches()
    found = of_patches(frame)
    sums = frame.groupby("model")[["part", "whole"]].sum()
    assert list(found.index) == ["a", "b", "c"]
    assert found["value"].to_numpy() == pytest.approx((sums["part"] / sums["whole"]).to_numpy())
    means = frame.groupby("model")["part"].mean() / frame.groupby("model")["whole"].mean()
    ratios = (frame["part"] / frame["whole"]).groupby(frame["model"]).mean()
    # Not the mean of ratios, which is another number.
    assert found["value"].to_numpy() == pytest.approx(means.to_numpy())
    assert abs(found["value"] - ratios).min() > 0.1
    assert (found["ci_low"] < found["value"]).all() and (found["value"] < found["ci_high"]).all()
    assert found.loc["c", "difference"] == pytest.approx(
        found.loc["c", "value"] - found.loc["a", "value"]
    )


def test_without_a_denominator_rows_are_counted() -> None:
    wanted = ratio("rms", "RMS", "", "lower", "patch", "part", transform=np.sqrt)
    frame = patches()
    found = of_patches(frame, wanted)
    mean = frame.groupby("model")["part"].mean()
    assert found["value"].to_numpy() == pytest.approx(np.sqrt(mean.to_numpy()))


def test_missing_patches_leave_both_sums() -> None:
    frame = patches()
    lost = frame.groupby("model").cumcount() % 7 == 0
    whole = of_patches(frame[~lost])
    frame.loc[lost, "part"] = np.nan
    assert of_patches(frame)["value"].to_numpy() == pytest.approx(whole["value"].to_numpy())


def energies(n_images: int = 8, seed: int = 0) -> pd.DataFrame:
    """Sums of patches of models a and b: a invents 0.1 and b 0.3 of the unknown, gains differ."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(n_images), 10)
    energy = rng.lognormal(size=n_images)[image]
    known, unknown = energy * rng.gamma(4.0, 0.05, (2, len(image)))
    frames = [
        pd.DataFrame(
            {"model": name, "image": [f"{i:03}" for i in image], "entropy": energy,
             "output": gain**2 * known + share * unknown, "product": gain * known, "known": known,
             "truth": known + unknown}
        )
        for name, gain, share in (("a", 1.0, 0.1), ("b", 1.3, rng.uniform(0.2, 0.4, len(image))))
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_a_measure_of_several_sums() -> None:
    frame = energies()
    found = of_patches(frame, INVENTED)
    assert found.loc["a", "value"] == pytest.approx(0.1)
    sums = frame[frame["model"] == "b"][list(INVENTED.columns)].sum().to_numpy()
    assert found.loc["b", "value"] == pytest.approx(float(_invented(sums)))
    assert found.loc["b", "difference"] == pytest.approx(found.loc["b", "value"] - 0.1)
    assert found.loc["b", "ci_low"] < found.loc["b", "value"] < found.loc["b", "ci_high"]
    assert 0 < found.loc["b", "difference_low"] < found.loc["b", "difference_high"]
    assert found.loc["b", "p"] == 2 / 2**8
    split = strata([INVENTED], frame, n_strata=2, seed=0)
    assert split.loc[split["model"] == "a", "value"].to_numpy() == pytest.approx([0.1, 0.1])
    # A row that lacks one column is left out of all.
    frame.loc[frame.index % 80 == 3, "product"] = np.nan
    assert of_patches(frame, INVENTED).loc["a", "value"] == pytest.approx(0.1)


def test_what_few_images_can_show() -> None:
    """With five images even a difference in every image is not significant, and it is said why."""
    few = totals([INVENTED], NO_ROWS, energies(5), baseline="a", seed=0)
    found = reach(few, 5)
    assert found == Reach(5, 1, 2 / 2**5, 6) and not found.possible
    assert few["p_adjusted"].min() == found.smallest_adjusted_p
    enough = totals([INVENTED], NO_ROWS, energies(6), baseline="a", seed=0)
    assert reach(enough, 6).possible_alone, "there is only one test"
    assert not Reach(8, 9, 0.022, 7).possible_alone
    assert reach(enough, 6).possible and enough["p_adjusted"].min() < 0.05
    nothing = reach(few[few["model"] == "a"], 5)
    assert nothing.n_tests == 0


def test_the_measures_of_a_comparison() -> None:
    found = {m.name: m for m in measures([METRICS["psnr_y"], METRICS["ssim_y"]], ["sparsity"])}
    assert {name: m.direction for name, m in found.items()} == {
        "psnr_y": "higher", "ssim_y": "higher", "explained": "higher",
        "psnr_explained_db": "higher", "gain": "none", "invented": "none",
        "invented_at_least": "none", "collapse_index": "none", "detail_energy": "none",
        "manifold_sparsity": "one",
    }  # fmt: skip
    assert found["psnr_y"].label == "PSNR-Y [dB]" and found["ssim_y"].label == "SSIM-Y"
    # Two images, together y = (3, 0), s = (3, 1), c = (2, 0) and c0 = (1, 0).
    rows = pd.DataFrame(
        {"truth_energy": [4.0, 5.0], "output_energy": [4.0, 6.0], "output_truth": [9.0, 0.0],
         "known_energy": [1.0, 3.0], "known_truth": [6.0, 0.0], "known_output": [1.0, 5.0],
         "alone_energy": [1.0, 0.0], "alone_truth": [3.0, 0.0], "alone_output": [0.0, 3.0],
         "pixels": [150.0, 250.0]}
    )  # fmt: skip
    expected = {
        "explained": 1 - 4 / 9, "gain": 1.5, "invented": 1.0,
        "invented_at_least": 0.25, "collapse_index": 0.0, "detail_energy": 10 / 9,
    }  # fmt: skip
    for name, value in expected.items():
        own = found[name]
        assert own.combine(own.values(rows).sum(axis=0)) == pytest.approx(value), name
    alone = per_image(list(found.values()), rows)
    assert list(alone) == list(expected)
    assert alone["detail_energy"].tolist() == pytest.approx([1.0, 1.2])


def test_the_psnr_of_the_explained_is_a_mean_over_images() -> None:
    rows = pd.DataFrame(
        {"truth_energy": [5.0, 2.0, 3.0], "alone_energy": [4.0, 1.0, 3.0],
         "alone_truth": [4.0, 1.0, 3.0], "pixels": [100.0, 100.0, 50.0]}
    )  # fmt: skip
    rows["psnr_explained_db"] = psnr_explained(rows)
    # Of the last, nothing is left to explain, as of the ground truth.
    assert rows["psnr_explained_db"].tolist() == pytest.approx([20.0, 20.0, np.inf])
    (measure,) = (m for m in measures([], []) if m.name == "psnr_explained_db")
    assert measure.combine(measure.values(rows[:2]).sum(axis=0)) == pytest.approx(20.0)


def test_bands_are_totals_of_their_images() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.gamma(4.0, 1.0, (2, 12, 3))
    gains = np.array([0.8, 1.0, 1.4])
    sums = {"truth_energy": known + unknown, "output_energy": gains**2 * known + 0.2 * unknown,
            "known_energy": known, "known_truth": known, "known_output": gains * known}  # fmt: skip
    sums = {name: np.vstack([values, np.full(3, np.nan)]) for name, values in sums.items()}
    found = by_frequency(measures([], []), "m", sums, seed=0)
    assert set(found["measure"]) == {"gain", "invented", "collapse_index", "detail_energy"}
    table = found.pivot(index="frequency", columns="measure", values="value")
    assert table.index.to_list() == pytest.approx([1 / 12, 3 / 12, 5 / 12])
    assert table["gain"].to_list() == pytest.approx([0.8, 1.0, 1.4])
    assert table["invented"].to_list() == pytest.approx([0.2] * 3)
    assert (found["ci_low"] <= found["value"]).all() and (found["value"] <= found["ci_high"]).all()


@given(
    st.floats(1e-6, 1e6),
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(1e-3, 1e3)), min_size=2, max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_a_unit_of_both_sums_cancels(factor: float, rows: list[tuple[float, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["part", "whole"])
    bootstrap = ImageBootstrap(np.arange(len(frame)) % 6, n_resamples=20)
    plain, scaled = (
        bootstrap.of_sums(list(SHARE.values(rows).T), SHARE.combine, SHARE.bounds)
        for rows in (frame, frame * factor)
    )
    assert scaled.value == pytest.approx(plain.value, rel=1e-9)
    assert scaled.ci_low == pytest.approx(plain.ci_low, rel=1e-6, nan_ok=True)
    assert plain.value == pytest.approx(frame["part"].sum() / frame["whole"].sum())


def test_the_order_of_images_does_not_matter() -> None:
    frame = patches()
    found = of_patches(frame)
    order = np.random.default_rng(1).permutation((frame["model"] == "a").sum())
    mixed = frame.groupby("model", group_keys=False)[frame.columns.tolist()].apply(
        lambda part: part.iloc[order]
    )
    renamed = frame.assign(image=frame["image"].map(lambda name: f"{999 - int(name)}"))
    for other in (of_patches(mixed.reset_index(drop=True)), of_patches(renamed)):
        for column in ("value", "difference"):
            expected = found[column].to_numpy()
            assert other[column].to_numpy() == pytest.approx(expected, nan_ok=True)
        assert (other["p"] < 0.01).tolist() == (found["p"] < 0.01).tolist()


def test_a_seed_gives_the_same_numbers_again() -> None:
    frame = patches()
    pd.testing.assert_frame_equal(of_patches(frame), of_patches(frame))


# --- differences --------------------------------------------------------------------------------


def test_a_model_does_not_differ_from_itself() -> None:
    values = np.random.default_rng(0).normal(30, 3, 20)
    same = of_images(a=values, b=values).loc["b"]
    assert same["difference"] == same["difference_low"] == same["difference_high"] == 0.0
    assert same["p"] == same["p_adjusted"] == 1.0


def test_the_baseline_has_no_difference() -> None:
    values = np.random.default_rng(0).normal(30, 3, 20)
    found = of_images(baseline="b", a=values + 1, b=values)
    columns = ["difference", "difference_low", "difference_high", "p", "p_adjusted"]
    assert found.loc["b", columns].isna().all() and found.loc["a", columns].notna().all()


def test_a_shift_is_found_and_its_interval_covers_it() -> None:
    """Images differ by far more than the models do: only pairing finds the shift."""
    rng = np.random.default_rng(0)
    values = rng.normal(30, 5, 40)
    found = of_images(a=values, b=values - 0.3 + rng.normal(0, 0.2, 40)).loc["b"]
    assert found["difference_low"] < -0.3 < found["difference_high"] < 0
    assert found["difference_high"] - found["difference_low"] < 0.3
    assert found["p"] < 0.001
    exact = of_images(a=values, b=values - 0.3).loc["b"]
    assert exact["difference_low"] == pytest.approx(-0.3)
    assert exact["difference_high"] == pytest.approx(-0.3)


def test_p_of_few_images_is_exact() -> None:
    """Of the 2^6 ways to swap the values of six images, two are as extreme as one-sided data."""
    values = np.random.default_rng(0).normal(30, 3, 6)
    assert of_images(a=values, b=values + [1, 2, 3, 1, 2, 3]).loc["b", "p"] == 2 / 2**6
    # + 1 + 2 - 3 = 0 is nothing at all.
    assert of_images(a=values, b=values + [1, 2, -3, 0, 0, 0]).loc["b", "p"] == 1.0


def test_one_image_cannot_be_tested() -> None:
    found = of_images(a=[30.0], b=[31.0]).loc["b"]
    assert found["difference"] == 1.0 and np.isnan(found["p"]) and np.isnan(found["p_adjusted"])


def test_adjusted_p_values_are_never_smaller() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(30, 3, 20)
    others = {f"m{i}": values + rng.normal(0.1 * i, 0.5, 20) for i in range(6)}
    found = of_images(a=values, **others).drop("a")
    assert (found["p_adjusted"] >= found["p"]).all() and (found["p_adjusted"] <= 1).all()
    assert (found["p_adjusted"] > found["p"]).any()
    # By hand: Benjamini and Yekutieli multiply by the sum of 1, 1/2, … 1/6 what is usual.
    p = np.sort(found["p"].to_numpy())
    factor = 6 * np.sum(1 / np.arange(1, 7)) / np.arange(1, 7)
    wanted = np.minimum(np.minimum.accumulate((p * factor)[::-1])[::-1], 1)
    assert np.sort(found["p_adjusted"]) == pytest.approx(wanted)


def test_all_measures_are_adjusted_together() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(30, 3, 20)
    images = scores(a=values, b=values + rng.normal(0.4, 0.6, 20))
    images["other"] = images["score"] + rng.normal(0, 1, len(images))
    other = ratio("other", "other", "", "higher", "image", "other")
    alone = totals([SCORE], images, NO_ROWS, baseline="a", seed=0)
    both = totals([SCORE, other], images, NO_ROWS, baseline="a", seed=0)
    assert both["p"].iloc[1] == alone["p"].iloc[1]
    assert both["p_adjusted"].iloc[1] > alone["p_adjusted"].iloc[1]


@pytest.mark.parametrize("baseline", ["a", "truth"])
def test_the_infinite_psnr_of_the_ground_truth(baseline: str) -> None:
    values = np.random.default_rng(0).normal(30, 3, 20)
    found = of_images(baseline, a=values, b=values + 1, truth=np.full(20, np.inf))
    assert found.loc["truth", "value"] == np.inf
    assert found.loc["truth", ["ci_low", "ci_high"]].isna().all()
    columns = ["difference", "difference_low", "difference_high", "p", "p_adjusted"]
    assert found.loc[["truth", "a"], columns].isna().all(axis=None)
    assert found.loc["b", columns].isna().all() == (baseline == "truth")
    assert found.loc["a", "value"] == pytest.approx(values.mean())


# --- what chance does ---------------------------------------------------------------------------


@pytest.mark.usefixtures("fast")
def test_models_that_differ_by_chance_only() -> None:
    """Two models against a third, all alike, in 200 data sets of 30 images with 6 patches each.

    What is common to the patches of an image differs between models, as it does in practice; a
    bootstrap or a test of single patches would call most of these data sets significant.
    """
    rng = np.random.default_rng(0)
    n_sets, n_images, n_patches = 200, 30, 6
    image = np.repeat([f"{i:02}" for i in range(n_images)], n_patches)
    any_adjusted = raw = covered = 0
    for _ in range(n_sets):
        whole = rng.gamma(4.0, 0.25, len(image))
        frames = []
        for name in "abc":
            of_image = np.repeat(rng.gamma(4.0, 0.25, n_images), n_patches)
            part = of_image * rng.gamma(8.0, 1 / 8, len(image))
            frames.append(pd.DataFrame({"model": name, "image": image, "part": part}))
            frames[-1]["whole"] = whole
        found = of_patches(pd.concat(frames, ignore_index=True)).drop("a")
        any_adjusted += bool((found["p_adjusted"] < 0.05).any())
        raw += int((found["p"] < 0.05).sum())
        covered += int(((found["difference_low"] < 0) & (found["difference_high"] > 0)).sum())
    # 99.9 % of binomial draws with 5 % of 200 are below 21, of 400 within 8 … 35.
    assert any_adjusted <= 20
    assert 8 <= raw <= 35
    assert covered >= 0.88 * 2 * n_sets


# --- strata -------------------------------------------------------------------------------------


def test_strata_hold_the_quantiles_of_entropy() -> None:
    frame = patches()
    found = strata([SHARE, SCORE], frame, n_strata=4, seed=0)
    assert len(found) == 3 * 4 and set(found["measure"]) == {"share"}, "of patches only"
    for model, rows in found.groupby("model"):
        part = frame[frame["model"] == model].sort_values("entropy")
        assert rows["stratum"].tolist() == [1, 2, 3, 4]
        for number, (_, row) in enumerate(rows.iterrows()):
            inside = part.iloc[len(part) // 4 * number : len(part) // 4 * (number + 1)]
            assert row["n"] == len(inside)
            assert row["value"] == pytest.approx(inside["part"].sum() / inside["whole"].sum())
            assert (row["entropy_low"], row["entropy_high"]) == (
                inside["entropy"].min(), inside["entropy"].max(),
            )  # fmt: skip
            assert row["ci_low"] < row["value"] < row["ci_high"]


def test_one_stratum_is_the_whole() -> None:
    frame = patches()
    found = strata([SHARE], frame, n_strata=1, seed=0).set_index("model")
    whole = of_patches(frame)
    for column in ("value", "ci_low", "ci_high"):
        assert found[column].to_numpy() == pytest.approx(whole[column].to_numpy())


def test_more_strata_than_patches() -> None:
    frame = patches(n_images=2, per_image=2)
    found = strata([SHARE], frame[frame["model"] == "a"], n_strata=20, seed=0)
    assert len(found) == 4 and (found["n"] == 1).all()


# --- ceiling ------------------------------------------------------------------------------------


def test_the_ceiling_is_that_of_the_mean_floor() -> None:
    frame = patches().query("model == 'a'").assign(center_error=1.0, lr_std=0.1)
    rng = np.random.default_rng(0)
    floor = rng.gamma(2.0, 1e-3, len(frame))
    floor[rng.random(len(frame)) < 0.3] = np.nan
    found = ceiling_db(frame.assign(mmse_floor=floor), seed=0)
    assert found.value == pytest.approx(-10 * np.log10(np.nanmean(floor)))
    assert found.ci_low < found.value < found.ci_high
    nothing = ceiling_db(frame.assign(mmse_floor=np.nan), seed=0)
    assert nothing.value is nothing.ci_low is nothing.ci_high is None
    assert not nothing.reliable


def test_a_ceiling_that_the_center_reaches_is_unreliable() -> None:
    frame = patches().query("model == 'a'")
    frame = frame.assign(center_error=np.sqrt(frame["part"]), lr_std=0.1)
    error = frame["center_error"] ** 2 * frame["lr_std"] ** 2
    below = ceiling_db(frame.assign(mmse_floor=0.5 * error), seed=0)
    assert below.reliable and below.reason == "center_clearly_below"
    above = ceiling_db(frame.assign(mmse_floor=1.5 * error), seed=0)
    assert not above.reliable and above.reason == "center_not_clearly_below"
