"""The domain shift, in worlds where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from cooanalysis.measures.realism import domain_shift


def distances(seed, images, factor=1.0):
    rng = np.random.default_rng(seed)
    of_image = rng.lognormal(0.0, 0.2, images)
    image = np.repeat(np.arange(images), 50)
    return factor * of_image[image] * rng.lognormal(0.0, 0.3, len(image)), image


@pytest.mark.parametrize("factor", [1.0, 1.36])
def test_the_ratio_is_found_and_its_interval_covers_it(factor):
    covered = 0
    for seed in range(40):
        (a, image_a), (b, image_b) = distances(seed, 30, factor), distances(seed + 100, 60)
        found = domain_shift({"s": a}, image_a, {"s": b}, image_b, seed=seed)["s"]
        assert found.value == pytest.approx(factor, rel=0.25)
        covered += found.ci_low <= factor <= found.ci_high
    assert covered >= 34


def test_each_space_is_found_and_both_sides_widen_the_interval():
    (a, image_a), (b, image_b) = distances(0, 30), distances(1, 60)
    found = domain_shift({"s": a, "t": 2 * a}, image_a, {"s": b, "t": b}, image_b)
    assert found["t"].value == pytest.approx(2 * found["s"].value)
    few = domain_shift({"s": a}, image_a, {"s": b[:300]}, image_b[:300])["s"]
    assert few.ci_high - few.ci_low > found["s"].ci_high - found["s"].ci_low
