"""The analysis as a whole: on small real photographs, and on BSD100 where the data is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cooanalysis as coo
from cooanalysis.analysis.plan import Plan
from cooanalysis.analysis.run import run_analysis
from cooanalysis.analysis.summary_record import LrSource
from cooanalysis.data import downsample, rgb_to_y, sample_pairs, upsample
from cooanalysis.errors import (
    ConfigError,
    DatasetNotFoundError,
    ImageError,
    NotEnoughDataError,
    RunDirectoryError,
)
from cooanalysis.runtime.notices import Notice
from cooanalysis.runtime.run_directory import Checkpoints, summary_text

SMALL = {
    "queries": 400,
    "k": 32,
    "subspace_dim": 8,
    "ceiling_queries": 100,
    "manifold_reference": 1000,
    "map_images": 1,
    "features": ("subbands",),
}


def codes(result: coo.Result) -> list[str]:
    """Codes of the warnings."""
    return [notice.code for notice in result.summary.warnings]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small crops of real photographs."""
    folder = tmp_path_factory.mktemp("photos")
    for pair in sample_pairs()[:6]:
        image = Image.open(pair.hr_path).convert("RGB")
        image.crop((0, 0, 200, 160)).save(folder / f"{pair.name}.png")
    return folder


@pytest.fixture(scope="module")
def result(photos: Path) -> coo.Result:
    return coo.analyze(photos, **SMALL)


def warned_of(result: coo.Result, part: str) -> bool:
    return any(part in str(notice.facts["text"]) for notice in result.summary.warnings)


def test_summary_has_the_documented_shape(result: coo.Result) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from cooanalysis.results import summary_schema

    jsonschema.validate(json.loads(summary_text(result.summary)), summary_schema())
    assert result.summary.n_queries == len(result.groups) == 400
    assert result.summary.reference.same_as_dataset
    assert result.summary.engine.index == "exact"


def test_groups_obey_what_must_hold_exactly(result: coo.Result) -> None:
    groups = result.groups
    # The variance of a group splits into the energy of its center and the spread around it.
    spread = groups["center_rms"] ** 2 + groups["center_energy"]
    np.testing.assert_allclose(spread, groups["member_energy"], rtol=1e-3)
    assert (groups["center_min"] <= groups["center_rms"] * 1.0001).all()
    assert (groups["lr_std"] >= 2 / 255 - 1e-6).all()
    absolute = groups["entropy_gaussian"] + np.log(groups["lr_std"])
    np.testing.assert_allclose(groups["entropy_abs_gaussian"], absolute, rtol=1e-5, atol=1e-6)
    assert groups["mmse_floor"].notna().sum() == 100


def test_a_ceiling_that_the_center_beats_is_unreliable(result: coo.Result) -> None:
    """2,484 reference patches are far too few: groups mix LR patches that differ."""
    summary = result.summary
    assert summary.psnr_center_db.value > 10
    assert not summary.psnr_ceiling_db.reliable
    assert "ceiling_unreliable" in codes(result)


def test_same_seed_same_values_other_seed_other_values(photos: Path, result: coo.Result) -> None:
    again = coo.analyze(photos, **SMALL)
    pd.testing.assert_frame_equal(result.groups, again.groups, check_exact=True)
    pd.testing.assert_frame_equal(result.maps, again.maps, check_exact=True)
    other = coo.analyze(photos, **SMALL, seed=1)
    assert not other.groups["y"].equals(result.groups["y"])


