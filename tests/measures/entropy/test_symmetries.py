"""Symmetries that every estimator has, in batches and in single precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooanalysis.measures.entropy import _groups, entropy, kozachenko_leonenko
from tests.helpers.entropy_groups import METHODS, covariance, gaussian_groups

groups_strategy = st.builds(
    lambda seed, n, d: (
        np.random.default_rng(seed).standard_normal((2, n, d))
        @ np.random.default_rng(seed + 1).standard_normal((d, d))
    ),
    st.integers(0, 2**20),
    st.integers(14, 40),
    st.integers(1, 10),
)
quick = settings(max_examples=20, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def no_simulated_null(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calibration is a constant for given sizes: symmetries hold with any, so take 0."""
    if "symmetry" in request.node.name:
        monkeypatch.setattr(kozachenko_leonenko, "_nearest_neighbor_null", lambda *_: 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_translation_symmetry(method: str) -> None:
    @quick
    @given(groups_strategy, st.floats(-100.0, 100.0))
    def check(groups: np.ndarray, shift: float) -> None:
        np.testing.assert_allclose(
            entropy(groups + shift, method), entropy(groups, method), atol=1e-5
        )

    check()


@pytest.mark.parametrize("method", METHODS)
def test_scaling_symmetry(method: str) -> None:
    @quick
    @given(groups_strategy, st.floats(1e-4, 1e4), st.booleans())
    def check(groups: np.ndarray, factor: float, flip: bool) -> None:
        scaled = entropy(groups * (-factor if flip else factor), method)
        # The float32 products of the neighbor search round differently at another scale.
        np.testing.assert_allclose(scaled, entropy(groups, method) + math.log(factor), atol=1e-5)

    check()


@pytest.mark.parametrize("method", METHODS)
def test_permutation_symmetry(method: str) -> None:
    @quick
    @given(groups_strategy, st.integers(0, 1000))
    def check(groups: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(rng.permutation(groups, axis=1), axis=2)
        tolerance = 1e-5 if method == "kozachenko-leonenko" else 1e-9
        np.testing.assert_allclose(
            entropy(shuffled, method), entropy(groups, method), atol=tolerance
        )

    check()


@pytest.mark.parametrize("method", ["gaussian", "kozachenko-leonenko"])
def test_affine_symmetry(method: str) -> None:
    """Rotation, and any other invertible map, adds the log-determinant over d."""

    @quick
    @given(groups_strategy, st.integers(0, 1000), st.booleans())
    def check(groups: np.ndarray, seed: int, orthogonal: bool) -> None:
        d = groups.shape[2]
        matrix = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
        if not orthogonal:
            matrix = matrix * np.linspace(1.0, 5.0, d) @ matrix
        added = np.linalg.slogdet(matrix)[1] / d
        np.testing.assert_allclose(
            entropy(groups @ matrix, method), entropy(groups, method) + added, atol=1e-4
        )

    check()


@pytest.mark.parametrize("method", METHODS)
def test_batch_equals_loop(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, _ = gaussian_groups(40, covariance("ar1-0.5", 6), groups=7)
    batch = entropy(groups, method)
    loop = [entropy(group, method) for group in groups]
    assert all(value.shape == () and value.dtype == np.float64 for value in loop)
    np.testing.assert_allclose(batch, loop, atol=1e-12)
    monkeypatch.setattr(_groups, "CHUNK_BYTES", 1)
    np.testing.assert_allclose(entropy(groups, method), batch, atol=1e-12)
    assert entropy(groups[:0], method).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("d", [2, 24])
def test_float32_is_close_to_float64(method: str, d: int) -> None:
    groups, _ = gaussian_groups(64, covariance("anisotropic", d), groups=20)
    single = entropy((groups + 3.0).astype(np.float32), method)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, entropy(groups + 3.0, method), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_samples_are_left_alone(method: str) -> None:
    groups, _ = gaussian_groups(64, np.eye(4), groups=2)
    groups.setflags(write=False)
    before = groups.copy()
    entropy(groups, method)
    np.testing.assert_array_equal(groups, before)
