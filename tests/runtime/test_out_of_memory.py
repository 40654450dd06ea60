"""Memory that runs out: batches shrink, the CPU takes over, and the summary says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")

import cooanalysis as coo
from cooanalysis.analysis import grouping
from cooanalysis.analysis import measure as measuring
from cooanalysis.runtime.out_of_memory import SMALLEST, in_batches, is_out_of_memory

SMALL: dict[str, Any] = {
    "queries": 300, "k": 32, "manifold_reference": 500, "map_images": 0, "ceiling_queries": 60,
    "estimators": ("gaussian",), "subspace_dim": 8, "features": ("subbands",), "device": "auto",
}  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed() -> coo.Result:
    return coo.analyze("sample", **SMALL)


def notices(result: coo.Result, code: str) -> list[dict[str, Any]]:
    """Facts of the notices of one code."""
    return [dict(notice.facts) for notice in result.summary.warnings if notice.code == code]


def assert_equal(found: coo.Result, wanted: coo.Result) -> None:
    for name in wanted.groups:
        values, truth = found.groups[name].to_numpy(), wanted.groups[name].to_numpy()
        if truth.dtype.kind == "f":
            np.testing.assert_allclose(values, truth, rtol=1e-5, atol=1e-7, err_msg=name)
        else:
            np.testing.assert_array_equal(values, truth, err_msg=name)


@pytest.mark.slow
def test_batches_shrink_and_the_analysis_goes_on(
    undisturbed: coo.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, members = measuring._measure, grouping.NearestGroups.members

    def short(run: Any, reference: Any, queries: Any, *more: Any) -> Any:
        if len(queries) > 90:
            raise MemoryError
        return measured(run, reference, queries, *more)

    def short_search(self: Any, queries: Any, excluded: Any) -> Any:
        if len(queries) > 90:
            raise MemoryError("of the search")
        return members(self, queries, excluded)

    monkeypatch.setattr(measuring, "_measure", short)
    monkeypatch.setattr(grouping.NearestGroups, "members", short_search)
    found = coo.analyze("sample", **SMALL)
    assert_equal(found, undisturbed)
    shrunk = notices(found, "out_of_memory_smaller_batches")
    assert {"step": "measuring_groups", "batch_size": 75} in shrunk
    assert "searching_neighbors" in [facts["step"] for facts in shrunk]
    assert not notices(undisturbed, "out_of_memory_smaller_batches")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["build", "search"])
def test_a_full_gpu_hands_over_to_the_cpu(
    where: str, undisturbed: coo.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from cooanalysis.neighbors.torch_engine import TorchEngine

    def full(*arguments: Any, **options: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    built = TorchEngine.build.__func__  # type: ignore[attr-defined]

    def fake_gpu(cls: Any, source: Any, device: str = "auto") -> Any:
        found = built(cls, source, device)
        found.name = "torch-cuda"
        return found

    if where == "build":
        monkeypatch.setattr(TorchEngine, "build", full)
    else:
        monkeypatch.setattr(TorchEngine, "build", classmethod(fake_gpu))
        monkeypatch.setattr(TorchEngine, "search", full)
        # The clean manifold is searched by what was asked for; only the groups' search falls back.
        monkeypatch.setattr(
            "cooanalysis.analysis.clean_manifold.with_fallback",
            lambda build, engine, device, note: build(engine="faiss-cpu", device="cpu"),
        )
    found = coo.analyze("sample", **(SMALL | {"engine": "torch"}))
    expected = {"step": "searching_neighbors", "engine": "faiss-cpu"}
    assert expected in notices(found, "gpu_out_of_memory")
    assert found.summary.engine.engine == "faiss-cpu"
    assert_equal(found, undisturbed)


def test_other_errors_are_not_taken_for_memory() -> None:
    def wrong(rows: slice) -> Any:
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        in_batches(wrong, 100, "testing", lambda line: None)


def test_batches_do_not_shrink_for_ever() -> None:
    sizes = []

    def never(rows: slice) -> Any:
        sizes.append(rows.stop - rows.start)
        raise MemoryError

    with pytest.raises(MemoryError):
        in_batches(never, 1000, "testing", lambda line: None)
    assert sizes[-1] == SMALLEST and len(sizes) < 10


@pytest.mark.parametrize("limit", [16, 17, 40, 1000])
@pytest.mark.parametrize("n", [0, 1, 16, 97, 256])
def test_rows_come_back_in_their_order(n: int, limit: int) -> None:
    def some(rows: slice) -> Any:
        if rows.stop - rows.start > limit:
            raise RuntimeError("Unable to allocate memory")
        return {"row": np.arange(rows.start, rows.stop)}

    found = in_batches(some, n, "testing", lambda line: None)
    np.testing.assert_array_equal(found["row"], np.arange(n))


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("Error in ... StandardGpuResources: cudaMalloc error"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("size mismatch"), False),
        (KeyError("out of memory"), False),
    ],
)
def test_what_is_about_memory(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


def test_a_command_out_of_memory_says_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from cooanalysis.cli import analyze

    def full(*arguments: Any, **options: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("cooanalysis.api.analyze", full)
    monkeypatch.setattr(sys, "argv", ["coo-analyze", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as ended:
        analyze.main()
    assert ended.value.code == 1
    assert "out of memory" in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_gpu_leaves_groups_to_the_cpu(
    undisturbed: coo.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from cooanalysis.analysis import context, kernels

    class Full(kernels.CpuKernels):
        """A GPU whose memory is used up."""

        def moments(self, *arguments: Any) -> Any:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    class Gpu:
        moments = Full.moments

    monkeypatch.setattr(context, "choose_kernels", lambda *_: Gpu())
    found = coo.analyze("sample", **SMALL)
    expected = {"step": "measuring_groups", "engine": "cpu"}
    assert notices(found, "gpu_out_of_memory") == [expected]
    assert_equal(found, undisturbed)
