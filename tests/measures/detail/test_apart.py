"""Detail taken apart: known answers, symmetries, and inputs that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cooanalysis.errors import ConfigError
from cooanalysis.measures.detail import SUMS, TakenApart, take_apart
from cooanalysis.measures.worlds import exact
from cooanalysis.measures.worlds.gaussian_field import GaussianField
from cooanalysis.measures.worlds.images import Images, Output, World
from cooanalysis.measures.worlds.library import Library

Details = list[NDArray[np.float64]]

few = settings(max_examples=6, deadline=None, derandomize=True)


class Made:
    """Images of which is known what is known: y = m + e, where m follows from the LR image."""

    def __init__(self, n: int = 8, side: int = 12, scale: int = 2) -> None:
        rng = np.random.default_rng(0)
        self.scale = scale
        self.lr = [rng.normal(size=(side, side)) for _ in range(n)]
        self.mean = [0.1 * np.kron(x, np.ones((scale, scale))) for x in self.lr]
        self.unknown = [0.1 * rng.normal(size=m.shape) for m in self.mean]
        self.other = [0.1 * rng.normal(size=m.shape) for m in self.mean]
        self.truth = self.plus(1.0, self.unknown)

    def plus(self, gain: float, invented: Sequence[NDArray[Any]]) -> Details:
        return [gain * m + r for m, r in zip(self.mean, invented, strict=True)]

    def apart(self, output: Sequence[Any], *, anchored: bool = True, **changed: Any) -> TakenApart:
        given = {"truth": self.truth, "lr": self.lr, "scale": self.scale}
        anchor = {"anchor": self.mean} if anchored else {}
        return take_apart(output=output, **(given | anchor | changed))


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


# --- known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_is_known_shown_and_made_up(made: Made, gain: float, share: float) -> None:
    found = made.apart(made.plus(gain, [share * r for r in made.other]))
    assert found.gain == pytest.approx(gain, abs=0.03 * gain)
    assert found.invented == pytest.approx(share**2, abs=0.05)
    assert found.collapse_index == 1.0 - found.invented
    assert found.explained_with_anchor == pytest.approx(0.5, abs=0.03)
    assert found.has_anchor
    budget = found.budget
    assert abs(budget.remainder) < 0.03 * budget.total
    assert budget.made_up == pytest.approx(share**2 * budget.unknown, rel=0.06, abs=0.02)
    assert budget.wrong_gain == pytest.approx((1 - gain) ** 2 * budget.unknown, rel=0.1, abs=1e-2)
    assert found.psnr_explained_db == pytest.approx(20.0, abs=0.3)


def test_the_ground_truth_knows_all(made: Made) -> None:
    found = made.apart(made.truth)
    assert found.explained == pytest.approx(1.0, abs=1e-4)
    assert found.gain == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(found.invented) and np.isnan(found.collapse_index)
    assert np.isnan(found.closed_form)


def test_no_output_shows_nothing(made: Made) -> None:
    found = made.apart([0.0 * m for m in made.mean])
    assert (found.gain, found.invented, found.detail_energy) == (0.0, 0.0, 0.0)
    assert found.closed_form == 1.0
    # The LR image says it all.
    assert found.explained == pytest.approx(0.5, abs=0.03)


def test_without_an_anchor_less_seems_made_up(made: Made) -> None:
    output = made.plus(1.0, made.other)
    lr = [0.0 * x for x in made.lr]
    anchored, alone = made.apart(output, lr=lr), made.apart(output, lr=lr, anchored=False)
    assert anchored.invented == pytest.approx(1.0, abs=0.05)
    assert alone.invented < 0.7 and alone.gain > 1.2
    assert alone.invented == alone.invented_at_least
    assert alone.invented == pytest.approx(anchored.invented_at_least, abs=1e-5)
    assert alone.gain == alone.gain_alone == pytest.approx(anchored.gain_alone, abs=1e-5)
    assert not alone.has_anchor and anchored.has_anchor
    for one, other in zip(alone.known, alone.alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_sums_are_those_of_the_images(made: Made) -> None:
    output = made.plus(1.5, made.other)
    found = made.apart(output)
    assert set(found.sums) == set(SUMS)
    assert found.pixels.tolist() == [20 * 20] * 8
    for number in range(8):
        cut = np.s_[2:-2, 2:-2]
        y, s = made.truth[number][cut], output[number][cut]
        c = found.known[number][cut].astype(float)
        for name, value in (
            ("truth_energy", y * y),
            ("output_truth", s * y),
            ("known_output", c * s),
        ):
            assert found.sums[name][number] == pytest.approx(value.sum(), rel=1e-4)


# --- properties ---------------------------------------------------------------------------------


@few
@given(st.sampled_from([-2.0, -1.0, 0.25, 4.0]))
def test_scaling_the_output(factor: float) -> None:
    made = Made()
    output = made.plus(1.0, [0.5 * r for r in made.other])
    plain, scaled = made.apart(output), made.apart([factor * s for s in output])
    assert scaled.gain == pytest.approx(factor * plain.gain, rel=1e-3)
    assert scaled.invented == pytest.approx(factor**2 * plain.invented, rel=1e-3)
    assert scaled.explained == pytest.approx(plain.explained, abs=1e-4)
    assert scaled.detail_energy == pytest.approx(factor**2 * plain.detail_energy, rel=1e-5)


@few
@given(st.floats(0.1, 10.0))
def test_the_unit_does_not_matter(unit: float) -> None:
    made = Made()
    output = made.plus(1.3, [0.5 * r for r in made.other])
    scaled = [[unit * image for image in images]
              for images in (made.truth, output, made.mean, made.lr)]  # fmt: skip
    truth, shown, anchor, lr = scaled
    plain = made.apart(output)
    found = take_apart(truth, shown, lr, anchor=anchor, scale=2)
    for name in ("gain", "invented", "explained", "detail_energy", "closed_form"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-3), name


def test_a_sign_of_everything_and_a_gray_value_of_the_lr_image(made: Made) -> None:
    output = made.plus(1.3, [0.5 * r for r in made.other])
    plain = made.apart(output)
    negative = take_apart(
        [-y for y in made.truth], [-s for s in output], [-x for x in made.lr],
        anchor=[-a for a in made.mean], scale=2,
    )  # fmt: skip
    brighter = made.apart(output, lr=[x + 0.5 for x in made.lr])
    for found in (negative, brighter):
        for name in ("gain", "invented", "explained"):
            assert getattr(found, name) == pytest.approx(getattr(plain, name), abs=1e-3), name


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_and_rotated_images(made: Made, turns: int, mirrored: bool) -> None:
    def turned(images: Sequence[NDArray[Any]]) -> Details:
        return [np.rot90(image.T if mirrored else image, turns) for image in images]

    output = made.plus(1.3, [0.5 * r for r in made.other])
    plain = made.apart(output)
    found = take_apart(
        turned(made.truth), turned(output), turned(made.lr), anchor=turned(made.mean), scale=2
    )
    assert found.gain == pytest.approx(plain.gain, rel=1e-4)
    assert found.invented == pytest.approx(plain.invented, rel=1e-4)
    for one, other in zip(found.known, turned(plain.known), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_one_image_and_colors(made: Made) -> None:
    """Channels are planes of the same image, and come back in its shape."""

    def color(images: Sequence[NDArray[Any]]) -> Details:
        return [np.stack([image, -image, image], axis=2) for image in images]

    output = made.plus(1.3, [0.5 * r for r in made.other])
    plain = made.apart(output)
    found = take_apart(
        color(made.truth), color(output), color(made.lr), anchor=color(made.mean), scale=2
    )
    assert found.known[0].shape == (24, 24, 3)
    assert found.pixels.tolist() == (3 * plain.pixels).tolist()
    assert found.gain == pytest.approx(plain.gain, abs=1e-3)
    assert found.invented == pytest.approx(plain.invented, abs=1e-3)
    large = Made(1, side=40)
    alone = large.apart(large.plus(1.5, [0.0 * r for r in large.other]))
    assert alone.gain == pytest.approx(1.5, abs=0.1)
    assert alone.invented == pytest.approx(0.0, abs=0.02)


# --- what does not fit --------------------------------------------------------------------------


def test_what_does_not_fit_is_named(made: Made) -> None:
    def fails(words: str, **changed: Any) -> None:
        with pytest.raises(ConfigError, match=words) as caught:
            made.apart(**({"output": made.truth} | changed))
        assert "\n" not in str(caught.value)

    fails("at least one image", truth=[], output=[], anchor=[], lr=[])
    fails("output holds 7 images, and lr 8", output=made.truth[:-1])
    fails("anchor holds 7 images, and lr 8", anchor=made.mean[:-1])
    fails("truth holds 9 images", truth=[*made.truth, made.truth[0]])
    small = [*made.truth[:-1], made.truth[-1][:-2]]
    fails(r"output\[7\] has 22x24 pixels.* calls for 24x24", output=small)
    fails(r"truth\[0\] has 24x24 .* scale 4 .* calls for 48x48", scale=4)
    fails("details must have shape", output=[y[0] for y in made.truth])
    fails("LR images must have shape", lr=[x[None, None] for x in made.lr])
    fails("details must have shape", output=[y[:0] for y in made.truth])
    colored = [*made.lr[:-1], np.stack([made.lr[-1]] * 3, axis=2)]
    large = np.stack([made.truth[-1]] * 3, axis=2)
    mixed = [*made.truth[:-1], large]
    fails("same number of channels", truth=mixed, output=mixed, anchor=mixed, lr=colored)


# --- worlds whose answers are known --------------------------------------------------------------


def in_world(
    world: World, images: Images, output: Output, anchor: int, seed: int = 0
) -> TakenApart:
    def details(model: Output) -> Details:
        rng = np.random.default_rng([seed, model.context])
        return images.details_of([world.output(lr, model, rng) for lr in images.lr])

    return take_apart(
        images.details, details(output), images.lr, anchor=details(Output(anchor)),
        scale=world.scale,
    )  # fmt: skip


@pytest.fixture(scope="module")
def field() -> tuple[GaussianField, Images]:
    world = GaussianField(size=144)
    return world, world.draw(16)


@pytest.mark.parametrize(("context", "anchor"), [(5, 5), (9, 7), (13, 13)])
@pytest.mark.parametrize("gain", [0.7, 1.5])
def test_a_conditional_mean_of_the_gaussian_field(
    field: tuple[GaussianField, Images], context: int, anchor: int, gain: float
) -> None:
    found = in_world(*field, Output(context, gain), anchor)
    assert found.gain == pytest.approx(gain, abs=0.03)
    assert found.invented == pytest.approx(0.0, abs=0.02)
    assert found.explained == pytest.approx(field[0].explained(context), abs=0.01)


@pytest.mark.parametrize("context", [5, 9])
def test_a_posterior_sample_of_the_gaussian_field(
    field: tuple[GaussianField, Images], context: int
) -> None:
    found = in_world(*field, Output(context, 1.0, 1.0), context)
    assert found.gain == pytest.approx(1.0, abs=0.03)
    assert found.invented == pytest.approx(1.0, abs=0.03)
    known = exact.taken_apart(field[0], Output(context, 1.0, 1.0), Output(context))
    assert found.explained == pytest.approx(known.explained, abs=0.01)


def test_the_library() -> None:
    """Far from Gaussian; twice the tolerances."""
    world = Library(size=144)
    images = world.draw(16)
    mean = in_world(world, images, Output(7, 1.5), 5)
    assert mean.gain == pytest.approx(1.5, abs=0.06)
    assert mean.invented == pytest.approx(0.0, abs=0.04)
    assert mean.explained == pytest.approx(world.explained(7), abs=0.02)
    sample = in_world(world, images, Output(7, 1.0, 1.0), 7)
    assert sample.gain == pytest.approx(1.0, abs=0.06)
    assert sample.invented == pytest.approx(1.0, abs=0.06)
