"""The search engine: chosen automatically, or requested by name."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
from types import ModuleType

from cooanalysis.errors import ConfigError, MissingDependencyError

ENGINES = ("faiss-cpu", "faiss-gpu", "torch")
"""Engines: FAISS on the CPU, FAISS on NVIDIA GPUs, torch (CUDA; its CPU form serves the tests)."""

BLAS_FROM_QUERIES = 20
"""Queries per call from which FAISS uses matrix products. FAISS 1.15 raised its own threshold to
thousands, where a scan of each query alone is many times slower on millions of vectors."""

_INSTALL_FAISS = (
    "FAISS is not installed; install it with `pip install 'cooanalysis[cpu]'`, or on a machine "
    "with an NVIDIA GPU and CUDA 12 with `pip install 'cooanalysis[gpu]'`"
)


def import_faiss() -> ModuleType:
    """Import FAISS, or name the extra that installs it.

    Raises
    ------
    MissingDependencyError
        If no FAISS is installed.
    """
    # OpenMP reads this when FAISS is loaded. Threads that wait by spinning take cores from those of
    # BLAS: an exact search then occasionally takes several times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError(_INSTALL_FAISS) from error
    faiss.cvar.distance_compute_blas_threshold = BLAS_FROM_QUERIES
    return faiss


def faiss_gpu_count() -> int:
    """Number of GPUs that the installed FAISS can use (0 for a CPU-only build)."""
    if importlib.util.find_spec("faiss") is None:
        return 0
    faiss = import_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def torch_cuda_available() -> bool:
    """Whether torch is installed and sees a CUDA GPU; torch is imported only with a driver."""
    if ctypes.util.find_library("cuda") is None or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def available_engine(engine: str = "auto", device: str = "auto") -> str:
    """Resolve ``auto`` and check that a named engine can run here.

    Parameters
    ----------
    engine
        ``"auto"`` or one of :data:`ENGINES`.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``; restricts what ``auto`` may choose.

    Returns
    -------
    str
        One of :data:`ENGINES`. ``auto`` selects FAISS on the GPU, else torch on CUDA, else
        FAISS on the CPU.

    Raises
    ------
    ConfigError
        If the engine or device is unknown, or the two contradict each other.
    MissingDependencyError
        If the requested engine is not installed or has no GPU.
    """
    if engine not in ("auto", *ENGINES):
        raise ConfigError(f"unknown engine {engine!r}; choose auto, {', '.join(ENGINES)}")
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {device!r}; choose auto, cpu or cuda")
    if engine == "faiss-gpu" and device == "cpu":
        raise ConfigError("engine 'faiss-gpu' cannot run on device 'cpu'; drop one of the two")
    if engine == "faiss-cpu" and device == "cuda":
        raise ConfigError("engine 'faiss-cpu' cannot run on device 'cuda'; drop one of the two")
    if engine == "auto":
        if device in ("auto", "cuda"):
            if faiss_gpu_count() > 0:
                return "faiss-gpu"
            if torch_cuda_available():
                return "torch"
            if device == "cuda":
                raise MissingDependencyError(
                    "device 'cuda' was requested, but neither FAISS nor torch finds a GPU; "
                    "install faiss-gpu or a CUDA build of torch, or use --device cpu"
                )
        import_faiss()
        return "faiss-cpu"
    if engine == "faiss-gpu" and faiss_gpu_count() == 0:
        raise MissingDependencyError(
            "engine 'faiss-gpu' was requested, but the installed FAISS finds no GPU; install "
            "faiss-gpu on a machine with an NVIDIA GPU, or use --engine auto"
        )
    if engine == "faiss-cpu":
        import_faiss()
    if engine == "torch" and importlib.util.find_spec("torch") is None:
        raise MissingDependencyError(
            "engine 'torch' was requested, but torch is not installed; install it with "
            "`pip install 'cooanalysis[torch]'`, or use --engine auto"
        )
    if engine == "torch" and device == "cuda" and not torch_cuda_available():
        raise MissingDependencyError("engine 'torch' finds no CUDA GPU; use --device cpu")
    return engine
