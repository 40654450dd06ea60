"""The learned critic: known answers, its inputs, and what it says without torch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cooanalysis.errors import ConfigError, MissingDependencyError, NotEnoughDataError
from cooanalysis.measures.realism import critic_inputs, critic_test
from cooanalysis.measures.realism.critic import missing

N, IMAGES = 240, 6


def texture(seed, n=N):
    """(n, 16, 16, 1) patches of smoothed noise in [0, 1]."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((n, 16, 16)), (0, 1, 1))
    return np.clip(0.5 + 0.3 * noise, 0, 1).astype(np.float32)[..., None]


def upsampled(patches):
    return gaussian_filter(patches, (0, 2, 2, 0))


def critic(first, second, **options):
    image = np.arange(N) % IMAGES
    inputs = [critic_inputs(part, upsampled(first)) for part in (first, second)]
    return critic_test(*inputs, image, image, **options)


needs_torch = pytest.mark.skipif(missing() is not None, reason="needs torch")


@needs_torch
def test_two_samples_of_one_distribution_cannot_be_distinguished():
    first, second = texture(0), texture(1)
    image = np.arange(N) % IMAGES
    inputs = [critic_inputs(part, upsampled(part)) for part in (first, second)]
    assert critic_test(*inputs, image, image, steps=60).auc == pytest.approx(0.5, abs=0.08)


@needs_torch
def test_the_ground_truth_itself_gives_one_half():
    assert critic(texture(0), texture(0), steps=5).auc == pytest.approx(0.5, abs=1e-12)


@needs_torch
def test_detail_of_another_place_is_found():
    """Detail that is a function of the LR patch, moved to the next patch: its place is wrong."""
    low = upsampled(texture(0))
    detail = low - gaussian_filter(low, (0, 2, 2, 0))
    truth, moved = low + detail, low + np.roll(detail, 1, axis=0)
    image = np.arange(N) % IMAGES
    inputs = [critic_inputs(part, low) for part in (truth, moved)]
    assert critic_test(*inputs, image, image, steps=60).auc > 0.9


@needs_torch
def test_noise_is_found_and_the_result_is_reproducible():
    import torch

    truth = texture(0)
    noisy = truth + 0.03 * np.random.default_rng(2).standard_normal(truth.shape).astype(np.float32)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    test = critic(truth, noisy, steps=60)
    assert test.auc > 0.95
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(test.scores, critic(truth, noisy, steps=60).scores)


@needs_torch
def test_one_image_is_not_enough():
    x = critic_inputs(texture(0), texture(1))
    with pytest.raises(NotEnoughDataError, match="two images"):
        critic_test(x, x, np.zeros(N), np.zeros(N))


def test_without_torch_it_says_what_is_missing(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    assert "pip install" in str(missing())
    x = np.zeros((4, 3, 16, 16), np.float32)
    with pytest.raises(MissingDependencyError, match="torch is not installed"):
        critic_test(x, x, np.arange(4), np.arange(4))


def test_inputs_do_not_depend_on_brightness_and_their_first_channels_not_on_contrast():
    truth, low = texture(0, 5), upsampled(texture(0, 5))
    inputs = critic_inputs(truth, low)
    assert inputs.shape == (5, 3, 16, 16)
    np.testing.assert_allclose(critic_inputs(truth + 0.1, low + 0.1), inputs, atol=2e-5)
    np.testing.assert_allclose(
        critic_inputs(0.8 * truth, 0.8 * low)[:, :2], inputs[:, :2], atol=2e-5
    )


@pytest.mark.parametrize(
    ("first", "second"), [((3, 16, 16, 1), (3, 18, 18, 1)), ((3, 8, 8, 1), (3, 8, 8, 1)),
                          ((3, 15, 15, 1), (3, 15, 15, 1)), ((3, 16, 12, 1), (3, 16, 12, 1))]
)  # fmt: skip
def test_unusable_patches_are_refused(first, second):
    with pytest.raises(ConfigError):
        critic_inputs(np.zeros(first), np.zeros(second))
