"""What the reader of a comparison is told, and the share of the detail in few patches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from cooanalysis.analysis.summary_record import CheckedCeiling
from cooanalysis.comparison.anchor import Anchor
from cooanalysis.comparison.summary import _top_share, notices

KINDS = {"net": "checkpoint", "weak": "folder", "bicubic": "bicubic", "hr": "hr"}
CEILING = CheckedCeiling(
    value=None, ci_low=None, ci_high=None, reliable=False, reason="center_not_clearly_below"
)


def told(anchor: Anchor | None, *, n_images: int = 20, ceiling: Any = CEILING) -> dict[str, Any]:
    totals = pd.DataFrame(
        {"model": list(KINDS), "measure": "explained", "value": [0.30, 0.20, 0.09, 1.0]}
    )
    found = notices(anchor, totals, KINDS, n_images=n_images, ceiling=ceiling)
    return {notice.code: dict(notice.facts) for notice in found}


def anchor(closed_form: float = 1.0, explained: float = 0.2) -> Anchor:
    store = cast("Any", SimpleNamespace())
    return Anchor("net", "baseline", store, closed_form, 0.3, explained)


def test_a_fitting_anchor_and_enough_images_need_no_word() -> None:
    assert told(anchor()) == {}


def test_an_anchor_that_is_missing_or_no_mean() -> None:
    assert told(None) == {"anchor_missing": {}}
    assert told(anchor(closed_form=0.7)) == {
        "anchor_not_a_mean": {"anchor": "net", "closed_form": 0.7}
    }


def test_an_anchor_that_explains_more_than_a_model() -> None:
    """Interpolation and ground truth do not count; nor does a small difference."""
    assert told(anchor(explained=0.28)) == {
        "anchor_explains_more": {"anchor": "net", "models": ["weak"], "explained": 0.28}
    }
    assert told(anchor(explained=0.21)) == {}
    assert told(anchor(explained=0.4))["anchor_explains_more"]["models"] == ["net", "weak"]


def test_few_images_and_a_ceiling_that_cannot_be_trusted() -> None:
    assert set(told(anchor(), n_images=2)) == {"few_images"}
    ceiling = CheckedCeiling(
        value=30.0, ci_low=29.0, ci_high=31.0, reliable=False, reason="center_not_clearly_below"
    )
    assert told(anchor(), ceiling=ceiling) == {"ceiling_unreliable": {"ceiling_db": 30.0}}


def test_the_share_of_few_patches() -> None:
    even = pd.DataFrame({"truth_energy": np.ones(1000)})
    assert _top_share(even) == pytest.approx(0.01)
    uneven = pd.DataFrame({"truth_energy": [99.0, *np.ones(99)]})
    assert _top_share(uneven) == pytest.approx(0.5)
    assert _top_share(pd.DataFrame({"truth_energy": [0.0, 0.0]})) is None
