"""Whether what a model makes up looks like clean images, judged on whole patches.

Distances to clean patches (:mod:`cooanalysis.measures.manifold`) can be fooled one by one: nearest
neighbor upsampling, unsharp masks and noise each pass in some feature space. So they are joined by
two-sample tests, which are asked whether outputs can be distinguished from the ground truth at
all: gradient boosting on features that include how bands go together, and, with torch, a learned
critic that also sees the LR patch. :func:`judge_realism` says ``like`` only where all agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cooanalysis.runtime.lazy import exporter

if TYPE_CHECKING:
    from cooanalysis.measures.realism.critic import CRITIC_SIZE, critic_inputs, critic_test
    from cooanalysis.measures.realism.decision import (
        HIGHEST_AUC,
        RATIO_TOLERANCE,
        Realism,
        auc_vote,
        judge_realism,
        ratio_vote,
    )
    from cooanalysis.measures.realism.domain import domain_shift
    from cooanalysis.measures.realism.grade import separation

__all__ = [
    "CRITIC_SIZE",
    "HIGHEST_AUC",
    "RATIO_TOLERANCE",
    "Realism",
    "auc_vote",
    "critic_inputs",
    "critic_test",
    "domain_shift",
    "judge_realism",
    "ratio_vote",
    "separation",
]

# Imported on first use, as in cooanalysis.measures.manifold.
__getattr__ = exporter(
    __name__,
    {
        "CRITIC_SIZE": "critic",
        "HIGHEST_AUC": "decision",
        "RATIO_TOLERANCE": "decision",
        "Realism": "decision",
        "auc_vote": "decision",
        "critic_inputs": "critic",
        "critic_test": "critic",
        "domain_shift": "domain",
        "judge_realism": "decision",
        "ratio_vote": "decision",
        "separation": "grade",
    },
)