def test_shards_do_not_change_results(
    photos: Path, result: coo.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.analysis import groups, measure

    monkeypatch.setattr(groups, "SEARCH_SHARD", 64)
    monkeypatch.setattr(measure, "GROUP_SHARD", 50)
    again = coo.analyze(photos, **SMALL)
    for column in result.groups.columns[1:]:
        np.testing.assert_allclose(
            again.groups[column], result.groups[column], rtol=1e-4, atol=1e-5, err_msg=column
        )


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2},
        {"scale": 3, "patch_width": 4},
        {"scale": 8, "patch_width": 3, "stride": 1},
        {"color": "rgb"},
        {"normalize": False},
        {"grouping": "kmeans", "clusters": 20},
        {"estimators": ("copula",)},
        {"index": "hnsw"},
        {"index": "pq"},
        {"map_images": 0, "ceiling_queries": 0},
    ],
    ids=str,
)
def test_every_kind_of_run_finishes(photos: Path, options: dict[str, object]) -> None:
    result = coo.analyze(photos, **(SMALL | options))
    assert len(result.groups) > 100
    first = result.summary.config.estimators[0]
    column = "entropy_" + first.replace("-", "_")
    assert np.isfinite(result.groups[column]).mean() > 0.9
    summary = result.summary
    assert summary.spearman_entropy_center_distance.value > 0.5
    if options.get("ceiling_queries") == 0:
        assert summary.psnr_ceiling_db.value is None


