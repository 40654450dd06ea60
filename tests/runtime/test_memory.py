"""The memory budget, and a study that must keep to one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cooanalysis as coo
from cooanalysis.data import sample_pairs
from cooanalysis.runtime import memory
from cooanalysis.runtime.memory import GIB, MemoryBudget, machine_bytes


@dataclasses.dataclass
class Pages:
    """Counts how often it was asked to give pages back."""

    released: int = 0

    def release(self) -> None:
        self.released += 1


def test_the_default_is_a_share_of_the_machine() -> None:
    assert MemoryBudget.of(None).total == int(memory.SHARE_OF_MACHINE * machine_bytes())
    assert MemoryBudget.of(2.5).total == int(2.5 * GIB)


def test_a_container_limits_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (limit, tmp_path / "none"))
    whole = machine_bytes()
    limit.write_text("max\n")
    assert machine_bytes() == whole
    limit.write_text("1000000\n")
    assert machine_bytes() == 1_000_000


def test_pages_go_back_once_three_quarters_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, pages = MemoryBudget(1000), Pages()
    monkeypatch.setattr(MemoryBudget, "resident", staticmethod(lambda: 740))
    budget.keep(pages)
    assert (budget.left, pages.released) == (10, 0)
    monkeypatch.setattr(MemoryBudget, "resident", staticmethod(lambda: 760))
    budget.keep(pages)
    assert (budget.left, pages.released) == (0, 1)


def test_images_mapped_from_files_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for pair in sample_pairs()[:4]:
        with Image.open(pair.hr_path) as image:
            image.convert("RGB").crop((0, 0, 200, 160)).save(photos / f"{pair.name}.png")
    Image.new("RGB", (12, 12)).save(photos / "small.png")
    (photos / "broken.png").write_bytes(b"")
    options = {
        "queries": 200, "k": 32, "subspace_dim": 8, "ceiling_queries": 50,
        "manifold_reference": 1000, "map_images": 1, "features": ("subbands",),
    }  # fmt: skip
    plain = coo.analyze(photos, **options)
    monkeypatch.setattr(memory, "DECODED_SHARE", 0.0)
    monkeypatch.setenv("COO_CACHE_HOME", str(tmp_path / "cache"))
    mapped = coo.analyze(photos, **options, memory=4.0)
    assert list((tmp_path / "cache" / "decoded").glob("*/detail.bin"))
    pd.testing.assert_frame_equal(mapped.groups, plain.groups)
    assert mapped.summary.skipped == plain.summary.skipped and plain.summary.skipped
    np.testing.assert_array_equal(mapped.maps["entropy"], plain.maps["entropy"])


@pytest.mark.parametrize("value", [0.01, 2e6, "4", float("nan")])
def test_absurd_budgets_are_refused(value: object) -> None:
    with pytest.raises(coo.errors.ConfigError, match="memory must lie"):
        coo.AnalysisConfig(dataset="a", memory=value)  # type: ignore[arg-type]
