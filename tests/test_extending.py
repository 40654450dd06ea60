"""What users and other packages add is used by its name, in Python and on the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cooanalysis as coo
from cooanalysis.data import DATASETS, DatasetSpec, register_dataset
from cooanalysis.data.pairs import ImagePair
from cooanalysis.data.sample import sample_pairs
from cooanalysis.errors import ConfigError
from cooanalysis.losses import LOSSES, register_loss
from cooanalysis.measures.entropy import ESTIMATORS, Estimator, entropy, register_estimator
from cooanalysis.measures.manifold import (
    FEATURE_SPACES,
    FeatureSpace,
    features,
    register_feature_space,
)
from cooanalysis.metrics import METRICS, Metric, register_metric
from cooanalysis.models import (
    DISCRIMINATORS,
    GENERATORS,
    WEIGHTS,
    register_discriminator,
    register_network,
    register_weights,
    shipped,
)
from cooanalysis.runtime.registry import Registry
from tests.helpers import ROOT

pytest.importorskip("faiss", reason="needs FAISS: pip install 'cooanalysis[cpu]'")

REGISTRIES: tuple[Registry[Any], ...] = (
    DATASETS, LOSSES, ESTIMATORS, FEATURE_SPACES, METRICS, GENERATORS, DISCRIMINATORS, WEIGHTS,
)  # fmt: skip
SMALL: dict[str, Any] = {
    "queries": 200, "k": 32, "subspace_dim": 4, "ceiling_queries": 0, "map_images": 0,
    "manifold_reference": 400, "stride": 4,
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Every test finds the registries as they are shipped."""
    yield
    for registry in REGISTRIES:
        for name in list(registry._registered):
            registry.unregister(name)


def box(samples: np.ndarray) -> np.ndarray:
    """Entropy of the uniform distribution in the bounding box."""
    with np.errstate(divide="ignore"):
        return np.log(np.ptp(samples, axis=-2)).mean(-1)


def moments(patches: np.ndarray) -> np.ndarray:
    return np.stack([patches.mean((1, 2, 3)), patches.std((1, 2, 3))], axis=1)


def mean_error(sr: np.ndarray, hr: np.ndarray, border: int) -> float:
    return float(np.abs(sr.astype(float) - hr).mean())


BOX = Estimator("box", "bounding box", box, min_samples=lambda d: 2)
MOMENTS = FeatureSpace("moments", "mean and contrast", moments)
MAE = Metric("mae", "MAE", "lower", "8-bit values", "fidelity", mean_error, digits=1)


def three_photographs() -> tuple[ImagePair, ...]:
    return sample_pairs()[:3]


THREE = DatasetSpec("three", "Three", (), n_images=3, pairs=three_photographs)


# -- Registered while the process runs ---------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_an_estimator_a_feature_space_and_a_data_set_are_analyzed_by_name(tmp_path: Path) -> None:
    register_estimator(BOX)
    register_feature_space(MOMENTS)
    register_dataset(THREE)
    options = SMALL | {"estimators": ("box", "gaussian"), "features": ("moments",)}
    result = coo.analyze("three", out=tmp_path / "run", **options)
    groups = result.groups
    assert np.isfinite(groups["entropy_box"]).all()
    assert result.summary.entropy["box"].mean.value == pytest.approx(
        float(groups["entropy_box"].mean())
    )
    assert result.summary.manifold["moments"].center_ratio.value > 0
    assert groups["image"].nunique() == 3
    assert "bounding box" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    # The run can be read where the estimator is not installed.
    for registry in REGISTRIES:
        registry.unregister("box")
    assert "box" in coo.load(tmp_path / "run").summary.entropy


@pytest.mark.usefixtures("no_figures")
def test_results_of_another_function_of_the_same_name_are_not_reused(tmp_path: Path) -> None:
    options = SMALL | {"estimators": ("box",), "features": ()}
    register_estimator(BOX)
    register_dataset(THREE)
    before = coo.analyze("three", out=tmp_path / "run", **options)
    written = (tmp_path / "run" / "summary.json").stat().st_mtime_ns
    coo.analyze("three", out=tmp_path / "run", **options)
    assert (tmp_path / "run" / "summary.json").stat().st_mtime_ns == written  # it was loaded
    wider = Estimator("box", "wider", lambda samples: box(samples) + 1.0, min_samples=lambda d: 2)
    register_estimator(wider, replace=True)
    after = coo.analyze("three", out=tmp_path / "run", overwrite=True, **options)
    difference = after.groups["entropy_box"] - before.groups["entropy_box"]
    np.testing.assert_allclose(difference, 1.0, atol=1e-6)


