"""One step: who learns what from whom, and when it stops."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from cooanalysis.errors import ConfigError, TrainingError  # noqa: E402
from cooanalysis.training.config import ScheduleConfig, TrainConfig  # noqa: E402
from cooanalysis.training.setup import (  # noqa: E402
    build_fabric,
    build_generator,
    build_objective,
    determinism,
    learning_rate_factor,
)
from cooanalysis.training.trainer import Trainer  # noqa: E402
from tests.helpers.tiny_training import GAN, TINY  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def trainer(device: str = "cpu", **changes: Any) -> Trainer:
    config = TrainConfig.from_dict(TINY | changes)
    return Trainer(config, build_fabric(config, device, 1), build_generator(config))


def batch(seed: int = 0) -> tuple[Any, Any]:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 8, 8, generator=draw), torch.rand(2, 3, 16, 16, generator=draw)


def weights(module: Any) -> dict[str, Any]:
    return copy.deepcopy({k: v for k, v in module.named_parameters()})


def changed(module: Any, before: dict[str, Any]) -> bool:
    return any(not torch.equal(v, before[k]) for k, v in module.named_parameters())


def test_losses_are_logged_unweighted_and_trained_weighted() -> None:
    one = trainer(losses=[{"type": "L1Loss"}, {"type": "MSELoss", "loss_weight": 0.0}])
    other = trainer()
    lr, hr = batch()
    values = one.advance(lr, hr)
    assert set(values) == {"L1Loss", "MSELoss"} and values["MSELoss"] > 0
    assert other.advance(lr, hr)["L1Loss"] == values["L1Loss"]
    assert not changed(one.generator, weights(other.generator))


def test_the_adversary_learns_alone_during_warm_up_and_alternates_after_it() -> None:
    found = trainer(**GAN)
    for i in range(4):
        generator, critic = weights(found.generator), weights(found.networks.discriminator)
        values = found.advance(*batch(i))
        assert changed(found.generator, generator) == (i >= 2)
        assert changed(found.networks.discriminator, critic)
        assert ("RaGAN" in values) == (i >= 2) and values["discriminator"] > 0
    assert all(p.requires_grad for p in found.networks.discriminator.parameters())


def test_the_critic_learns_nothing_in_the_step_of_the_generator() -> None:
    found = trainer(**GAN)
    found.iteration = 5
    gradients = []
    optimizer = found.networks.optimizer.optimizer
    real = optimizer.step

    def look(*args: Any, **kwargs: Any) -> Any:
        gradients.extend(p.grad for p in found.networks.discriminator.parameters())
        return real(*args, **kwargs)

    optimizer.step = look
    found.advance(*batch())
    assert gradients and all(gradient is None for gradient in gradients)


def test_moving_average() -> None:
    found = trainer(ema=0.75)
    found.advance(*batch())
    wanted = weights(found.generator)  # the first step is taken over whole
    for i in range(1, 4):
        found.advance(*batch(i))
        for name, value in found.generator.named_parameters():
            wanted[name] = 0.75 * wanted[name] + 0.25 * value.detach()
    for name, value in found.best.named_parameters():
        assert torch.allclose(value, wanted[name], atol=1e-7)


def test_batch_statistics_are_averaged_too() -> None:
    model = {"name": "srresnet", "options": {"features": 8, "blocks": 1}}
    found = trainer(ema=0.5, model=model)
    for i in range(3):
        found.advance(*batch(i))
    assert all(torch.isfinite(value).all() for value in found.best.state_dict().values())


def test_gradients_are_clipped() -> None:
    found = trainer(gradient_clip=1e-3)
    seen = []
    optimizer = found.networks.optimizer.optimizer
    real = optimizer.step

    def look(*args: Any, **kwargs: Any) -> Any:
        seen.append(sum(float((p.grad**2).sum()) for p in found.generator.parameters()) ** 0.5)
        return real(*args, **kwargs)

    optimizer.step = look
    found.advance(*batch())
    assert seen[0] <= 1.001e-3


@pytest.mark.parametrize(
    ("precision", "device"),
    [
        ("bf16-mixed", "cpu"),
        pytest.param("bf16-mixed", "cuda", marks=pytest.mark.gpu),
        pytest.param("16-mixed", "cuda", marks=pytest.mark.gpu),
    ],
)
def test_mixed_precision_trains_and_keeps_float32(precision: str, device: str) -> None:
    found = trainer(device, **GAN, precision=precision)
    before = weights(found.generator)

    def here(i: int) -> Any:
        return [tensor.to(found.fabric.device) for tensor in batch(i)]

    for i in range(4):
        values = found.advance(*here(i))
    assert all(value == value for value in values.values())
    assert changed(found.generator, before)
    assert all(p.dtype == torch.float32 for p in found.generator.parameters())
    state = copy.deepcopy(found.state())
    assert bool(state["precision"]) == (precision == "16-mixed")
    other = trainer(device, **GAN, precision=precision)
    other.restore(state)
    assert other.advance(*here(9)) == pytest.approx(found.advance(*here(9)), rel=1e-4)


def test_a_loss_that_is_not_finite_stops_and_changes_nothing() -> None:
    found = trainer(losses=[{"type": "L1Loss"}, {"type": "MSELoss"}])
    before = weights(found.generator)
    lr, hr = batch()
    hr[0, 0, 0, 0] = float("nan")
    with pytest.raises(TrainingError, match="L1Loss and MSELoss became nan at iteration 0") as e:
        found.advance(lr, hr)
    assert "learning_rate" in str(e.value) and e.value.exit_code == 1
    assert not changed(found.generator, before)


def test_weights_that_are_not_finite_are_noticed() -> None:
    found = trainer()
    found.check_finite()
    with torch.no_grad():
        next(found.generator.parameters()).view(-1)[0] = float("inf")
    with pytest.raises(TrainingError, match="weights became NaN or infinite by iteration 0"):
        found.check_finite()


def test_schedules() -> None:
    cosine = ScheduleConfig("cosine", final=0.1)
    factors = [learning_rate_factor(cosine, i, 100) for i in (0, 50, 100)]
    assert factors == pytest.approx([1.0, 0.55, 0.1])
    steps = ScheduleConfig("multistep", milestones=(0.5, 0.75), gamma=0.5)
    factors = [learning_rate_factor(steps, i, 100) for i in (49, 50, 75, 100)]
    assert factors == [1.0, 0.5, 0.25, 0.25]
    assert learning_rate_factor(ScheduleConfig(), 77, 100) == 1.0


@pytest.mark.parametrize("follow", [False, True])
def test_the_adversary_follows_the_schedule_if_asked(follow: bool) -> None:
    gan = GAN["gan"] | {"learning_rate": 1.0, "follow_schedule": follow}
    schedule = {"name": "multistep", "milestones": [0.5], "gamma": 0.5}
    found = trainer(**GAN | {"gan": gan}, schedule=schedule)
    found.iteration = 20
    found.advance(*batch())
    assert found.networks.discriminator_optimizer.param_groups[0]["lr"] == (0.5 if follow else 1.0)
    assert found.networks.optimizer.param_groups[0]["lr"] == 0.5 * 1e-3


def test_determinism_is_switched_back() -> None:
    with determinism(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_mistakes_of_the_objective_and_the_device() -> None:
    twice = TrainConfig(losses=({"type": "L1Loss"}, {"type": "L1Loss"}))
    with pytest.raises(ConfigError, match="twice: L1Loss, L1Loss"):
        build_objective(twice)
    with pytest.raises(ConfigError, match="known ones: L1Loss"):
        build_objective(TrainConfig(losses=({"type": "L3Loss"},)))
    with pytest.raises(ConfigError, match="device must be one of auto, cpu, cuda; got 'tpu'"):
        build_fabric(TrainConfig(), "tpu", 1)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA GPU"):
            build_fabric(TrainConfig(), "cuda", 1)
