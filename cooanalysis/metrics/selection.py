"""From names of metrics to metrics that can be computed here."""

from __future__ import annotations

from collections.abc import Iterable

from cooanalysis.errors import MissingDependencyError
from cooanalysis.metrics import learned
from cooanalysis.metrics.metric import Metric
from cooanalysis.metrics.registry import METRICS, PYIQA

AUTO = "auto"
"""Stands for :data:`AUTO_FIDELITY` and every learned metric that can be computed here."""

AUTO_FIDELITY = ("psnr_y", "ssim_y")


def available() -> list[Metric]:
    """The metrics of :data:`METRICS` that can be computed here, in its order."""
    return [metric for metric in METRICS.values() if metric.missing() is None]


def resolve(names: str | Iterable[str] = AUTO) -> list[Metric]:
    """Metrics by name.

    Parameters
    ----------
    names
        Names of :data:`METRICS`, ``pyiqa:NAME`` for any metric of ``pyiqa``, or ``"auto"``, which
        stands for PSNR and SSIM of luma and every learned metric that can be computed here
        (never one of ``pyiqa``). A metric that is named twice is returned once.

    Returns
    -------
    list of Metric
        In the order of the names.

    Raises
    ------
    ConfigError
        If a name is unknown.
    MissingDependencyError
        If a named metric cannot be computed here: before hours of inference, not after.
        Nothing is downloaded, and no metric is replaced by another.
    """
    found: dict[str, Metric] = {}
    for name in [names] if isinstance(names, str) else names:
        if name == AUTO:
            chosen = [m for m in available() if m.kind == "learned" or m.name in AUTO_FIDELITY]
        elif name.startswith(PYIQA):
            chosen = [_pyiqa_metric(name)]
        else:
            chosen = [METRICS.find(name, also=(AUTO, f"{PYIQA}NAME"))]
        found |= {metric.name: metric for metric in chosen}
    lacking = [(m.name, reason) for m in found.values() if (reason := m.missing()) is not None]
    if lacking:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in lacking)
        raise MissingDependencyError(f"metrics that cannot be computed here: {reasons}")
    return list(found.values())


def _pyiqa_metric(name: str) -> Metric:
    """A metric of pyiqa; its direction is only known where pyiqa is installed."""
    short = name.removeprefix(PYIQA)
    reason = learned.pyiqa_missing(short)
    if reason is not None:
        raise MissingDependencyError(f"metric {name} cannot be computed here: {reason}")
    return Metric(
        name, f"{short.upper()} (pyiqa)", learned.pyiqa_direction(short), "", "learned",
        lambda a, b, _: learned.pyiqa(a, b, short), lambda: learned.pyiqa_missing(short),
    )  # fmt: skip
