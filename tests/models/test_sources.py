"""What a model may be: checkpoints, folders of images, functions; and every way each is refused."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from cooanalysis.data import ImagePair, LoadedPair, find_pairs, load_pair
from cooanalysis.errors import ConfigError, CooError, MissingDependencyError, ModelError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from cooanalysis import models  # noqa: E402
from cooanalysis.models.folders import match_files  # noqa: E402
from cooanalysis.models.sources import (  # noqa: E402
    Folder,
    Network,
    Source,
    load_network,
    open_source,
    parse,
)
from cooanalysis.runtime.notices import Note, Notice  # noqa: E402

Image = NDArray[np.uint8]

NEEDS_SPANDREL = pytest.mark.needs("spandrel")
SCALE = 4


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def picture(height: int = 24, width: int = 28, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def pair() -> LoadedPair:
    hr = picture()
    upsampled = np.linspace(-20.0, 280.0, hr.size, dtype=np.float32).reshape(hr.shape)
    return LoadedPair("baby", hr, picture(6, 7, seed=1), upsampled, "made")


def silent(notice: Notice) -> None:
    del notice


def output_of(source: Source, pair: LoadedPair) -> Image:
    return source.output(pair, silent)


# --- NAME=WHAT ----------------------------------------------------------------------------------


def test_names_are_those_given_or_those_of_the_files() -> None:
    texts = ["bicubic", "ours=runs/a/weights.safetensors", "runs/b/weights.safetensors"]
    texts += ["zoo/SwinIR_x4.pth", "results/HAT", "weights.pth", "odd=runs/lr=0.1/weights.pth"]
    assert parse(texts) == {
        "bicubic": "bicubic",
        "ours": "runs/a/weights.safetensors",
        "b": "runs/b/weights.safetensors",
        "SwinIR_x4": "zoo/SwinIR_x4.pth",
        "HAT": "results/HAT",
        "weights": "weights.pth",
        "odd": "runs/lr=0.1/weights.pth",
    }


@pytest.mark.parametrize("text", ["", " ", "=", "=runs/a.pth", "  =runs/a.pth", "ours=", "ours= "])
def test_neither_name_nor_model_may_be_empty(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(["bicubic", text])
    assert str(caught.value) == f"a model must look like NAME=WHAT or WHAT; got {text!r}"


@pytest.mark.parametrize("texts", [["a=x.pth", "a=y.pth"], ["x/ours.pth", "y/ours.safetensors"]])
def test_a_name_given_twice(texts: list[str]) -> None:
    name = "a" if "=" in texts[0] else "ours"
    with pytest.raises(ConfigError, match=f"two models are called '{name}'.*NAME=WHAT"):
        parse(texts)


WORDS = st.text(min_size=1, max_size=12).filter(str.strip)


@given(st.lists(st.tuples(WORDS.filter(lambda name: "=" not in name), WORDS), max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_is_given_comes_out_in_its_order(given_models: list[tuple[str, str]]) -> None:
    texts = [f"{name}={what}" for name, what in given_models]
    if len(dict(given_models)) < len(given_models):
        with pytest.raises(ConfigError, match="two models are called"):
            parse(texts)
    else:
        assert list(parse(texts).items()) == given_models


# --- baselines, and what is nowhere -------------------------------------------------------------


def test_the_baselines_need_no_file(pair: LoadedPair) -> None:
    truth = open_source("hr", "hr", [], scale=SCALE)
    assert np.array_equal(output_of(truth, pair), pair.hr)
    bicubic = output_of(open_source("bicubic", "bicubic", [], scale=SCALE), pair)
    assert bicubic.dtype == np.uint8 and bicubic.shape == pair.hr.shape
    inside = (pair.upsampled > 0) & (pair.upsampled < 255)
    assert np.abs(bicubic - pair.upsampled)[inside].max() <= 0.5
    assert (bicubic[pair.upsampled < 0] == 0).all() and (bicubic[pair.upsampled > 255] == 255).all()


@pytest.mark.parametrize(("name", "what"), [("bicubic", "hr"), ("hr", "bicubic"), ("hr", "x.pth")])
def test_their_names_are_reserved(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' only if it is {name}"):
        open_source(name, what, [], scale=SCALE)


def test_a_model_that_is_nowhere_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source("ours", "edsr-small-x4-l2", [], scale=SCALE)
    message = str(caught.value)
    assert message.startswith("model 'ours': there is no file or folder edsr-small-x4-l2")
    for known in (".safetensors", ".pth", "folder", "bicubic", "hr", *models.shipped()):
        assert known in message
    note = tmp_path / "notes.txt"
    note.write_text("not a model")
    with pytest.raises(
        ConfigError, match=r"model 'ours': .*notes.txt is neither a folder nor a .*\.pth"
    ):
        open_source("ours", note, [], scale=SCALE)


# --- checkpoints --------------------------------------------------------------------------------


def own(path: Path, scale: int = SCALE, bias: float = 0.0, claimed: int | None = None) -> Path:
    """A tiny EDSR, as coo-train writes it; ``claimed`` is the number of features that it claims."""
    torch.manual_seed(0)
    network = models.build("edsr", scale=scale, features=4, blocks=1, direct=True)
    with torch.no_grad():
        next(network.parameters()).add_(bias)
    options = {"features": claimed or 4, "blocks": 1, "direct": True}
    models.save_weights(path, network, name="edsr", scale=scale, options=options)
    return path


def compact(path: Path, scale: int = SCALE, channels: int = 3, key: str | None = None) -> Path:
    """A tiny network of an architecture that is not ours."""
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    network = Compact(
        num_in_ch=channels, num_out_ch=channels, num_feat=4, num_conv=1, upscale=scale
    )
    state = network.state_dict()
    if path.suffix == ".safetensors":
        safetensors.save_file(state, str(path))
    else:
        torch.save({key: state} if key else state, path)
    return path


def test_our_own_weights(tmp_path: Path, pair: LoadedPair) -> None:
    path = own(tmp_path / "weights.safetensors")
    source = open_source("ours", path, [], scale=SCALE)
    assert (source.name, source.kind) == ("ours", "checkpoint")
    assert "edsr" in source.detail and "weights.safetensors" in source.detail
    output = output_of(source, pair)
    batch = torch.from_numpy(pair.lr).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        wanted = models.load_weights(path)(batch)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(output - np.clip(wanted, 0, 255)).max() <= 0.51


def test_notices_of_a_network_name_it(
    tmp_path: Path, pair: LoadedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.models import tiling

    def upscale(*arguments: Any, image: str, note: Note, **options: Any) -> Image:
        note(Notice("half_precision_failed", {"model": options["name"], "image": image}))
        return pair.hr

    monkeypatch.setattr(tiling, "upscale", upscale)
    notices: list[Notice] = []
    source = open_source("ours", own(tmp_path / "weights.safetensors"), [], scale=SCALE)
    source.output(pair, notices.append)
    assert notices == [Notice("half_precision_failed", {"model": "ours", "image": "baby"})]


def test_the_key_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    paths = [own(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"]
    paths[1].write_bytes(paths[0].read_bytes())
    paths.append(own(tmp_path / "c.safetensors", bias=0.01))
    same, copy, different = (load_network("m", path, scale=SCALE).key for path in paths)
    assert same == copy != different


@NEEDS_SPANDREL
@pytest.mark.parametrize(
    ("file", "key"), [("a.pth", None), ("a.pt", "params_ema"), ("a.ckpt", "state_dict"),
                      ("a.safetensors", None)],
)  # fmt: skip
def test_other_architectures(file: str, key: str | None, tmp_path: Path, pair: LoadedPair) -> None:
    source = open_source("theirs", compact(tmp_path / file, key=key), [], scale=SCALE)
    assert "Compact" in source.detail and file in source.detail
    output = output_of(source, pair)
    assert output.shape == pair.hr.shape and output.dtype == np.uint8
    # With weights near zero, this architecture outputs each pixel repeated.
    repeated = pair.lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    assert np.corrcoef(output.ravel(), repeated.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "make", [own, pytest.param(compact, marks=NEEDS_SPANDREL)], ids=["ours", "theirs"]
)
def test_a_network_of_another_scale(make: Callable[..., Path], tmp_path: Path) -> None:
    path = make(tmp_path / "double.safetensors", scale=2)
    assert load_network("double", path, scale=2).scale == 2
    with pytest.raises(
        ModelError, match=r"'double': .*double\.safetensors is a x2 model; x4 is needed"
    ):
        open_source("double", path, [], scale=4)


class Evil:
    """Unpickling it makes a folder, as it could do anything else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@NEEDS_SPANDREL
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize("layout", ["zip", "legacy", "plain pickle"])
def test_a_checkpoint_that_would_run_code_is_refused(
    layout: str, suffix: str, tmp_path: Path
) -> None:
    made, path = tmp_path / "made-by-code", tmp_path / f"evil{suffix}"
    payload = {"params": {"weight": torch.zeros(1)}, "extra": Evil(made)}
    if layout == "plain pickle":
        path.write_bytes(pickle.dumps(Evil(made), protocol=2))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(ModelError) as caught:
        open_source("stranger", path, [], scale=SCALE)
    assert not made.exists()
    for words in ("model 'stranger'", str(path), "could run code", "is refused"):
        assert words in str(caught.value)
    # The file is harmful: loading it without precautions runs its code.
    if layout == "plain pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert made.exists()


