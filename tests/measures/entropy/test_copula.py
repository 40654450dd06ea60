"""The copula estimator and the entropies of single coordinates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cooanalysis.measures.entropy import (
    GAUSSIAN_UNIT_ENTROPY,
    NULLS,
    copula_entropy,
    marginal_entropies,
)
from tests.helpers.entropy_groups import assert_unbiased, clusters, gaussian_groups


@pytest.mark.parametrize(("n", "d"), [(32, 4), (128, 8), (128, 24), (512, 24)])
def test_copula_knows_a_uniform_box(n: int, d: int) -> None:
    sides = np.geomspace(1.0, 30.0, d)
    groups = np.random.default_rng(2).random((200, n, d)) * sides
    assert_unbiased(copula_entropy(groups), np.log(sides).mean())


@pytest.mark.parametrize("n", [64, 128, 512])
@pytest.mark.parametrize("null", NULLS)
def test_marginal_entropies(null: str, n: int) -> None:
    sampler, truth = NULLS[null]
    scales = np.array([0.1, 1.0, 30.0])
    groups = sampler(np.random.default_rng(6), (800, n, 3)) * scales
    values = marginal_entropies(groups)
    assert values.shape == (800, 3)
    for j, scale in enumerate(scales):
        assert_unbiased(values[:, j], truth + math.log(scale))


def test_marginal_entropies_of_a_bimodal_coordinate() -> None:
    groups, _ = clusters(512, 1, groups=300)
    truth = GAUSSIAN_UNIT_ENTROPY + math.log(2.0)
    assert_unbiased(marginal_entropies(groups)[:, 0], truth)


def test_the_marginal_part_of_the_copula_entropy_is_the_marginal_entropies() -> None:
    group, _ = gaussian_groups(64, np.eye(1), groups=3)
    np.testing.assert_allclose(copula_entropy(group), marginal_entropies(group)[:, 0])
