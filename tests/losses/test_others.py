"""RaGAN, perceptual and Charbonnier losses, and losses by name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from cooanalysis.errors import ConfigError, MissingDependencyError  # noqa: E402
from cooanalysis.losses import (  # noqa: E402
    LOSSES,
    CharbonnierLoss,
    PerceptualLoss,
    RaGANDiscriminatorLoss,
    RaGANGeneratorLoss,
    build,
    register_decloss,
)


def test_ragan_of_undecided_logits_is_log_two() -> None:
    logits = torch.full((4, 1, 3, 3), 1.7)
    for loss in (RaGANGeneratorLoss(), RaGANDiscriminatorLoss()):
        assert float(loss(logits, logits)) == pytest.approx(math.log(2))


def test_ragan_agrees_with_the_cross_entropy_of_its_paper() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(8, 1) + 1, torch.randn(8, 1)
    bce = torch.nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    generator = (bce(real - fake.mean(), zeros) + bce(fake - real.mean(), ones)) / 2
    critic = (bce(real - fake.mean(), ones) + bce(fake - real.mean(), zeros)) / 2
    assert torch.allclose(RaGANGeneratorLoss()(real, fake), generator)
    assert torch.allclose(RaGANDiscriminatorLoss()(real, fake), critic)


def test_ragan_losses_mirror_each_other_and_survive_large_logits() -> None:
    torch.manual_seed(0)
    real, fake = 1e4 * torch.randn(8, 1), 1e4 * torch.randn(8, 1)
    generator, critic = RaGANGeneratorLoss(), RaGANDiscriminatorLoss()
    assert torch.equal(generator(real, fake), critic(fake, real))
    assert torch.isfinite(generator(real, fake))
    assert generator(real.bfloat16(), fake.bfloat16()).dtype == torch.float32


def test_ragan_generator_gradient_makes_fakes_look_more_real() -> None:
    fake = torch.zeros(4, 1, requires_grad=True)
    RaGANGeneratorLoss()(torch.ones(4, 1), fake).backward()
    assert (fake.grad < 0).all()


def test_charbonnier_tends_to_l1() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert float(CharbonnierLoss(1e-6)(a, b)) == pytest.approx(
        float((a - b).abs().mean()), abs=1e-5
    )
    with pytest.raises(ConfigError, match="epsilon must be above 0; got 0"):
        CharbonnierLoss(0.0)


def test_perceptual_loss_weighs_the_layers_of_any_features() -> None:
    def features(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"mean": image.mean((2, 3)), "twice": 2 * image}

    sr, hr = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    assert float(PerceptualLoss(features)(sr, hr)) == pytest.approx(3.0)
    assert float(PerceptualLoss(features, {"twice": 0.5})(sr, hr)) == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="the features have no layer deep"):
        PerceptualLoss(features, {"deep": 1.0})(sr, hr)


def test_perceptual_loss_trains_the_image_and_not_the_features() -> None:
    network = torch.nn.Conv2d(3, 2, 3)
    loss = PerceptualLoss(network)
    sr = torch.rand(1, 3, 8, 8, requires_grad=True)
    loss(sr, torch.rand(1, 3, 8, 8)).backward()
    assert sr.grad is not None
    assert network.weight.grad is None
    assert not list(p for p in loss.parameters() if p.requires_grad)


def test_vgg_without_weights_says_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="torchvision|trained weights: put https"):
        PerceptualLoss("vgg19")


def test_losses_by_name_carry_their_weight() -> None:
    built = build({"type": "DECLoss", "loss_weight": 0.02, "temperature": 0.25})
    assert (built.name, built.weight, built.module.temperature) == ("DECLoss", 0.02, 0.25)
    assert build({"type": "L1Loss"}).weight == 1.0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "L3Loss"}, "unknown loss 'L3Loss'; did you mean 'L1Loss'"),
        ({"loss_weight": 1}, "a loss needs a type; known ones: L1Loss"),
        ({"type": "DECLoss", "tau": 1}, "DECLoss has no argument tau; it has patch_size"),
        ({"type": "L1Loss", "loss_weight": "1"}, "loss_weight must be a number"),
        ({"type": "L1Loss", "loss_weight": -1}, "loss_weight must be a number >= 0"),
    ],
)
def test_wrong_specifications_are_named(spec: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(spec)


def test_every_registered_loss_is_zero_or_least_at_the_ground_truth() -> None:
    torch.manual_seed(0)
    hr = torch.rand(1, 3, 32, 32)
    worse = 0.5 * hr + 0.25
    for name, kind in LOSSES.items():
        if name == "PerceptualLoss":
            continue
        loss = kind().eval()
        assert float(loss(hr, hr)) < float(loss(worse, hr))


def test_basicsr_style_registry_gets_a_weighted_decloss() -> None:
    class Registry:
        def __init__(self) -> None:
            self.found: dict[str, type] = {}

        def register(self, obj: type) -> None:
            self.found[obj.__name__] = obj

    registry = register_decloss(Registry())
    torch.manual_seed(0)
    hr = torch.rand(1, 3, 32, 32)
    sr = 0.5 * hr
    loss = registry.found["DECLoss"](loss_weight=0.02, pixel_weight=3.0, temperature=0.25).eval()
    plain = build({"type": "DECLoss", "temperature": 0.25}).module.eval()
    wanted = 3.0 * float((sr - hr).abs().mean()) + 0.02 * float(plain(sr, hr))
    assert float(loss(sr, hr)) == pytest.approx(wanted)
