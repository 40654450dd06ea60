"""The record of an entropy estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import check_call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimator:
    """What is known about an entropy estimator.

    Attributes
    ----------
    name
        How users name it.
    title
        How tables and plots name it.
    function
        ``function(samples, **options)`` gives nats per dimension: (G,) values from (G, n, d)
        samples, a 0-d array from (n, d). ``-inf`` for groups without a density, never NaN.
    min_samples
        ``min_samples(d)`` is the smallest group size at which it gives a number.
    reference
        Where it comes from.
    tensor_function
        The same on tensors: (G,) values from a (G, n, d) ``torch.Tensor`` on any device, with the
        default options. ``None``: samples on a GPU are copied to the CPU.
    """

    name: str
    title: str
    function: Callable[..., NDArray[np.float64]]
    min_samples: Callable[[int], int]
    reference: str = ""
    tensor_function: Callable[[Any], Any] | None = None


def check_estimator(name: str, estimator: object) -> None:
    """Refuse what cannot be used as an estimator of this name.

    Raises
    ------
    ConfigError
        The message names the estimator.
    """
    what = f"entropy estimator {name!r}"
    if not isinstance(estimator, Estimator):
        raise ConfigError(f"{what} must be an Estimator; got {estimator!r:.100}")
    if estimator.name != name:
        raise ConfigError(f"{what} has another name in its record: {estimator.name!r}")
    check_call(f"the function of {what}", estimator.function, ["samples"])
    if estimator.tensor_function is not None:
        check_call(f"the tensor_function of {what}", estimator.tensor_function, ["samples"])
    check_call(f"min_samples of {what}", estimator.min_samples, ["d"])
    least = estimator.min_samples(8)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise ConfigError(
            f"min_samples of {what} must return a positive whole number; got {least!r}"
        )
