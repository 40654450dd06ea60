"""Generators and discriminators: shapes, options, receptive fields, names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cooanalysis.errors import ConfigError  # noqa: E402
from cooanalysis.models import build, build_discriminator, count_parameters  # noqa: E402

SMALL = {
    "edsr": {"features": 8, "blocks": 2},
    "srresnet": {"features": 8, "blocks": 2},
    "rrdb": {"features": 8, "blocks": 1, "growth": 4},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_output_is_scale_times_the_input(name: str, scale: int) -> None:
    if name == "rrdb" and scale not in (2, 4):
        with pytest.raises(ConfigError, match="scale must be 2 or 4; got"):
            build(name, scale=scale, **SMALL[name])
        return
    network = build(name, scale=scale, **SMALL[name])
    out = network(torch.rand(2, 3, 6, 10))
    assert out.shape == (2, 3, 6 * scale, 10 * scale)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        # EDSR-baseline x4 has 1.52 M parameters in its paper's code, SRResNet 1.52 M in BasicSR,
        # RRDBNet 16.70 M in ESRGAN's.
        ("edsr", {}, 1_517_571),
        ("srresnet", {}, 1_517_571),
        ("rrdb", {}, 16_697_987),
    ],
)
def test_published_sizes(name: str, options: dict[str, int], parameters: int) -> None:
    assert count_parameters(build(name, scale=4, **options)) == parameters


def test_direct_edsr_with_skip_starts_from_bicubic() -> None:
    network = build("edsr", scale=4, features=8, blocks=1, direct=True, skip=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    lr = torch.rand(1, 3, 7, 5)
    bicubic = torch.nn.functional.interpolate(lr, scale_factor=4, mode="bicubic")
    assert torch.equal(network(lr), bicubic)


@pytest.mark.parametrize("name", SMALL)
def test_features_are_a_vector_for_each_lr_pixel(name: str) -> None:
    network = build(name, scale=4, **SMALL[name])
    assert network.features(torch.rand(1, 3, 6, 10)).shape == (1, 8, 6, 10)


def test_discriminator_gives_a_verdict_a_neighborhood() -> None:
    network = build_discriminator(features=8, layers=2)
    assert network(torch.rand(2, 3, 32, 48)).shape == (2, 1, 8, 12)


def test_discriminator_is_one_lipschitz_a_layer() -> None:
    torch.manual_seed(0)
    network = build_discriminator(features=8, layers=2)
    network.train()
    for _ in range(30):  # power iterations
        network(torch.rand(1, 3, 16, 16))
    first = network.net[0]
    norm = float(torch.linalg.matrix_norm(first.weight.detach().flatten(1), 2))
    assert norm == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: build("swinir", scale=4),
            "unknown network 'swinir'; known ones: edsr, srresnet, rrdb",
        ),
        (lambda: build("edsr", scale=5), "scale must be one of 2, 3, 4, 8; got 5"),
        (lambda: build("edsr", scale=4, width=3), "network 'edsr' has no option width; it has"),
        (lambda: build("edsr", scale=4, features="many"), "cannot be built"),
        (lambda: build_discriminator("unet"), "unknown discriminator 'unet'; known ones: patch"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        call()
