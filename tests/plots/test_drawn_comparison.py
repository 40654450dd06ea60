"""Figures of a comparison: what is drawn are the numbers of the record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from cooanalysis.comparison.crops import oversmoothing
from cooanalysis.measures.detail.parts import products
from cooanalysis.plots import COMPARISON_FIGURES, unavailable
from cooanalysis.plots.comparison.looks import shown_name
from cooanalysis.plots.style import BLACK, BLUE, GRAY, VERMILLION
from cooanalysis.results import Comparison
from tests.helpers import drawn
from tests.helpers.fake_comparison import BANDS, KINDS, LEAD, PARTS, fake_comparison, older
from tests.helpers.fake_result import edited

LOOKS = {
    "bicubic": (GRAY, "D", ":"),
    "net": (BLUE, "o", "-"),
    "net-decloss": (BLUE, "o", "--"),
    "gan": (VERMILLION, "s", "-"),
}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return fake_comparison()


def total(comparison: Comparison, model: str, measure: str) -> Any:
    table = comparison.totals
    return table[(table["model"] == model) & (table["measure"] == measure)].iloc[0]


def arrows(figure: Figure) -> list[Annotation]:
    return [a for a in figure.axes[0].texts
            if isinstance(a, Annotation) and a.arrow_patch is not None]  # fmt: skip


def check_points(comparison: Comparison, figure: Figure, across: str, up: str) -> None:
    """A point with both intervals for each model, and an arrow to the one with DECLoss."""
    for found, (name, (color, marker, _)) in zip(
        drawn.bars(figure.axes[0]), LOOKS.items(), strict=True
    ):
        x, y = total(comparison, name, across), total(comparison, name, up)
        assert (found.x[0], found.y[0]) == (x["value"], y["value"])
        np.testing.assert_allclose(found.ends["x"], [[x["ci_low"], x["ci_high"]]])
        np.testing.assert_allclose(found.ends["y"], [[y["ci_low"], y["ci_high"]]])
        assert (found.color, found.marker) == (color.lower(), marker)
        (label,) = (t for t in figure.axes[0].texts if t.get_text() == name)
        assert isinstance(label, Annotation) and label.xy == (x["value"], y["value"])
        assert to_hex(label.get_color()) == color.lower()
    (arrow,) = arrows(figure)
    start, end = (
        tuple(total(comparison, name, measure)["value"] for measure in (across, up))
        for name in ("net", "net-decloss")
    )
    assert (arrow.xyann, arrow.xy) == (start, end)


def test_perception_against_distortion(comparison: Comparison) -> None:
    figure = comparison.plot.perception_distortion()
    (ax,) = figure.axes
    check_points(comparison, figure, "psnr_y", "st-lpips")
    assert ax.get_xlabel() == "PSNR-Y [dB]     better →"
    assert ax.get_ylabel() == "ST-LPIPS     ← better"
    assert drawn.horizontals(ax) == [0.0]  # where the ground truth lies
    assert "hr: 0, at infinite PSNR →" in drawn.texts(ax)
    low, high = ax.get_ylim()
    assert low < 0.0 < high


def test_the_bound_and_the_way_to_it(comparison: Comparison) -> None:
    (ax,) = comparison.plot.bound().axes
    table = comparison.bound
    assert table is not None
    curve = ax.lines[-1].get_xydata()
    for row in table.to_dict("records"):
        up = 255.0 * row["wasserstein"]
        psnr = -10.0 * np.log10(row["mse"])
        assert any(np.allclose(line.get_xydata(), [[psnr, up]]) for line in ax.lines)
        lowest = np.interp(up, curve[:, 1], curve[:, 0])
        assert lowest - psnr == pytest.approx(row["excess_db"], abs=1e-3)
        way = [[psnr, up], [psnr + row["excess_db"], up]]
        assert any(np.allclose(c.get_segments()[0], way) for c in ax.collections)
    assert "bicubic: sets the bound" in drawn.texts(ax)
    shown = table.set_index("model").loc["gan", "excess_db"]
    assert f"gan: +{shown:.2f} dB" in drawn.texts(ax)


@pytest.mark.parametrize("rows", [None, 0])
def test_no_bound_to_show(comparison: Comparison, rows: int | None) -> None:
    table = None if rows is None else comparison.bound.iloc[:rows]  # type: ignore[union-attr]
    figure = replace(comparison, bound=table).plot.bound()
    said = "before the bound" if rows is None else "12x12 pixels or more"
    assert said in figure.texts[0].get_text() and not figure.axes


def test_a_ground_truth_far_away_does_not_squeeze_the_models(comparison: Comparison) -> None:
    totals = comparison.totals.copy()
    totals.loc[(totals["model"] == "hr") & (totals["measure"] == "st-lpips"), "value"] = -50.0
    (ax,) = replace(comparison, totals=totals).plot.perception_distortion().axes
    assert ax.get_ylim()[0] > -5.0 and drawn.horizontals(ax) == []
    (note,) = (text for text in ax.texts if "infinite" in text.get_text())
    assert note.get_text() == "hr: \N{MINUS SIGN}50, at infinite PSNR (off the scale)"
    assert note.get_position()[1] == 0.02


def test_without_a_learned_metric_the_manifold_ratio_stands_up() -> None:
    measures = ("psnr_y", "explained", LEAD)
    ax = fake_comparison(measures=measures).plot.perception_distortion().axes[0]
    assert ax.get_ylabel() == "manifold ratio (sparsity)     better: nearer to 1"


# -- knows, shows, makes up ------------------------------------------------------------------------


def check_rows(comparison: Comparison, ax: Axes, measure: str) -> None:
    """A point with its interval for each model, one below the other."""
    for place, (found, (name, (color, marker, _))) in enumerate(
        zip(drawn.bars(ax), LOOKS.items(), strict=True)
    ):
        row = total(comparison, name, measure)
        assert (found.x[0], found.y[0]) == (row["value"], place)
        np.testing.assert_allclose(found.ends["x"], [[row["ci_low"], row["ci_high"]]])
        assert (found.color, found.marker) == (color.lower(), marker)


def test_what_models_know_show_and_make_up(comparison: Comparison) -> None:
    knows, shows, makes_up = comparison.plot.knows_shows_makes_up().axes
    for ax, measure in ((knows, "explained"), (shows, "gain"), (makes_up, "invented")):
        check_rows(comparison, ax, measure)
        assert measure in drawn.title(ax)
    assert [label.get_text() for label in knows.get_yticklabels()] == [*LOOKS]
    assert knows.get_ylim()[0] > knows.get_ylim()[1]  # the first model on top
    best = max(total(comparison, name, "explained")["value"] for name in LOOKS)
    assert drawn.verticals(knows) == [best]
    assert drawn.verticals(shows) == drawn.verticals(makes_up) == [1.0]
    lengths = [bar.get_width() for bar in makes_up.patches]
    least = [total(comparison, name, "invented_at_least")["value"] for name in LOOKS]
    assert lengths == least
    assert drawn.texts(makes_up)[1:] == ["no", "yes", "undecided", "no"]


def test_without_an_anchor_only_what_needs_none_is_drawn(comparison: Comparison) -> None:
    alone = replace(comparison, summary=edited(comparison.summary, lambda s: s.update(anchor=None)))
    knows, shows, makes_up = alone.plot.knows_shows_makes_up().axes
    assert len(drawn.bars(knows)) == 4 and len(makes_up.patches) == 4
    assert drawn.bars(shows) == drawn.bars(makes_up) == []
    for name in ("against_entropy", "by_frequency"):
        titles = [drawn.title(ax) for ax in getattr(alone.plot, name)().axes]
        assert "gain" not in titles and "invented" not in titles and "explained" in titles


def test_the_error_budget_adds_up(comparison: Comparison) -> None:
    figure = comparison.plot.error_budget()
    whole, avoidable = figure.axes
    models = [m for m in comparison.summary.models if m.kind != "hr"]
    for ax, parts in (
        (whole, ("unknown", "known_to_others", "wrong_gain", "made_up")),
        (avoidable, ("known_to_others", "wrong_gain", "made_up")),
    ):
        bars = list(ax.patches)
        assert len(bars) == len(parts) * len(models)
        for place, model in enumerate(models):
            own = bars[place * len(parts) : (place + 1) * len(parts)]
            end = 0.0
            for bar, part in zip(own, parts, strict=True):
                assert bar.get_x() == pytest.approx(end)
                assert bar.get_width() == pytest.approx(255.0**2 * getattr(model.budget, part))
                end += bar.get_width()
            tick = ax.lines[place].get_xdata()[0]
            assert tick == pytest.approx(end + 255.0**2 * model.budget.remainder)
    assert drawn.legend(figure)[-1] == "measured"


def test_runs_of_older_versions_say_what_they_lack(comparison: Comparison) -> None:
    old = older(comparison)
    lacking = {"knows_shows_makes_up", "error_budget", "against_entropy", "by_frequency", "maps"}
    reasons = unavailable(old)
    assert set(reasons) == lacking | {"bound"}
    for name, reason in reasons.items():
        figure = getattr(old.plot, name)()
        assert [text.get_text() for text in figure.texts] == [reason]
        assert reason.count(".") == 1 and reason.startswith("This run was made before")
    for name in set(COMPARISON_FIGURES.builtin) - set(reasons):
        assert getattr(old.plot, name)().axes


def test_names_of_points_do_not_cover_each_other(comparison: Comparison) -> None:
    figure = comparison.plot.perception_distortion()
    figure.draw_without_rendering()
    names = [t for t in figure.axes[0].texts if t.get_text() in KINDS]
    boxes = [name.get_window_extent() for name in names]
    assert len(boxes) == 4
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_measures_against_entropy(comparison: Comparison) -> None:
    figure = comparison.plot.against_entropy()
    assert [drawn.title(ax) for ax in figure.axes] == list(PARTS)
    assert [drawn.horizontals(ax) for ax in figure.axes] == [[], [1.0], [1.0]]
    table = comparison.strata
    for ax, measure in zip(figure.axes, PARTS, strict=True):
        assert list(ax.get_xticks()) == [1, 2, 3, 4]
        for number, (found, name) in enumerate(zip(drawn.bars(ax), LOOKS, strict=True)):
            rows = table[(table["model"] == name) & (table["measure"] == measure)]
            rows = rows.sort_values("stratum")
            np.testing.assert_allclose(found.x, rows["stratum"] + 0.06 * (number - 1.5))
            np.testing.assert_allclose(found.y, rows["value"])
            np.testing.assert_allclose(found.ends["y"], rows[["ci_low", "ci_high"]])
            color, marker, line = LOOKS[name]
            assert (found.color, found.marker, found.line) == (color.lower(), marker, line)
    assert drawn.legend(figure) == ["ground truth", *LOOKS]


def test_measures_by_frequency(comparison: Comparison) -> None:
    figure = comparison.plot.by_frequency()
    assert [drawn.title(ax) for ax in figure.axes] == list(PARTS)
    table = comparison.bands
    assert table is not None
    for ax, measure in zip(figure.axes, PARTS, strict=True):
        assert drawn.verticals(ax) == [0.125]
        assert drawn.horizontals(ax) == ([] if measure == "explained" else [1.0])
        curves = [line for line in ax.lines if len(np.ravel(line.get_xdata())) == BANDS]
        for curve, name in zip(curves, LOOKS, strict=True):
            rows = table[(table["model"] == name) & (table["measure"] == measure)]
            rows = rows.sort_values("frequency")
            np.testing.assert_allclose(curve.get_xydata(), rows[["frequency", "value"]])
            assert drawn.look(curve) == LOOKS[name][0].lower()
    assert drawn.legend(figure) == ["ground truth", *LOOKS]


def test_images_too_small_for_bands(comparison: Comparison) -> None:
    assert comparison.bands is not None
    small = replace(comparison, bands=comparison.bands.assign(value=np.nan))
    assert "too small" in small.plot.by_frequency().texts[0].get_text()


def test_wild_values_do_not_widen_the_axes(comparison: Comparison) -> None:
    strata = comparison.strata.copy()
    row = strata.index[(strata["model"] == "net") & (strata["measure"] == "gain")][0]
    strata.loc[row, "value"] = 1e6
    many = pd.concat([strata] + 20 * [comparison.strata])
    assert replace(comparison, strata=many).plot.against_entropy().axes[1].get_ylim()[1] < 3.0


def test_power_spectra(comparison: Comparison) -> None:
    figure = comparison.plot.power_spectra()
    (ax,) = figure.axes
    assert ax.get_yscale() == "log"
    assert drawn.horizontals(ax) == [1.0] and drawn.verticals(ax) == [0.125]  # 1 / (2 · 4)
    assert "LR Nyquist\n0.125" in drawn.texts(ax)
    curves = [line for line in ax.lines if len(np.ravel(line.get_xdata())) == 25]
    for curve, band, name in zip(curves, ax.collections, LOOKS, strict=True):
        rows = comparison.spectra[comparison.spectra["model"] == name]
        np.testing.assert_allclose(np.asarray(curve.get_xdata(), np.float64), rows["frequency"])
        np.testing.assert_allclose(np.asarray(curve.get_ydata(), np.float64), rows["power_ratio"])
        (outline,) = (np.asarray(path.vertices) for path in band.get_paths())
        for end in ("ci_low", "ci_high"):
            corners = set(np.round(outline[:, 1], 9))
            assert set(np.round(rows[end], 9)) <= corners
        color, marker, line = LOOKS[name]
        assert drawn.look(curve) == color.lower()
        assert (curve.get_marker(), curve.get_linestyle()) == (marker, line)
    assert ax.get_xlim() == pytest.approx((0.0, 1.01 * 0.49))
    assert ax.get_xlabel() == "frequency (cycles per HR pixel)"
    assert drawn.legend(figure) == ["ground truth", *LOOKS]


def test_a_band_down_to_zero_is_drawn_on_the_log_scale(comparison: Comparison) -> None:
    spectra = comparison.spectra.assign(ci_low=0.0)
    (ax,) = replace(comparison, spectra=spectra).plot.power_spectra().axes
    rows = spectra[spectra["model"] == "bicubic"]
    outline = np.asarray(ax.collections[0].get_paths()[0].vertices)
    assert outline[:, 1].min() == pytest.approx(rows["power_ratio"].min() / 10.0)


def test_crops_are_shown_pixel_by_pixel(comparison: Comparison) -> None:
    (ax,) = comparison.plot.crops().axes
    canvas = np.asarray(ax.images[0].get_array())
    side, gap = 4 * 48, 6  # enlarged by a whole number to at least 160
    assert canvas.shape == (2 * (side + gap) - gap, 5 * (side + gap) - gap, 3)
    for row, crop in enumerate(comparison.crops):
        for column, name in enumerate(KINDS):
            y, x = row * (side + gap), column * (side + gap)
            tile = canvas[y : y + side, x : x + side]
            np.testing.assert_array_equal(tile, crop.pictures[name].repeat(4, 0).repeat(4, 1))
    assert (canvas[side : side + gap] == 255).all()
    assert drawn.texts(ax) == [*KINDS, "crop_0.png", "crop_1.png"]
    colors = [to_hex(text.get_color()) for text in ax.texts[:5]]
    assert colors == [color.lower() for color, _, _ in LOOKS.values()] + [BLACK]


def test_at_most_six_crops_are_shown() -> None:
    (ax,) = fake_comparison(n_crops=8).plot.crops().axes
    assert [text for text in drawn.texts(ax) if "crop" in text][-1] == "crop_5.png"


def test_maps_of_what_is_missing(comparison: Comparison) -> None:
    figure = comparison.plot.maps()
    *panels, bar = figure.axes
    table = comparison.maps.copy()
    for _, rows in table.groupby(["image", "model"]):
        gain = rows["known_output"].sum() / rows["known_energy"].sum()
        unknown = rows["truth_energy"] - 2 * rows["known_truth"] + rows["known_energy"]
        made_up = (rows["output_energy"] - 2 * gain * rows["known_output"]
                   + gain**2 * rows["known_energy"])  # fmt: skip
        damped = max(0.0, 1.0 - gain**2) * rows["known_energy"]
        table.loc[rows.index, "missing"] = unknown - made_up + damped
    pixels = (4 * 5) ** 2
    table["shown"] = 255.0**2 * table["missing"] / pixels
    shown = table[table["model"] != "hr"]
    limit = np.quantile(np.abs(shown["shown"]), 0.99)
    assert [drawn.title(ax) for ax in panels[:5]] == ["ground truth", *LOOKS]
    for row, (name, image) in enumerate(comparison.images.items()):
        first, *rest = panels[5 * row : 5 * row + 5]
        shown_image = np.asarray(first.images[0].get_array()).reshape(image.shape)
        np.testing.assert_array_equal(shown_image, image)
        assert first.get_ylabel() == name
        for ax, model in zip(rest, LOOKS, strict=True):
            rows = table[(table["image"] == name) & (table["model"] == model)]
            grid = rows.pivot(index="y", columns="x", values="shown").to_numpy()
            np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), grid)
            assert ax.images[0].get_clim() == pytest.approx((-limit, limit))
            assert tuple(ax.images[0].get_extent()) == (6.0, 150.0, 110.0, 6.0)
            share = rows["missing"].sum() / rows["truth_energy"].sum()
            assert ax.get_xlabel() == f"{share:.0%}".replace("-", "\N{MINUS SIGN}")
    lowest = max(shown["shown"].min(), -limit)
    assert bar.get_ylim() == pytest.approx((min(lowest, -0.08 * limit), limit))
    assert bar.get_ylabel() == "missing (below 0: too much), 8-bit values squared"


def test_sharpening_fills_no_gap_and_damping_makes_one() -> None:
    rng = np.random.default_rng(0)
    known, rest = rng.normal(size=(2, 50, 16))
    truth = known + rest - known * (rest * known).sum() / (known**2).sum()

    def total_of(output: Any) -> float:
        sums = [part.sum(axis=1) for part in products(truth, output, known, known)]
        return float(oversmoothing(np.stack(sums, axis=1)).sum() / sums[0].sum())

    unknown = total_of(known)
    assert 0.3 < unknown < 0.7
    assert total_of(1.5 * known) == pytest.approx(unknown)
    assert total_of(np.zeros_like(known)) == pytest.approx(1.0)
    assert total_of(truth) == pytest.approx(0.0, abs=1e-9)
    assert unknown < total_of(0.5 * known) < 1.0


def test_of_too_many_models_bicubic_and_the_ground_truth_are_left_out() -> None:
    kinds = {"hr": "hr", "bicubic": "bicubic"} | {f"net{i}": "checkpoint" for i in range(6)}
    figure = fake_comparison(kinds=kinds, n_maps=1).plot.maps()
    titles = [drawn.title(ax) for ax in figure.axes[:-1]]
    assert titles == ["ground truth", *(f"net{i}" for i in range(5))]


def test_marks_of_many_models_differ() -> None:
    kinds = {f"net{i}": "checkpoint" for i in range(9)} | {"alone-decloss": "checkpoint"}
    figure = fake_comparison(kinds=kinds).plot.power_spectra()
    marks = [(drawn.look(line), line.get_marker(), line.get_linestyle())
             for line in figure.axes[0].lines if len(np.ravel(line.get_xdata())) == 25]  # fmt: skip
    assert len(set(marks)) == 10


def test_long_names_keep_their_ends() -> None:
    name = "edsr-small-x4-ragan"
    assert shown_name(name) == name
    short = shown_name(f"{name}-decloss")
    assert len(short) == 20 and short.startswith("edsr") and short.endswith("-decloss")


def test_sizes_of_figures_in_inches(comparison: Comparison) -> None:
    sizes = {
        "perception_distortion": (5.2, 3.7),
        "bound": (5.2, 3.7),
        "knows_shows_makes_up": (7.0, 0.95 + 4 * 0.27),
        "error_budget": (7.0, 1.05 + 4 * 0.27),
        "by_frequency": (7.0, 2.9),
        "against_entropy": (7.0, 2.9),
        "power_spectra": (7.0, 3.2),
        # One pixel of the crops is one pixel of the file: five tiles of 192 with gaps of 6.
        "crops": ((5 * 198 - 6 + 24) / 150, (2 * 198 - 6 + 40) / 150),
    }
    for name, size in sizes.items():
        figure = getattr(comparison.plot, name)()
        assert figure.get_size_inches() == pytest.approx(size), name


def test_names_of_points_stay_inside_the_axes() -> None:
    """Even those of points in the corners."""
    comparison = fake_comparison()
    totals = comparison.totals.copy()
    corners = {"bicubic": (0, 0), "net": (0, 1), "net-decloss": (1, 0), "gan": (1, 1)}
    for model, (across, up) in corners.items():
        for measure, value in (("psnr_y", 25.0 + across), ("st-lpips", 0.2 + up)):
            row = (totals["model"] == model) & (totals["measure"] == measure)
            totals.loc[row, ["value", "ci_low", "ci_high"]] = value
    figure = replace(comparison, totals=totals).plot.perception_distortion()
    figure.draw_without_rendering()
    frame = figure.axes[0].get_window_extent()
    for text in figure.axes[0].texts:
        if text.get_text() in corners:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1, text.get_text()
            assert frame.y0 <= box.y0 and box.y1 <= frame.y1, text.get_text()


def test_a_ratio_without_a_logarithm_is_left_out(comparison: Comparison) -> None:
    spectra = comparison.spectra.copy()
    rows = spectra.index[spectra["model"] == "net"][:3]
    spectra.loc[rows, "power_ratio"] = [0.0, np.nan, np.inf]
    (ax,) = replace(comparison, spectra=spectra).plot.power_spectra().axes
    lengths = [len(np.ravel(line.get_xdata())) for line in ax.lines]
    assert [n for n in lengths if n > 2] == [25, 22, 25, 25]
