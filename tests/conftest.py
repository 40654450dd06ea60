"""What tests need beyond the package itself: markers say it, and this file skips with the reason.

``data("BSD100", …)`` needs these data sets below ``COO_DATA_HOME``; ``gpu`` (or ``gpu("faiss")``)
a GPU that torch (or FAISS) can use; ``needs("torch", …)`` importable packages; ``browser``
Chromium.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

# Workers of pytest-xdist keep the cores busy: more threads would wait for each other, spinning.
# Set before NumPy is imported; processes that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run on this machine."""
    for reason in _reasons(item):
        pytest.skip(reason)


def _reasons(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        if missing := [name for name in mark.args if not _importable(name)]:
            yield f"needs {', '.join(missing)}: pip install {' '.join(missing)}"
    for mark in item.iter_markers("data"):
        home = os.environ.get("COO_DATA_HOME")
        if missing := [name for name in mark.args if not home or not (Path(home) / name).is_dir()]:
            yield f"needs {' and '.join(missing)} in the folder COO_DATA_HOME"
    for mark in item.iter_markers("gpu"):
        library = mark.args[0] if mark.args else "torch"
        if not _gpu(library):
            yield f"needs a GPU that {library} can use"
    if item.get_closest_marker("browser") is not None and chromium() is None:
        yield f"needs a browser: one of {', '.join(BROWSERS)}"


@lru_cache
def chromium() -> str | None:
    """Path of a Chromium on this machine."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@lru_cache
def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@lru_cache
def _gpu(library: str) -> bool:
    from cooanalysis.neighbors.engines import faiss_gpu_count, torch_cuda_available

    return faiss_gpu_count() > 0 if library == "faiss" else torch_cuda_available()


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are saved without figures, whose drawing takes longer than a small analysis itself."""

    def none(record: object, folder: Path) -> list[Path]:
        folder.mkdir()
        return []

    monkeypatch.setattr("cooanalysis.plots.save_figures", none)


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder of real data sets; tests that use it are marked ``data``."""
    return Path(os.environ["COO_DATA_HOME"])


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The Chromium for tests that are marked ``browser``."""
    found = chromium()
    assert found is not None
    return found


@pytest.fixture(autouse=True, scope="module")
def _short_training_of_the_critic(request: pytest.FixtureRequest) -> Iterator[None]:
    """Comparisons train a critic for every model, which few tests look at."""
    if any(word in request.module.__name__ for word in ("realism", "battery")):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cooanalysis.measures.realism.critic._STEPS", (3, 3))
        yield
