"""cooanalysis: why super-resolution over-smooths, how much of it no model could avoid.

>>> import cooanalysis as coo
>>> result = coo.analyze("sample", scale=4)  # doctest: +SKIP
>>> result.summary["psnr_ceiling_db"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cooanalysis.api import analyze
    from cooanalysis.comparison.api import compare
    from cooanalysis.comparison.result import Comparison, load_comparison
    from cooanalysis.config import AnalysisConfig
    from cooanalysis.errors import CooError
    from cooanalysis.result import Result, load
    from cooanalysis.study import Study

# Imported on first use, so that `import cooanalysis` and `coo-analyze --help` are instant.
_LAZY = {
    "analyze": "cooanalysis.api",
    "AnalysisConfig": "cooanalysis.config",
    "CooError": "cooanalysis.errors",
    "Comparison": "cooanalysis.comparison.result",
    "compare": "cooanalysis.comparison.api",
    "load_comparison": "cooanalysis.comparison.result",
    "Result": "cooanalysis.result",
    "load": "cooanalysis.result",
    "Study": "cooanalysis.study",
}

__all__ = [
    "AnalysisConfig",
    "Comparison",
    "CooError",
    "Result",
    "Study",
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
