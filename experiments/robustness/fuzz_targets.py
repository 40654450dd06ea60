"""All our parsers and loaders as functions of bytes, for fuzzers.

A target may raise only a CooError, and leaves nothing outside its folder. Each has seeds:
valid inputs that a fuzzer starts from.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.errors import CooError

_SHM = Path("/dev/shm")
_BASE = Path(tempfile.mkdtemp(prefix="coo-fuzz-", dir=_SHM if _SHM.is_dir() else None))


@dataclass(frozen=True)
class Target:
    """A function to fuzz, and its seeds."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    needs: tuple[str, ...] = ()


def _file(data: bytes, name: str) -> Path:
    path = _BASE / f"{os.getpid()}-{name}"
    path.write_bytes(data)
    return path


def _folder() -> Path:
    return Path(tempfile.mkdtemp(dir=_BASE))


# --- images -------------------------------------------------------------------------------------


def image(data: bytes) -> None:
    from cooanalysis.data.images import read_image

    try:
        found = read_image(_file(data, "image.png"))
    except CooError:
        return
    assert found.dtype == np.uint8 and found.ndim in (2, 3) and found.size > 0


def image_seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    rgb = Image.fromarray(levels)
    found = []
    for kind, picture in (
        ("PNG", rgb), ("JPEG", rgb), ("BMP", rgb), ("TIFF", rgb), ("WEBP", rgb), ("PPM", rgb),
        ("PNG", rgb.convert("P")), ("PNG", rgb.convert("L")), ("PNG", rgb.convert("RGBA")),
        ("PNG", Image.fromarray(levels[:, :, 0].astype(np.uint16) * 257)),
        ("TIFF", rgb.convert("CMYK")), ("TIFF", rgb.convert("L").convert("F")),
    ):  # fmt: skip
        file = io.BytesIO()
        picture.save(file, format=kind)
        found.append(file.getvalue())
    return found


# --- layouts ------------------------------------------------------------------------------------


def layout(data: bytes) -> None:
    from cooanalysis.data.layouts import find_pairs

    root = _folder()
    try:
        scale = 2 + (data[0] % 3 if data else 0)
        for name in data[1:].split(b"\n")[:40]:
            parts = [part[:60] for part in name.replace(b"\0", b"").split(b"/") if part.strip(b".")]
            if not parts:
                continue
            path = root.joinpath(*(os.fsdecode(part) for part in parts[:4]))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            except OSError:  # a file where a folder should be
                continue
        try:
            pairs = find_pairs(root, scale)
        except CooError:
            return
        assert pairs and len({pair.name for pair in pairs}) == len(pairs), "names repeat"
        assert all(pair.hr_path.is_file() for pair in pairs)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def layout_seeds() -> list[bytes]:
    return [
        b"\x02image_SRF_4/img_001_SRF_4_HR.png\nimage_SRF_4/img_001_SRF_4_LR.png",
        b"\x02DIV2K_train_HR/0001.png\nDIV2K_train_LR_bicubic/X4/0001x4.png",
        b"\x02HR/baby.png\nLR_bicubic/X4/babyx4.png",
        b"\x00a.png\na.jpg\nb.png",
        b"\x01GTmod12/x.png\nLRbicx3/x.png",
        b"\x00folder/folder/a.png",
    ]


def names_of_outputs(data: bytes) -> None:
    """Files of a model's outputs matched to images, and models as given on the command line."""
    from cooanalysis.data import ImagePair
    from cooanalysis.models.folders import match_files
    from cooanalysis.models.sources import parse

    words = [os.fsdecode(word).replace("/", "_") for word in data.replace(b"\0", b"").split(b"\n")]
    try:
        parse(words)
    except CooError:
        pass
    images = [word for word in words[::2] if word]
    pairs = [ImagePair(name, Path(f"{name}.png"), None) for name in dict.fromkeys(images)]
    root = _folder()
    try:
        for word in words[1::2]:
            try:
                (root / word).touch()
            except OSError:
                continue
        try:
            found = match_files("model", root, pairs, 4)
        except CooError:
            return
        assert set(found) == {pair.name for pair in pairs}
    finally:
        shutil.rmtree(root, ignore_errors=True)


# --- configurations -----------------------------------------------------------------------------


def configuration(data: bytes) -> None:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        config = AnalysisConfig.from_dict(values)
    except CooError:
        return
    assert AnalysisConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
    config.fingerprint()


