"""Figures and report of a comparison: what they show, that nothing hostile gets into them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

import cooanalysis as coo
from cooanalysis.data import sample_pairs, upsample
from cooanalysis.plots import COMPARISON_FIGURES, save_figures, unavailable
from cooanalysis.report.comparison import card, render_report
from cooanalysis.report.comparison_text import captions, grounds
from cooanalysis.runtime.notices import Notice

HOSTILE = "</script><img src=x onerror=alert(1)>"
Image = NDArray[np.uint8]


def smooth(lr: Image) -> Image:
    large = np.clip(np.rint(upsample(lr, 4)), 0, 255)
    return gaussian_filter(large, (1.0, 1.0, 0.0)).astype(np.uint8)


def sharpened(lr: Image) -> Image:
    large = upsample(lr, 4).astype(np.float64)
    sharp = large + 0.8 * (large - gaussian_filter(large, (1.5, 1.5, 0.0)))
    return np.rint(np.clip(sharp, 0, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def comparison() -> coo.Comparison:
    return coo.compare(
        "sample",
        {"bicubic": "bicubic", "net": smooth, "net-decloss": sharpened, HOSTILE: smooth,
         "hr": "hr"},
        baseline="net", metrics=["psnr_y"], queries=200, k=32, manifold_reference=800,
        map_images=1, crops=2, features=("sparsity",), cache=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(comparison: coo.Comparison, tmp_path_factory: pytest.TempPathFactory) -> str:
    drawn = save_figures(comparison, tmp_path_factory.mktemp("figures"))
    return render_report(
        comparison, {path.stem: path.read_bytes() for path in drawn if path.suffix == ".png"}
    )


def without(comparison: coo.Comparison) -> coo.Comparison:
    """The same comparison with nothing to draw but the totals."""
    return dataclasses.replace(
        comparison,
        strata=comparison.strata.iloc[:0],
        spectra=comparison.spectra.iloc[:0],
        bands=None if comparison.bands is None else comparison.bands.iloc[:0],
        maps=comparison.maps.iloc[:0],
        crops=(),
        images={},
    )


def test_every_figure_is_drawn_the_same_twice(comparison: coo.Comparison, tmp_path: Path) -> None:
    first = save_figures(comparison, tmp_path / "a")
    second = save_figures(comparison, tmp_path / "b")
    assert [path.name for path in first] == [
        f"{name}.{kind}" for name in COMPARISON_FIGURES for kind in ("png", "pdf")
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_figure_without_data_says_so(comparison: coo.Comparison, tmp_path: Path) -> None:
    bare = without(comparison)
    lacking = {"against_entropy", "by_frequency", "power_spectra", "crops", "maps"}
    assert set(unavailable(bare)) == lacking
    for name, reason in unavailable(bare).items():
        figure = COMPARISON_FIGURES[name](bare, None)
        assert reason in "".join(text.get_text() for text in figure.texts)
    names = {path.stem for path in save_figures(bare, tmp_path)}
    assert names == set(COMPARISON_FIGURES.builtin) - lacking


def test_points_lie_where_the_numbers_say(comparison: coo.Comparison) -> None:
    knows = comparison.plot.knows_shows_makes_up().axes[0]
    found = [float(c.lines[0].get_xdata()[0]) for c in knows.containers]
    table = comparison.table()
    shown = [name for name in comparison.names if name != "hr"]
    assert found == pytest.approx(table.loc[shown, "explained"].to_list())


def test_crops_are_said_to_be_chosen_by_the_baseline(comparison: coo.Comparison) -> None:
    assert "at which net lacks" in captions(comparison)["crops"]


def test_the_page_says_what_the_numbers_rest_on(comparison: coo.Comparison, page: str) -> None:
    assert dict(grounds(comparison.summary))["Domain shift"].startswith("sparsity ")
    for name, _ in grounds(comparison.summary):
        assert f'<th scope="row">{name}</th>' in page
    for column in ("like clean images?", "ratio (sparsity)", "two-sample test (features)"):
        assert f'<th scope="col">{column}</th>' in page
    assert "Where the error comes from</summary>" in page


def test_figures_are_listed_for_completion(comparison: coo.Comparison) -> None:
    assert set(COMPARISON_FIGURES) <= set(dir(comparison.plot))
    with pytest.raises(AttributeError, match="there are knows_shows_makes_up"):
        _ = comparison.plot.nothing


def test_crops_are_enlarged_without_interpolation(comparison: coo.Comparison) -> None:
    canvas = comparison.plot.crops().axes[0].images[0].get_array()
    crop = comparison.crops[0].pictures["bicubic"]
    factor = -(-160 // max(crop.shape[:2]))
    tile = np.asarray(canvas)[: factor * crop.shape[0], : factor * crop.shape[1]]
    assert np.array_equal(tile[::factor, ::factor], crop)
    assert np.array_equal(tile[factor - 1 :: factor, ::factor], crop)


# -- the page -------------------------------------------------------------------------------


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    for tag, attributes in Elements(page).found:
        for key in ("src", "href"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
    addresses = page.replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
    assert "http://" not in addresses and "@import" not in page
    assert len(page) < 10_000_000


def test_hostile_names_are_text(page: str) -> None:
    assert HOSTILE not in page
    assert not [tag for tag, attributes in Elements(page).found if "onerror" in attributes]
    assert len(re.findall("<script", page)) == 3  # two hold data


def test_only_the_pages_own_script_may_run(page: str) -> None:
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(
        str(attributes["content"])
        for tag, attributes in Elements(page).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_holds_all_images_and_verdicts(comparison: coo.Comparison, page: str) -> None:
    start = page.index('id="crops-data">') + len('id="crops-data">')
    data = json.loads(page[start : page.index("</script>", start)])
    assert [place["image"] for place in data] == [crop.image for crop in comparison.crops]
    for place in data:
        assert [name for name, _ in place["pictures"]] == [
            "bicubic", "net", "net-decloss", HOSTILE, "hr",
        ]  # fmt: skip
        assert all(url.startswith("data:image/png;base64,") for _, url in place["pictures"])
    assert 'data-left="net" data-right="net-decloss"' in page
    sentences = [text for model in comparison.summary.models for text in model.verdict]
    plain = re.sub(r"&[#\w]+;", "'", page)
    for sentence in sentences:
        assert sentence.replace(HOSTILE, "")[:40].replace(">", "'") in plain


def test_a_page_without_images_says_so(comparison: coo.Comparison) -> None:
    page = render_report(without(comparison), {})
    assert "no places were cut out" in page
    assert page.count("Not available:") >= 6


def test_captions_say_arrows_only_where_there_are_any(comparison: coo.Comparison) -> None:
    assert "An arrow leads" in captions(comparison)["perception_distortion"]
    others = tuple(m for m in comparison.summary.models if m.name != "net-decloss")
    summary = replace(comparison.summary, models=others)
    single = dataclasses.replace(comparison, summary=summary)
    assert "An arrow leads" not in captions(single)["perception_distortion"]


def test_the_card_is_escaped_and_whole(comparison: coo.Comparison) -> None:
    text = card(comparison)
    assert HOSTILE not in text and "net-decloss" in text
    assert text == comparison._repr_html_()


def test_the_table_sorts_by_numbers_and_not_by_texts(comparison: coo.Comparison, page: str) -> None:
    values = re.findall(r'data-value="([^"]*)"', page)
    table = comparison.table()
    unreliable = list(comparison.summary.unreliable)  # shown as dashes, so not sorted by
    table[unreliable] = np.nan
    expected = table.to_numpy(np.float64).ravel()
    assert np.array_equal([float(value) for value in values], expected, equal_nan=True)
    assert isinstance(comparison.table(), pd.DataFrame)


def test_few_images_are_warned_of_wherever_a_comparison_is_shown(tmp_path: Path) -> None:
    for pair in sample_pairs()[:2]:
        crop = Pillow.open(pair.hr_path).convert("RGB").crop((0, 0, 160, 160))
        crop.save(tmp_path / f"{pair.name}.png")
    found = coo.compare(
        tmp_path, ["bicubic", "hr"], metrics=["psnr_y"], queries=100, k=32,
        manifold_reference=400, map_images=0, crops=1, features=("sparsity",), cache=False,
    )  # fmt: skip
    facts = {"n_images": 2, "needed": 5, "compared": True}
    assert Notice("few_images", facts) in found.summary.warnings
    for text in (render_report(found, {}), card(found)):
        assert "only 2 images" in text and "Tests over that few images say little." in text
        assert "compared: True" not in text