@pytest.mark.usefixtures("no_figures")
def test_one_bad_file_does_not_spoil_a_run(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Image.new("RGB", (8, 8)).save(folder / "tiny.png")
    odd = os.fsdecode(b"caf\xe9.png")  # not UTF-8
    try:
        Image.open(sorted(photos.iterdir())[0]).save(folder / odd)
        (folder / os.fsdecode(b"br\xf6ken.png")).write_bytes(b"")
        expected = {"broken", "tiny", "br\\udcf6ken"}
    except OSError:  # this file system takes UTF-8 only
        expected = {"broken", "tiny"}
    result = coo.analyze(folder, **SMALL, out=tmp_path / "run")
    skipped = {item.name: item.reason for item in result.summary.skipped}
    assert set(skipped) == expected
    assert "too small" in skipped["tiny"]
    assert Notice("images_skipped", {"n_files": len(expected)}) in result.summary.warnings
    with pytest.raises(ImageError, match="cannot"):
        coo.analyze(folder, **SMALL, strict=True)


def test_few_images_are_warned_of_wherever_a_result_is_shown(photos: Path, tmp_path: Path) -> None:
    for path in sorted(photos.iterdir())[:2]:
        (tmp_path / path.name).symlink_to(path)
    found = coo.analyze(tmp_path, **SMALL | {"queries": 5000, "map_images": 0})
    facts = {"n_images": 2, "needed": 5, "compared": False}
    assert Notice("few_images", facts) in found.summary.warnings
    assert "only 2 images" in found._repr_html_()
    fewer = {"n_queries": found.summary.n_queries, "wanted": 5000}
    assert Notice("fewer_queries", fewer) in found.summary.warnings


def test_leaked_images_are_excluded_and_said_so(photos: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    others = [pair for pair in sample_pairs()[6:10]]
    for pair in others:
        Image.open(pair.hr_path).convert("RGB").crop((0, 0, 200, 160)).save(
            reference / f"{pair.name}.png"
        )
    stolen = sorted(photos.iterdir())[0]
    Image.open(stolen).save(reference / "copy.jpg", quality=85)
    Image.open(sorted(photos.iterdir())[1]).crop((40, 40, 200, 160)).save(reference / "crop.png")

    clean = coo.analyze(photos, reference=reference, **SMALL)
    leakage = clean.summary.leakage
    assert leakage.excluded
    found = {(pair.query, pair.reference) for pair in leakage.pairs}
    assert (stolen.stem, "copy") in found
    assert any(reference_name == "crop" for _, reference_name in found)
    assert "leaks_excluded" in codes(clean) and "leaks_included" not in codes(clean)

    leaky = coo.analyze(photos, reference=reference, **SMALL, exclude_leaks=False)
    # The ground truth among the members: the shell around it would seem closer than it is.
    mine = clean.groups["image"] == stolen.stem
    assert (
        leaky.groups.loc[mine, "manifold_subbands_clean"].mean()
        < clean.groups.loc[mine, "manifold_subbands_clean"].mean()
    )
    assert "leaks_included" in codes(leaky) and "leaks_excluded" not in codes(leaky)


@pytest.mark.usefixtures("no_figures")
def test_interrupted_runs_resume_to_the_same_result(
    photos: Path, result: coo.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    from cooanalysis.analysis import clean_manifold, measure

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clean_manifold, "two_sample_auc", interrupt)
        with pytest.raises(KeyboardInterrupt):
            coo.analyze(photos, **SMALL, out=out)
    assert not out.exists()
    assert list((tmp_path / "run.partial").glob("groups-*.npz"))

    def recompute(*_: object, **__: object) -> None:
        raise AssertionError("finished groups must not be measured again")

    from cooanalysis.analysis import run

    monkeypatch.setattr(measure, "measure_shard", recompute)
    monkeypatch.setattr(run, "dense_maps", lambda *_: [])
    resumed = coo.analyze(photos, **SMALL, out=out)
    pd.testing.assert_frame_equal(resumed.groups, result.groups, check_exact=True)
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.usefixtures("no_figures")
def test_a_finished_run_is_reused_and_another_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    first = coo.analyze(photos, **SMALL, out=out)
    bytes_before = (out / "groups.parquet").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(coo.api, "run_analysis", lambda *_, **__: pytest.fail("ran again"))
        reused = coo.analyze(photos, **SMALL, out=out)
    assert reused.summary == first.summary
    pd.testing.assert_frame_equal(reused.groups, first.groups)
    assert len(reused.examples) == len(first.examples)
    np.testing.assert_array_equal(reused.examples[0].members, first.examples[0].members)

    with pytest.raises(RunDirectoryError, match="another configuration"):
        coo.analyze(photos, **(SMALL | {"k": 16}), out=out)
    coo.analyze(photos, **SMALL, out=tmp_path / "again")
    assert (tmp_path / "again" / "groups.parquet").read_bytes() == bytes_before
    names = {path.name for path in out.iterdir()}
    assert names == {
        "summary.json", "groups.parquet", "maps.parquet", "examples.npz", "explored.npz", "figures",
        "report.html",
    }  # fmt: skip


def test_loading_refuses_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        coo.load(tmp_path)
    (tmp_path / "summary.json").write_text('{"schema_version": 999}')
    with pytest.raises(RunDirectoryError, match="newer version"):
        coo.load(tmp_path)
    (tmp_path / "summary.json").write_text('{"schema_version": 1}')
    with pytest.raises(RunDirectoryError, match=r"is damaged .*missing required field"):
        coo.load(tmp_path)


def test_groups_too_small_for_an_estimator_are_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match="k = 16 .* gaussian .* 24 dimensions; .* at least 26"):
        coo.analyze("sample", k=16)
    Plan.make(coo.AnalysisConfig("sample", k=16, subspace_dim=8))


def test_users_mistakes_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scale must be one of"):
        coo.analyze(photos, scale=5)
    with pytest.raises(DatasetNotFoundError, match="did you mean"):
        coo.analyze("bsd1000")
    with pytest.raises(NotEnoughDataError, match="k = 2000"):
        coo.analyze(photos, **(SMALL | {"k": 2000, "stride": 20}))
    with pytest.raises(NotEnoughDataError, match="fewer clusters"):
        coo.analyze(photos, **(SMALL | {"grouping": "kmeans", "clusters": 1000}))
    single = tmp_path / "single"
    single.mkdir()
    (single / "one.png").symlink_to(sorted(photos.iterdir())[0])
    with pytest.raises(NotEnoughDataError, match="own and duplicate"):
        coo.analyze(single, **SMALL)


def test_known_answer_white_noise(tmp_path: Path) -> None:
    """White noise is jointly Gaussian with its LR image, so everything can be computed.

    A group lies between two known distributions: the details given exactly this LR patch
    (infinitely many neighbors) and the details of any patch (neighbors that tell nothing).
    """
    rng = np.random.default_rng(0)
    details, contexts = [], []
    for number in range(8):
        noise = np.clip(np.rint(rng.normal(128.0, 20.0, (128, 128))), 0, 255).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
        lr = rgb_to_y(downsample(noise, 2))
        detail = (rgb_to_y(noise) - upsample(lr.astype(np.uint8), 2)) / 255.0
        windows = np.lib.stride_tricks.sliding_window_view
        details.append(windows(detail, (6, 6))[::2, ::2].reshape(-1, 36))
        contexts.append(windows(lr / 255.0, (3, 3)).reshape(-1, 9))
    joint = np.cov(np.hstack([np.concatenate(details), np.concatenate(contexts)]).T)
    marginal, cross, context = joint[:36, :36], joint[:36, 36:], joint[36:, 36:]
    conditional = marginal - cross @ np.linalg.solve(context, cross.T)

    def entropy(covariance: np.ndarray) -> float:
        return 0.5 * (np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]) / 36

    options = SMALL | {"scale": 2, "patch_width": 3, "stride": 1, "k": 128, "normalize": False}
    options |= {"subspace_dim": 36, "ceiling_queries": 400, "map_images": 0}
    result = coo.analyze(tmp_path, **options)
    low, high = entropy(conditional), entropy(marginal)
    assert high - low < 0.2
    for column in ("entropy_gaussian", "entropy_kozachenko_leonenko", "entropy_copula"):
        assert low - 0.02 < result.groups[column].mean() < high + 0.02, column
    floor = result.summary.mmse_floor.value
    assert 0.98 * np.trace(conditional) / 36 < floor < 1.02 * np.trace(marginal) / 36
    error = 10 ** (-result.summary.psnr_center_db.value / 10)
    assert np.trace(conditional) / 36 < error < 1.05 * np.trace(marginal) / 36


