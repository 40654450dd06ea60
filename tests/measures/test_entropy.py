"""The entropy estimators against known answers; their symmetries; their refusals."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf, oas

from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.measures import entropy as module
from cooanalysis.measures.entropy import (
    ESTIMATORS,
    GAUSSIAN_UNIT_ENTROPY,
    NULLS,
    copula_entropy,
    count_ties,
    entropy,
    entropy_power,
    gaussian_entropy,
    kozachenko_leonenko_entropy,
    ledoit_wolf_intensity,
    marginal_entropies,
    marginal_mmse_floor,
    mmse_floor,
    oas_intensity,
    psnr_ceiling,
    reliability,
)
from experiments.estimators import bias_table

METHODS = tuple(ESTIMATORS)
TOLERANCE = 0.02
SIZES = [(64, 1), (128, 2), (128, 8), (64, 24), (128, 24), (256, 16)]


def ar1(d: int, correlation: float) -> np.ndarray:
    return correlation ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))


def covariance(kind: str, d: int) -> np.ndarray:
    if kind == "isotropic":
        return np.eye(d)
    if kind == "anisotropic":
        return np.diag(np.geomspace(30.0, 1.0, d) ** 2)
    return ar1(d, 0.5 if kind == "ar1-0.5" else 0.9)


def gaussian_groups(
    n: int, cov: np.ndarray, groups: int = 200, seed: int = 0
) -> tuple[np.ndarray, float]:
    d = len(cov)
    root = np.linalg.cholesky(cov)
    points = np.random.default_rng(seed).standard_normal((groups, n, d)) @ root.T
    return points, GAUSSIAN_UNIT_ENTROPY + np.log(np.diagonal(root)).mean()


def assert_unbiased(values: np.ndarray, truth: float, tolerance: float = TOLERANCE) -> None:
    error = 3.0 * values.std() / math.sqrt(len(values))
    assert abs(values.mean() - truth) < tolerance + error
    assert error < tolerance, "the test averages too few groups to say anything"


# -- Known answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic", "ar1-0.5", "ar1-0.9"])
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_gaussian_groups(method: str, kind: str, n: int, d: int) -> None:
    groups, truth = gaussian_groups(n, covariance(kind, d), groups=400 if d == 1 else 150)
    # The documented limit of ranks: strong correlation in many dimensions, few points.
    blunt = (method, kind, n, d) == ("copula", "ar1-0.9", 64, 24)
    assert_unbiased(entropy(groups, method), truth, tolerance=0.035 if blunt else TOLERANCE)


@pytest.mark.parametrize("n", [32, 26])
def test_unshrunk_gaussian_is_unbiased_down_to_the_smallest_group(n: int) -> None:
    groups, truth = gaussian_groups(n, covariance("ar1-0.9", 24), groups=1000)
    values = gaussian_entropy(groups, "none")
    assert abs(values.mean() - truth) < 4.0 * values.std() / math.sqrt(1000)


@pytest.mark.parametrize("shrinkage", ["oas", "ledoit-wolf"])
@pytest.mark.parametrize(("n", "d"), [(32, 8), (64, 24), (128, 24), (512, 16), (16, 24)])
def test_shrunk_gaussian_is_unbiased_without_correlation(shrinkage: str, n: int, d: int) -> None:
    for kind in ("isotropic", "anisotropic"):
        groups, truth = gaussian_groups(n, covariance(kind, d))
        assert_unbiased(gaussian_entropy(groups, shrinkage), truth)


def test_shrinkage_costs_bias_on_correlated_groups() -> None:
    """The documented reason for the default: it overestimates, none does not."""
    groups, truth = gaussian_groups(128, covariance("ar1-0.9", 24))
    assert gaussian_entropy(groups, "oas").mean() - truth == pytest.approx(0.12, abs=0.02)
    assert gaussian_entropy(groups).mean() == pytest.approx(truth, abs=0.005)


@pytest.mark.parametrize("method", ["copula", "kozachenko-leonenko"])
@pytest.mark.parametrize("n", [256, 512])
def test_uniform_interval(method: str, n: int) -> None:
    groups = np.random.default_rng(1).uniform(-2.0, 3.0, size=(300, n, 1))
    assert_unbiased(entropy(groups, method), math.log(5.0))


@pytest.mark.parametrize(("n", "d"), [(32, 4), (128, 8), (128, 24), (512, 24)])
def test_copula_knows_a_uniform_box(n: int, d: int) -> None:
    sides = np.geomspace(1.0, 30.0, d)
    groups = np.random.default_rng(2).random((200, n, d)) * sides
    assert_unbiased(copula_entropy(groups), np.log(sides).mean())


@pytest.mark.parametrize(
    ("method", "n", "d"),
    [
        ("copula", 64, 2),
        ("copula", 128, 24),
        ("kozachenko-leonenko", 256, 1),
        ("kozachenko-leonenko", 128, 8),
        ("kozachenko-leonenko", 512, 4),
    ],
)
def test_laplace(method: str, n: int, d: int) -> None:
    sampler, truth = NULLS["laplace"]
    groups = sampler(np.random.default_rng(3), (200, n, d))
    assert_unbiased(entropy(groups, method), truth)


def clusters(n: int, d: int, groups: int = 150) -> tuple[np.ndarray, float]:
    rng = np.random.default_rng(4)
    points = rng.standard_normal((groups, n, d))
    points[..., 0] += 20.0 * rng.integers(0, 2, (groups, n))
    return points, GAUSSIAN_UNIT_ENTROPY + math.log(2.0) / d


@pytest.mark.parametrize(
    ("method", "n", "d", "options"),
    [
        ("copula", 512, 1, {}),
        ("copula", 256, 4, {}),
        ("copula", 128, 24, {}),
        ("kozachenko-leonenko", 128, 1, {}),
        ("kozachenko-leonenko", 512, 2, {}),
        ("kozachenko-leonenko", 128, 4, {"whiten": False}),
    ],
)
def test_two_far_clusters_add_log_two(method: str, n: int, d: int, options: dict) -> None:
    groups, truth = clusters(n, d, groups=400 if d == 1 else 150)
    assert_unbiased(entropy(groups, method, **options), truth)


def test_gaussian_overestimates_two_far_clusters() -> None:
    """Its documented limit: it sees one Gaussian as wide as both, variance 1 + 10²."""
    groups, truth = clusters(256, 4)
    wide = GAUSSIAN_UNIT_ENTROPY + 0.5 * math.log(101.0) / 4
    assert entropy(groups).mean() == pytest.approx(wide, abs=0.01)
    assert entropy(groups).mean() > truth + 0.3


def test_whitening_removes_the_bias_of_anisotropy() -> None:
    groups, truth = gaussian_groups(128, covariance("anisotropic", 24), groups=60)
    raw = kozachenko_leonenko_entropy(groups, whiten=False, calibrate=False).mean() - truth
    white = kozachenko_leonenko_entropy(groups, calibrate=False).mean() - truth
    calibrated = kozachenko_leonenko_entropy(groups).mean() - truth
    assert raw > 0.5
    assert 0.05 < white < 0.12
    assert abs(calibrated) < 0.01


def test_neighbor_distances_are_exact() -> None:
    """The fast distances against differences, float32 products and near duplicates included."""
    rng = np.random.default_rng(5)
    for d, dtype in ((3, np.float64), (24, np.float32)):
        z = rng.standard_normal((2, 60, d))
        z[0, 1] = z[0, 0] + 1e-5
        z[1, :4] = z[1, 0]
        fast = module._kth_square_distance(z, 2, dtype)
        slow = np.sort(((z[:, :, None] - z[:, None]) ** 2).sum(-1), axis=2)[:, :, 2]
        np.testing.assert_allclose(fast, slow, rtol=2e-3 if dtype is np.float32 else 1e-9)
        assert np.all(fast[1, :4] == 0.0)


# -- Margins ---------------------------------------------------------------------------------


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


# -- Shrinkage -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(32, 8), (20, 24), (128, 24), (50, 1)])
def test_intensities_are_those_of_scikit_learn(n: int, d: int) -> None:
    x = np.random.default_rng(7).standard_normal((n, d)) @ np.linalg.cholesky(ar1(d, 0.5)).T
    x = (x - x.mean(0)) * np.linspace(1.0, 3.0, d)
    # One variable: scikit-learn returns the variance itself, at any intensity.
    if d > 1:
        assert oas_intensity(x.T @ x / n, n) == pytest.approx(oas(x, assume_centered=True)[1])
    expected = ledoit_wolf(x, assume_centered=True)[1]
    assert ledoit_wolf_intensity(x) == pytest.approx(expected, abs=1e-12)


def test_intensities_are_vectorized() -> None:
    x = np.random.default_rng(8).standard_normal((5, 40, 6))
    x -= x.mean(1, keepdims=True)
    covariances = np.swapaxes(x, 1, 2) @ x / 40
    np.testing.assert_allclose(
        oas_intensity(covariances, 40), [oas_intensity(c, 40) for c in covariances]
    )
    np.testing.assert_allclose(ledoit_wolf_intensity(x), [ledoit_wolf_intensity(g) for g in x])


def test_small_intensities_approach_none() -> None:
    groups, _ = gaussian_groups(64, covariance("ar1-0.5", 16), groups=20)
    none = gaussian_entropy(groups, "none")
    np.testing.assert_allclose(gaussian_entropy(groups, 1e-8), none, atol=1e-6)
    np.testing.assert_array_equal(gaussian_entropy(groups, 0.0), none)


def test_full_intensity_is_the_sum_of_the_margins() -> None:
    groups, _ = gaussian_groups(64, covariance("ar1-0.9", 4), groups=5)
    margins = [gaussian_entropy(groups[..., j : j + 1]) for j in range(4)]
    np.testing.assert_allclose(gaussian_entropy(groups, 1.0), np.mean(margins, axis=0))


def test_auto_shrinks_only_where_it_must() -> None:
    groups, _ = gaussian_groups(26, np.eye(24), groups=5)
    np.testing.assert_array_equal(gaussian_entropy(groups), gaussian_entropy(groups, "none"))
    few = groups[:, :25]
    np.testing.assert_array_equal(gaussian_entropy(few), gaussian_entropy(few, "oas"))


# -- Groups without a density ----------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 0.3, 1e3])
def test_constant_coordinate_has_entropy_minus_infinity(
    method: str, dtype: type, offset: float
) -> None:
    groups = np.random.default_rng(9).standard_normal((3, 64, 5)).astype(dtype)
    groups[1, :, 2] = offset
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = entropy(groups, method)
        margins = marginal_entropies(groups)
    assert values[1] == -np.inf
    assert np.all(np.isfinite(values[[0, 2]]))
    assert np.isneginf(margins).sum() == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_embedded_in_more_dimensions_has_entropy_minus_infinity(
    method: str, dtype: type
) -> None:
    rng = np.random.default_rng(10)
    embedding = np.linalg.qr(rng.standard_normal((12, 3)))[0].T
    flat = (rng.standard_normal((4, 128, 3)) @ embedding).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isneginf(entropy(flat, method)))


@pytest.mark.parametrize("method", ["gaussian", "kozachenko-leonenko"])
def test_nearly_embedded_gaussian_is_known(method: str) -> None:
    """A thickness of 1e-3 in 9 of 12 dimensions: very low, finite and right."""
    rng = np.random.default_rng(11)
    rotation = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    scales = np.where(np.arange(12) < 3, 1.0, 1e-3)
    groups = (rng.standard_normal((100, 128, 12)) * scales) @ rotation
    assert_unbiased(entropy(groups, method), GAUSSIAN_UNIT_ENTROPY + np.log(scales).mean())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("whole", [True, False])
def test_repeated_points_stay_finite_or_minus_infinity(method: str, whole: bool) -> None:
    points = np.random.default_rng(12).standard_normal((1, 64, 4))
    points[:, : 64 if whole else 20] = points[:, :1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = entropy(points, method)[0]
    assert not np.isnan(value)
    assert np.isneginf(value) == whole


def test_ties_are_counted() -> None:
    points = np.random.default_rng(13).standard_normal((2, 64, 12))
    points[1, :10] = points[1, 0]
    np.testing.assert_array_equal(count_ties(points), [0, 10])
    assert count_ties(points[1], k=3).shape == ()
    assert entropy(points, "kozachenko-leonenko")[1] < entropy(points, "kozachenko-leonenko")[0]


# -- Symmetries ------------------------------------------------------------------------------

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
        monkeypatch.setattr(module, "_nearest_neighbor_null", lambda *_: 0.0)


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
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1)
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


# -- What an entropy says about errors -------------------------------------------------------


def test_entropy_power_of_a_gaussian_is_its_variance() -> None:
    variance = np.array([0.01, 1.0, 25.0])
    h = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(variance)
    np.testing.assert_allclose(entropy_power(h), variance)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert entropy_power(-np.inf) == 0.0


def test_floors_of_a_gaussian_in_closed_form() -> None:
    """For independent Gaussians the marginal floor is the error of the best answer."""
    variance = np.array([9.0, 4.0, 1.0])
    h = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(variance)
    marginal = marginal_mmse_floor(h, patch_dim=10)
    joint = mmse_floor(h.mean(), subspace_dim=3, patch_dim=10)
    assert marginal == pytest.approx(variance.sum() / 10)
    assert joint == pytest.approx(3 / 10 * 36 ** (1 / 3))
    assert marginal_mmse_floor(np.tile(h, (5, 1)), 10).shape == (5,)


@given(st.integers(1, 12), st.integers(0, 2**20))
@quick
def test_marginal_floor_is_the_tighter_one(d: int, seed: int) -> None:
    """On exact values: any covariance, both below the mean squared error of the mean."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) + 0.1 * np.eye(d)
    cov = root @ root.T
    joint = GAUSSIAN_UNIT_ENTROPY + np.linalg.slogdet(root)[1] / d
    margins = GAUSSIAN_UNIT_ENTROPY + 0.5 * np.log(np.diagonal(cov))
    tight = marginal_mmse_floor(margins, patch_dim=2 * d)
    loose = mmse_floor(joint, subspace_dim=d, patch_dim=2 * d)
    assert loose <= tight * (1 + 1e-9)
    assert tight <= np.trace(cov) / (2 * d) * (1 + 1e-9)


