"""Files that would run code, or lie about their size, if a loader trusted them."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

OLD_RUN = Path(__file__).parent / "old_runs" / "analysis"
"""A run whose summary is whole."""


@dataclass(frozen=True)
class Malicious:
    """A file, and our loader that has to read it.

    Attributes
    ----------
    name
        Name of the attack.
    load
        Passes the file to the loader.
    refusal
        Whether an error must be raised; otherwise the file is ignored, and no code may run.
    """

    name: str
    load: Callable[[], object]
    refusal: bool = True


class Call:
    """Unpickles as the result of a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def payloads(canary: Path) -> dict[str, Any]:
    """Objects whose unpickling makes the file ``canary``."""
    touch = f"touch '{canary}'"
    code = f"open({str(canary)!r}, 'w').close()"
    return {
        "os.system": Call(os.system, touch),
        "os.popen": Call(os.popen, touch),
        "eval": Call(eval, code.replace(".close()", "")),
        "exec": Call(exec, code),
        "open": Call(open, str(canary), "w"),
        "builtins.getattr": Call(getattr, Call(__import__, "os"), "system"),
        "nested in a list": [1, {"a": [Call(os.system, touch)]}],
        "nested in weights": {"state_dict": {"conv.weight": Call(os.system, touch)}},
        "as a key": {Call(os.system, touch): 1},
        "in a tuple": (1, (2, (Call(exec, code),))),
    }


def opcodes(canary: Path) -> dict[str, bytes]:
    """Hand-written pickles, such as those that fool pickle scanners."""
    touch = f"touch '{canary}'".encode()
    return {
        "GLOBAL": b"cos\nsystem\n(S'" + touch.replace(b"'", b"\\'") + b"'\ntR.",
        "INST": b"(S'" + touch.replace(b"'", b"\\'") + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + touch.replace(b"'", b"\\'") + b"'\no.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(touch)]) + touch
        + b"\x85R.",
        "through posix": b"cposix\nsystem\n(S'" + touch.replace(b"'", b"\\'") + b"'\ntR.",
        "through torch": b"ctorch.serialization\nload\n(S'x'\ntR.",
        "two pickles": pickle.dumps({"a": 1}) + pickle.dumps(Call(os.system, touch.decode())),
        "EXT1": b"\x80\x02\x82\x01.",
        "persistent id": b"\x80\x02X\x01\0\0\0aQ.",
    }  # fmt: skip


def checkpoints(folder: Path, canary: Path) -> Iterator[tuple[str, Path]]:
    """The payloads as checkpoints in every format that torch reads."""
    import torch

    for name, value in payloads(canary).items():
        for zipped in (True, False):
            path = folder / f"{name} {'zip' if zipped else 'legacy'}.pth"
            torch.save(value, path, _use_new_zipfile_serialization=zipped)
            yield f"{name}, {'zip' if zipped else 'legacy'}", path
        path = folder / f"{name} bare.pt"
        path.write_bytes(pickle.dumps(value, protocol=2))
        yield f"{name}, bare pickle", path
    for name, data in opcodes(canary).items():
        path = folder / f"{name}.ckpt"
        path.write_bytes(data)
        yield f"{name}, by hand", path
        path = folder / f"{name} zip.pth"
        _torch_zip(path, data)
        yield f"{name}, by hand in a zip", path


