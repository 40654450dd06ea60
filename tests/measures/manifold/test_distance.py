"""Distances to the clean manifold: closed forms, the trap of naive pixels, what noise does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from cooanalysis.data.datasets import Dataset, resolve
from cooanalysis.data.loading import LoadedPair, iter_pairs
from cooanalysis.data.patches import PatchStore
from cooanalysis.errors import ConfigError, NotEnoughDataError
from cooanalysis.measures.manifold import (
    FEATURE_SPACES,
    NEIGHBORS,
    CleanManifold,
    FeatureSpace,
    contrast_normalized,
    feature_space,
    pixel_features,
    sparsity_features,
    subband_features,
    two_sample_auc,
)

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")


def flat(patches: np.ndarray) -> np.ndarray:
    return patches.reshape(len(patches), -1)


RAW = FeatureSpace("raw", "gray values as they are", flat, whiten=False)
WHITE = FeatureSpace("white", "whitened gray values", flat)


def fit(patches: np.ndarray, space: str | FeatureSpace, image: object = None) -> CleanManifold:
    return CleanManifold.fit(patches, space, image, engine="faiss-cpu")  # type: ignore[arg-type]


def noise(n: int, size: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, size, size, 1)).astype(np.float32)


# -- Known answers ---------------------------------------------------------------------------


def sphere(n: int, radius: float, seed: int = 0) -> np.ndarray:
    """Patches on a sphere in the 16 dimensions of gray values."""
    points = noise(n, seed=seed)
    return radius * points / np.sqrt((points**2).sum((1, 2, 3), keepdims=True))


def test_center_of_a_sphere_is_one_radius_away() -> None:
    """The paper's claim in its simplest form: the mean of clean patches is not a clean patch."""
    manifold = fit(sphere(2000, 3.0) + 7.0, RAW)
    center = np.full((1, 4, 4, 1), 7.0)
    assert manifold.distance(center) == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize("radius", [0.5, 2.0, 10.0])
def test_points_inside_and_outside_a_circle(radius: float) -> None:
    """2,000 points on a circle of radius 3: dense enough for the closed form | r - 3 |."""
    angle = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)
    circle = np.zeros((2000, 4, 4, 1))
    circle[:, 0, 0, 0], circle[:, 0, 1, 0] = 3.0 * np.cos(angle), 3.0 * np.sin(angle)
    distance = fit(circle, RAW).distance(circle[:50] * radius / 3.0)
    np.testing.assert_allclose(distance, abs(radius - 3.0), rtol=0.01)


def test_flat_patch_in_pixels_is_in_the_center_of_the_shell() -> None:
    """Patches of unit contrast lie on a sphere of radius sqrt(64); the flat one in its middle."""
    manifold = fit(0.5 + 0.1 * noise(500, size=8), "pixels")
    gray = np.full((1, 8, 8, 1), 0.5)
    assert manifold.distance(gray) == pytest.approx(8.0, rel=1e-4)


def test_distance_is_the_mean_over_the_neighbors() -> None:
    values = np.zeros((50, 2, 2, 1))
    values[:, 0, 0, 0] = np.arange(50)
    query = np.zeros((1, 2, 2, 1))
    query[0, 0, 0, 0] = -5.0
    assert fit(values, RAW).distance(query) == pytest.approx(np.mean([5, 6, 7, 8, 9]), rel=1e-5)


