"""The report, the sentences in it, the notebook card and the schema of the summary."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cooanalysis.report import analysis as html
from cooanalysis.report import render_report, summary_card, write_report
from cooanalysis.report import sentences as words
from cooanalysis.report.sentences import Number
from cooanalysis.results import Result
from cooanalysis.schemas import load_schema
from tests.helpers.fake_result import fake_result

HOSTILE = "<script>alert(1)</script>.png"
QUOTES = "\"' onerror='alert(2)' $x^2$ {{ 7*7 }}.png"
LONE_SURROGATE = "caf\udce9.png"
PIXEL = bytes.fromhex("89504e470d0a1a0a")


@pytest.fixture(scope="module")
def result() -> Result:
    return fake_result(missing_spaces=("deep",))


@pytest.fixture(scope="module")
def rendered(result: Result) -> str:
    return render_report(result)


def estimate(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "ci_low": low, "ci_high": high}


def without_numbers(value: Any) -> Any:
    """The summary as if every estimate were NaN."""
    if isinstance(value, dict):
        if "ci_low" in value:
            return value | estimate(None, None, None)
        return {key: without_numbers(item) for key, item in value.items()}
    return [without_numbers(item) for item in value] if isinstance(value, list) else value


class Page(HTMLParser):
    """Collects what a browser would load, and the outline."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


class TestPage:
    def test_is_self_contained(self, rendered: str) -> None:
        page = Page(rendered)
        loads = [
            value
            for tag, attributes in page.tags
            for name, value in attributes.items()
            if name in ("src", "srcset", "data", "poster", "action")
            or (name == "href" and tag != "a")
        ]
        assert loads and all(str(value).startswith("data:image/png;base64,") for value in loads)
        links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
        assert links == ["https://arxiv.org/abs/2201.01034"]
        assert not re.search(r"@import|url\(", rendered)
        assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed"}
        assert sum(tag == "script" for tag, _ in page.tags) == 1

    def test_allows_no_script_but_its_own(self, rendered: str) -> None:
        script = rendered[rendered.rindex("<script>") + 8 : rendered.rindex("</script>")]
        policy = next(
            str(attributes["content"])
            for _, attributes in Page(rendered).tags
            if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy

    def test_is_accessible(self, rendered: str) -> None:
        page = Page(rendered)
        images = [attributes for tag, attributes in page.tags if tag == "img"]
        assert len(images) == 6
        assert all(len(image["alt"] or "") > 20 for image in images)
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
        tags = [tag for tag, _ in page.tags]
        assert tags.count("table") == tags.count("caption")
        names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(names) == len(set(names))

    def test_tells_what_it_must(self, result: Result) -> None:
        text = render_report(result, {})
        for part in (
            "Fake images", "Before you trust", "pixel distances call blur clean", "no weights",
            "broken.png", "not an image", "ours, not the paper", "arXiv:2201.01034",
            "recall@128", "patch_width", "a made-up reason", "5×5",
        ):  # fmt: skip
            assert part in text

    def test_escapes_names_of_files(self) -> None:
        result = fake_result(names=(HOSTILE, QUOTES, "a", "b", "c", "d"), n=300)
        summary = copy.deepcopy(result.summary)
        summary["dataset"]["title"] = HOSTILE
        summary["reference"] |= {"title": QUOTES, "same_as_dataset": False}
        summary["skipped"] = [{"name": QUOTES, "path": HOSTILE, "reason": LONE_SURROGATE}]
        summary["leakage"]["pairs"][0] |= {"query": HOSTILE, "reference": QUOTES}
        summary["warnings"] = [
            {"code": "text", "facts": {"text": HOSTILE}},
            {"code": HOSTILE, "facts": {HOSTILE: HOSTILE}},
            {"code": "feature_space_missing", "facts": {"space": HOSTILE, "reason": QUOTES}},
        ]
        summary["config"]["dataset"] = QUOTES
        summary["manifold"]["subbands"]["title"] = HOSTILE
        summary["entropy"]["gaussian"]["reliability"] |= {"trusted": False, "reason": HOSTILE}
        result = replace(result, summary=summary)
        for text in (render_report(result, {}), summary_card(summary)):
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)" in text
            assert not any("onerror" in attributes for _, attributes in Page(text).tags)
        assert "{{ 7*7 }}" in render_report(result, {})

    def test_is_written(self, result: Result, tmp_path: Path) -> None:
        path = write_report(result, tmp_path / "report.html", {"detail_energy": PIXEL})
        text = path.read_text(encoding="utf-8")
        assert text.count("data:image/png;base64,") == 1
        assert text.rstrip().endswith("</html>")

    def test_survives_missing_numbers(self, result: Result) -> None:
        bare = fake_result(estimators=("gaussian",), spaces=(), n_maps=0, n_examples=0, n=200)
        summary = without_numbers(bare.summary) | {
            "two_sample_auc": {"space": "subbands"}, "peak_rss_bytes": None, "recall_at_k": None,
            "detail_energy_by_decile": [],
        }  # fmt: skip
        bare = replace(bare, summary=summary, groups=bare.groups.drop(columns="mmse_floor"))
        text = render_report(bare)
        assert "not available" in text and not re.search(r"\bnan\b", text.lower())
        assert "None" not in re.sub(r"<details>.*?</details>", "", text, flags=re.S)
        assert "map_images is 0" in text
        assert "not available" in summary_card(summary)

    def test_same_result_same_page(self, result: Result) -> None:
        assert render_report(result, {}) == render_report(result, {})


