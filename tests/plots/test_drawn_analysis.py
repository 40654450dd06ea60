"""Figures of an analysis: what is drawn are the numbers of the record."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from cooanalysis.analysis.record import ExampleGroup
from cooanalysis.analysis.summary_record import Interval
from cooanalysis.measures.entropy import ESTIMATORS
from cooanalysis.plots.style import BLACK, BLUE, GRAY, GREEN, VERMILLION
from cooanalysis.results import Result
from tests.helpers import drawn
from tests.helpers.fake_result import edited, fake_result

N = 1200
COLUMNS = ("entropy_gaussian", "entropy_kozachenko_leonenko", "entropy_copula")


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result(n=N)


def ends(estimate: Interval) -> list[float]:
    assert estimate.ci_low is not None and estimate.ci_high is not None
    return [estimate.ci_low, estimate.ci_high]


def held(estimate: Interval) -> list[float]:
    """Ends of the drawn bar: never on the wrong side of the value."""
    assert estimate.value is not None
    low, high = ends(estimate)
    return [min(low, estimate.value), max(high, estimate.value)]


# -- entropy against center distance -------------------------------------------------------------


@pytest.fixture(scope="module")
def law(result: Result) -> Figure:
    return result.plot.entropy_vs_center_distance()


def test_one_panel_per_estimator(law: Figure, result: Result) -> None:
    *panels, bar = law.axes
    titles = [ESTIMATORS[name].title for name in result.summary.entropy]
    assert [drawn.title(ax) for ax in panels] == titles
    assert len(panels) == len(result.summary.entropy)
    assert bar.get_ylabel() == "query patches in a cell"
    assert panels[0].get_ylabel().startswith("distance of the center to its group")
    assert [text.get_text() for text in law.texts] == ["entropy of the group (nats per dimension)"]
    assert drawn.legend(law) == ["median, bar: middle half", "lower bound √(entropy power)"]


def test_the_bound_is_the_square_root_of_the_entropy_power(law: Figure) -> None:
    """sqrt(exp(2h) / (2 pi e)): a Gaussian of standard deviation s has the distance s."""
    for ax in law.axes[:-1]:
        curves = [line for line in ax.lines if len(np.ravel(line.get_xdata())) == 100]
        assert [drawn.look(line) for line in curves] == ["#ffffff", BLACK]
        assert curves[1].get_linestyle() == "--"
        for curve in curves:
            h, distance = (np.asarray(v, np.float64) for v in curve.get_data())
            np.testing.assert_allclose(distance, np.exp(h) / math.sqrt(2 * math.pi * math.e))
            assert (h[0], h[-1]) == ax.get_xlim()
            gaussian = 0.5 * math.log(2 * math.pi * math.e) + math.log(3.0)
            assert np.interp(gaussian, h, distance, right=3.0) == pytest.approx(3.0)


@pytest.mark.parametrize(("panel", "column"), list(enumerate(COLUMNS)))
def test_twelve_bins_of_equally_many_patches(
    law: Figure, result: Result, panel: int, column: str
) -> None:
    table = result.groups.sort_values(column, kind="stable")
    x = table[column].to_numpy().reshape(12, N // 12)
    y = table["center_rms_subspace"].to_numpy().reshape(12, N // 12)
    white, shown = drawn.bars(law.axes[panel])
    for points, color in ((white, "#ffffff"), (shown, VERMILLION.lower())):
        assert points.color == color
        np.testing.assert_allclose(points.x, np.median(x, axis=1))
        np.testing.assert_allclose(points.y, np.median(y, axis=1))
        quartiles = np.quantile(y, [0.25, 0.75], axis=1).T
        np.testing.assert_allclose(points.ends["y"], quartiles)


@pytest.mark.parametrize(("n", "bins"), [(19, 1), (60, 3), (239, 11), (240, 12), (480, 12)])
def test_few_patches_have_fewer_bins(n: int, bins: int) -> None:
    figure = fake_result(n=n, estimators=("copula",), spaces=()).plot.entropy_vs_center_distance()
    assert [len(points.x) for points in drawn.bars(figure.axes[0])] == [bins, bins]


def test_every_patch_is_counted_or_said_to_be_outside(law: Figure, result: Result) -> None:
    highest = 0.0
    for ax, column in zip(law.axes[:-1], COLUMNS, strict=True):
        x = result.groups[column].to_numpy()
        low, tenth, high = np.quantile(x, [0.001, 0.1, 0.999])
        low = max(low, 2 * tenth - high)
        margin = 0.06 * (high - low)
        assert ax.get_xlim() == pytest.approx((low - margin, high + margin))
        inside = (x >= low - margin) & (x <= high + margin)
        counts = np.asarray(ax.collections[0].get_array())
        assert counts.sum() == inside.sum()
        highest = max(highest, counts.max())
        outside = [text for text in drawn.texts(ax) if "outside" in text]
        assert outside == ([f"{(~inside).sum()} outside"] if (~inside).any() else [])
    for ax in law.axes[:-1]:
        norm = ax.collections[0].norm
        assert isinstance(norm, LogNorm) and (norm.vmin, norm.vmax) == (1.0, highest)
        assert ax.get_yscale() == "log"


def test_a_far_patch_does_not_squeeze_the_rest(result: Result) -> None:
    groups = result.groups.copy()
    groups.loc[:9, "entropy_gaussian"] = -60.0
    ax = replace(result, groups=groups).plot.entropy_vs_center_distance().axes[0]
    assert "10 outside" in drawn.texts(ax)
    assert ax.get_xlim()[0] > -10
    assert np.asarray(ax.collections[0].get_array()).sum() == N - 10


def test_the_distances_share_one_scale(law: Figure, result: Result) -> None:
    distance = np.tile(result.groups["center_rms_subspace"].to_numpy(), 3)
    low, high = np.quantile(distance, [0.001, 0.999])
    for ax in law.axes[:-1]:
        assert ax.get_ylim() == pytest.approx((low / 1.3, high * 2.2))


def test_rank_correlations_and_doubts_are_written(law: Figure, result: Result) -> None:
    for ax, entry in zip(law.axes[:-1], result.summary.entropy.values(), strict=True):
        rank = entry.spearman_center_distance
        low, high = ends(rank)
        expected = f"Spearman\n{rank.value:.3f} ({low:.3f}–{high:.3f})"
        assert expected + ("" if entry.reliability.reliable else "\nvalues unreliable") in (
            drawn.texts(ax)
        )
    reliable = [entry.reliability.reliable for entry in result.summary.entropy.values()]
    assert reliable == [True, False, True]


# -- detail energy -------------------------------------------------------------------------------


def test_detail_energy_by_decile(result: Result) -> None:
    whole, zoom = result.plot.detail_energy().axes
    rows = result.summary.detail_energy_by_decile
    kept = [100.0 * float(row.retained.value or 0.0) for row in rows]
    all_, ours = (c for c in whole.containers if isinstance(c, BarContainer))
    assert [bar.get_height() for bar in all_] == [100.0] * 10
    assert [bar.get_height() for bar in ours] == pytest.approx(kept)
    assert [bar.get_x() + bar.get_width() / 2 for bar in ours] == pytest.approx(range(1, 11))
    assert {to_hex(bar.get_facecolor()) for bar in ours} == {VERMILLION.lower()}
    assert drawn.horizontals(whole) == [100.0]
    assert whole.get_ylim() == pytest.approx((0.0, 114.0))
    lost = 100.0 * (1.0 - float(result.summary.detail_energy.value or 0.0))
    assert f"{lost:.1f} % averaged away" in drawn.texts(whole)
    (points,) = drawn.bars(zoom)
    np.testing.assert_array_equal(points.x, [row.decile for row in rows])
    np.testing.assert_allclose(points.y, kept)
    np.testing.assert_allclose(
        points.ends["y"], [[100 * e for e in held(r.retained)] for r in rows]
    )
    (chance,) = drawn.lines(zoom, linestyle=":")
    np.testing.assert_allclose(
        np.asarray(chance.get_ydata(), np.float64), [100 * float(r.by_chance or 0) for r in rows]
    )
    assert zoom.get_ylim()[0] == 0.0
    for ax in (whole, zoom):
        assert list(ax.get_xticks()) == list(range(1, 11)) and ax.get_xlim() == (0.4, 10.6)
        assert ax.get_xlabel() == "entropy decile (10: most ambiguous)"
    assert whole.get_ylabel() == "detail energy (% of ground truth)"
    assert zoom.get_ylabel() == "detail energy kept (%)"


def test_more_detail_than_the_ground_truth_fits_on_the_scale(result: Result) -> None:
    def sharpened(summary: dict[str, Any]) -> None:
        summary["detail_energy"]["value"] = 1.2
        summary["detail_energy_by_decile"][4]["retained"] |= {"value": 1.5, "ci_high": None}

    sharp = replace(result, summary=edited(result.summary, sharpened))
    whole, zoom = sharp.plot.detail_energy().axes
    assert whole.get_ylim() == pytest.approx((0.0, 1.14 * 1.05 * 150.0))
    assert not [text for text in drawn.texts(whole) if "averaged away" in text]
    low, high = drawn.bars(zoom)[0].ends["y"][4]
    assert low < 150.0 and high == pytest.approx(150.0)  # no bar where an end is missing


# -- distances to clean patches ------------------------------------------------------------------


def test_distances_to_clean_patches(result: Result) -> None:
    figure = result.plot.manifold_distances()
    overall, *panels = figure.axes
    spaces = result.summary.manifold
    labels = [label.get_text() for label in overall.get_yticklabels()]
    assert labels == ["fake pixels", "fake subbands"]
    points = drawn.bars(overall)
    expected = []
    for place, name in enumerate(reversed(spaces)):
        space = spaces[name]
        for offset, kind, color, marker in (
            (0.25, "clean", BLACK, "D"),
            (0.0, "center", VERMILLION, "o"),
            (-0.25, "bicubic", BLUE, "s"),
        ):
            ratio = getattr(space, f"{kind}_ratio")
            expected.append((ratio, place + offset, GRAY if space.warning else color, marker))
    assert len(points) == len(expected) == 6
    for found, (ratio, height, color, marker) in zip(points, expected, strict=True):
        assert (found.x[0], found.y[0]) == pytest.approx((ratio.value, height))
        np.testing.assert_allclose(found.ends["x"], [held(ratio)])
        assert (found.color, found.marker, found.line) == (color.lower(), marker, "None")
        assert f"{ratio.value:.2f}" in drawn.texts(overall)
    assert drawn.verticals(overall) == [1.0]
    assert drawn.legend(figure) == ["center", "bicubic", "clean (check: should be 1)"]
    for ax, space in zip(panels, spaces.values(), strict=True):
        for found, kind, color in zip(
            drawn.bars(ax), ("center", "bicubic"), (VERMILLION, BLUE), strict=True
        ):
            rows = getattr(space, f"{kind}_ratio_by_quartile")
            np.testing.assert_array_equal(found.x, [1, 2, 3, 4])
            np.testing.assert_allclose(found.y, [row.value for row in rows])
            np.testing.assert_allclose(found.ends["y"], [held(row) for row in rows])
            assert found.color == (GRAY if space.warning else color).lower()
        assert drawn.title(ax) == space.title
        assert drawn.horizontals(ax) == [1.0] and ax.get_xlim() == (0.6, 4.4)
        assert ax.patch.get_hatch() == ("////" if space.warning else None)


# -- PSNR ceiling --------------------------------------------------------------------------------


def test_psnrs_below_the_ceiling(result: Result) -> None:
    (ax,) = result.plot.psnr_ceiling().axes
    summary = result.summary
    estimates = (summary.psnr_bicubic_db, summary.psnr_center_db, summary.psnr_ceiling_db)
    for place, (found, estimate, color) in enumerate(
        zip(drawn.bars(ax), estimates, (BLUE, VERMILLION, GREEN), strict=True)
    ):
        assert (found.x[0], found.y[0]) == (estimate.value, place)
        np.testing.assert_allclose(found.ends["x"], [held(estimate)])
        assert found.color == color.lower()
        assert f"{estimate.value:.2f} dB" in drawn.texts(ax)
    assert drawn.verticals(ax) == [summary.psnr_ceiling_db.value]
    (span,) = ax.patches
    assert span.get_x() == summary.psnr_ceiling_db.value  # type: ignore[attr-defined]
    assert span.get_width() == pytest.approx(100.0)  # type: ignore[attr-defined]
    reached = [end for estimate in estimates for end in (estimate.value, *ends(estimate))]
    lowest, highest = min(reached), max(reached)  # type: ignore[type-var]
    margin = max(0.3, 0.18 * (highest - lowest))  # type: ignore[operator]
    assert ax.get_xlim() == pytest.approx((lowest - margin, highest + 1.3 * margin))  # type: ignore[operator]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    doubt = "" if summary.psnr_ceiling_db.reliable else " (unreliable)"
    assert labels == ["bicubic", "center of the group", f"ceiling{doubt}\n(sees 5×5 LR pixels)"]
    assert "dB" in ax.get_xlabel()


@pytest.mark.parametrize("reliable", [True, False])
def test_an_unreliable_ceiling_is_called_so(result: Result, reliable: bool) -> None:
    summary = edited(result.summary, lambda s: s["psnr_ceiling_db"].update(reliable=reliable))
    (ax,) = replace(result, summary=summary).plot.psnr_ceiling().axes
    assert ("unreliable" in ax.get_yticklabels()[2].get_text()) is not reliable


def test_a_missing_psnr_is_said_to_be_missing(result: Result) -> None:
    nothing = {"value": None, "ci_low": None, "ci_high": None}
    summary = edited(result.summary, lambda s: s.update(psnr_center_db=nothing))
    (ax,) = replace(result, summary=summary).plot.psnr_ceiling().axes
    assert "not available" in drawn.texts(ax) and len(drawn.bars(ax)) == 2


# -- images --------------------------------------------------------------------------------------


def test_entropy_maps(result: Result) -> None:
    figure = result.plot.entropy_maps()
    *panels, bar = figure.axes
    assert bar.get_ylabel() == "entropy (nats per dimension)"
    low, high = np.quantile(result.maps["entropy"], [0.02, 0.98])
    for (plain, laid), (name, image) in zip(
        zip(panels[::2], panels[1::2], strict=True), result.images.items(), strict=True
    ):
        height, width = image.shape[:2]
        np.testing.assert_array_equal(np.asarray(plain.images[0].get_array()), image[:, :, 0])
        assert tuple(plain.images[0].get_extent()) == (0, width, height, 0)
        under, over = laid.images
        np.testing.assert_array_equal(np.asarray(under.get_array()), image[:, :, 0])
        rows = result.maps[result.maps["image"] == name]
        grid = rows.pivot(index="y", columns="x", values="entropy").to_numpy()
        np.testing.assert_allclose(np.asarray(over.get_array()), grid)
        assert over.get_clim() == pytest.approx((low, high))
        # Patches start at LR 0, 2, 4 … and are 5 wide; a cell is one step around their middle.
        left, right, bottom, top = over.get_extent()
        assert (left, top) == (6.0, 6.0)
        assert ((right - left) / grid.shape[1], (bottom - top) / grid.shape[0]) == (8.0, 8.0)
        assert drawn.title(plain) == name
        expected = f"mean entropy {grid.mean():.2f}".replace("-", "\N{MINUS SIGN}")
        assert drawn.title(laid) == expected
        for ax in (plain, laid):
            assert ax.get_xlim() == (0, width) and ax.get_ylim() == (height, 0)


def test_of_many_maps_three_are_shown() -> None:
    figure = fake_result(n=300, n_maps=6).plot.entropy_maps()
    titles = [drawn.title(ax) for ax in figure.axes[:-1:2]]
    assert titles == ["fake_00.png", "fake_02.png", "fake_05.png"]


def stretched(picture: np.ndarray, example: ExampleGroup) -> np.ndarray:
    low, high = np.quantile(np.concatenate([example.truth.ravel(), example.members.ravel()]),
                            [0.01, 0.99])  # fmt: skip
    return np.clip((picture[..., 0] - low) / (max(high, low + 8) - low), 0, 1)


def test_example_groups(result: Result) -> None:
    (ax,) = result.plot.example_groups().axes
    shown = [e for kind in ("highest", "lowest")
             for e in [e for e in result.examples if e.kind == kind][:3]]  # fmt: skip
    assert len(ax.images) == len(shown) * 9
    for number, example in enumerate(shown):
        row = ax.images[9 * number : 9 * number + 9]
        pictures = [example.lr, *example.members[:5], example.center, example.truth,
                    example.bicubic]  # fmt: skip
        tops = np.array([image.get_extent()[3] for image in row])
        np.testing.assert_allclose(tops, 1.08 * number + (0.45 if number >= 3 else 0.0))
        lefts = [image.get_extent()[0] for image in row]
        assert lefts == sorted(lefts) and len(set(lefts)) == 9
        for image, picture in zip(row, pictures, strict=True):
            np.testing.assert_allclose(np.asarray(image.get_array()), stretched(picture, example))
            assert image.get_clim() == (0.0, 1.0)
    words = drawn.texts(ax)
    for title in ("LR patch", "center", "ground truth", "bicubic"):
        assert title in words
    entropy = result.groups["entropy_gaussian"]
    expected = []
    for number, example in enumerate(shown):
        text = f"{entropy.iloc[example.row]:.2f}".replace("-", "\N{MINUS SIGN}")
        expected.append(f"{example.kind}\nentropy\n{text}" if number % 3 == 0 else text)
    assert words[-6:] == expected


def test_a_flat_group_is_not_stretched_to_noise(result: Result) -> None:
    flat = replace(
        result.examples[0],
        truth=np.full_like(result.examples[0].truth, 100),
        members=np.full_like(result.examples[0].members, 100),
        center=np.full_like(result.examples[0].center, 102),
    )
    (ax,) = replace(result, examples=(flat,)).plot.example_groups().axes
    assert np.asarray(ax.images[6].get_array()) == pytest.approx(0.25)


def test_sizes_of_figures_in_inches(result: Result) -> None:
    sizes = {
        "entropy_vs_center_distance": (7.0, 3.0),
        "detail_energy": (7.0, 2.6),
        "manifold_distances": (7.0, 2.1 + 0.45 + 0.25),  # two spaces, one with a warning
        "psnr_ceiling": (4.8, 1.9),
        "entropy_maps": (7.0, 3 * 0.25 + 2.8 * (0.75 + 1.0 + 0.75) + 0.1),
    }
    for name, size in sizes.items():
        figure = getattr(result.plot, name)()
        assert figure.get_size_inches() == pytest.approx(size), name
