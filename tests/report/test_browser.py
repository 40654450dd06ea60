"""The pages in a real browser: what a reader can do with pointer and keyboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image as Pillow

import cooanalysis as coo
from cooanalysis.data import sample_pairs, upsample
from cooanalysis.plots.style import save_figure

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
]

HOSTILE = "<img src=x onerror=document.title='hacked'>"
Image = NDArray[np.uint8]


def bicubic(lr: Image) -> Image:
    return np.rint(np.clip(upsample(lr, 4), 0, 255)).astype(np.uint8)


def sharp(lr: Image) -> Image:
    large = upsample(lr, 4).astype(np.float64)
    blurred = (np.roll(large, 2, 0) + np.roll(large, -2, 0)) / 2
    return np.rint(np.clip(1.5 * large - 0.5 * blurred, 0, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with hostile names."""
    target = tmp_path_factory.mktemp("images")
    for number, pair in enumerate(sample_pairs()[:3]):
        with Pillow.open(pair.hr_path) as file:
            picture = file.convert("RGB").crop((0, 0, 200, 160))
        name = HOSTILE.replace("/", "_") + ".png" if number == 0 else f"image {number}.png"
        picture.save(target / name)
    return target


@pytest.fixture(scope="module", autouse=True)
def no_pdf() -> Iterator[None]:
    """A browser shows the PNG files alone, and PDF files take longer to write."""

    def save(figure: Figure, file: IO[bytes], kind: str) -> None:
        if kind == "png":
            save_figure(figure, file, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cooanalysis.plots.registry.save_figure", save)
        yield


@pytest.fixture(scope="module")
def report(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "analysis"
    coo.analyze(folder, out=out, queries=300, k=32, manifold_reference=500, map_images=1,
                features=("subbands",), estimators=("gaussian",), ceiling_queries=50)  # fmt: skip
    return out / "report.html"


@pytest.fixture(scope="module")
def comparison(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "comparison"
    models = {"hr": "hr", "plain": bicubic, HOSTILE: sharp}
    coo.compare(folder, models, out=out, queries=150, k=32, manifold_reference=500, map_images=1,
                features=("sparsity",), metrics=["psnr_y"], crops=2, cache=False)  # fmt: skip
    return out / "report.html"


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        opened = driver.chromium.launch(executable_path=browser_path, args=options)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page without network; a script error or a request fails the test."""
    opened = browser.new_page(viewport={"width": 1100, "height": 900}, offline=True)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    opened.on("request", lambda r: None if r.url.startswith(("file:", "data:"))
              else faults.append(r.url))  # fmt: skip
    yield opened
    title = opened.title()
    opened.close()
    assert not faults
    assert title != "hacked"


def wait_for_explorer(page: Any, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("#explorer-view:not([hidden])")


def picture(page: Any, label: str) -> str:
    """The pixels of a canvas."""
    return str(page.locator(f'#pictures canvas[aria-label="{label}"]').evaluate(
        "canvas => canvas.toDataURL()"))  # fmt: skip


def test_pointing_at_a_dot_shows_its_group(page: Any, report: Path) -> None:
    wait_for_explorer(page, report)
    before = page.inner_text("#chosen"), picture(page, "ground truth")
    dots = page.locator("#plot .dot")
    assert dots.count() > 100
    dots.nth(5).hover(force=True)
    first = page.inner_text("#chosen"), picture(page, "ground truth")
    dots.nth(60).hover(force=True)
    second = page.inner_text("#chosen"), picture(page, "ground truth")
    assert len({before, first, second}) >= 2
    assert first[0] != second[0] and first[1] != second[1]
    for label in ("LR patch", "member 1", "member 8", "center", "bicubic"):
        assert picture(page, label).startswith("data:image/png")


def test_a_click_holds_the_dot_until_the_next(page: Any, report: Path) -> None:
    wait_for_explorer(page, report)
    dots = page.locator("#plot .dot")
    dots.nth(5).click(force=True)
    held = page.inner_text("#chosen")
    dots.nth(60).hover(force=True)
    assert page.inner_text("#chosen") == held
    dots.nth(60).click(force=True)
    assert page.inner_text("#chosen") != held


def test_the_keyboard_walks_over_the_dots(page: Any, report: Path) -> None:
    wait_for_explorer(page, report)
    page.focus("#plot")

    def entropy() -> float:
        text = page.inner_text("#chosen").split("entropy ")[1].split(" ")[0]
        return float(text.replace("−", "-"))

    page.keyboard.press("ArrowLeft")
    start = entropy()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    assert entropy() < start
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert entropy() > start


def test_a_click_on_the_entropy_map_takes_the_nearest_patch(page: Any, report: Path) -> None:
    wait_for_explorer(page, report)
    assert page.locator("#overlay").is_visible()
    page.locator("#position").scroll_into_view_if_needed()
    box = page.locator("#position").bounding_box()
    places = []
    for x, y in ((0.1, 0.15), (0.9, 0.85)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        text = page.inner_text("#chosen")
        places.append([int(v) for v in text.split("HR pixel (")[1].split(")")[0].split(",")])
        mark = page.locator("#marks .chosen").bounding_box()
        assert abs(mark["x"] + mark["width"] / 2 - box["x"] - x * box["width"]) < 60
    assert places[0][0] < places[1][0] and places[0][1] < places[1][1]


def test_an_image_can_be_chosen_by_name(page: Any, report: Path) -> None:
    wait_for_explorer(page, report)
    options = page.locator("#image-choice option").all_inner_texts()
    assert len(options) == 3 and any("onerror" in text for text in options)
    page.select_option("#image-choice", index=1)
    assert options[1].split(" (entropy")[0][:20] in page.inner_text("#chosen")


def test_the_view_is_dragged_and_moved_by_keys(page: Any, comparison: Path) -> None:
    page.goto(comparison.as_uri())
    page.locator("#view").scroll_into_view_if_needed()
    box = page.locator("#view").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], middle, steps=4)
    page.mouse.up()
    assert abs(int(page.input_value("#split")) - 20) <= 2
    clip = page.locator("#before").evaluate("image => getComputedStyle(image).clipPath")
    assert "inset" in clip
    page.keyboard.press("ArrowRight")
    assert abs(int(page.input_value("#split")) - 21) <= 2
    before = page.get_attribute("#after", "src")
    page.select_option("#right", "hr")
    page.select_option("#place", index=1)
    assert page.get_attribute("#after", "src") != before
    assert page.inner_text("#right-name") == "hr"


def test_the_table_sorts_by_number(page: Any, comparison: Path) -> None:
    page.goto(comparison.as_uri())
    head = page.locator("table.sortable thead button").nth(1)

    def order() -> list[str]:
        return [str(t) for t in page.locator("table.sortable tbody th").all_inner_texts()]

    head.click()
    up = order()
    assert page.locator("table.sortable thead th").nth(1).get_attribute("aria-sort") == "ascending"
    head.focus()
    page.keyboard.press("Enter")
    assert order() == up[::-1]
    assert order()[0] == "hr"  # PSNR of the ground truth is infinite


def test_the_comparisons_explorer_shows_the_models(page: Any, comparison: Path) -> None:
    wait_for_explorer(page, comparison)
    captions = page.locator("#pictures figcaption").all_inner_texts()
    assert "plain" in captions and HOSTILE in captions
    shown = {picture(page, name) for name in ("plain", HOSTILE, "ground truth", "center")}
    assert len(shown) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser: Any, report: Path, scheme: str) -> None:
    opened = browser.new_page(color_scheme=scheme)
    opened.goto(report.as_uri())
    style = "getComputedStyle(document.body)"
    color, ground = opened.evaluate(f"[{style}.color, {style}.backgroundColor]")
    opened.close()

    def light(text: str) -> float:
        channels = [int(v) / 255 for v in text[text.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(color), light(ground)), reverse=True)
    assert (high + 0.05) / (low + 0.05) > 7  # WCAG AAA
    assert (light(ground) > 0.5) == (scheme == "light")


def test_a_narrow_window_needs_no_sideways_scrolling(browser: Any, report: Path) -> None:
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.goto(report.as_uri())
    opened.wait_for_selector("#explorer-view:not([hidden])")
    width = opened.evaluate("document.documentElement.scrollWidth")
    opened.close()
    assert width <= 390


def test_the_view_of_a_notebook_is_the_same_explorer(page: Any, report: Path) -> None:
    view = coo.load(report.parent).explore()
    host = report.parent.parent / "notebook.html"
    host.write_text(f"<!doctype html><title>t</title>{view._repr_html_()}", encoding="utf-8")
    page.goto(host.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#explorer-view:not([hidden])").wait_for()
    assert frame.locator("#plot .dot").count() > 100
