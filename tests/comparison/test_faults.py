"""Faults that comparisons once had, each with the test that showed it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import cooanalysis as coo
from cooanalysis.comparison.cache import OutputCache
from cooanalysis.comparison.statistics import ratio, totals
from cooanalysis.data import LoadedPair, find_pairs, resolve
from cooanalysis.errors import ConfigError, CooError, ModelError, RunDirectoryError
from cooanalysis.models.folders import match_files
from cooanalysis.models.sources import Function, load_network, open_source
from cooanalysis.report.tables import latex
from tests.helpers.photographs import write_crops

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")

SMALL = {
    "queries": 200,
    "k": 32,
    "manifold_reference": 2000,
    "map_images": 0,
    "crops": 1,
    "metrics": ["psnr_y"],
    "cache": False,
}
SCORE = ratio("score", "score", "dB", "higher", "image", "score")


def pair() -> LoadedPair:
    lr = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    hr = lr.repeat(4, 0).repeat(4, 1)
    return LoadedPair("baby", hr, lr, hr.astype(np.float32), "made")


@pytest.mark.usefixtures("no_figures")
def test_long_names_with_a_common_start(tmp_path: Path) -> None:
    prefix = "a-model-whose-name-is-rather-long-"  # 32 bytes are kept of it
    models = {prefix + "one": "edsr-small-x4-l1", prefix + "two": "edsr-small-x4-ragan"}
    folder = write_crops(tmp_path / "photographs", 160, 6)
    found = coo.compare(folder, models, out=tmp_path / "run", **SMALL).table()
    assert found["collapse_index"].nunique() == 2


def test_one_query_image(tmp_path: Path) -> None:
    pairs = resolve("sample", scale=4).pairs
    for folder, chosen in (("q", pairs[:1]), ("r", pairs[1:])):
        (tmp_path / folder).mkdir()
        for one in chosen:
            shutil.copy(one.hr_path, tmp_path / folder / f"{one.name}{one.hr_path.suffix}")
    coo.compare(tmp_path / "q", ["bicubic"], reference=tmp_path / "r", **SMALL)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_one_image_without_a_finite_value(value: float) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(30, 3, 20)
    b = a + rng.normal(1, 0.1, 20)
    b[0] = value
    frame = pd.DataFrame(
        {"model": ["a"] * 20 + ["b"] * 20, "image": list(range(20)) * 2, "score": np.r_[a, b]}
    )
    row = totals([SCORE], frame, pd.DataFrame(), baseline="a", seed=0).set_index("model").loc["b"]
    assert row["p"] < 0.01, row["p"]


def test_the_cache_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    source = SimpleNamespace(
        key="a" * 64, kind="checkpoint", name="m", output=lambda item, note: item.hr
    )
    with pytest.raises(RunDirectoryError):
        OutputCache(tmp_path / "cache").output(source, pair(), print)


def legacy() -> bytes:
    buffer = io.BytesIO()
    weights = {f"layer.{i}.weight": torch.zeros(3, 3) for i in range(3)}
    torch.save(weights, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def test_a_legacy_checkpoint_cut_anywhere(tmp_path: Path) -> None:
    whole, kinds = legacy(), set()
    for length in range(len(whole)):
        (tmp_path / "a.pth").write_bytes(whole[:length])
        try:
            load_network("m", tmp_path / "a.pth", scale=4)
        except ModelError:
            pass
        except Exception as error:
            kinds.add(type(error).__name__)
    assert not kinds


def test_rubbish_is_not_called_code(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"<html>404 not found</html>")
    with pytest.raises(ModelError) as caught:
        load_network("m", tmp_path / "a.pth", scale=4)
    assert "run code" not in str(caught.value)


def test_without_torch_the_baselines_work() -> None:
    code = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
sys.meta_path.insert(0, Block())
from cooanalysis.models.sources import open_source
open_source("bicubic", "bicubic", [], scale=4)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]


def test_an_unreadable_file_of_a_folder_names_the_model(tmp_path: Path) -> None:
    (tmp_path / "baby.png").write_bytes(b"")
    item = SimpleNamespace(name="baby", hr_path=tmp_path / "baby.png", lr_path=None)
    source = open_source("theirs", tmp_path, [item], scale=4)
    with pytest.raises(ModelError, match="theirs"):
        source.output(pair(), print)


def test_a_damaged_safetensors_names_the_model(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="theirs"):
        load_network("theirs", tmp_path / "a.safetensors", scale=4)


@pytest.mark.parametrize("output", [[[1], [2, 3]], torch.zeros(3, requires_grad=True)])
def test_a_function_that_does_not_output_an_array(output: object) -> None:
    with pytest.raises(ModelError, match="mine"):
        Function("mine", lambda lr: output, 4).output(pair(), print)


def test_the_home_of_an_unknown_user() -> None:
    with pytest.raises(CooError):
        open_source("m", "~nobody-of-this-name/a.pth", [], scale=4)


def test_an_empty_model_is_not_the_working_directory() -> None:
    with pytest.raises(ConfigError):
        open_source("m", "", [], scale=4)


def test_a_copy_of_the_data_set_with_equal_stems(tmp_path: Path) -> None:
    for name in ("x.png", "x.jpg"):
        (tmp_path / name).touch()
    pairs = find_pairs(tmp_path, 4)
    assert {n: p.name for n, p in match_files("m", tmp_path, pairs, 4).items()} == {
        "x.png": "x.png",
        "x.jpg": "x.jpg",
    }


def test_brackets_after_a_line_break_of_latex() -> None:
    """`\\\\` and `\\midrule` take what is in brackets for their argument."""
    text = latex(pd.DataFrame({"model": ["[ours]", "*best"], "x": ["1", "2"]}))
    assert "\\midrule\n[ours]" not in text and "\\\\\n*best" not in text
