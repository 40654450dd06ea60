"""Engines and values that cannot be used end in one clear line."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.neighbors import (
    available_engine,
    build_index,
    exact_search,
    fit_kmeans,
    search_excluding,
)
from tests.helpers.neighbors import (
    build,
    gaussian,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        ("annoy", "auto", "unknown engine 'annoy'; choose auto, faiss-cpu, faiss-gpu, torch"),
        ("auto", "tpu", "unknown device 'tpu'; choose auto, cpu or cuda"),
        ("faiss-gpu", "cpu", "engine 'faiss-gpu' cannot run on device 'cpu'"),
        ("faiss-cpu", "cuda", "engine 'faiss-cpu' cannot run on device 'cuda'"),
    ],
)
def test_engines_that_make_no_sense(engine: str, device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        available_engine(engine, device)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("faiss_gpu_count", "torch_cuda_available"):
        monkeypatch.setattr(f"cooanalysis.neighbors.engines.{name}", lambda: 0)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        ("faiss-gpu", "auto", "the installed FAISS finds no GPU; .*--engine auto"),
        ("auto", "cuda", "neither FAISS nor torch finds a GPU; .*--device cpu"),
        pytest.param(
            "torch",
            "cuda",
            "finds no CUDA GPU; use --device cpu",
            marks=pytest.mark.needs("torch"),
        ),
    ],
)
def test_without_a_gpu_the_message_says_what_to_do(engine: str, device: str, message: str) -> None:
    with pytest.raises(MissingDependencyError, match=message):
        available_engine(engine, device)
    assert available_engine("auto", "auto") == "faiss-cpu"


@pytest.mark.parametrize(
    ("faiss_gpus", "cuda", "device", "engine"),
    [
        (1, True, "auto", "faiss-gpu"),
        (0, True, "auto", "torch"),
        (0, True, "cuda", "torch"),
        (1, True, "cpu", "faiss-cpu"),
    ],
)
def test_auto_takes_the_fastest_there_is(
    faiss_gpus: int, cuda: bool, device: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.neighbors import engines

    monkeypatch.setattr(engines, "faiss_gpu_count", lambda: faiss_gpus)
    monkeypatch.setattr(engines, "torch_cuda_available", lambda: cuda)
    assert available_engine("auto", device) == engine


def test_without_faiss_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_faiss(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "faiss":
            raise ImportError("No module named 'faiss'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_faiss)
    for call in (
        lambda: available_engine("faiss-cpu"),
        lambda: available_engine("auto", "cpu"),
        lambda: build_index(gaussian(9, 2), engine="faiss-cpu"),
        lambda: exact_search(gaussian(9, 2), gaussian(9, 2), 1),
        lambda: fit_kmeans(gaussian(9, 2), 2),
    ):
        with pytest.raises(MissingDependencyError, match=r"pip install 'cooanalysis\[cpu\]'"):
            call()


def test_vectors_and_kinds_that_cannot_be_indexed() -> None:
    with pytest.raises(ConfigError, match=r"vectors must have shape .*, got \(5,\)"):
        build(np.zeros(5))
    with pytest.raises(ConfigError, match=r"vectors must have shape .*, got \(0, 5\)"):
        build(np.zeros((0, 5)))
    with pytest.raises(ConfigError, match="unknown index 'lsh'; choose auto, exact, ivf, hnsw, pq"):
        build(np.zeros((9, 5)), kind="lsh")


@pytest.mark.needs("torch")
def test_torch_searches_only_exactly() -> None:
    with pytest.raises(ConfigError, match="index 'ivf' needs FAISS; the torch engine .* only"):
        build(gaussian(9, 2), "torch", kind="ivf")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    """FAISS finds no neighbor for them: a search that waits for enough would never end."""
    vectors = gaussian(30, 3)
    broken = np.where(np.arange(30)[:, None] == 7, np.float32(bad), vectors)
    with pytest.raises(ConfigError, match="vectors must be finite"):
        build(broken)
    zeros = np.zeros(30, int)
    with pytest.raises(ConfigError, match="queries must be finite"):
        search_excluding(build(vectors), broken, 3, zeros, zeros, np.zeros((1, 1), bool))
