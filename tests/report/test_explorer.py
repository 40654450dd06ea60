"""Patches that a report lets its reader point at: the right images of the right places."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

import cooanalysis as coo
from cooanalysis.analysis import explore
from cooanalysis.analysis.record import COLUMNS
from cooanalysis.data import sample_pairs, upsample
from cooanalysis.errors import CooError
from cooanalysis.report.explorer import explorer_data

Image = NDArray[np.uint8]
SMALL: dict[str, Any] = {
    "queries": 200, "k": 32, "manifold_reference": 500, "map_images": 1, "subspace_dim": 8,
}  # fmt: skip


@pytest.fixture(scope="module", params=["y", "rgb"])
def result(request: pytest.FixtureRequest) -> coo.Result:
    return coo.analyze(
        "sample", color=request.param, features=("subbands",), estimators=("gaussian",),
        ceiling_queries=50, **SMALL,
    )  # fmt: skip


def decoded(url: str) -> Image:
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_images_are_those_of_their_places(result: coo.Result) -> None:
    found = result.explored
    assert found is not None
    name, whole = next(iter(result.images.items()))
    rows = np.flatnonzero(found.table["image"] == name)
    assert len(rows) > 20
    for row in rows[::7]:
        y, x = 4 * int(found.table["y"][row]), 4 * int(found.table["x"][row])
        assert np.array_equal(found.pictures["truth"][row], whole[y : y + 20, x : x + 20])
    assert list(found.pictures) == ["center", "truth", "bicubic"]
    assert set(found.thumbnails) == set(found.sizes) == set(found.table["image"])
    assert found.sizes[name] == whole.shape[:2]


def test_the_center_is_the_mean_of_all_members_and_members_differ(result: coo.Result) -> None:
    found = result.explored
    assert found is not None
    spread = found.members.astype(float).std(axis=1).mean(axis=(1, 2, 3))
    assert np.median(spread) > 1.0
    # Eight of 32 members: their mean lies nearer to the center than they do.
    center = found.pictures["center"].astype(float)
    mean = np.abs(found.members.astype(float).mean(axis=1) - center).mean()
    single = np.abs(found.members.astype(float) - center[:, None]).mean()
    assert mean < 0.6 * single


def test_numbers_are_those_of_the_table(result: coo.Result) -> None:
    found = result.explored
    assert found is not None
    joined = found.table.merge(result.groups, on=["image", "y", "x"])
    assert len(joined) > 50
    assert np.allclose(joined["entropy"], joined["entropy_gaussian"])
    assert np.allclose(joined["distance"], joined["center_rms_subspace"])
    assert tuple(found.table.columns) == COLUMNS


@pytest.mark.usefixtures("no_figures")
def test_what_is_written_is_read_back(result: coo.Result, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    found, again = result.explored, coo.load(tmp_path / "run").explored
    assert found is not None and again is not None
    assert found.table.equals(again.table.astype(found.table.dtypes.to_dict()))
    assert np.array_equal(found.members, again.members) and found.sizes == again.sizes
    assert list(found.pictures) == list(again.pictures)


def test_sheets_hold_every_image(result: coo.Result) -> None:
    found = result.explored
    assert found is not None
    data = explorer_data(
        found,
        result.maps,
        scale=result.summary.scale,
        patch_width=result.summary.config.patch_width,
    )
    assert data is not None
    sheet, side = decoded(data["tiles"]["url"]), data["tiles"]["size"]
    names, columns = data["tiles"]["names"], sheet.shape[1] // side
    for row, part in ((0, "center"), (len(found.table) - 1, "bicubic")):
        spot = row * len(names) + names.index(part)
        top, left = side * (spot // columns), side * (spot % columns)
        tile = sheet[top : top + side, left : left + side].reshape(side, side, -1)
        # Stretched alike: the order of the 8-bit values stays.
        plain = found.pictures[part][row].astype(int)
        order = np.argsort(plain.ravel(), kind="stable")
        assert np.all(np.diff(tile.astype(int).ravel()[order]) >= 0)
    assert decoded(data["lr"]["url"]).shape[0] % 5 == 0
    assert sum(image["map"] is not None for image in data["images"]) == 1


@pytest.mark.usefixtures("no_figures")
def test_older_runs_have_none(result: coo.Result, tmp_path: Path) -> None:
    bare = dataclasses.replace(result, explored=None)
    with pytest.raises(CooError, match="has no images of patches"):
        bare.explore()
    bare.save(tmp_path / "run")
    assert coo.load(tmp_path / "run").explored is None


def test_a_notebook_gets_a_frame_with_the_page(result: coo.Result, tmp_path: Path) -> None:
    view = result.explore()
    assert view._repr_html_().startswith("<iframe srcdoc=")
    assert "<script" not in view._repr_html_()  # escaped inside the attribute
    assert view.save(tmp_path / "view.html").read_text(encoding="utf-8") == view.page


def test_large_patches_do_not_make_large_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "BYTES", 300_000)
    found = coo.analyze("sample", patch_width=9, features=("subbands",), estimators=("gaussian",),
                        ceiling_queries=50, **SMALL).explored  # fmt: skip
    assert found is not None
    size = found.members.nbytes + sum(stack.nbytes for stack in found.pictures.values())
    assert size <= 300_000


def test_models_keep_their_names_whatever_they_are() -> None:
    def output(lr: Image) -> Image:
        return np.rint(np.clip(upsample(lr, 4), 0, 255)).astype(np.uint8)

    models = {"truth": output, "mine": output, "hr": "hr"}
    found = coo.compare("sample", models, crops=1, metrics=["psnr_y"], features=("sparsity",),
                        cache=False, **SMALL)  # fmt: skip
    assert found.explored is not None
    assert list(found.explored.pictures) == ["center", "truth", "bicubic", "truth (model)", "mine"]
    assert len(sample_pairs()) >= len(found.explored.thumbnails)
    first = found.explored.pictures["mine"]
    assert np.array_equal(first, found.explored.pictures["truth (model)"])
    assert not np.array_equal(first, found.explored.pictures["truth"])


def test_a_page_is_not_printed_into_a_terminal() -> None:
    from cooanalysis.report.explorer import Explorer

    assert repr(Explorer("<p>" * 1000)) == "Explorer(height=860)"