def test_a_metric_a_feature_space_and_weights_are_compared_by_name() -> None:
    pytest.importorskip("torch")
    register_metric(MAE)
    register_feature_space(MOMENTS)
    register_weights("mine", shipped()["edsr-small-x4-l1"])
    options = SMALL | {"features": ("moments",)}
    register_dataset(THREE)
    found = coo.compare("three", ["bicubic", "mine"], metrics="mae", cache=False, **options)
    assert set(found.models["model"]) == {"bicubic", "mine"}
    assert (found.models["mae"] > 0).all()
    assert (found.patches["manifold_moments"] > 0).all()


def test_a_loss_and_networks_are_trained_by_name(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    from cooanalysis.models import build, build_discriminator, load_weights, save_weights
    from cooanalysis.training.config import TrainConfig
    from cooanalysis.training.setup import build_generator, build_objective

    class Nearest(torch.nn.Module):
        def __init__(self, scale: int, gain: float = 1.0) -> None:
            super().__init__()
            self.scale = scale
            self.gain = torch.nn.Parameter(torch.tensor(gain))

        def forward(self, lr: Any) -> Any:
            enlarged = lr.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
            return self.gain * enlarged

    class Huber(torch.nn.Module):
        def __init__(self, delta: float = 1.0) -> None:
            super().__init__()
            self.delta = delta

        def forward(self, sr: Any, hr: Any) -> Any:
            return torch.nn.functional.huber_loss(sr, hr, delta=self.delta)

    register_network("nearest", Nearest)
    register_discriminator("mean", lambda: torch.nn.AdaptiveAvgPool2d(1))
    register_loss("HuberLoss", Huber)
    config = TrainConfig.from_dict(
        {
            "scale": 2,
            "model": {"name": "nearest", "options": {"gain": 0.5}},
            "losses": [{"type": "HuberLoss", "loss_weight": 2.0, "delta": 0.25}],
        }
    )
    network = build_generator(config)
    assert network(torch.ones(1, 3, 4, 4)).shape == (1, 3, 8, 8)
    (loss,) = build_objective(config).losses
    assert (loss.name, loss.weight, loss.module.delta) == ("HuberLoss", 2.0, 0.25)
    assert build_discriminator("mean")(torch.ones(1, 1, 4, 4)).shape == (1, 1, 1, 1)
    save_weights(tmp_path / "w.safetensors", network, name="nearest", scale=2, options={})
    assert load_weights(tmp_path / "w.safetensors").gain.item() == 0.5
    with pytest.raises(ConfigError, match="network 'nearest' has no option width; it has scale"):
        build("nearest", scale=2, width=3)


def test_workers_refuse_what_only_this_process_knows() -> None:
    register_estimator(BOX)
    with pytest.raises(ConfigError, match=r"workers do not know the entropy estimator 'box'"):
        coo.analyze("sample", workers=2, **(SMALL | {"estimators": ("box",)}))


# -- What cannot be used is refused with its name ---------------------------------------------


def test_estimators_that_cannot_be_used() -> None:
    with pytest.raises(ConfigError, match="must be an Estimator"):
        ESTIMATORS.register("box", box)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"function of entropy estimator 'box' must accept"):
        register_estimator(Estimator("box", "", lambda: 0.0, lambda d: 2))  # type: ignore
    with pytest.raises(ConfigError, match="min_samples of entropy estimator 'box' must return"):
        register_estimator(Estimator("box", "", box, lambda d: 0))
    with pytest.raises(ConfigError, match="entropy estimator 'gaussian' exists already"):
        register_estimator(Estimator("gaussian", "", box, lambda d: 2))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda samples: samples.mean((1, 2)) * np.nan, "'mine' returned NaN for 3 of 3 groups"),
        (lambda samples: samples.mean(1), r"'mine' must return one number per group"),
    ],
)
def test_results_of_estimators_are_checked(function: Any, message: str) -> None:
    register_estimator(Estimator("mine", "", function, lambda d: 2))
    samples = np.random.default_rng(0).normal(size=(3, 32, 4))
    with pytest.raises(ConfigError, match=message):
        entropy(samples, "mine")


def test_an_estimator_without_tensors_is_computed_on_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    from cooanalysis.measures.entropy.tensors import entropy_of_tensors

    register_estimator(BOX)
    samples = np.random.default_rng(0).normal(size=(3, 32, 4))
    found = entropy_of_tensors(torch.from_numpy(samples), "box")
    np.testing.assert_array_equal(found, box(samples))

    def on_tensors(x: Any) -> Any:
        return (x.amax(1) - x.amin(1)).log().mean(-1)

    replaced = Estimator("box", "", box, lambda d: 2, tensor_function=on_tensors)
    register_estimator(replaced, replace=True)
    np.testing.assert_allclose(entropy_of_tensors(torch.from_numpy(samples), "box"), box(samples))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda patches: patches.mean((1, 2)) * np.nan, "'mine' returned NaN or infinity for 5 of"),
        (lambda patches: patches, r"'mine' must return \(n, n_features\)"),
    ],
)
def test_results_of_feature_spaces_are_checked(function: Any, message: str) -> None:
    register_feature_space(FeatureSpace("mine", "", function))
    with pytest.raises(ConfigError, match=message):
        features(np.ones((5, 4, 4, 1)), "mine")


