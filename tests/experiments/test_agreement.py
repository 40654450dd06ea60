"""Numbers that depend neither on threads nor on batches, engines or precision."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")

import cooanalysis as coo  # noqa: E402
from cooanalysis.neighbors import build_index  # noqa: E402
from experiments.robustness import agreement  # noqa: E402
from tests.helpers.photographs import write_crops  # noqa: E402

TOLERANCE = 1e-5
"""Relative to the largest value of a column: what docs/reliability.md states."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_crops(tmp_path_factory.mktemp("photographs"), 160, 8))


@pytest.fixture(scope="module")
def truth(photographs: str) -> coo.Result:
    return coo.analyze(photographs, **agreement.SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("n", agreement.THREADS)
def test_threads(n: int, photographs: str, truth: coo.Result) -> None:
    with agreement.threads(n):
        found = coo.analyze(photographs, **agreement.SMALL)
    assert agreement.difference(found, truth)[0] <= TOLERANCE


@pytest.mark.slow
def test_all_batch_sizes_at_once(photographs: str, truth: coo.Result) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        for name, sizes in agreement.BATCHES.items():
            stack.enter_context(agreement.batch(name, sizes[0]))
        found = coo.analyze(photographs, **agreement.SMALL)
    assert agreement.difference(found, truth)[0] <= TOLERANCE


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_engines(photographs: str) -> None:
    found = agreement.between_engines(photographs)
    assert found["torch, cpu"] <= TOLERANCE


def test_float32_against_float64() -> None:
    assert max(agreement.between_precisions().values()) <= TOLERANCE


def test_a_difference_is_seen(truth: coo.Result) -> None:
    import dataclasses

    groups = truth.groups.copy()
    groups.loc[5, "center_rms"] *= 1.01
    assert agreement.difference(dataclasses.replace(truth, groups=groups), truth)[0] > TOLERANCE
    groups = truth.groups.copy()
    groups.loc[5, "entropy_gaussian"] = np.nan
    assert agreement.difference(dataclasses.replace(truth, groups=groups), truth)[0] == np.inf


@pytest.mark.needs("torch")
@pytest.mark.parametrize("copies", [5, 40, 700])
def test_engines_agree_among_equal_vectors(copies: int) -> None:
    """Flat areas hold thousands of equal patches: row numbers decide, not an engine's order."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(50, 25)), copies, axis=0).astype(np.float32)
    vectors = vectors[rng.permutation(len(vectors))]
    queries = rng.normal(size=(40, 25)).astype(np.float32)
    found = [
        build_index(vectors, kind="exact", engine=engine, device="cpu").search(queries, 32).index
        for engine in ("faiss-cpu", "torch")
    ]
    np.testing.assert_array_equal(*found)
    distances = ((queries[:, None].astype(float) - vectors[None].astype(float)) ** 2).sum(-1)
    nearest = np.argsort(np.round(distances, 4), axis=1, kind="stable")[:, :32]
    np.testing.assert_array_equal(np.sort(found[0]), np.sort(nearest))
