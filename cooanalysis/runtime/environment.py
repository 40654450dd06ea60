"""The run-time environment: versions of packages, number of threads, peak memory."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "cooanalysis",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "numba",
    "faiss-cpu",
    "faiss-gpu",
    "faiss-gpu-cu11",
    "faiss-gpu-cu12",
    "torch",
    "pillow",
    "matplotlib",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results may depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def thread_limit() -> int:
    """Number of threads to use: ``OMP_NUM_THREADS`` where it is set, as it is for workers."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return int(threads) if threads.isdigit() and int(threads) > 0 else os.cpu_count() or 1


def peak_rss_bytes() -> int | None:
    """Peak resident memory of this process in bytes, or None where it is not reported."""
    try:
        # ru_maxrss does not work on Linux: a new process inherits it from its parent.
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
