"""What figures are made of: error bars, intervals in words, axes, maps, images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cooanalysis.analysis.summary_record import Interval
from cooanalysis.plots import numbers, style
from cooanalysis.plots.comparison.points import shared_area
from cooanalysis.plots.images import LONGEST_SIDE, averaged_down, map_grid


def interval(value: Any, low: Any = None, high: Any = None) -> Interval:
    return Interval(value=value, ci_low=low, ci_high=high)


def test_error_bars_reach_to_the_ends_of_intervals() -> None:
    estimates = [interval(2.0, 1.5, 3.0), interval(2.0), interval(None, 1.0, 3.0),
                 interval(2.0, 2.5, 3.0), interval(2.0, 1.0, math.inf)]  # fmt: skip
    found = numbers.bars_of(estimates, 10.0)
    np.testing.assert_array_equal(found, [[5, 0, 0, 0, 10], [10, 0, 0, 10, 0]])


def test_values_and_intervals_in_words() -> None:
    assert numbers.value_of(interval(2.0)) == 2.0 and math.isnan(numbers.value_of(interval(None)))
    assert not numbers.has_value(interval(math.inf)) and numbers.has_value(interval(0.0))
    assert numbers.interval_text(interval(0.5, 0.25, 0.75), ".2f") == "0.50 (0.25–0.75)"
    assert numbers.interval_text(interval(0.5, 0.25, None), ".2f") == "0.50"
    assert numbers.interval_text(interval(None, 0.25, 0.75), ".2f") == "not available"
    assert numbers.ends_of(interval(0.5, -1.0, math.nan)) == [-1.0]


def test_a_map_has_a_cell_for_each_patch() -> None:
    maps = pd.DataFrame({"image": ["a"] * 3 + ["b"], "y": [2, 2, 6, 0], "x": [0, 3, 3, 0],
                         "entropy": [1.0, 2.0, 3.0, 9.0]})  # fmt: skip
    grid, extent = map_grid(maps, 4, 5, "a")
    np.testing.assert_array_equal(grid, [[1.0, 2.0], [np.nan, 3.0]])
    # Columns 3 LR pixels wide around 2.5 and 5.5, rows 4 high around 4.5 and 8.5.
    assert extent == (4.0, 28.0, 42.0, 10.0)
    grid, extent = map_grid(maps.assign(other=7.0), 4, 5, "b", "other")
    assert grid.tolist() == [[7.0]] and extent == (0.0, 20.0, 20.0, 0.0)


def test_large_images_are_averaged_down() -> None:
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert averaged_down(small) is small
    large = np.zeros((2 * LONGEST_SIDE, 10, 1), np.uint8)
    large[::2] = 100
    found = averaged_down(large)
    assert found.shape == (LONGEST_SIDE, 5, 1) and (found == 50).all()
    assert averaged_down(large[:-1]).shape == (LONGEST_SIDE - 1, 5, 1)
    thin = np.zeros((5 * LONGEST_SIDE, 2, 1), np.uint8)
    assert averaged_down(thin) is thin


@pytest.mark.parametrize(
    ("limits", "ticks"), [((0.8, 30.0), {"1", "2", "5", "10", "20"}), ((0.1, 1e4), {"0.1", "10"})]
)
def test_ticks_of_a_log_axis_are_plain(limits: tuple[float, float], ticks: set[str]) -> None:
    fig = style.new_figure(None, 3.0, 3.0)
    ax = fig.add_subplot()
    ax.set(yscale="log", ylim=limits)
    style.plain_log_axis(ax)
    fig.draw_without_rendering()
    found = {label.get_text() for label in ax.get_yticklabels()}
    assert ticks <= found and not [text for text in found if "$" in text or "e" in text]
    assert ("2" in found) is (limits[1] < 1e3)
    assert {label.get_text() for label in ax.get_yticklabels(minor=True)} <= {""}


def test_texts_can_be_drawn() -> None:
    assert style.printable("caf\udce9\n\x00.png", 20) == "caf???.png"
    assert style.printable(30 * "x", 20) == 19 * "x" + "…"
    assert style.minus("-1 - 2") == "\N{MINUS SIGN}1 \N{MINUS SIGN} 2"
    assert style.wrapped("one two three", 8) == "one two\nthree" and style.wrapped("", 8) == ""


def test_layout_of_a_given_figure_is_its_owners() -> None:
    mine = Figure(layout="constrained")
    engine = mine.get_layout_engine()
    assert style.new_figure(mine, 1.0, 1.0) is mine
    assert style.laid_out(mine).get_layout_engine() is engine
    ours = style.new_figure(None, 4.0, 3.0)
    ours.add_subplot()
    assert ours.get_size_inches().tolist() == [4.0, 3.0]
    laid: Any = style.laid_out(ours).get_layout_engine()
    assert laid is None or type(laid).__name__ == "PlaceHolderLayoutEngine"


def test_a_blank_figure_says_why() -> None:
    blank = style.blank(None, "No data.")
    assert [text.get_text() for text in blank.texts] == ["No data."] and not blank.axes
    mine = Figure()
    assert style.blank(mine, "No data.") is mine


def test_an_image_has_no_frame() -> None:
    ax = Figure().add_subplot()
    style.image_axes(ax, 20.0, 30.0)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 30.0), (20.0, 0.0))
    assert not len(ax.get_xticks()) and not any(s.get_visible() for s in ax.spines.values())


def test_shared_area_of_boxes() -> None:
    box = np.array([0.0, 0.0, 4.0, 2.0])
    others = [np.array([3.0, 1.0, 5.0, 5.0]), np.array([4.0, 0.0, 5.0, 1.0]), box]
    assert shared_area(box, others) == 1.0 + 0.0 + 8.0
