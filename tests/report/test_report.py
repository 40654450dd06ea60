"""The report, the sentences in it, the notebook card and the schema of the summary."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from cooanalysis.analysis.summary_record import (
    NOT_AVAILABLE,
    AnalysisSummary,
    CeilingCode,
    Interval,
    Resampled,
)
from cooanalysis.measures.bootstrap import Estimate
from cooanalysis.measures.entropy import ReliabilityCode
from cooanalysis.report import analysis as html
from cooanalysis.report import computation, render_report, summary_card, write_report
from cooanalysis.report import verdict as sentences
from cooanalysis.report.numbers import Number, images, seconds, size
from cooanalysis.report.reasons import ceiling_reason, intervals, reliability_reason
from cooanalysis.results import Result, summary_schema
from tests.helpers.fake_result import edited, fake_result

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


def interval(value: float | None, low: float | None, high: float | None) -> Interval:
    return Interval(value=value, ci_low=low, ci_high=high)


def with_parts(result: Result, **parts: Any) -> AnalysisSummary:
    """The summary with other parts."""
    return replace(result.summary, **parts)


def without_numbers(value: Any) -> Any:
    """Plain values of a summary as if every estimate were NaN."""
    if isinstance(value, dict):
        if "ci_low" in value:
            return value | {"value": None, "ci_low": None, "ci_high": None}
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
            "Fake images", "Before you use", "pixel distances call blur clean", "no weights",
            "broken.png", "not an image", "ours, not the paper", "arXiv:2201.01034",
            "recall@128", "patch_width", "beyond the tolerance", "5×5",
        ):  # fmt: skip
            assert part in text

    def test_escapes_names_of_files(self) -> None:
        result = fake_result(names=(HOSTILE, QUOTES, "a", "b", "c", "d"), n=300)

        def poison(summary: dict[str, Any]) -> None:
            summary["dataset"]["title"] = HOSTILE
            summary["reference"] |= {"title": QUOTES, "same_as_dataset": False}
            summary["skipped"] = [{"name": QUOTES, "path": HOSTILE, "reason": LONE_SURROGATE}]
            pair = summary["leakage"]["pairs"][0] | {"query": HOSTILE, "reference": QUOTES}
            summary["leakage"]["pairs"] = [pair]
            summary["warnings"] = [
                {"code": "text", "facts": {"text": HOSTILE}},
                {"code": HOSTILE, "facts": {HOSTILE: HOSTILE}},
                {"code": "feature_space_missing", "facts": {"space": HOSTILE, "reason": QUOTES}},
            ]
            summary["config"]["dataset"] = QUOTES
            summary["manifold"]["subbands"]["title"] = HOSTILE
            summary["entropy"][HOSTILE] = summary["entropy"]["gaussian"] | {"unit": QUOTES}

        summary = edited(result.summary, poison)
        result = dataclasses.replace(result, summary=summary)
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
        plain = without_numbers(msgspec.to_builtins(bare.summary)) | {
            "peak_rss_bytes": None, "recall_at_k": None, "detail_energy_by_decile": [],
        }  # fmt: skip
        summary = msgspec.convert(plain, AnalysisSummary)
        bare = dataclasses.replace(
            bare, summary=summary, groups=bare.groups.drop(columns="mmse_floor")
        )
        text = render_report(bare)
        assert "not available" in text and not re.search(r"\bnan\b", text.lower())
        assert "None" not in re.sub(r"<details>.*?</details>", "", text, flags=re.S)
        assert "map_images is 0" in text
        assert "not available" in summary_card(summary)

    def test_same_result_same_page(self, result: Result) -> None:
        assert render_report(result, {}) == render_report(result, {})


class TestSentences:
    @pytest.mark.parametrize(
        ("numbers", "claim"),
        [
            ((0.95, 0.9, 0.97), "The relationship holds:"),
            ((0.6, 0.4, 0.7), "holds weakly"),
            ((0.2, -0.1, 0.4), "from chance"),
            ((-0.5, -0.6, -0.4), "does not hold"),
            ((0.95, None, None), "nothing is claimed"),
            ((None, None, None), "could not be measured"),
        ],
    )
    def test_relationship_claims_what_the_interval_supports(
        self, result: Result, numbers: Any, claim: str
    ) -> None:
        summary = with_parts(result, spearman_entropy_center_distance=interval(*numbers))
        assert claim in sentences.relationship(summary)

    @pytest.mark.parametrize(
        ("first", "last", "claim"),
        [
            ((0.08, 0.07, 0.09), (0.02, 0.01, 0.03), "falling from 8.0 %"),
            ((0.02, 0.01, 0.03), (0.08, 0.07, 0.09), "rising from 2.0 %"),
            ((0.04, 0.02, 0.07), (0.02, 0.01, 0.03), "do not exclude"),
            ((0.04, None, None), (0.02, None, None), "do not exclude"),
        ],
    )
    def test_detail(self, result: Result, first: Any, last: Any, claim: str) -> None:
        rows = result.summary.detail_energy_by_decile
        summary = with_parts(
            result,
            detail_energy=interval(0.04, 0.03, 0.05),
            detail_energy_by_decile=(
                replace(rows[0], retained=interval(*first)),
                replace(rows[-1], retained=interval(*last)),
            ),
        )
        assert claim in sentences.detail(summary)

    @pytest.mark.parametrize(
        ("center", "claim"),
        [
            ((1.31, 1.29, 1.33), "1.31× (1.29–1.33) as far from clean patches"),
            ((1.0, 0.9, 1.1), "cannot be distinguished from clean"),
            ((0.8, 0.7, 0.9), "says nothing about their sharpness"),
            ((1.3, None, None), "could not be measured"),
        ],
    )
    def test_manifold(self, result: Result, center: Any, claim: str) -> None:
        space = replace(result.summary.manifold["subbands"], center_ratio=interval(*center))
        assert claim in sentences.manifold(with_parts(result, manifold={"subbands": space}))

    def test_manifold_never_speaks_for_a_space_with_a_warning(self, result: Result) -> None:
        spaces = result.summary.manifold
        assert spaces["pixels"].warning and spaces["deep"].missing
        kept = {name: spaces[name] for name in ("pixels", "deep")}
        text = sentences.manifold(with_parts(result, manifold=kept))
        assert "could not be measured reliably" in text

    def test_ceiling_says_what_it_holds_for(self, result: Result) -> None:
        text = sentences.ceiling(result.summary)
        assert "sees only a 5×5 LR patch" in text and "this reference set" in text
        gap = {"center": Number(1.7, 1.5, 1.9)}
        assert "1.70 dB (1.50–1.90) below" in sentences.ceiling(result.summary, gap)

    def test_ceiling_below_the_center_is_called_wrong(self, result: Result) -> None:
        found = replace(result.summary.psnr_ceiling_db, value=27.0, ci_low=26.0, ci_high=28.0)
        center = interval(30.0, 29.0, 31.0)
        summary = with_parts(result, psnr_ceiling_db=found, psnr_center_db=center)
        assert "so the ceiling is unreliable" in sentences.ceiling(summary)
        doubted = replace(found, reliable=False, reason="center_not_clearly_below")
        text = sentences.ceiling(with_parts(result, psnr_ceiling_db=doubted))
        assert "unreliable, because the center of the groups does not stay" in text
        assert "no method" not in text

    def test_every_code_has_its_sentence(self, result: Result) -> None:
        for code in get_args(CeilingCode):
            assert "center" in ceiling_reason(code)
        found = result.summary.entropy["gaussian"].reliability
        texts = {reliability_reason(replace(found, reason=c)) for c in get_args(ReliabilityCode)}
        assert len(texts) == len(get_args(ReliabilityCode)) == 4
        assert "hyperplane" in reliability_reason(replace(found, reason="singular_covariance"))
        assert "n = 128, d = 24 are too small" in reliability_reason(
            replace(found, reason="too_few_members")
        )
        beyond = replace(found, reason="bias_beyond_tolerance", bias=-0.031)
        assert "bias −0.0310" in reliability_reason(beyond)
        assert "beyond the tolerance of 0.02" in reliability_reason(beyond)
        assert {"images", "single patches (too few images)"} == {
            intervals(resampled).removeprefix("95 % bootstrap interval over ")
            for resampled in get_args(Resampled)
        }

    def test_numbers(self) -> None:
        assert Number.of(Estimate(float("nan"), 1, 2)).text(2) == "not available"
        assert Number.of(NOT_AVAILABLE).text(2) == "not available"
        assert Number.of(interval(-1.5, -2, -1)).text(1) == "−1.5 (−2.0 to −1.0)"
        assert Number.of(interval(1.5, None, 2)).text(1, " dB") == "1.5 dB"
        assert Number.of(Estimate(1.5, 1, float("inf"))).text(1) == "1.5"
        assert seconds(4000) == "1 h 6 min" and size(None) == "not available"
        assert images(1) == "1 image" and images(1200) == "1,200 images"

    def test_kmeans_and_own_reference(self, result: Result) -> None:
        config = dataclasses.replace(result.summary.config, grouping="kmeans")
        reference = replace(result.summary.reference, same_as_dataset=False)
        summary = with_parts(result, config=config, reference=reference)
        assert "same cluster" in sentences.question(summary)
        assert "k-means" in computation.recall(None)
        assert "k-means" in computation.grouping(config)


def test_paired_gaps_and_bound(result: Result) -> None:
    gaps = html.paired_gaps(result)
    ceiling, center = result.summary.psnr_ceiling_db.value, result.summary.psnr_center_db.value
    assert ceiling is not None and center is not None
    difference = ceiling - center
    assert gaps["center"].value == pytest.approx(difference)
    assert gaps["center"].above(0.0)
    assert html.share_below_bound(result)["gaussian"] == 0.0


class TestSchema:
    def test_fake_summary_is_valid(self, result: Result) -> None:
        schema = summary_schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        plain = msgspec.to_builtins(result.summary)
        for summary in (plain, without_numbers(plain)):
            jsonschema.validate(json.loads(json.dumps(summary)), schema)

    @pytest.mark.parametrize("kind", ["analysis", "comparison"])
    def test_every_key_is_described(self, kind: Any) -> None:
        schema = summary_schema(kind)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert set(schema["properties"]) == set(schema["required"])
        parts = [schema, *schema["$defs"].values()]
        assert all(part["description"] for part in parts)
        assert not any("Attributes" in part["description"] for part in parts)
        names = {"AnalysisSettings", "CompareSettings", "Notice"}  # their docstrings describe them
        records = [schema, *(v for k, v in schema["$defs"].items() if k not in names)]
        fields = [field for record in records for field in record["properties"].values()]
        assert len(fields) > 40 and all(field["description"] for field in fields)

    @pytest.mark.parametrize(
        ("key", "said"),
        [("psnr_center_db", "dB"), ("mmse_floor", "peak = 1"), ("timings_s", "Seconds"),
         ("peak_rss_bytes", "bytes")],
    )  # fmt: skip
    def test_units_are_said(self, key: str, said: str) -> None:
        assert said in summary_schema()["properties"][key]["description"]

    @pytest.mark.parametrize("key", ["entropy", "psnr_ceiling_db", "detail_energy", "scale"])
    def test_wrong_summaries_are_refused(self, result: Result, key: str) -> None:
        schema, plain = summary_schema(), msgspec.to_builtins(result.summary)
        wrong = [plain | {key: "1"}, {k: v for k, v in plain.items() if k != key}]
        for summary in wrong:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(summary, schema)
            with pytest.raises(msgspec.ValidationError, match=key):
                msgspec.convert(summary, AnalysisSummary)
