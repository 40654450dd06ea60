"""Metrics by name, fidelity and learned alike, so that a comparison can loop over them.

To add one, write a function and one line in :data:`METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.metrics import learned
from cooanalysis.metrics.fidelity import Image, check_pair, psnr, ssim

AUTO = "auto"
"""Stands for :data:`AUTO_FIDELITY` and every learned metric that can be computed here."""
AUTO_FIDELITY = ("psnr_y", "ssim_y")
PYIQA = "pyiqa:"
"""Prefix of a metric that the package ``pyiqa`` computes, as in ``pyiqa:niqe``."""


def _nothing_missing() -> str | None:
    return None


@dataclass(frozen=True)
class Metric:
    """A metric of one image against its truth.

    Attributes
    ----------
    name, title
        Short name (option value, column) and a title for tables.
    direction
        ``"higher"`` or ``"lower"``: which is better.
    unit
        Unit, empty for none.
    kind
        ``"fidelity"``: a formula, cuts ``border``. ``"learned"``: a trained network, looks at the
        whole image.
    function
        From (sr, hr, border) to a float.
    missing
        Returns what is missing to compute the metric here and how to get it, or None. Looks, but
        loads and downloads nothing.
    """

    name: str
    title: str
    direction: Literal["higher", "lower"]
    unit: str
    kind: Literal["fidelity", "learned"]
    function: Callable[[Image, Image, int], float]
    missing: Callable[[], str | None] = _nothing_missing

    def __call__(self, sr: Image, hr: Image, *, border: int = 0) -> float:
        """Compute the metric.

        Parameters
        ----------
        sr, hr
            uint8 images of one size, (H, W), (H, W, 1) or (H, W, 3) RGB, levels 0 to 255.
        border
            Pixels that a fidelity metric leaves out on each side.

        Returns
        -------
        float
            In :attr:`unit`.

        Raises
        ------
        ImageError
            If the images are no such pair or too small for the metric.
        MissingDependencyError
            If a package or trained weights are missing, or a weights file is not the original.
        """
        check_pair(sr, hr)
        if (reason := self.missing()) is not None:
            raise MissingDependencyError(f"metric {self.name} cannot be computed here: {reason}")
        return self.function(sr, hr, border)


def _learned(
    name: str, title: str, function: Callable[[Image, Image], float],
    missing: Callable[[], str | None],
) -> Metric:  # fmt: skip
    return Metric(name, title, "lower", "", "learned", lambda a, b, _: function(a, b), missing)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr_y", "PSNR-Y", "higher", "dB", "fidelity",
               lambda a, b, n: psnr(a, b, border=n)),
        Metric("ssim_y", "SSIM-Y", "higher", "", "fidelity",
               lambda a, b, n: ssim(a, b, border=n)),
        Metric("psnr_rgb", "PSNR-RGB", "higher", "dB", "fidelity",
               lambda a, b, n: psnr(a, b, border=n, color="rgb")),
        Metric("ssim_rgb", "SSIM-RGB", "higher", "", "fidelity",
               lambda a, b, n: ssim(a, b, border=n, color="rgb")),
        _learned("st-lpips", "ST-LPIPS", learned.st_lpips, learned.st_lpips_missing),
        _learned("lpips-alex", "LPIPS (AlexNet)", lambda a, b: learned.lpips(a, b, "alex"),
                 lambda: learned.lpips_missing("alex")),
        _learned("lpips-vgg", "LPIPS (VGG-16)", lambda a, b: learned.lpips(a, b, "vgg"),
                 lambda: learned.lpips_missing("vgg")),
        _learned("dists", "DISTS", learned.dists, learned.dists_missing),
    )
}  # fmt: skip
"""The metrics that have a name of their own; ``pyiqa:NAME`` adds those of ``pyiqa``."""


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
        (never one of ``pyiqa``). A metric named twice is returned once.

    Returns
    -------
    list of Metric
        In the order of the names.

    Raises
    ------
    ConfigError
        If a name is unknown.
    MissingDependencyError
        If a metric that is named cannot be computed here: before hours of inference, not after.
        Nothing is downloaded and nothing replaced by something else.
    """
    found: dict[str, Metric] = {}
    for name in [names] if isinstance(names, str) else names:
        if name == AUTO:
            chosen = [m for m in available() if m.kind == "learned" or m.name in AUTO_FIDELITY]
        elif name in METRICS:
            chosen = [METRICS[name]]
        elif name.startswith(PYIQA):
            chosen = [_pyiqa_metric(name)]
        else:
            raise ConfigError(
                f"metric must be {AUTO}, one of {', '.join(METRICS)}, or {PYIQA}NAME; got {name!r}"
            )
        found |= {metric.name: metric for metric in chosen}
    lacking = [(m.name, reason) for m in found.values() if (reason := m.missing()) is not None]
    if lacking:
        told = "; ".join(f"{name}: {reason}" for name, reason in lacking)
        raise MissingDependencyError(f"metrics that cannot be computed here: {told}")
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