def test_whitening_makes_every_direction_weigh_the_same() -> None:
    """Any linear map of Gaussian patches: distances as those of the plain Gaussian."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((16, 16)))
    mixing = np.geomspace(1.0, 5.0, 16)[:, None] * turn
    reference, queries = noise(4000), noise(200, seed=1)

    def mixed(patches: np.ndarray) -> np.ndarray:
        return (flat(patches) @ mixing).reshape(patches.shape)

    plain = fit(reference, RAW).distance(queries)
    white = fit(mixed(reference), WHITE).distance(mixed(queries))
    assert np.corrcoef(plain, white)[0, 1] > 0.98
    assert white.mean() == pytest.approx(plain.mean(), rel=0.05)
    assert fit(mixed(reference), RAW).distance(mixed(queries)).mean() > 2 * plain.mean()


@given(st.floats(-3, 3), st.floats(0.1, 10))
@settings(deadline=None, max_examples=15)
def test_shift_and_scale(shift: float, scale: float) -> None:
    reference, queries = noise(200), noise(30, seed=1)
    for space, factor in ((RAW, scale), (WHITE, 1.0)):
        plain = fit(reference, space).distance(queries)
        moved = fit(scale * reference + shift, space).distance(scale * queries + shift)
        np.testing.assert_allclose(moved, factor * plain, rtol=2e-3)


def test_neither_order_nor_chunks_change_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, queries = noise(300), noise(50, seed=1)
    order = np.random.default_rng(0).permutation(50)
    manifold = fit(reference, "pixels")
    whole = manifold.distance(queries)
    np.testing.assert_allclose(manifold.distance(queries[order]), whole[order], rtol=1e-5)
    monkeypatch.setattr("cooanalysis.measures.manifold.distance._CHUNK", 7)
    np.testing.assert_allclose(manifold.distance(queries), whole, rtol=1e-5)
    assert manifold.distance(queries[:0]).shape == (0,)


def test_excluded_images_do_not_count() -> None:
    """A patch lies on the manifold that holds it, and off the one without its image."""
    reference = noise(400)
    image = np.arange(400) // 100
    manifold = fit(reference, RAW, image)
    own = manifold.distance(reference, image, np.zeros((4, 4), bool))
    others = manifold.distance(reference, image, np.eye(4, dtype=bool))
    assert (others > own).all()
    for number in range(4):
        rest = fit(reference[image != number], RAW)
        np.testing.assert_allclose(
            others[image == number], rest.distance(reference[image == number]), rtol=1e-3
        )


# -- Features --------------------------------------------------------------------------------


def test_contrast_is_normalized_and_noise_is_not_blown_up() -> None:
    patches = 0.5 + 0.1 * noise(20, size=8)
    normal = contrast_normalized(patches)
    np.testing.assert_allclose(normal.mean(axis=(1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(normal.std(axis=(1, 2)), 1.0, rtol=1e-4)
    np.testing.assert_allclose(contrast_normalized(0.3 * patches + 0.2), normal, atol=1e-4)
    faint = contrast_normalized(0.5 + 0.0001 * noise(5, size=8))
    assert (faint.std(axis=(1, 2)) < 0.02).all()


def test_color_is_reduced_to_luma() -> None:
    gray = 0.5 + 0.1 * noise(20, size=8)
    np.testing.assert_allclose(
        contrast_normalized(np.repeat(gray, 3, axis=3)), contrast_normalized(gray), atol=1e-4
    )
    weights = [65.481, 128.553, 24.966]
    color = 0.5 + 0.1 * np.concatenate([noise(20, 8, seed) for seed in range(3)], axis=3)
    luma = (color @ np.array(weights, np.float32))[..., None] / sum(weights)
    np.testing.assert_allclose(subband_features(color), subband_features(luma), atol=1e-3)


@pytest.mark.parametrize("size", [4, 8, 20, 32])
def test_white_noise_has_the_same_energy_in_every_subband(size: int) -> None:
    features = subband_features(0.5 + 0.1 * noise(3000, size=size))
    energies = np.exp(features.astype(np.float64)).mean(0)
    # The mean was removed, so the other size² - 1 coefficients share the energy of size².
    np.testing.assert_allclose(energies, size**2 / (size**2 - 1), rtol=0.1)


@pytest.mark.parametrize("frequency", [2, 5, 9, 19])
def test_a_wave_lights_up_one_subband_of_its_orientation(frequency: int) -> None:
    wave = np.cos(np.pi * frequency * (np.arange(20) + 0.5) / 20)
    across = np.broadcast_to(wave, (20, 20))
    patches = 0.5 + 0.2 * np.stack([across, across.T, np.outer(wave, wave)])[..., None]
    features = subband_features(patches)
    assert ((features > -3).sum(1) == 1).all()
    np.testing.assert_allclose(np.sort(features)[:, -2], np.log(1e-3), atol=0.01)
    assert len(set(features.argmax(1))) == 3


def test_blur_empties_the_upper_bands_and_noise_fills_them() -> None:
    step = np.where(np.add.outer(np.arange(20), 2 * np.arange(20)) < 30, 0.2, 0.8)
    sharp = step[None, ..., None]
    blurred = gaussian_filter(sharp, (0, 2, 2, 0))
    noisy = blurred + 0.1 * noise(1, size=20)
    clean, dull, loud = (subband_features(patch)[0, -3:] for patch in (sharp, blurred, noisy))
    assert (dull < clean - 1).all()
    assert (loud > dull + 1).all()


def test_features_of_flat_patches_are_finite() -> None:
    for function in (pixel_features, subband_features):
        assert np.isfinite(function(np.full((3, 8, 8, 1), 0.25, np.float32))).all()


# -- Real photographs ------------------------------------------------------------------------


class Photographs:
    """Patches of the sample photographs, ×4: some for the manifold, two held-out halves."""

    def __init__(self, dataset: Dataset, n: int, seed: int = 0) -> None:
        pairs = (p for p in iter_pairs(dataset, color="y") if isinstance(p, LoadedPair))
        store = PatchStore.from_pairs(pairs, scale=4, width=5)
        rng = np.random.default_rng(seed)
        patches = store.sample(n, rng)
        shape = (len(patches), 20, 20, 1)
        self.image = patches.image
        self.clean = store.hr_patches(patches).reshape(shape)
        self.bicubic = self.clean - store.details(patches).reshape(shape)
        self.blurred = gaussian_filter(self.clean, (0, 2, 2, 0))
        self.noisy = self.clean + rng.normal(0.0, 20 / 255, shape).astype(np.float32)
        order = rng.permutation(len(patches))
        third = len(patches) // 4
        self.held_out, self.other, self.reference = (
            order[:third], order[third : 2 * third], order[2 * third :],
        )  # fmt: skip
        self.excluded = np.eye(len(store.names), dtype=bool)

    def ratio(self, space: str, patches: np.ndarray) -> float:
        """As the study reports it: own image left out, over the same of held-out clean ones."""
        manifold = fit(self.clean[self.reference], space, self.image[self.reference])

        def mean(patches: np.ndarray, rows: np.ndarray) -> float:
            distance = manifold.distance(patches[rows], self.image[rows], self.excluded)
            return float(distance.mean())

        return mean(patches, self.other) / mean(self.clean, self.held_out)


@pytest.fixture(scope="module")
def photos() -> Photographs:
    return Photographs(resolve("sample", scale=4, download=False), 4000)


@pytest.mark.parametrize("space", ["subbands", "pixels"])
def test_held_out_clean_patches_have_ratio_one(space: str, photos: Photographs) -> None:
    assert photos.ratio(space, photos.clean) == pytest.approx(1.0, abs=0.04)


def test_the_trap_pixels_call_blur_clean_and_subbands_do_not(photos: Photographs) -> None:
    for smooth in (photos.bicubic, photos.blurred):
        assert photos.ratio("pixels", smooth) < 1.0
        assert photos.ratio("subbands", smooth) > 1.3
    # The stronger the blur, the cleaner in pixels, and the farther in subbands.
    assert photos.ratio("pixels", photos.blurred) < photos.ratio("pixels", photos.bicubic)
    assert photos.ratio("subbands", photos.blurred) > photos.ratio("subbands", photos.bicubic)


def test_the_pixel_space_carries_its_warning() -> None:
    assert "pixel distances call blur clean" in (FEATURE_SPACES["pixels"].warning or "")
    assert FEATURE_SPACES["subbands"].warning is None


def auc_against_clean(photos: Photographs, patches: np.ndarray, n: int = 400) -> float:
    a, b = photos.held_out[:n], photos.other[:n]
    test = two_sample_auc(
        subband_features(photos.clean[a]),
        subband_features(patches[b]),
        photos.image[a],
        photos.image[b],
        n_folds=2,
    )
    return test.auc


def test_a_classifier_tells_blur_from_clean_but_not_clean_from_clean(photos: Photographs) -> None:
    assert auc_against_clean(photos, photos.bicubic) > 0.97
    assert 0.4 < auc_against_clean(photos, photos.clean) < 0.6


def test_noise_is_for_the_classifier_to_find(photos: Photographs) -> None:
    """A limit to know: noisy patches crowd together where grass and gravel are, so that their
    neighbors are near. The distance ratio says nothing about noise; the classifier does."""
    assert photos.ratio("subbands", photos.noisy) == pytest.approx(1.0, abs=0.1)
    assert auc_against_clean(photos, photos.noisy) > 0.8


@pytest.mark.data("BSD100")
def test_ratios_on_bsd100() -> None:
    """Here, with few noise-like textures, noise too lies off the manifold, but only just."""
    photos = Photographs(resolve("BSD100", scale=4, download=False), 6000)
    assert photos.ratio("subbands", photos.clean) == pytest.approx(1.0, abs=0.03)
    assert photos.ratio("subbands", photos.bicubic) > 1.4
    assert photos.ratio("subbands", photos.noisy) > 1.01
    assert photos.ratio("pixels", photos.bicubic) < 0.97
    assert photos.ratio("pixels", photos.noisy) < 0.97


# -- Two-sample test -------------------------------------------------------------------------


def test_auc_of_gaussians_with_known_shift() -> None:
    """Two unit Gaussians one apart: no classifier can beat Phi(1 / sqrt 2) = 0.76."""
    rng = np.random.default_rng(0)
    group = np.arange(1000) % 10
    first, second = rng.normal(0, 1, (1000, 1)), rng.normal(1, 1, (1000, 1))
    test = two_sample_auc(first, second, group, group)
    assert test.auc == pytest.approx(0.76, abs=0.04)
    assert test.scores.shape == test.labels.shape == (2000,)
    np.testing.assert_array_equal(test.labels, np.repeat([0, 1], 1000))
    again = two_sample_auc(first, second, group, group)
    np.testing.assert_array_equal(again.scores, test.scores)


def test_images_cannot_be_recognized() -> None:
    """Features that give the image away but not the sample: only leaking folds could use them."""
    rng = np.random.default_rng(0)
    first_group, second_group = np.arange(400) % 10, 10 + np.arange(400) % 10
    identity = rng.normal(0, 10, (20, 3))
    test = two_sample_auc(
        identity[first_group] + rng.normal(0, 0.01, (400, 3)),
        identity[second_group] + rng.normal(0, 0.01, (400, 3)),
        first_group,
        second_group,
    )
    assert test.auc < 0.9  # above 0.99 with patches of one image in both training and test


def test_two_images_are_the_least() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    one, two = np.zeros(60, int), np.arange(60) % 2
    assert 0 <= two_sample_auc(x, x + 5, two, two).auc <= 1
    with pytest.raises(NotEnoughDataError, match="at least two images"):
        two_sample_auc(x, x, one, one)
    with pytest.raises(NotEnoughDataError, match="both samples in two or more images"):
        two_sample_auc(x, x, one, one + 1)


# -- Refusals --------------------------------------------------------------------------------


def test_unknown_space() -> None:
    known = "known ones: subbands, pixels, sparsity, coupling, deep"
    with pytest.raises(ConfigError, match=f"unknown feature space 'vgg'; {known}"):
        feature_space("vgg")
    with pytest.raises(ConfigError, match=known):
        fit(noise(100), "vgg")


@pytest.mark.parametrize("shape", [(10, 4, 5, 1), (10, 4, 4), (4, 4)])
def test_patches_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(np.zeros(shape), "subbands")
    assert str(caught.value) == f"patches must be (n, size, size, channels), got {shape}"


@pytest.mark.parametrize(("space", "needed"), [(RAW, NEIGHBORS), (WHITE, 32)])
def test_too_few_clean_patches_are_counted_right(space: FeatureSpace, needed: int) -> None:
    assert np.isfinite(fit(noise(needed + 1), space).distance(noise(3, seed=1))).all()
    message = rf"'{space.name}' has 16 features and needs more than {needed} .* got {needed}$"
    with pytest.raises(NotEnoughDataError, match=message):
        fit(noise(needed), space)


def test_exclusion_may_leave_too_few() -> None:
    manifold = fit(noise(40), RAW, np.zeros(40, int))
    with pytest.raises(NotEnoughDataError, match="only 0 reference patches"):
        manifold.distance(noise(3), np.zeros(3, int), np.ones((1, 1), bool))


def test_patches_that_are_not_finite_are_refused() -> None:
    broken = noise(40)
    broken[3, 1, 1] = np.nan
    with pytest.raises(ConfigError, match="finite"):
        fit(noise(40), RAW).distance(broken)


# -- Sparsity --------------------------------------------------------------------------------


def edge(size: int = 20) -> np.ndarray:
    step = np.add.outer(np.arange(size), 2 * np.arange(size)) < 1.5 * size
    return np.where(step, 0.2, 0.8).astype(np.float32)[None, ..., None]


def test_the_space_of_sparsity_is_registered() -> None:
    assert "sparsity" in FEATURE_SPACES.builtin
    space = feature_space("sparsity")
    assert space.function is sparsity_features
    assert space.whiten and space.warning is None and space.missing() is None


@pytest.mark.parametrize("size", [4, 8, 20, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_two_features_a_band(size: int, channels: int) -> None:
    patches = np.repeat(0.5 + 0.1 * noise(7, size), channels, axis=3)
    features = sparsity_features(patches)
    assert features.shape == (7, 6) and features.dtype == np.float32
    assert np.isfinite(features).all()
    assert sparsity_features(patches, sigmas=(1.0,)).shape == (7, 2)
    # Each patch by itself.
    np.testing.assert_allclose(sparsity_features(patches[3:4]), features[3:4], rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_a_flat_patch_has_only_the_floors(level: float) -> None:
    features = sparsity_features(np.full((3, 8, 8, 1), level, np.float32))
    np.testing.assert_allclose(features[:, ::2], np.log(1e-4), rtol=1e-3)
    np.testing.assert_allclose(features[:, 1::2], np.log(0.05), rtol=1e-3)


def test_sparsity_sees_neither_contrast_nor_brightness_nor_direction() -> None:
    patches = np.concatenate([edge(), 0.5 + 0.1 * noise(10, 20)])
    features = sparsity_features(patches)
    for same in (
        0.3 * patches + 0.2,
        1.0 - patches,
        np.rot90(patches, axes=(1, 2)),
        patches[:, ::-1],
        np.repeat(patches, 3, axis=3),
    ):
        np.testing.assert_allclose(sparsity_features(same), features, atol=1e-3)


def test_noise_is_spread_evenly_and_an_edge_is_not() -> None:
    uneven = sparsity_features(0.5 + 0.1 * noise(200, 20))[:, 1::2]
    assert (uneven.max(0) < sparsity_features(edge())[0, 1::2]).all()
    # One bright pixel is the most uneven detail there is.
    dot = np.zeros((1, 20, 20, 1), np.float32)
    dot[0, 10, 10] = 1.0
    assert (sparsity_features(dot)[0, 1::2] > sparsity_features(edge())[0, 1::2]).all()


def test_the_finest_band_is_where_fine_detail_is() -> None:
    board = (np.add.outer(np.arange(20), np.arange(20)) % 2).astype(np.float32)[None, ..., None]
    wave = np.cos(np.pi * (np.arange(20) + 0.5) / 7)
    coarse = np.broadcast_to(wave[:, None], (20, 20)).astype(np.float32)[None, ..., None]
    assert sparsity_features(board)[0, ::2].argmax() == 0
    assert sparsity_features(coarse)[0, ::2].argmax() == 2


def test_the_more_noise_an_edge_has_the_more_it_looks_like_noise() -> None:
    grains = noise(100, 20)
    wanted = sparsity_features(grains).mean(0)
    features = [
        sparsity_features(edge() + sigma * grains).mean(0) for sigma in (0, 0.02, 0.05, 0.1, 0.3, 1)
    ]
    distance = [float(np.linalg.norm(found - wanted)) for found in features]
    assert distance == sorted(distance, reverse=True) and distance[-1] < 0.1 * distance[0]
    finest = np.array(features)[:, :2]
    assert (np.diff(finest[:, 0]) > 0).all() and (np.diff(finest[:, 1]) < 0).all()


def test_sparsity_tells_noise_from_detail_where_mean_energies_do_not(photos: Photographs) -> None:
    assert photos.ratio("sparsity", photos.clean) == pytest.approx(1.0, abs=0.08)
    assert photos.ratio("sparsity", photos.noisy) > 1.2
    # Compare test_noise_is_for_the_classifier_to_find: subbands give 1.0 there.
    assert 1.4 < photos.ratio("sparsity", photos.bicubic) < photos.ratio("sparsity", photos.blurred)
