"""cooanalysis: why super-resolution over-smooths, how much of it no model could avoid.

>>> import cooanalysis as coo
>>> result = coo.analyze("sample", scale=4)  # doctest: +SKIP
>>> result.summary.psnr_ceiling_db  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cooanalysis._version import __version__

if TYPE_CHECKING:
    from cooanalysis.analysis.config import AnalysisConfig
    from cooanalysis.api import analyze, compare
    from cooanalysis.errors import CooError
    from cooanalysis.results import Comparison, Result, load, load_comparison

# Imported on first use, so that `import cooanalysis` and `coo-analyze --help` are instant.
_LAZY = {
    "AnalysisConfig": "cooanalysis.analysis.config",
    "Comparison": "cooanalysis.results",
    "CooError": "cooanalysis.errors",
    "Result": "cooanalysis.results",
    "analyze": "cooanalysis.api",
    "compare": "cooanalysis.api",
    "load": "cooanalysis.results",
    "load_comparison": "cooanalysis.results",
}

__all__ = [
    "AnalysisConfig",
    "Comparison",
    "CooError",
    "Result",
    "__version__",
    "analyze",
    "compare",
    "load",
    "load_comparison",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'cooanalysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
