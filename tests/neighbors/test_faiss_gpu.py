"""FAISS on GPUs, as far as it goes without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cooanalysis.errors import ConfigError
from cooanalysis.neighbors import (
    exact_search,
    faiss_engine,
    recall_at_k,
)
from cooanalysis.neighbors.faiss_engine import (
    GPU_PART_WIDTHS,
    GPU_PARTS,
    gpu_parts,
    number_of_cells,
)
from cooanalysis.neighbors.vectors import as_source
from tests.helpers.neighbors import (
    build,
    clustered,
    gaussian,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


# -- FAISS on GPUs, as far as it goes without one ----------------------------------------------


@pytest.fixture(params=[1, 3])
def pretended_gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Indices stay on the CPU where they would be copied to that many GPUs."""
    import faiss

    count: int = request.param
    monkeypatch.setattr("cooanalysis.neighbors.engines.faiss_gpu_count", lambda: count)
    monkeypatch.setattr(faiss, "GpuParameterSpace", faiss.ParameterSpace, raising=False)

    def copies(index: Any) -> list[Any]:
        return [faiss.clone_index(index) for _ in range(count)]

    def sharded(index: Any) -> Any:
        shards = faiss.IndexShards(index.d, True, False)
        for each in copies(index):
            shards.add_shard(each)
        return shards

    monkeypatch.setattr(faiss_engine, "_copies_on_gpus", copies)
    monkeypatch.setattr(faiss_engine, "_on_gpus", sharded if count > 1 else lambda index: index)
    return count


@pytest.mark.parametrize("n", [100, 3000])
@pytest.mark.parametrize("kind", ["exact", "ivf", "pq"])
def test_vectors_are_spread_over_gpus(
    pretended_gpus: int, kind: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cooanalysis.neighbors import vectors as blocks_of

    array, queries = clustered(n, 0), clustered(40, 1)
    expected = exact_search(queries, array, 20)
    monkeypatch.setattr(blocks_of, "BLOCK_BYTES", 4 * 16 * 700)
    found = build(array, "faiss-gpu", kind)
    found.set_effort(10**6)
    assert found.engine == "faiss-gpu"
    answer = found.search(queries, 20)
    if kind == "exact":
        np.testing.assert_array_equal(answer.index, expected.index)
        np.testing.assert_array_equal(answer.squared_distances, expected.squared_distances)
    else:
        assert recall_at_k(answer.index, expected.index).value >= 0.98


def test_more_gpus_than_vectors() -> None:
    import faiss

    array = gaussian(2, 4)
    spread = faiss_engine._over_shards(as_source(array), [faiss.IndexFlatL2(4) for _ in range(5)])
    assert spread.search(array, 2)[1][:, 0].tolist() == [0, 1]


def test_gpus_look_into_no_more_cells_than_their_kernels_select(
    pretended_gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = clustered(4000, 0)
    assert build(array, "faiss-gpu", "ivf").largest_effort == number_of_cells(4000, "ivf") > 32
    monkeypatch.setattr(faiss_engine, "GPU_LARGEST_SELECTION", 32)
    limited = build(array, "faiss-gpu", "ivf")
    assert limited.largest_effort == 32
    with pytest.raises(ConfigError, match="at most 32 neighbors, not 40; .*--engine faiss-cpu"):
        limited.search(array[:3], 40)


@given(st.integers(1, max(GPU_PARTS) * max(GPU_PART_WIDTHS)))
def test_parts_of_codes_are_those_that_gpus_can_encode(dim: int) -> None:
    parts, width = gpu_parts(dim)
    assert parts in GPU_PARTS and width in GPU_PART_WIDTHS
    assert parts * width >= dim
    assert 4 * 2**8 * parts <= 48 * 1024  # bytes of shared memory that every GPU has


def test_the_widest_vectors_have_no_codes_on_a_gpu() -> None:
    with pytest.raises(ConfigError, match=r"no index 'pq' for 1537 values; use --index ivf"):
        gpu_parts(1537)


def test_parts_get_large_axes_and_small_ones() -> None:
    axes = np.eye(6, dtype=np.float32)[:, :5]  # the sixth of six values is a zero that was added
    dealt = faiss_engine._dealt(axes, 2, 3)
    assert [np.flatnonzero(column).tolist() for column in dealt.T] == [[0], [3], [4], [1], [2], []]
