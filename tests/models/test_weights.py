"""Weights files: what is written comes back, and nothing else is let in."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from cooanalysis.errors import ModelError  # noqa: E402
from cooanalysis.models import build, load_weights, read_info, save_weights  # noqa: E402

OPTIONS = {"features": 8, "blocks": 1}


@pytest.fixture
def network():  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    return build("edsr", scale=2, **OPTIONS).eval()


def test_round_trip(network, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "net.safetensors"
    save_weights(
        path, network, name="edsr", scale=2, options=OPTIONS, metadata={"seed": "1", "data": "x"}
    )
    info = read_info(path)
    assert (info.name, info.scale, info.options) == ("edsr", 2, OPTIONS)
    assert info.metadata == {"seed": "1", "data": "x"}
    again = load_weights(path)
    assert not again.training
    lr = torch.rand(1, 3, 5, 4)
    assert torch.equal(again(lr), network(lr))
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights file"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 64])
def test_damaged_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a safetensors file, or is damaged"):
        load_weights(path)


def test_truncated_file(network, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "net.safetensors"
    save_weights(path, network, name="edsr", scale=2, options=OPTIONS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="bad.safetensors|damaged"):
        load_weights(path)


def test_foreign_safetensors_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.save_file({"a": torch.zeros(2)}, str(path))
    with pytest.raises(ModelError, match="does not name the network that it belongs to"):
        read_info(path)


def test_weights_of_another_shape_are_refused(network, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "net.safetensors"
    save_weights(path, network, name="edsr", scale=4, options=OPTIONS)
    with pytest.raises(ModelError, match="does not fit the network 'edsr'"):
        load_weights(path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "boom",))

    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError):
        load_weights(path)
    assert not (tmp_path / "boom").exists()