@NEEDS_SPANDREL
def test_a_whole_pickled_network_is_refused_too(tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(3, 3, 3), tmp_path / "module.pth")
    with pytest.raises(ModelError, match="module.pth holds more than weights.*state_dict"):
        load_network("m", tmp_path / "module.pth", scale=SCALE)


def random_weights() -> dict[str, Any]:
    return {f"layer.{i}.weight": torch.randn(5, 5) for i in range(4)}


@pytest.mark.parametrize("suffix", [pytest.param(".pth", marks=NEEDS_SPANDREL), ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated"])
def test_damaged_files_are_named(damage: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    if suffix == ".pth":
        torch.save(random_weights(), path)
    else:
        safetensors.save_file(random_weights(), str(path))
    whole = path.read_bytes()
    rubbish = np.random.default_rng(0).bytes(len(whole))
    half = whole[: len(whole) // 2]
    path.write_bytes({"empty": b"", "garbage": rubbish, "truncated": half}[damage])
    with pytest.raises(ModelError, match=rf"damaged\{suffix}") as caught:
        open_source("m", path, [], scale=SCALE)
    assert "\n" not in str(caught.value)


def test_our_own_weights_damaged_or_mislabeled(tmp_path: Path) -> None:
    path = own(tmp_path / "ours.safetensors")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelError, match="ours.safetensors is not a safetensors file, or is dam"):
        open_source("m", path, [], scale=SCALE)
    own(path, claimed=8)
    with pytest.raises(ModelError, match="ours.safetensors does not fit the network 'edsr'"):
        open_source("m", path, [], scale=SCALE)


@NEEDS_SPANDREL
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_an_unknown_architecture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mystery{suffix}"
    if suffix == ".pth":
        torch.save(random_weights(), path)
    else:
        safetensors.save_file(random_weights(), str(path))
    with pytest.raises(ModelError, match="'m'.*no architecture.*mystery.*folder of its output"):
        open_source("m", path, [], scale=SCALE)


@NEEDS_SPANDREL
def test_weights_that_only_look_like_an_architecture(tmp_path: Path) -> None:
    path = compact(tmp_path / "bent.pth")
    state = torch.load(path)
    state["body.2.weight"] = state["body.2.weight"][:2]
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"model 'm': the weights in .*bent\.pth do not fit"):
        load_network("m", path, scale=SCALE)


@NEEDS_SPANDREL
@pytest.mark.parametrize("content", [[1, 2], 3, {1: 2}, {}, {"epoch": 7}])
def test_files_that_hold_no_weights(content: object, tmp_path: Path) -> None:
    path = tmp_path / "plain.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match=r"model 'm': .*plain\.pth"):
        load_network("m", path, scale=SCALE)


@NEEDS_SPANDREL
def test_networks_that_do_not_upscale_color_images(tmp_path: Path) -> None:
    gray = compact(tmp_path / "gray.pth", channels=1)
    with pytest.raises(ModelError, match=r"gray\.pth .*maps 1 channels to 1; only models of RGB"):
        load_network("m", gray, scale=SCALE)
    restorer = compact(tmp_path / "restore.pth", scale=1)
    with pytest.raises(ModelError, match=r"restore\.pth .*does not upscale images"):
        load_network("m", restorer, scale=SCALE)


def test_a_network_that_outputs_nan(tmp_path: Path, pair: LoadedPair) -> None:
    source = open_source(
        "broken", own(tmp_path / "nan.safetensors", bias=float("nan")), [], scale=SCALE
    )
    with pytest.raises(ModelError, match="model 'broken' outputs NaN.*baby"):
        output_of(source, pair)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(random_weights(), tmp_path / "a.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingDependencyError, match=r"need spandrel; .*cooanalysis\[models\]"):
        open_source("m", tmp_path / "a.pth", [], scale=SCALE)


# --- functions ----------------------------------------------------------------------------------


def nearest(lr: Image) -> Image:
    return lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def test_a_function_and_a_module(pair: LoadedPair) -> None:
    source = open_source("mine", nearest, [], scale=SCALE)
    assert (source.kind, source.detail, source.key) == ("callable", "nearest", None)
    assert np.array_equal(output_of(source, pair), nearest(pair.lr))
    module = torch.nn.Upsample(scale_factor=SCALE, mode="nearest")
    assert np.array_equal(
        output_of(open_source("net", module, [], scale=SCALE), pair), nearest(pair.lr)
    )


def test_a_function_cannot_spoil_the_image(pair: LoadedPair) -> None:
    before = pair.lr.copy()

    def greedy(lr: Image) -> Image:
        output = nearest(lr)
        lr[:] = 0
        return output

    output_of(open_source("greedy", greedy, [], scale=SCALE), pair)
    assert np.array_equal(pair.lr, before)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda lr: lr, r"uint8 of shape \(6, 7, 3\)"),
        (lambda lr: nearest(lr)[:, :, 0], r"uint8 of shape \(24, 28\)"),
        (lambda lr: nearest(lr).transpose(2, 0, 1), r"uint8 of shape \(3, 24, 28\)"),
        (lambda lr: nearest(lr) / 255.0, "float64"),
        (lambda lr: nearest(lr).astype(np.int16), "int16"),
        (lambda lr: np.full((24, 28, 3), np.nan, np.float32), "float32"),
        (lambda lr: None, "object"),
        (lambda lr: "an image", "<U8"),
    ],
    ids=["size", "gray", "channels first", "floats", "int16", "nan", "nothing", "text"],
)
def test_a_function_with_a_wrong_output(
    function: Callable[[Image], Any], got: str, pair: LoadedPair
) -> None:
    with pytest.raises(ModelError, match=rf"'mine' returns {got}.* for 'baby'") as caught:
        output_of(open_source("mine", function, [], scale=SCALE), pair)
    assert "must return uint8 of shape (24, 28, 3)" in str(caught.value)