@pytest.mark.data("BSD100", "BSDS400")
def test_the_law_on_bsd100() -> None:
    """A tenth of the reference run of the documentation; the bounds are those of the full one."""
    result = coo.analyze(
        "bsd100", reference="BSDS400", queries=2000, map_images=0, download=False, index="pq"
    )
    summary = result.summary
    assert summary.n_reference_patches == 881_600
    assert summary.engine.index == "pq"
    assert summary.recall_at_k.value >= 0.98
    assert summary.dataset.lr_source == LrSource(dataset=100, made=0)
    assert summary.spearman_entropy_center_distance.value > 0.94
    for entropy in summary.entropy.values():
        assert entropy.spearman_center_distance.value > 0.9
        assert entropy.reliability.reliable
    retained = [row.retained.value for row in summary.detail_energy_by_decile]
    assert retained[0] > 2 * retained[4] > 2 * retained[9]
    subbands = summary.manifold["subbands"]
    assert 0.97 <= subbands.clean_ratio.value <= 1.03
    assert subbands.center_ratio.ci_low > 1.15
    assert subbands.bicubic_ratio.ci_low > 1.5
    quartiles = [row.value for row in subbands.center_ratio_by_quartile]
    assert quartiles[3] > quartiles[0]
    # The trap: in pixels, blur looks cleaner than clean.
    assert summary.manifold["pixels"].center_ratio.ci_high < 1.0
    assert summary.manifold["pixels"].warning
    assert summary.two_sample_auc.center.value > 0.95
    assert summary.psnr_ceiling_db.reliable
    assert summary.psnr_ceiling_db.ci_low > summary.psnr_center_db.value
    assert summary.leakage.n_pairs == 0
    assert summary.peak_rss_bytes is None or summary.peak_rss_bytes < 3 * 2**30


@pytest.mark.data("BSD100")
def test_a_reference_that_holds_the_queries_is_caught(data_home: Path) -> None:
    """BSD100 against itself by another path: every image finds its own copy."""
    folder = data_home / "BSD100" / "image_SRF_4"
    plan = Plan.make(coo.AnalysisConfig(dataset="bsd100", reference=str(folder)), download=False)
    assert plan.same_reference  # recognized as the same files: leave-image-out


def test_flat_images_end_in_a_clear_line(tmp_path: Path) -> None:
    for number in range(6):
        Image.new("L", (96, 96), 40 * number).save(tmp_path / f"{number}.png")
    with pytest.raises(NotEnoughDataError, match="no detail"):
        coo.analyze(tmp_path, **SMALL)


def test_checkpoints_are_optional(photos: Path) -> None:
    plan = Plan.make(coo.AnalysisConfig(dataset=str(photos), **SMALL))
    assert run_analysis(plan, checkpoints=Checkpoints()).summary.n_queries == 400
