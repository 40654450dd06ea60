"""Figures: made without pyplot, tolerant of what is missing, the same bytes every time."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cooanalysis.plots import (
    ANALYSIS_FIGURES,
    Plots,
    png_figures,
    save_figures,
    unavailable,
)
from cooanalysis.plots.style import png_bytes
from cooanalysis.results import Result
from tests.helpers.fake_result import edited, fake_result


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result(n=600)


def drawn_text(fig: Figure) -> str:
    return " ".join(t.get_text() for t in fig.findobj(lambda a: hasattr(a, "get_text")))


def test_files_are_whole_and_the_same_every_time(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: ANALYSIS_FIGURES[name] for name in ("psnr_ceiling", "example_groups")}
    monkeypatch.setattr("cooanalysis.plots.registry.ANALYSIS_FIGURES", few)
    one, two = (save_figures(result, tmp_path / "new" / name) for name in ("one", "two"))
    assert [p.name for p in one] == [f"{n}.{kind}" for n in few for kind in ("png", "pdf")]
    for first, second in zip(one, two, strict=True):
        content = first.read_bytes()
        assert content == second.read_bytes()
        if first.suffix == ".pdf":
            assert content.startswith(b"%PDF") and b"CreationDate" not in content
        else:
            assert Image.open(first).info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_pyplot_is_not_used(result: Result) -> None:
    before = set(sys.modules)
    png_bytes(Plots(result).psnr_ceiling())
    assert "matplotlib.pyplot" not in set(sys.modules) - before


def test_plots_accessor(result: Result) -> None:
    plots = Plots(result)
    assert isinstance(plots.detail_energy(), Figure)
    assert set(ANALYSIS_FIGURES) <= set(dir(plots))
    assert "entropy decile" in (plots.detail_energy.__doc__ or "")
    with pytest.raises(AttributeError, match="no figure is called 'nonsense'"):
        plots.nonsense  # noqa: B018


def test_draws_into_a_given_figure(result: Result) -> None:
    mine = Figure(figsize=(5, 4))
    assert Plots(result).psnr_ceiling(mine) is mine
    assert mine.axes and mine.get_size_inches().tolist() == [5, 4]


def test_jupyter_shows_a_figure_without_pyplot(result: Result) -> None:
    # IPython asks for this method where matplotlib's inline backend was never loaded.
    picture = Plots(result).detail_energy()._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")


def test_one_estimator_one_space() -> None:
    result = fake_result(estimators=("copula",), spaces=("subbands",), n=300)
    assert len(Plots(result).entropy_vs_center_distance().axes) == 2  # panel and color bar
    assert len(Plots(result).manifold_distances().axes) == 2


def test_missing_space_says_why() -> None:
    result = fake_result(spaces=("pixels",), missing_spaces=("deep",), n=300)
    text = drawn_text(Plots(result).manifold_distances()).replace("\n", " ")
    assert "no weights are installed" in text and "call blur clean" in text


def test_nothing_to_show() -> None:
    result = fake_result(spaces=(), n_maps=0, n_examples=0, n=300)
    assert set(unavailable(result)) == {"entropy_maps", "example_groups", "manifold_distances"}
    assert "map_images is 0" in drawn_text(Plots(result).entropy_maps())
    assert all(isinstance(fig, Figure) for fig in Plots(result).all().values())
    assert set(png_figures(result)) == set(ANALYSIS_FIGURES) - set(unavailable(result))


def test_missing_numbers_are_tolerated(result: Result) -> None:
    groups = result.groups.copy()
    groups.loc[::2, "entropy_gaussian"] = np.nan
    groups["entropy_copula"] = -np.inf
    maps = result.maps.copy()
    maps.loc[::3, "entropy"] = np.nan
    nothing = {"value": None, "ci_low": None, "ci_high": None}

    def spoil(summary: dict[str, Any]) -> None:
        summary["psnr_center_db"] = summary["detail_energy"] = nothing
        summary["detail_energy_by_decile"][3]["retained"] = nothing
        summary["detail_energy_by_decile"][4]["retained"] = nothing | {"value": 1.4}
        summary["manifold"] = {
            "subbands": summary["manifold"]["subbands"] | {"center_ratio": nothing}
        }

    broken = replace(result, groups=groups, maps=maps, summary=edited(result.summary, spoil))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = png_figures(broken)
    assert set(figures) == set(ANALYSIS_FIGURES)
    maps["entropy"] = np.nan
    assert png_bytes(Plots(replace(broken, maps=maps)).entropy_maps())


def test_color_images_and_odd_names() -> None:
    names = ("$\\frac$.png", "é.png", "日本.png", "tab\t" + 80 * "x", "a", "b")
    result = fake_result(names=names, n_maps=4, channels=3, n=300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png_bytes(Plots(result).entropy_maps())
        assert png_bytes(Plots(result).example_groups())


def test_style_is_left_alone(result: Result) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    png_bytes(Plots(result).psnr_ceiling())
    assert dict(mpl.rcParams) == before