def test_a_module_with_an_output_of_another_size(pair: LoadedPair) -> None:
    source = open_source("net", torch.nn.Upsample(scale_factor=2), [], scale=SCALE)
    with pytest.raises(ModelError, match="model 'net' is not an x4 model.*baby"):
        output_of(source, pair)


# --- folders ------------------------------------------------------------------------------------


def touch(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def plain(*names: str) -> list[ImagePair]:
    return [ImagePair(name, Path(f"{name}.png"), None) for name in names]


ARCHIVE = [
    ImagePair(n, Path(f"{n}_SRF_4_HR.png"), Path(f"{n}_SRF_4_LR.png"))
    for n in ("img_001", "img_002")
]
DIV2K = [ImagePair(n, Path(f"{n}.png"), Path(f"{n}x4.png")) for n in ("0801", "0802")]


@pytest.mark.parametrize(
    ("pairs", "files"),
    [
        (plain("baby", "bird"), ["baby.png", "bird.png"]),
        (plain("baby", "bird"), ["babyx4.png", "birdx4.png"]),
        (plain("baby", "bird"), ["baby_SwinIR.png", "bird_SwinIR.png"]),
        (plain("baby", "bird"), ["baby_x4_SwinIR.png", "bird-out.bmp"]),
        (plain("baby", "bird"), ["BABY.PNG", "Birdx4.Jpg"]),
        (plain("baby", "baby_2"), ["baby.png", "baby_2.png"]),
        (plain("baby", "baby_2"), ["baby_SwinIR.png", "baby_2_SwinIR.png"]),
        (plain("img.1", "img.10"), ["img.1.sr.png", "img.10.sr.png"]),
        (ARCHIVE, ["img_001_SRF_4_HR.png", "img_002_SRF_4_HR.png"]),
        (ARCHIVE, ["img_001_SRF_4_SRCNN.png", "img_002_SRF_4_SRCNN.png"]),
        (ARCHIVE, ["img_001.png", "img_002.png"]),
        (DIV2K, ["0801.png", "0802.png"]),
        (DIV2K, ["0801x4.png", "0802x4.png"]),
        (DIV2K, ["0801x4_HAT.png", "0802x4_HAT.png"]),
    ],
)
def test_files_are_matched(pairs: list[ImagePair], files: list[str], tmp_path: Path) -> None:
    folder = touch(tmp_path / "sr", [*files, ".hidden.png", "log.txt"])
    found = match_files("m", folder, pairs, SCALE)
    assert found == {pair.name: folder / file for pair, file in zip(pairs, files, strict=True)}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["baby.png"], "1 of 2 images are missing: bird"),
        ([], "2 of 2 images are missing: baby, bird"),
        (["baby.png", "birdsong.png"], "1 of 2 images are missing: bird; 1 files belong to no "
         "image of the data set: birdsong.png"),
        (["baby.png", "bird.png", "zebra.png"], "1 files belong to no image of the data set: "
         "zebra.png"),
        (["baby.png", "baby_x4.png", "bird.png"], "1 images have several files: baby (baby.png, "
         "baby_x4.png)"),
        (["babyx2.png", "bird.png"], "1 of 2 images are missing: baby; 1 files belong to no image "
         "of the data set: babyx2.png"),
    ],
)  # fmt: skip
def test_missing_surplus_and_ambiguous_files(
    files: list[str], message: str, tmp_path: Path
) -> None:
    folder = touch(tmp_path / "sr", files)
    with pytest.raises(ModelError) as caught:
        open_source("m", folder, plain("baby", "bird"), scale=SCALE)
    assert str(caught.value) == f"model 'm', folder {folder}: {message}"


