"""Reports of images and models with hostile names, in a real browser: no script runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cooanalysis as coo
from cooanalysis.data import upsample

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be on Windows"),
    pytest.mark.slow,
]

RUN = "window.hacked=1;document.title='hacked'"
HOSTILE = (
    f"<script>{RUN}<\\script>",
    f'"><img src=x onerror="{RUN}">',
    f"' onmouseover='{RUN}' x='",
    "{{7*7}} {% raw %} ${7*7}",
    f"javascript:{RUN}",
    "\u202egnp.exe \u2066\u200b",
    f"new\nline`${{{RUN}}}`",
    f"-->;<svg onload={RUN}>",
    f"]]>{RUN}",
    f"&lt;script&gt;{RUN}",
    f"</title><script>{RUN}</script>".replace("/", "\u2215"),
    f"\\u003cscript\\u003e{RUN}",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("data") / HOSTILE[1].replace("/", "")
    target.mkdir()
    rng = np.random.default_rng(0)
    for name in HOSTILE:
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(target / f"{name}.png")
    (target / f"broken {HOSTILE[0]}.png").write_bytes(b"x")  # its name stands in the warnings
    return target


@pytest.fixture(scope="module")
def reports(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("runs")
    small: dict[str, Any] = {
        "queries": 240, "k": 32, "stride": 1, "manifold_reference": 300, "map_images": 1,
        "features": ("subbands",), "subspace_dim": 8,
    }  # fmt: skip
    coo.analyze(folder, out=out / "analysis", estimators=("gaussian",), ceiling_queries=30, **small)

    def bicubic(lr: np.ndarray) -> np.ndarray:
        return np.rint(np.clip(upsample(lr, 4), 0, 255)).astype(np.uint8)

    models: dict[str, Any] = {"hr": "hr"} | dict.fromkeys(HOSTILE, bicubic)
    coo.compare(folder, models, out=out / "comparison", metrics=["psnr_y"], crops=2, cache=False,
                **small)  # fmt: skip
    return [out / name / "report.html" for name in ("analysis", "comparison")]


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = driver.chromium.launch(executable_path=browser_path, args=options)
        yield opened
        opened.close()


@pytest.mark.parametrize("which", [0, 1], ids=["analysis", "comparison"])
def test_no_script_of_a_name_runs(which: int, reports: list[Path], browser: Any) -> None:
    page = browser.new_page(offline=True)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:"))
            else faults.append(r.url))  # fmt: skip
    page.goto(reports[which].as_uri())
    # Everything that shows more when it is touched: menus, explorer, sortable headings.
    for select in page.query_selector_all("select"):
        for index in range(min(15, len(select.query_selector_all("option")))):
            if select.is_visible():
                select.select_option(index=index)
    for element in page.query_selector_all("canvas, button, th, summary, a[href^='#']")[:60]:
        if element.is_visible():
            element.hover(force=True)
            element.click(force=True)
            page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert faults == []
    assert page.evaluate("window.hacked") is None
    assert page.title() != "hacked"
    handlers = "document.querySelectorAll('[onerror], [onload], [onmouseover]').length"
    assert page.evaluate(handlers) == 0
    all_links = "[...document.querySelectorAll('[href],[src]')].map(e => e.href || e.src)"
    links = page.evaluate(all_links)
    assert not [link for link in links if str(link).lower().startswith("javascript:")]
    page.close()


def test_hostile_names_are_shown_as_they_are(reports: list[Path], browser: Any) -> None:
    """Escaped once and not twice, and never evaluated."""
    page = browser.new_page(offline=True)
    page.goto(reports[1].as_uri())
    text = " ".join(page.evaluate("document.body.textContent").split())
    page.close()
    for name in HOSTILE:
        assert " ".join(name.split()) in text, name