def test_other_records_that_cannot_be_used() -> None:
    with pytest.raises(ConfigError, match=r"function of feature space 'mine' must accept"):
        register_feature_space(FeatureSpace("mine", "", lambda: 0))  # type: ignore
    with pytest.raises(ConfigError, match="direction of metric 'mine' must be higher or lower"):
        register_metric(Metric("mine", "", "up", "", "fidelity", mean_error))  # type: ignore
    with pytest.raises(ConfigError, match=r"metric 'mine' must accept \(sr, hr, border\)"):
        register_metric(Metric("mine", "", "lower", "", "fidelity", lambda a, b: 0.0))  # type: ignore
    register_metric(Metric("mine", "", "lower", "", "fidelity", lambda a, b, n: "low"))  # type: ignore
    with pytest.raises(ConfigError, match="metric 'mine' must return a number; it returned 'low'"):
        METRICS["mine"](np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    with pytest.raises(ConfigError, match="'Mine' must be in lower case"):
        register_dataset(DatasetSpec("Mine", "", ("mine",), n_images=1))
    with pytest.raises(ConfigError, match="'mine' must name the folders"):
        register_dataset(DatasetSpec("mine", "", (), n_images=1))
    with pytest.raises(ConfigError, match=r"network 'mine' must accept \(scale=…\)"):
        register_network("mine", lambda: None)  # type: ignore
    with pytest.raises(ConfigError, match="weights 'mine' must be the path of a file"):
        register_weights("mine", "nowhere.safetensors")


# -- The page that shows how --------------------------------------------------------------------

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## ([^\n]*)\n(?:(?!^## ).)*?^```python\n(.*?)^```", PAGE, re.S | re.M)


def test_the_page_has_an_example_of_each() -> None:
    titles = {title for title, _ in EXAMPLES}
    assert titles == {
        "Entropy estimator", "Feature space", "Metric", "Loss", "Data set", "Network", "Figure",
    }  # fmt: skip


BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "torch" in code:
        pytest.importorskip("torch")
    exec(compile(code, "extending.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_the_page_names_every_group_of_entry_points(registry: Registry[Any]) -> None:
    assert f"`{registry.group}`" in PAGE


# -- Announced by another package -------------------------------------------------------------

PACKAGE = """
import numpy as np
from cooanalysis.measures.entropy import Estimator
from cooanalysis.measures.manifold import FeatureSpace

def box(samples):
    return np.log(np.ptp(samples, axis=-2)).mean(-1)

def moments(patches):
    return np.stack([patches.mean((1, 2, 3)), patches.std((1, 2, 3))], axis=1)

MINE = Estimator("mine", "my estimator", box, min_samples=lambda d: 2)
MOMENTS = FeatureSpace("moments", "mean and contrast", moments)
"""


@pytest.fixture
def announced(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that sees another package with entry points."""
    site = tmp_path / "site"
    info = site / "another_package-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "another_package.py").write_text(PACKAGE, encoding="utf-8")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: another-package\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        "[cooanalysis.estimators]\nmine = another_package:MINE\n"
        "[cooanalysis.feature_spaces]\nmoments = another_package:MOMENTS\n",
        encoding="utf-8",
    )
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def test_the_command_line_knows_what_other_packages_announce(
    announced: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "from cooanalysis import plots; plots.save_figures = lambda *_: []; "  # drawing is slow
        "from cooanalysis.cli.analyze import main; main()"
    )
    words = [
        sys.executable, "-c", code,
        "--dataset", "sample", "--estimators", "mine,gaussian", "--features", "moments",
        "--queries", "200", "-k", "32", "--stride", "4", "--subspace-dim", "4",
        "--ceiling-queries", "0", "--map-images", "0",
        "--manifold-reference", "400", "--out", str(tmp_path / "run"), "--json",
    ]  # fmt: skip
    done = subprocess.run(words, env=announced, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert list(summary["entropy"]) == ["mine", "gaussian"]
    assert list(summary["manifold"]) == ["moments"]
    words[words.index("mine,gaussian")] = "mein"
    done = subprocess.run(words, env=announced, capture_output=True, text=True, check=False)
    assert done.returncode == ConfigError.exit_code
    assert re.search(r"unknown entropy estimator 'mein'; did you mean 'mine'\?", done.stderr)