def _torch_zip(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")


def safetensors(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files with false headers."""
    good = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}

    def write(name: str, header: bytes, data: bytes = b"\0" * 8, size: int | None = None) -> Any:
        path = folder / f"{name}.safetensors"
        length = len(header) if size is None else size
        path.write_bytes(struct.pack("<Q", length) + header + data)
        return name, path

    def tensor(**changes: Any) -> bytes:
        return json.dumps({"a": good["a"] | changes}).encode()

    yield write("length beyond the file", tensor(), size=10_000)
    yield write("length of 2^64", tensor(), size=2**64 - 1)
    yield write("length of 2^40", tensor(), size=2**40)
    yield write("offsets beyond the file", tensor(shape=[2**30], data_offsets=[0, 2**32]))
    yield write("offsets backwards", tensor(data_offsets=[8, 0]))
    yield write("offsets negative", tensor(data_offsets=[-8, 0]))
    yield write("shape overflows", tensor(shape=[2**32, 2**32, 2**32]))
    yield write("shape negative", tensor(shape=[-2]))
    yield write("unknown type", tensor(dtype="PICKLE"))
    yield write("hole", tensor(shape=[1], data_offsets=[4, 8]))
    twice = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' * 2
    yield write("name twice", twice[:-1].replace(b',{"a"', b',"a"') + b"}")
    overlap = {"a": good["a"], "b": good["a"]}
    yield write("tensors overlap", json.dumps(overlap).encode())
    yield write("no JSON", b"\x80\x04K\x01.")
    yield write("nested deeply", b"[" * 100_000)
    yield write("a pickle", pickle.dumps({"a": 1}), size=0)


def arrays(canary: Path) -> dict[str, bytes]:
    """NumPy files with objects in them."""
    hostile = np.empty(1, object)
    hostile[0] = Call(os.system, f"touch '{canary}'")
    found = {}
    for name, writer in (("npz", np.savez), ("compressed npz", np.savez_compressed)):
        file = io.BytesIO()
        writer(file, image_names=hostile, lr=hostile, allow_pickle=True)
        found[name] = file.getvalue()
    file = io.BytesIO()
    np.save(file, hostile, allow_pickle=True)
    found["npy"] = file.getvalue()
    found["pickle"] = pickle.dumps(payloads(canary)["os.system"])
    return found


def files(folder: Path, canary: Path) -> Iterator[Malicious]:
    """All cases, written into ``folder``."""
    yield from _checkpoints(folder / "checkpoints", canary)
    yield from _run_directories(folder / "runs", canary)
    yield from _yaml(folder / "yaml", canary)


def _checkpoints(folder: Path, canary: Path) -> Iterator[Malicious]:
    from cooanalysis.models import load_weights, read_info
    from cooanalysis.models.sources import open_source
    from cooanalysis.training import checkpoint

    folder.mkdir()
    for number, (name, path) in enumerate(checkpoints(folder, canary)):
        yield Malicious(f"model, {name}", partial(open_source, "m", path, [], scale=4))
        resumed = folder / f"resumed-{number}"
        resumed.mkdir()
        (resumed / "checkpoint-00000001.pt").write_bytes(path.read_bytes())

        def resume(resumed: Path = resumed) -> None:
            assert checkpoint.newest(resumed, "fingerprint", lambda line: None) is None

        yield Malicious(f"training state, {name}", resume, refusal=False)
    disguised = folder / "disguised.safetensors"
    disguised.write_bytes(pickle.dumps(payloads(canary)["os.system"]))
    for name, path in [*safetensors(folder), ("a pickle in disguise", disguised)]:
        yield Malicious(f"weights, {name}", partial(load_weights, path))
        yield Malicious(f"weights' header, {name}", partial(read_info, path))
        yield Malicious(f"model, {name}", partial(open_source, "m", path, [], scale=4))


def _run_directories(folder: Path, canary: Path) -> Iterator[Malicious]:
    import pandas as pd

    import cooanalysis as coo
    from cooanalysis.runtime.run_directory import Checkpoints
    from cooanalysis.training.images import _mapped

    folder.mkdir()
    for number, (name, data) in enumerate(arrays(canary).items()):
        run = folder / f"run-{number}"
        run.mkdir()
        shutil.copy(OLD_RUN / "summary.json", run)
        frame = pd.DataFrame({"image": ["a"], "y": [0], "x": [0]})
        for table in ("groups", "maps"):
            frame.to_parquet(run / f"{table}.parquet")
        (run / "examples.npz").write_bytes(data)
        yield Malicious(f"examples of a run, {name}", partial(coo.load, run))
        kept = folder / f"kept-{number}"
        kept.mkdir()
        (kept / "piece.npz").write_bytes(data)

        def reuse(kept: Path = kept) -> None:
            found = Checkpoints(kept).load_or_compute("piece", lambda: {"x": np.zeros(1)})
            assert list(found) == ["x"]

        yield Malicious(f"piece of a run, {name}", reuse, refusal=False)

        def cached(path: Path = kept / "piece.npz") -> None:
            assert _mapped(path, path) is None

        yield Malicious(f"decoded training image, {name}", cached, refusal=False)


def _yaml(folder: Path, canary: Path) -> Iterator[Malicious]:
    from cooanalysis.training import read_config

    folder.mkdir()
    code = f"open({str(canary)!r}, 'w')"
    for number, text in enumerate((
        f"a: !!python/object/apply:os.system [\"touch '{canary}'\"]",
        f"a: !!python/object/apply:builtins.eval [\"{code}\"]",
        f"a: !!python/object/new:os.system [\"touch '{canary}'\"]",
        "a: !!python/module:os", "a: !!python/name:os.system", "? !!python/tuple [1]\n: 2",
        f"seed: ${{eval:{code}}}", f"seed: ${{python:{code}}}", "seed: ${oc.decode:x",
    )):  # fmt: skip
        path = folder / f"{number}.yaml"
        path.write_text(text)
        yield Malicious(f"configuration, {text[:40]}", partial(read_config, [path]))
