"""Figures that users add: drawn, saved, offered as methods, and shown in the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from cooanalysis.errors import ConfigError
from cooanalysis.plots import (
    ANALYSIS_FIGURES,
    COMPARISON_FIGURES,
    Plot,
    Plots,
    png_figures,
    register_figure,
    save_figures,
    unavailable,
)
from cooanalysis.plots.style import new_figure
from cooanalysis.report.analysis import render_report
from cooanalysis.report.comparison import render_report as render_comparison
from cooanalysis.results import Result
from cooanalysis.runtime.registry import Registry
from tests.helpers.fake_comparison import fake_comparison, older
from tests.helpers.fake_result import fake_result


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result(n=200, n_maps=0, n_examples=0)


def contrast(record: Any, fig: Figure | None = None) -> Figure:
    """Draw how contrast is distributed."""
    fig = new_figure(fig, 4.0, 3.0)
    fig.add_subplot().hist(record.groups["lr_std"])
    return fig


def models(record: Any, fig: Figure | None = None) -> Figure:
    fig = new_figure(fig, 4.0, 3.0)
    fig.add_subplot().bar(record.names, 1.0)
    return fig


@pytest.fixture
def registered() -> Iterator[None]:
    register_figure("contrast_histogram", contrast, title="How contrasts <lie>",
                    caption=lambda record: f"{len(record.groups)} patches & more.")  # fmt: skip
    register_figure("model_names", models, of="comparison",
                    missing=lambda record: None if record.crops else "No crops.")  # fmt: skip
    yield
    ANALYSIS_FIGURES.unregister("contrast_histogram")
    COMPARISON_FIGURES.unregister("model_names")


@pytest.mark.usefixtures("registered")
class TestRegistered:
    def test_is_saved_with_the_others(self, result: Result, tmp_path: Path) -> None:
        names = [path.name for path in save_figures(result, tmp_path)]
        assert names[-2:] == ["contrast_histogram.png", "contrast_histogram.pdf"]
        assert (tmp_path / "contrast_histogram.pdf").read_bytes().startswith(b"%PDF")

    def test_can_be_drawn_by_name(self, result: Result) -> None:
        assert "contrast_histogram" in dir(result.plot)
        figure = result.plot.contrast_histogram()
        heights = [patch.get_height() for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
        assert sum(heights) == 200
        mine = Figure()
        assert result.plot.contrast_histogram(mine) is mine
        assert result.plot.contrast_histogram.__doc__ == contrast.__doc__

    def test_has_a_section_in_the_report(self, result: Result) -> None:
        page = render_report(result, {"contrast_histogram": b"PICTURE"})
        assert '<h2 id="contrast_histogram">How contrasts &lt;lie&gt;</h2>' in page
        assert "200 patches &amp; more." in page and "UElDVFVSRQ==" in page

    def test_belongs_to_one_kind_of_record(self, result: Result) -> None:
        comparison = fake_comparison(n_crops=1)
        assert "model_names" in dir(comparison.plot)
        assert "model_names" not in dir(result.plot)
        assert '<h2 id="model_names">Model names</h2>' in render_comparison(
            comparison, {"model_names": b"PICTURE"}
        )

    def test_may_have_nothing_to_show(self) -> None:
        bare = fake_comparison(n_crops=0)
        assert unavailable(bare)["model_names"] == "No crops."
        assert "No crops." in [text.get_text() for text in bare.plot.model_names().texts]
        assert "Not available: No crops." in render_comparison(bare, {})

    def test_a_taken_name_is_refused(self) -> None:
        for name in ("contrast_histogram", "detail_energy"):
            with pytest.raises(ConfigError, match=f"figure of an analysis '{name}' exists already"):
                register_figure(name, contrast)

    def test_replaces_where_asked(self, result: Result) -> None:
        register_figure("contrast_histogram", models, title="Other", replace=True)
        assert ANALYSIS_FIGURES["contrast_histogram"].title == "Other"


def test_a_name_must_be_an_identifier() -> None:
    with pytest.raises(ConfigError, match="identifier.*'../secrets'"):
        register_figure("../secrets", contrast)


def test_a_package_announces_its_figures(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("contrast", f"{__name__}:ANNOUNCED", "cooanalysis.analysis_figures")
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: ANNOUNCED)
    monkeypatch.setattr(
        metadata, "entry_points",
        lambda group: [point] if group == "cooanalysis.analysis_figures" else [],
    )  # fmt: skip
    fresh = Registry[Plot[Any]](ANALYSIS_FIGURES.kind, ANALYSIS_FIGURES.group, {})
    monkeypatch.setattr("cooanalysis.plots.registry.ANALYSIS_FIGURES", fresh)
    assert list(png_figures(result)) == ["contrast"]


ANNOUNCED = Plot(contrast, "Contrast")


def test_all_figures_of_a_comparison_without_data_say_why() -> None:
    comparison = fake_comparison(n_crops=0, n_maps=0, n_strata=0, measures=("psnr_y",))
    comparison = replace(older(comparison), spectra=comparison.spectra.iloc[:0])
    reasons = unavailable(comparison)
    assert list(reasons) == list(COMPARISON_FIGURES)
    for name, figure in Plots(comparison).all().items():
        assert [text.get_text() for text in figure.texts] == [reasons[name]]