def test_long_lists_are_cut(tmp_path: Path) -> None:
    pairs = plain(*(f"{n:04}" for n in range(100)))
    with pytest.raises(ModelError, match="100 .* missing: 0000, .*, 0004 and 95 more$"):
        open_source("m", touch(tmp_path / "sr", []), pairs, scale=SCALE)


def saved(folder: Path, image: Image, name: str = "baby.png") -> Path:
    folder.mkdir(exist_ok=True)
    Pillow.fromarray(image).save(folder / name)
    return folder / name


def opened(folder: Path, data: Path) -> tuple[Source, LoadedPair]:
    (pair,) = find_pairs(data, SCALE)
    source = open_source("m", folder, [pair], scale=SCALE)
    return source, load_pair(pair, scale=SCALE, color="rgb")


def test_images_of_a_folder(tmp_path: Path) -> None:
    """30x27 pixels, of which 28x24 count."""
    saved(tmp_path / "data", picture(27, 30))
    for number, output in enumerate((picture(24, 28, seed=5), picture(27, 30, seed=5))):
        folder = tmp_path / f"sr{number}"
        saved(folder, output)
        source, pair = opened(folder, tmp_path / "data")
        assert isinstance(source, Folder) and source.kind == "folder"
        assert str(folder) in source.detail
        assert np.array_equal(output_of(source, pair), output[:24, :28])
    saved(tmp_path / "gray", picture(24, 28)[:, :, 0])
    source, pair = opened(tmp_path / "gray", tmp_path / "data")
    assert np.array_equal(output_of(source, pair), np.repeat(picture(24, 28)[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("shape", [(12, 14), (24, 24), (28, 24), (48, 56), (20, 28)])
def test_images_of_the_wrong_size(shape: tuple[int, int], tmp_path: Path) -> None:
    saved(tmp_path / "data", picture(27, 30))
    path = saved(tmp_path / "sr", picture(*shape))
    source, pair = opened(tmp_path / "sr", tmp_path / "data")
    with pytest.raises(ModelError) as caught:
        output_of(source, pair)
    height, width = shape
    assert str(caught.value) == (
        f"model 'm': {path} is {width}x{height} pixels, but the ground truth 'baby' is 28x24; are "
        "these images of scale 4?"
    )


@pytest.mark.parametrize("damage", ["empty", "text", "truncated"])
def test_files_that_are_not_images(damage: str, tmp_path: Path) -> None:
    saved(tmp_path / "data", picture())
    path = saved(tmp_path / "sr", picture())
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"<html>", "truncated": whole[:200]}[damage])
    source, pair = opened(tmp_path / "sr", tmp_path / "data")
    with pytest.raises(CooError) as caught:
        output_of(source, pair)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_says_what_it_is(tmp_path: Path) -> None:
    network = load_network("m", own(tmp_path / "w.safetensors"), scale=SCALE, device="cpu")
    assert isinstance(network, Network) and network.device == "cpu"
    assert not network.module.training