def test_floor_is_below_the_error_of_the_best_answer_for_other_distributions() -> None:
    groups, _ = clusters(256, 3)
    floor = marginal_mmse_floor(marginal_entropies(groups), patch_dim=3)
    best = groups.var(axis=1).mean(axis=1)
    assert np.all(floor < best)


def test_entropy_power_inequality() -> None:
    """N(X + Y) >= N(X) + N(Y) for independent Laplace and uniform coordinates."""
    rng = np.random.default_rng(14)
    laplace = NULLS["laplace"][0](rng, (300, 512, 1))
    uniform = NULLS["uniform"][0](rng, (300, 512, 1))
    power = [entropy_power(copula_entropy(x).mean()) for x in (laplace, uniform, laplace + uniform)]
    assert power[2] > power[0] + power[1]


def test_psnr_ceiling() -> None:
    np.testing.assert_allclose(psnr_ceiling([1.0, 0.01, 1e-4]), [0.0, 20.0, 40.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert psnr_ceiling(0.0) == np.inf
    with pytest.raises(ConfigError, match="mse"):
        psnr_ceiling(-1.0)


def test_floors_refuse_more_axes_than_values() -> None:
    with pytest.raises(ConfigError, match="subspace_dim"):
        mmse_floor(0.0, subspace_dim=11, patch_dim=10)
    with pytest.raises(ConfigError, match="patch_dim = 2"):
        marginal_mmse_floor(np.zeros((4, 3)), patch_dim=2)


# -- Reliability -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_reliability_at_the_usual_sizes(method: str) -> None:
    shape = (
        covariance("anisotropic", 24) ** 0.5 @ ar1(24, 0.3) @ covariance("anisotropic", 24) ** 0.5
    )
    result = reliability(method, 128, 24, covariance=shape)
    assert result.trusted, result.reason
    assert (result.method, result.n, result.d) == (method, 128, 24)
    assert abs(result.bias) < 0.02
    assert 0.005 < result.standard_deviation < 0.03
    assert "n = 128, d = 24" in result.reason
    assert result == reliability(method, 128, 24, covariance=shape)


def test_reliability_sees_the_bias_of_other_shapes() -> None:
    assert reliability("copula", 128, 24, null="uniform").trusted
    boxes = reliability("kozachenko-leonenko", 128, 24, null="uniform")
    assert not boxes.trusted and boxes.bias > 0.15
    assert "beyond" in boxes.reason


def test_reliability_sees_the_bias_of_an_option() -> None:
    shape = covariance("ar1-0.9", 24)
    assert not reliability("gaussian", 128, 24, covariance=shape, shrinkage="oas").trusted
    assert not reliability("kozachenko-leonenko", 128, 24, n_trials=50, calibrate=False).trusted


@pytest.mark.parametrize("method", METHODS)
def test_reliability_without_enough_data(method: str) -> None:
    result = reliability(method, 24, 32)
    assert not result.trusted
    assert math.isnan(result.bias)
    assert "n = 24" in result.reason and "d = 32" in result.reason


def test_reliability_of_a_singular_covariance() -> None:
    for singular in (np.ones((3, 3)), np.diag([1.0, 0.0, 1.0])):
        result = reliability("gaussian", 64, 3, covariance=singular)
        assert not result.trusted and "hyperplane" in result.reason


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.eye(2), "shape"),
        (np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]), "symmetric"),
        (np.diag([1.0, -1.0, 1.0]), "negative"),
        (np.array([[1.0, 2.0, 0], [2.0, 1, 0], [0, 0, 1]]), "positive"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_reliability_refuses_what_is_no_covariance(matrix: np.ndarray, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        reliability("gaussian", 64, 3, covariance=matrix)


def test_reliability_refuses_nonsense() -> None:
    with pytest.raises(ConfigError, match="laplace"):
        reliability("gaussian", 64, 3, null="cauchy")
    with pytest.raises(ConfigError, match="n_trials"):
        reliability("gaussian", 64, 3, n_trials=1)
    with pytest.raises(ConfigError, match="copula"):
        reliability("histogram", 64, 3)


# -- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(method: str, bad: float) -> None:
    groups, _ = gaussian_groups(64, np.eye(3), groups=2)
    groups[1, 5, 1] = bad
    with pytest.raises(ConfigError, match="samples must be finite"):
        entropy(groups, method)
    with pytest.raises(ConfigError, match="samples must be finite"):
        marginal_entropies(groups)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_points_are_refused(method: str) -> None:
    minimum = ESTIMATORS[method].min_samples(24)
    groups, _ = gaussian_groups(minimum, np.eye(24), groups=2)
    assert np.all(np.isfinite(entropy(groups, method)))
    with pytest.raises(NotEnoughDataError, match=rf"n = {minimum - 1} .*d = 24.*{minimum}"):
        entropy(groups[:, 1:], method)
    with pytest.raises(NotEnoughDataError):
        entropy(groups[:, : ESTIMATORS[method].min_samples(1) - 1, :1], method)


def test_direct_calls_refuse_too_few_points() -> None:
    groups, _ = gaussian_groups(24, np.eye(24), groups=2)
    with pytest.raises(NotEnoughDataError):
        gaussian_entropy(groups, "none")
    with pytest.raises(NotEnoughDataError):
        gaussian_entropy(groups[:, :3], "oas")
    with pytest.raises(NotEnoughDataError):
        kozachenko_leonenko_entropy(groups[:, :12, :2], k=11)
    with pytest.raises(NotEnoughDataError):
        marginal_entropies(groups[:, :7])


@pytest.mark.parametrize("shape", [(10,), (2, 3, 40, 5), (40, 0), (0, 5)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="samples must"):
        entropy(np.zeros(shape))


def test_other_refusals() -> None:
    groups, _ = gaussian_groups(64, np.eye(3), groups=2)
    with pytest.raises(ConfigError, match=r"gaussian, kozachenko-leonenko, copula.*'histogram'"):
        entropy(groups, "histogram")
    with pytest.raises(ConfigError, match="complex"):
        entropy(groups.astype(complex))
    with pytest.raises(ConfigError, match="'lasso'"):
        entropy(groups, shrinkage="lasso")
    with pytest.raises(ConfigError, match=r"1\.5"):
        entropy(groups, shrinkage=1.5)
    with pytest.raises(ConfigError, match="k must be"):
        entropy(groups, "kozachenko-leonenko", k=0)


def test_integers_are_taken() -> None:
    counts = np.random.default_rng(15).integers(-50, 50, size=(2, 64, 3))
    np.testing.assert_allclose(entropy(counts), entropy(counts.astype(float)))


# -- The registry and the table --------------------------------------------------------------


def test_registry_is_complete() -> None:
    for name, estimator in ESTIMATORS.items():
        assert estimator.name == name
        assert estimator.title and estimator.reference
        assert estimator.min_samples(24) >= 26


def test_bias_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bias_table.main(["--n", "8", "64", "--d", "8", "--trials", "5", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert (tmp_path / "bias_table.md").read_text(encoding="utf-8") == printed
    made = json.loads((tmp_path / "bias_table.json").read_text(encoding="utf-8"))
    assert made["options"]["seed"] == 0 and "numpy" in made["versions"]
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 2 * 8
    assert len({line.count("|") for line in table}) == 1
    assert "too few" in table[2] and "±" in table[3]