def configuration_seeds() -> list[bytes]:
    return [json.dumps(AnalysisConfig("sample").as_dict()).encode(), b'{"dataset": "x", "k": 8}']


def training(data: bytes) -> None:
    from cooanalysis.training import TrainConfig, read_config

    try:
        config = read_config([_file(data, "train.yaml")])
    except CooError:
        return
    assert TrainConfig.from_dict(config.as_dict()) == config
    config.fingerprint()


def training_seeds() -> list[bytes]:
    folder = Path(__file__).parents[2] / "experiments" / "decloss"
    return [path.read_bytes() for path in sorted(folder.glob("*/*.yaml"))]


def overrides(data: bytes) -> None:
    from cooanalysis.training import read_config

    try:
        read_config([], data.decode("utf-8", "replace").splitlines()[:20])
    except CooError:
        return


def overrides_seeds() -> list[bytes]:
    return [
        b"iterations=100\noptimizer.learning_rate=1e-4",
        b"losses.0.type=L1Loss\ndata.train=[a,b]",
        b"model={name: edsr, options: {features: 8}}\ngan.weight=0.1",
    ]


# --- run directories ----------------------------------------------------------------------------


OLD_RUNS = Path(__file__).parent / "old_runs"


def summary(data: bytes) -> None:
    """Summaries of analyses and comparisons: what is read can be shown and written."""
    from cooanalysis.analysis.files import read_summary as read_analysis
    from cooanalysis.comparison.files import read_summary as read_comparison
    from cooanalysis.report.card import summary_card
    from cooanalysis.runtime.run_directory import write_summary

    root = _folder()
    try:
        for read in (read_analysis, read_comparison):
            (root / "summary.json").write_bytes(data)
            try:
                found = read(root)
            except CooError:
                continue
            write_summary(root, found)
            assert read(root) == found, "it reads back as something else"
            if read is read_analysis:
                summary_card(read_analysis(root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def summary_seeds() -> list[bytes]:
    old = [(OLD_RUNS / kind / "summary.json").read_bytes() for kind in ("analysis", "comparison")]
    return [*old, b'{"schema_version": 1, "kind": "comparison"}', b"[1]", b"{}"]


def _run_directory() -> Path:
    """A complete run directory, made once, whose files a target replaces."""
    import pandas as pd

    root = _BASE / f"{os.getpid()}-run"
    if not root.exists():
        root.mkdir()
        shutil.copy(OLD_RUNS / "analysis" / "summary.json", root)
        frame = pd.DataFrame({"image": ["a"], "y": [0], "x": [0]})
        frame.to_parquet(root / "groups.parquet", index=False)
        frame.to_parquet(root / "maps.parquet", index=False)
        (root / "examples.npz").write_bytes(_npz(image_names=np.array([], np.str_),
            example_rows=np.array([], np.int64), example_kinds=np.array([], np.str_)))  # fmt: skip
    return root


def _replaced(name: str, data: bytes) -> None:
    from cooanalysis.results import load

    root = _run_directory()
    kept = (root / name).read_bytes() if (root / name).exists() else None
    (root / name).write_bytes(data)
    try:
        load(root)
    except CooError:
        pass
    finally:
        if kept is None:
            (root / name).unlink()
        else:
            (root / name).write_bytes(kept)


def parquet(data: bytes) -> None:
    _replaced("groups.parquet", data)


def parquet_seeds() -> list[bytes]:
    return [(_run_directory() / "groups.parquet").read_bytes()]


def examples(data: bytes) -> None:
    _replaced("examples.npz", data)


def explored(data: bytes) -> None:
    _replaced("explored.npz", data)


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=True, **arrays)
    return file.getvalue()


def examples_seeds() -> list[bytes]:
    one = np.zeros((2, 2, 1), np.uint8)
    parts = {f"example_0_{part}": one for part in ("lr", "truth", "bicubic", "center", "members")}
    return [
        _npz(image_names=np.array(["a"]), image_0=one, example_rows=np.array([0]),
             example_kinds=np.array(["highest"]), **parts),
        _npz(image_names=np.array([{"a": 1}], object)),
        _npz(lr=one, members=one),
    ]  # fmt: skip


def decoded(data: bytes) -> None:
    """The manifest of decoded images."""
    from cooanalysis.data.decoded import _intact

    root = _folder()
    try:
        (root / "decoded.json").write_bytes(data)
        for name in ("lr", "hr", "detail"):
            (root / f"{name}.bin").write_bytes(b"\0" * 16)
        _intact(root, check=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def decoded_seeds() -> list[bytes]:
    entry = {"name": "a", "height": 4, "width": 4, "crc32": {"lr": 0, "hr": 0, "detail": 0}}
    return [json.dumps({"channels": 1, "scale": 1, "images": [entry], "skipped": []}).encode()]


# --- weights ------------------------------------------------------------------------------------


def weights(data: bytes) -> None:
    from cooanalysis.models import load_weights

    try:
        load_weights(_file(data, "weights.safetensors"))
    except CooError:
        return


def weights_seeds() -> list[bytes]:
    from cooanalysis.models import build, save_weights

    path = _BASE / "seed.safetensors"
    options = {"features": 4, "blocks": 1, "direct": True}
    save_weights(path, build("edsr", scale=2, **options), name="edsr", scale=2, options=options)
    return [path.read_bytes()]


def checkpoint(data: bytes) -> None:
    from cooanalysis.models.sources import _state_dict

    try:
        _state_dict("model", _file(data, "model.pth"))
    except CooError:
        return


def checkpoint_seeds() -> list[bytes]:
    import torch

    found = []
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"a": torch.zeros(2, 3)}, file, _use_new_zipfile_serialization=zipped)
        found.append(file.getvalue())
    return [*found, pickle.dumps({"a": 1}, protocol=2)]


