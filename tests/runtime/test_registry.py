"""Registries: what hides what, what is loaded when, and what messages say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cooanalysis.errors import ConfigError
from cooanalysis.runtime.registry import Registry, check_call

GROUP = "cooanalysis.tests"


def whole(name: str, thing: object) -> None:
    if not isinstance(thing, (int, float)):
        raise ConfigError(f"number {name!r} must be a number; got {thing!r}")


def numbers() -> Registry[float]:
    return Registry("number", GROUP, {"pi": "math:pi", "broken": "nowhere:x"}, check=whole)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another package that announces numbers; yields the name of its module."""
    module = "numbers_of_another_package"
    (tmp_path / f"{module}.py").write_text("tau = 6.28\nword = 'six'\npi = 3\n", encoding="utf-8")
    info = tmp_path / "another_package-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: another-package\nVersion: 1.5\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\ntau = {module}:tau\nword = {module}:word\npi = {module}:pi\n"
        f"gone = {module}:gone\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield module
    sys.modules.pop(module, None)


def test_names_are_listed_without_loading_anything(plugins: str) -> None:
    registry = numbers()
    assert registry.builtin == ("pi", "broken")
    assert list(registry) == ["pi", "broken", "tau", "word", "gone"]
    assert len(registry) == 5 and "tau" in registry and 3 not in registry
    assert plugins not in sys.modules
    assert registry["tau"] == 6.28 and registry.find("tau") == 6.28
    assert plugins in sys.modules


def test_other_packages_cannot_change_what_a_built_in_name_means(plugins: str) -> None:
    assert numbers()["pi"] == pytest.approx(3.14159, abs=1e-5)


def test_a_registered_entry_replaces_a_built_in_one_until_it_is_taken_back() -> None:
    registry = numbers()
    with pytest.raises(
        ConfigError, match="number 'pi' exists already; replace=True takes its place"
    ):
        registry.register("pi", 3.0)
    registry.register("pi", 3.0, replace=True)
    assert registry["pi"] == 3.0 and registry.is_registered("pi")
    registry.unregister("pi")
    assert registry["pi"] != 3.0 and not registry.is_registered("pi")


@pytest.mark.parametrize("name", ["", "a b", "a,b", "-a", "a/b", "é", 3])
def test_names_that_no_command_line_could_take_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="the name of a number must consist of letters"):
        numbers().register(name, 1.0)


def test_what_is_registered_is_checked() -> None:
    with pytest.raises(ConfigError, match="number 'six' must be a number; got '6'"):
        numbers().register("six", "6")  # type: ignore[arg-type]


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        numbers().find("pie")
    assert str(caught.value) == ("unknown number 'pie'; did you mean 'pi'? known ones: pi, broken")
    with pytest.raises(ConfigError, match="unknown number 'zzz'; known ones: pi, broken"):
        numbers().require("zzz")


def test_failures_of_other_packages_name_the_package(plugins: str) -> None:
    registry = numbers()
    with pytest.raises(ConfigError, match=r"'gone' of another-package 1\.5 cannot be loaded"):
        registry.find("gone")
    with pytest.raises(ConfigError, match=r"'word' must be.*comes from another-package 1\.5"):
        registry.find("word")


def test_origins_identify_code_that_is_not_built_in(plugins: str) -> None:
    registry = numbers()
    assert registry.origins(["pi"]) == []
    assert registry.origins(["pi", "tau"]) == [f"{GROUP}:tau=another-package 1.5"]
    registry.register("e", 2.7)
    first = registry.origins(["e"])
    assert first == registry.origins(["e"])
    registry.register("e", 2.71, replace=True)
    assert len(first) == 1 and registry.origins(["e"]) != first


def test_workers_know_what_is_built_in_or_announced_only(plugins: str) -> None:
    registry = numbers()
    registry.require_shared(["pi", "tau"])
    registry.register("e", 2.7)
    with pytest.raises(ConfigError, match=f"workers do not know the number 'e'.*{GROUP}"):
        registry.require_shared(["pi", "e"])


def test_calls_are_checked_by_signature() -> None:
    check_call("it", lambda a, b, *, c: 0, ["a", "b"], ["c"])
    check_call("it", lambda *args, **options: 0, ["a", "b"], ["c"])
    check_call("it", print, ["a"])
    with pytest.raises(ConfigError, match=r"it must accept \(a, c=…\): missing.*'b'"):
        check_call("it", lambda a, b, *, c: 0, ["a"], ["c"])
    with pytest.raises(ConfigError, match="it must be callable; got 3"):
        check_call("it", 3, ["a"])


def test_registries_are_light() -> None:
    """``--help`` lists names, and may not wait for NumPy, Numba, SciPy or torch."""
    code = """
import sys
from cooanalysis.data.registry import DATASETS
from cooanalysis.losses.registry import LOSSES
from cooanalysis.measures.entropy.registry import ESTIMATORS
from cooanalysis.measures.manifold.registry import FEATURE_SPACES
from cooanalysis.metrics.registry import METRICS
from cooanalysis.models.registry import DISCRIMINATORS, GENERATORS
from cooanalysis.models.shipped import WEIGHTS
for registry in (DATASETS, LOSSES, ESTIMATORS, FEATURE_SPACES, METRICS, GENERATORS, WEIGHTS):
    assert registry.builtin and list(registry)
heavy = {"numpy", "scipy", "numba", "torch", "PIL", "faiss", "skimage", "sklearn", "pooch"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_built_in_entry_loads_and_passes_its_own_check() -> None:
    pytest.importorskip("torch")
    from cooanalysis.data.registry import DATASETS
    from cooanalysis.losses.registry import LOSSES
    from cooanalysis.measures.entropy.registry import ESTIMATORS
    from cooanalysis.measures.manifold.registry import FEATURE_SPACES
    from cooanalysis.metrics.registry import METRICS
    from cooanalysis.models.registry import DISCRIMINATORS, GENERATORS
    from cooanalysis.models.shipped import WEIGHTS

    registries: tuple[Registry, ...] = (
        DATASETS, ESTIMATORS, FEATURE_SPACES, METRICS, DISCRIMINATORS, GENERATORS, WEIGHTS,
    )  # fmt: skip
    for registry in registries:
        for name in registry.builtin:
            assert registry._check is not None
            registry._check(name, registry[name])
    assert all(callable(LOSSES[name]) for name in LOSSES.builtin)
