"""Older Pythons, other systems, older and newer files."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cooanalysis as coo
from cooanalysis.errors import CooError, RunDirectoryError
from cooanalysis.report import render_report
from cooanalysis.runtime.npz import read_arrays, write_arrays
from cooanalysis.runtime.run_directory import SCHEMA_VERSION, read_plain_summary, summary_text
from tests.helpers import ROOT

SOURCES = sorted((ROOT / "cooanalysis").rglob("*.py"))
RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.I)
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[ .]$')


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_syntax_is_that_of_python_3_10(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_no_module_of_a_newer_python() -> None:
    newer = {"tomllib", "compression", "annotationlib"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not newer & {alias.name for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                assert node.module not in newer, path
                if node.module == "typing":
                    assert not names & {"Self", "override", "Never", "assert_never", "reveal_type"}
                if node.module == "datetime":
                    assert "UTC" not in names, path


@pytest.mark.slow
def test_names_of_all_files_are_possible_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    # Figures with nothing in them: names are what matters here, and drawing is slow.
    monkeypatch.setattr("cooanalysis.plots.registry.save_figure", lambda figure, file, kind: None)
    options: dict[str, object] = {"scale": 2, "queries": 100, "k": 16, "subspace_dim": 4,
                                  "features": ("subbands",), "manifold_reference": 200,
                                  "map_images": 1, "device": "cpu"}  # fmt: skip
    coo.analyze(
        "sample", out=tmp_path / "a", estimators=("gaussian",), ceiling_queries=10, **options
    )
    models = {'con: <"?*|>': lambda lr: np.zeros((lr.shape[0] * 2, lr.shape[1] * 2, 3), np.uint8)}
    coo.compare("sample", models, out=tmp_path / "b", metrics=["psnr_y"], crops=1, cache=False,
                **options)  # fmt: skip
    written = [path for path in tmp_path.rglob("*")]
    assert len(written) > 20
    for path in written:
        assert not RESERVED.match(path.name) and not FORBIDDEN.search(path.name), path
        assert len(str(path.relative_to(tmp_path))) < 100


def test_validation_images_get_possible_names(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    from cooanalysis.training.validate import safe_name

    for name in ('a<b>:"|?*', "a/b\\c", "tab\t", "end.", "end ", "con", "NUL.x", "", "\u202e", "ü"):
        found = safe_name(name)
        assert not RESERVED.match(found) and not FORBIDDEN.search(found), name
    assert safe_name("set5-baby_x4.1") == "set5-baby_x4.1"
    assert safe_name("a:b") != safe_name("a|b")
    assert len(safe_name("x" * 400)) < 200


# -- Versions of files -----------------------------------------------------------------------


def write_version(folder: Path, version: object) -> Path:
    (folder / "summary.json").write_text(json.dumps({"schema_version": version}))
    return folder


def test_a_newer_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="newer version of cooanalysis.*upgrade"):
        read_plain_summary(write_version(tmp_path, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_older_version_is_read(version: int, tmp_path: Path) -> None:
    assert read_plain_summary(write_version(tmp_path, version))["schema_version"] == version


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0, None])
def test_what_is_not_a_version_is_refused(version: object, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        read_plain_summary(write_version(tmp_path, version))


OLD = ROOT / "experiments" / "robustness" / "old_runs"
"""Runs of version 1, cut down; their summaries are whole."""


def numbers(value: object, path: str = "") -> dict[str, object]:
    """Every number and null in plain values, by its path."""
    parts: dict[str, object] = {}
    if isinstance(value, dict):
        parts = {f"{path}.{key}": part for key, part in value.items()}
    elif isinstance(value, list):
        parts = {f"{path}[{number}]": part for number, part in enumerate(value)}
    if parts:
        return {k: v for key, part in parts.items() for k, v in numbers(part, key).items()}
    return {} if isinstance(value, (str, bool, dict, list)) else {path: value}


def test_an_analysis_of_version_1_opens_and_shows_everything() -> None:
    old = json.loads((OLD / "analysis" / "summary.json").read_text(encoding="utf-8"))
    assert old["schema_version"] == 1
    result = coo.load(OLD / "analysis")
    summary = result.summary
    new = numbers(json.loads(summary_text(summary)))
    kept = numbers(old) | {".schema_version": SCHEMA_VERSION}
    assert {path: new[path] for path in kept} == kept
    assert {path for path in new if path not in kept} == {
        ".manifold.subbands.missing", ".manifold.pixels.missing",
    }  # fmt: skip
    assert summary.resampled == "images"
    assert (summary.config.color, summary.config.normalize) == ("y", True)
    assert not summary.psnr_ceiling_db.reliable
    assert summary.psnr_ceiling_db.reason == "center_not_clearly_below"
    for entropy in summary.entropy.values():
        assert entropy.reliability.reliable
        assert entropy.reliability.reason == "bias_within_tolerance"
    assert [notice.code for notice in summary.warnings] == ["legacy"]
    assert [notice.facts["text"] for notice in summary.warnings] == old["warnings"]
    page = render_report(result, {})
    assert old["warnings"][0][1:] in page.replace("&#39;", "'") and result.explored is None


def test_a_comparison_of_version_1_opens() -> None:
    from cooanalysis.comparison.files import read_summary

    old = json.loads((OLD / "comparison" / "summary.json").read_text(encoding="utf-8"))
    summary = read_summary(OLD / "comparison")
    kept = numbers(old) | {".schema_version": SCHEMA_VERSION}
    new = numbers(json.loads(summary_text(summary)))
    assert {path: new[path] for path in kept} == kept
    # What version 1 did not measure is missing, not made up.
    added = {path: value for path, value in new.items() if path not in kept}
    assert added and set(added.values()) == {None}
    assert summary.config.analysis.color == "y" and summary.resampled == "images"
    assert [notice.facts["text"] for notice in summary.warnings] == old["warnings"]
    assert summary.kinds == {"bicubic": "bicubic", "hr": "hr", "edsr-small-x4-l1": "checkpoint"}


def edited_old(folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(OLD / "analysis", folder)
    plain = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    edit(plain)
    (folder / "summary.json").write_text(json.dumps(plain), encoding="utf-8")
    return folder


def test_what_the_first_releases_did_not_write_is_not_available(tmp_path: Path) -> None:
    def strip(plain: dict[str, Any]) -> None:
        del plain["detail_energy_by_chance"], plain["engine"]["workers"]
        del plain["psnr_ceiling_db"]["half_k_db"], plain["two_sample_auc"]["center"]
        del plain["psnr_ceiling_db"]["trusted"], plain["psnr_ceiling_db"]["reason"]
        for row in plain["detail_energy_by_decile"]:
            del row["by_chance"]
        plain["manifold"]["deep"] = {"missing": "no weights"}
        plain["entropy"]["copula"]["reliability"] |= {"trusted": False, "bias": None}
        plain["uncertainty"] = "95 % bootstrap interval over single patches (too few images)"

    summary = coo.load(edited_old(tmp_path / "run", strip)).summary
    assert summary.detail_energy_by_chance.value is None
    assert summary.engine.workers is None and summary.psnr_ceiling_db.half_k_db is None
    assert summary.psnr_ceiling_db.reliable and summary.two_sample_auc.center.value is None
    assert summary.detail_energy_by_decile[0].by_chance is None
    deep = summary.manifold["deep"]
    assert deep.missing == "no weights" and deep.center_ratio_by_quartile[3].value is None
    assert summary.entropy["copula"].reliability.reason == "singular_covariance"
    assert summary.resampled == "patches"


@pytest.mark.parametrize(
    "key",
    ["entropy", "psnr_ceiling_db", "detail_energy_by_decile", "manifold", "two_sample_auc",
     "engine", "config", "skipped", "dataset"],
)  # fmt: skip
@pytest.mark.parametrize("value", [5, "x", [5], {"a": 5}])
def test_damaged_runs_of_version_1_are_refused_by_name(
    key: str, value: object, tmp_path: Path
) -> None:
    folder = edited_old(tmp_path / "run", lambda plain: plain.update({key: value}))
    with pytest.raises(RunDirectoryError, match=rf"(?s)summary\.json is damaged.*{key}"):
        coo.load(folder)


def test_decoded_images_of_another_version_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.data import decoded, resolve

    dataset = resolve("sample", scale=2)
    first = decoded._key(dataset, "y")
    monkeypatch.setattr(decoded, "SCHEMA_VERSION", decoded.SCHEMA_VERSION + 1)
    assert decoded._key(dataset, "y") != first


def test_checkpoints_of_another_format_are_passed_over(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    from cooanalysis.training import checkpoint

    state = dict.fromkeys(checkpoint._ALWAYS, 0) | {"fingerprint": "f"}
    notes: list[str] = []
    for number in (checkpoint.FORMAT, checkpoint.FORMAT + 1, "x"):
        torch.save(state | {"format": number}, checkpoint.path_of(tmp_path, 1))
        found = checkpoint.newest(tmp_path, "f", notes.append)
        assert (found is not None) == (number == checkpoint.FORMAT)
    assert len(notes) == 2 and all("format" in note for note in notes)


def test_weights_of_another_format_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    pytest.importorskip("torch")
    from cooanalysis.models import build, load_weights, save_weights, weights

    path = tmp_path / "w.safetensors"
    options = {"features": 4, "blocks": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "FORMAT", "2")
        save_weights(path, build("edsr", scale=2, **options), name="edsr", scale=2, options=options)
    with pytest.raises(CooError, match="update cooanalysis"):
        load_weights(path)


def test_arrays_are_written_alike_by_every_numpy(tmp_path: Path) -> None:
    """Before version 2.2, NumPy's own way to forbid objects became an array of that name."""
    for compress in (False, True):
        write_arrays(tmp_path / "a.npz", {"x": np.arange(3)}, compress=compress)
        assert list(read_arrays(tmp_path / "a.npz")) == ["x"]
    with pytest.raises(TypeError, match="objects cannot be kept"):
        write_arrays(tmp_path / "b.npz", {"x": np.array([SimpleNamespace()], object)})
    assert not (tmp_path / "b.npz").exists()