def training_state(data: bytes) -> None:
    from cooanalysis.training import checkpoint as checkpoints

    root = _folder()
    try:
        (root / "checkpoint-00000001.pt").write_bytes(data)
        checkpoints.newest(root, "fingerprint", lambda line: None)
    finally:
        shutil.rmtree(root, ignore_errors=True)


# --- archives -----------------------------------------------------------------------------------


def archive(data: bytes) -> None:
    from cooanalysis.data.download import unpack

    root = _folder()
    limit = 1 << 20
    try:
        (root / "inside").mkdir()
        (root / "archive").write_bytes(data)
        try:
            unpack(root / "archive", root / "inside", max_bytes=limit)
        except CooError:
            assert not list((root / "inside").iterdir()), "half of it was kept"
        assert sorted(path.name for path in root.iterdir()) == ["archive", "inside"]
        files = [path for path in (root / "inside").rglob("*") if path.is_file()]
        assert all(not path.is_symlink() for path in files)
        assert sum(path.stat().st_size for path in files) <= limit
    finally:
        shutil.rmtree(root, ignore_errors=True)


def archive_seeds() -> list[bytes]:
    found = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as target:
            target.writestr("a/b.png", b"content")
            target.writestr("c.png", b"content")
        found.append(file.getvalue())
    for mode in ("w", "w:gz", "w:xz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:
            info = tarfile.TarInfo("a/b.png")
            info.size = 7
            tar.addfile(info, io.BytesIO(b"content"))
        found.append(file.getvalue())
    return found


def headers(data: bytes) -> None:
    """Headers that a server sends for a file."""
    from cooanalysis.data.download import _content_length, _content_range, _version

    text = data.decode("latin-1")
    names = ("Content-Range", "Content-Length", "ETag", "Last-Modified")
    response: Any = SimpleNamespace(headers=dict.fromkeys(names, text))
    _content_range(response), _content_length(response), _version(response)


def headers_seeds() -> list[bytes]:
    return [b"bytes 0-9/10", b"bytes */10", b'"etag"', b"12"]


_TORCH = ("torch", "safetensors")
TARGETS: dict[str, Target] = {
    "image": Target(image, image_seeds),
    "layout": Target(layout, layout_seeds),
    "names_of_outputs": Target(names_of_outputs, lambda: [b"baby\nbaby_SwinIR.png\nours=a.pth"]),
    "configuration": Target(configuration, configuration_seeds),
    "training": Target(training, training_seeds, ("omegaconf", "lightning_fabric")),
    "overrides": Target(overrides, overrides_seeds, ("omegaconf", "lightning_fabric")),
    "summary": Target(summary, summary_seeds),
    "parquet": Target(parquet, parquet_seeds),
    "examples": Target(examples, examples_seeds),
    "explored": Target(explored, examples_seeds),
    "decoded": Target(decoded, decoded_seeds),
    "weights": Target(weights, weights_seeds, _TORCH),
    "checkpoint": Target(checkpoint, checkpoint_seeds, _TORCH),
    "training_state": Target(training_state, checkpoint_seeds, ("lightning_fabric",)),
    "archive": Target(archive, archive_seeds),
    "headers": Target(headers, headers_seeds),
}
