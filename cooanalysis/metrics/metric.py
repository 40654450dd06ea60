"""The record of a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from cooanalysis.errors import ConfigError, MissingDependencyError
from cooanalysis.runtime.registry import check_call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Direction = Literal["higher", "lower"]
Kind = Literal["fidelity", "learned"]


def _nothing_missing() -> str | None:
    return None


@dataclass(frozen=True)
class Metric:
    """A metric of one image compared with its ground truth.

    Attributes
    ----------
    name, title
        Short name (option value, column), and title for tables.
    direction
        ``"higher"`` or ``"lower"``: which is better.
    unit
        Unit, empty for none.
    kind
        ``"fidelity"``: a formula, crops ``border``. ``"learned"``: a trained network, uses the
        whole image.
    function
        From (sr, hr, border) to a number; NaN where the metric has no value for these images.
    missing
        Returns what is missing to compute the metric here and how to get it, or None. Checks, but
        loads and downloads nothing.
    digits
        Decimal places in tables.
    """

    name: str
    title: str
    direction: Direction
    unit: str
    kind: Kind
    function: Callable[[Any, Any, int], float]
    missing: Callable[[], str | None] = _nothing_missing
    digits: int = 4

    def __call__(self, sr: NDArray[np.uint8], hr: NDArray[np.uint8], *, border: int = 0) -> float:
        """Compute the metric.

        Parameters
        ----------
        sr, hr
            uint8 images of one size, (H, W), (H, W, 1) or (H, W, 3) RGB.
        border
            Pixels that a fidelity metric leaves out on each side.

        Returns
        -------
        float
            In :attr:`unit`.

        Raises
        ------
        ImageError
            If the images are not such a pair or too small for the metric.
        MissingDependencyError
            If a package or trained weights are missing, or a weights file is not the original.
        ConfigError
            If the metric's function returns no number.
        """
        # Here, because it needs NumPy, and metrics are listed without it.
        from cooanalysis.metrics.pairs import check_pair

        check_pair(sr, hr)
        if (reason := self.missing()) is not None:
            raise MissingDependencyError(f"metric {self.name} cannot be computed here: {reason}")
        value = self.function(sr, hr, border)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ConfigError(
                f"metric {self.name!r} must return a number; it returned {value!r:.100}"
            ) from None


def check_metric(name: str, metric: object) -> None:
    """Refuse what cannot be used as a metric of this name.

    Raises
    ------
    ConfigError
        The message names the metric.
    """
    what = f"metric {name!r}"
    if not isinstance(metric, Metric):
        raise ConfigError(f"{what} must be a Metric; got {metric!r:.100}")
    if metric.name != name:
        raise ConfigError(f"{what} has another name in its record: {metric.name!r}")
    for field, allowed in (("direction", get_args(Direction)), ("kind", get_args(Kind))):
        value = getattr(metric, field)
        if value not in allowed:
            raise ConfigError(f"{field} of {what} must be {' or '.join(allowed)}; got {value!r}")
    digits = metric.digits
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 12:
        raise ConfigError(f"digits of {what} must be a whole number from 0 to 12; got {digits!r}")
    check_call(f"the function of {what}", metric.function, ["sr", "hr", "border"])
    check_call(f"missing of {what}", metric.missing, [])
