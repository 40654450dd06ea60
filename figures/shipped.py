"""The shipped models: their comparison, their outputs, and the groups that they are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.analysis.context import Context
from cooanalysis.analysis.plan import Plan
from cooanalysis.data import Dataset
from cooanalysis.errors import ConfigError, ModelError
from cooanalysis.measures.entropy import ESTIMATORS
from figures.contract import SHIPPED, Inputs, MissingData

if TYPE_CHECKING:
    from cooanalysis.models.sources import Source
    from cooanalysis.results import Comparison

Image = NDArray[np.uint8]


def comparison(inputs: Inputs) -> Comparison:
    """The comparison of the shipped models.

    Raises
    ------
    MissingData
        If they cannot run here.
    """
    try:
        return inputs.comparison
    except ImportError as error:
        raise MissingData(
            f"the outputs of the shipped models are needed ({error}); install "
            "`pip install '.[models]'`"
        ) from error


def open_models(
    dataset: Dataset, *, scale: int, names: Sequence[str] = tuple(SHIPPED)
) -> list[Source]:
    """The shipped models, ready to run.

    Raises
    ------
    MissingData
        If they cannot run here.
    """
    try:
        # Imported here, so that figures without models do not need torch.
        from cooanalysis.models.sources import open_source

        return [open_source(name, SHIPPED[name], dataset.pairs, scale=scale) for name in names]
    except (ImportError, ModelError, ConfigError) as error:
        raise MissingData(
            f"the outputs of the shipped models are needed ({error}); install what "
            "models need with `pip install '.[models]'`"
        ) from error


def outputs_of(
    run: Context, dataset: Dataset, sources: Sequence[Source], images: Iterable[int]
) -> dict[str, dict[int, Image]]:
    """Outputs of models for some images of the query store, by name and number.

    Outputs are kept in the same cache as those of a comparison, so nothing is upscaled twice.
    """
    from cooanalysis.comparison.cache import OutputCache, default_folder
    from cooanalysis.comparison.images import usable_pairs

    wanted, cache = set(images), OutputCache(default_folder())
    found: dict[str, dict[int, Image]] = {source.name: {} for source in sources}
    for place, pair in enumerate(usable_pairs(run, dataset)):
        if place in wanted:
            for source in sources:
                found[source.name][place] = cache.output(source, pair, lambda line: None)
    return found


def plan_and_models(inputs: Inputs, queries: int, scale: int) -> tuple[Plan, list[Source]]:
    """A small analysis, of the leading estimator alone, and the models to run on its images.

    Parameters
    ----------
    inputs
        What the figures are made from.
    queries
        The most query patches to take.
    scale
        Of the analysis and of the models.
    """
    config = AnalysisConfig(
        inputs.dataset, reference=inputs.reference, scale=scale, estimators=ESTIMATORS.builtin[:1],
        queries=min(inputs.queries, queries), seed=inputs.seed,
    )  # fmt: skip
    plan = Plan.make(config, data_root=inputs.data_root)
    return plan, open_models(plan.queries, scale=scale)