class TestWords:
    @pytest.mark.parametrize(
        ("numbers", "claim"),
        [
            ((0.95, 0.9, 0.97), "The law holds:"),
            ((0.6, 0.4, 0.7), "holds weakly"),
            ((0.2, -0.1, 0.4), "from chance"),
            ((-0.5, -0.6, -0.4), "does not hold"),
            ((0.95, None, None), "nothing is claimed"),
            ((None, None, None), "could not be measured"),
        ],
    )
    def test_law_claims_what_the_interval_supports(self, numbers: Any, claim: str) -> None:
        assert claim in words.law({"spearman_entropy_center_distance": estimate(*numbers)})

    @pytest.mark.parametrize(
        ("first", "last", "claim"),
        [
            ((0.08, 0.07, 0.09), (0.02, 0.01, 0.03), "falling from 8.0 %"),
            ((0.02, 0.01, 0.03), (0.08, 0.07, 0.09), "rising from 2.0 %"),
            ((0.04, 0.02, 0.07), (0.02, 0.01, 0.03), "do not exclude"),
            ((0.04, None, None), (0.02, None, None), "do not exclude"),
        ],
    )
    def test_detail(self, first: Any, last: Any, claim: str) -> None:
        rows = [{"retained": estimate(*first)}, {"retained": estimate(*last)}]
        summary = {
            "detail_energy": estimate(0.04, 0.03, 0.05), "detail_energy_by_decile": rows
        }  # fmt: skip
        assert claim in words.detail(summary)

    @pytest.mark.parametrize(
        ("center", "claim"),
        [
            ((1.31, 1.29, 1.33), "1.31× (1.29–1.33) as far from clean patches"),
            ((1.0, 0.9, 1.1), "cannot be told from clean"),
            ((0.8, 0.7, 0.9), "says nothing about their sharpness"),
            ((1.3, None, None), "could not be measured"),
        ],
    )
    def test_manifold(self, center: Any, claim: str) -> None:
        space = {
            "title": "t", "center_ratio": estimate(*center),
            "bicubic_ratio": estimate(1.7, 1.6, 1.8), "warning": None,
        }  # fmt: skip
        assert claim in words.manifold({"manifold": {"subbands": space}})

    def test_manifold_never_speaks_for_a_space_with_a_warning(self) -> None:
        space = {"title": "pixels", "center_ratio": estimate(0.5, 0.4, 0.6), "warning": "no"}
        missing = {"missing": "no weights"}
        text = words.manifold({"manifold": {"pixels": space, "deep": missing}})
        assert "could not be measured reliably" in text

    def test_ceiling_says_what_it_holds_for(self, result: Result) -> None:
        text = words.ceiling(result.summary)
        assert "sees only a 5×5 LR patch" in text and "this reference set" in text
        gap = {"center": Number(1.7, 1.5, 1.9)}
        assert "1.70 dB (1.50–1.90) below" in words.ceiling(result.summary, gap)

    def test_ceiling_below_the_center_is_called_wrong(self) -> None:
        summary = {
            "psnr_ceiling_db": estimate(27, 26, 28), "psnr_center_db": estimate(30, 29, 31)
        }  # fmt: skip
        assert "cannot be trusted" in words.ceiling(summary)
        summary["psnr_ceiling_db"] |= {"trusted": False, "reason": "groups mix"}
        text = words.ceiling(summary)
        assert "not trusted, because groups mix" in text and "no method" not in text

    def test_numbers(self) -> None:
        assert Number.of(estimate(float("nan"), 1, 2)).text(2) == "not available"
        assert Number.of(None).text(2) == "not available"
        assert Number.of(estimate(-1.5, -2, -1)).text(1) == "−1.5 (−2.0 to −1.0)"
        assert Number.of(estimate(1.5, None, 2)).text(1, " dB") == "1.5 dB"
        assert words.seconds(4000) == "1 h 6 min" and words.size(None) == "not available"

    def test_kmeans_and_own_reference(self, result: Result) -> None:
        summary = copy.deepcopy(result.summary)
        summary["engine"]["grouping"] = summary["config"]["grouping"] = "kmeans"
        summary["reference"]["same_as_dataset"] = False
        summary["recall_at_k"] = None
        assert "same cluster" in words.question(summary)
        assert "k-means" in words.recall(summary) and "k-means" in words.grouping(summary)


def test_paired_gaps_and_bound(result: Result) -> None:
    gaps = html.paired_gaps(result)
    difference = (
        result.summary["psnr_ceiling_db"]["value"] - result.summary["psnr_center_db"]["value"]
    )
    assert gaps["center"].value == pytest.approx(difference)
    assert gaps["center"].above(0.0)
    assert html.share_below_bound(result)["gaussian"] == 0.0


class TestSchema:
    def test_fake_summary_is_valid(self, result: Result) -> None:
        schema = load_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        for summary in (result.summary, without_numbers(result.summary)):
            jsonschema.validate(json.loads(json.dumps(summary)), schema)

    def test_every_key_is_described(self, result: Result) -> None:
        schema = load_schema()
        assert set(schema["properties"]) == set(result.summary) == set(schema["required"])
        assert all("description" in entry for entry in schema["properties"].values())

    @pytest.mark.parametrize("key", ["entropy", "psnr_ceiling_db", "detail_energy", "scale"])
    def test_wrong_summaries_are_refused(self, result: Result, key: str) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(result.summary | {key: "1"}, load_schema())
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                {k: v for k, v in result.summary.items() if k != key}, load_schema()
            )
