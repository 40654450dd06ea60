"""The configuration: what it accepts, what it refuses and in which words, its fingerprint."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cooanalysis.analysis.config import AnalysisConfig
from cooanalysis.errors import ConfigError
from cooanalysis.neighbors import ENGINES, INDEX_KINDS

CHANGES: dict[str, Any] = {
    "dataset": "b",
    "reference": "b",
    "scale": 2,
    "patch_width": 6,
    "stride": 3,
    "k": 64,
    "queries": 100,
    "grouping": "kmeans",
    "clusters": 5,
    "color": "rgb",
    "normalize": False,
    "subspace_dim": 8,
    "estimators": ("copula",),
    "features": ("subbands",),
    "index": "ivf",
    "engine": "torch",
    "device": "cpu",
    "recall": 0.9,
    "memory": 2.0,
    "ceiling_queries": 0,
    "manifold_reference": 200,
    "map_images": 0,
    "exclude_leaks": False,
    "strict": True,
    "seed": 1,
}
"""Another allowed value of every field."""


def test_every_field_has_a_change_to_try() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(AnalysisConfig)}


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_is_part_of_the_fingerprint_and_survives_json(field: str) -> None:
    plain = AnalysisConfig(dataset="a")
    other = dataclasses.replace(plain, **{field: CHANGES[field]})
    assert other.fingerprint() != plain.fingerprint()
    assert AnalysisConfig.from_dict(json.loads(json.dumps(other.as_dict()))) == other


def test_fingerprint_depends_on_the_contents_and_their_order() -> None:
    config = AnalysisConfig(dataset="a")
    prints = {config.fingerprint(*contents) for contents in ((), ("x",), ("x", "y"), ("y", "x"))}
    assert len(prints) == 4
    assert config.fingerprint("x") == AnalysisConfig(dataset="a").fingerprint("x")
    # Not the mere concatenation of what is hashed.
    assert config.fingerprint("ab", "c") != config.fingerprint("a", "bc")


def test_fingerprint_is_the_same_in_every_process() -> None:
    """A run directory is reused tomorrow: no hash() with a random seed may enter."""
    code = "from cooanalysis import AnalysisConfig as C; print(C(dataset='a').fingerprint('x'))"
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in "12"
    }
    assert prints == {AnalysisConfig(dataset="a").fingerprint("x")}


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        AnalysisConfig(dataset="a").k = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("scale", 5, "2, 3, 4, 8"),
        ("scale", "4", "2, 3, 4, 8"),
        ("scale", 4.0, "2, 3, 4, 8"),
        ("scale", np.int64(4), "2, 3, 4, 8"),
        ("scale", np.array([4, 4]), "2, 3, 4, 8"),
        ("grouping", "dbscan", "knn, kmeans"),
        ("color", "lab", "y, rgb"),
        ("index", "lsh", "auto, exact, ivf, hnsw, pq"),
        ("engine", "scann", "auto, faiss-cpu, faiss-gpu, torch"),
        ("device", "tpu", "auto, cpu, cuda"),
    ],
    ids=str,
)
def test_unknown_choices_are_named_with_what_is_allowed(
    field: str, value: object, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        AnalysisConfig(**({"dataset": "a", field: value}))  # type: ignore[arg-type]
    assert str(caught.value) == f"{field} must be one of {allowed}; got {value!r}"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "estimators", ("gaussian", "copla"),
            "unknown entropy estimator 'copla'; did you mean 'copula'? known ones: gaussian, ",
        ),
        ("estimators", (3,), "unknown entropy estimator 3; known ones: "),
        ("features", ("vgg",), "unknown feature space 'vgg'; known ones: subbands, pixels, "),
    ],
    ids=str,
)  # fmt: skip
def test_unknown_names_of_registries(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AnalysisConfig(**({"dataset": "a", field: value}))  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


RANGES = {
    "patch_width": (2, 64),
    "stride": (1, 1024),
    "k": (8, 2048),
    "queries": (10, 10**9),
    "clusters": (1, 10**9),
    "subspace_dim": (1, 512),
    "ceiling_queries": (0, 10**9),
    "manifold_reference": (200, 10**9),
    "map_images": (0, 1000),
    "seed": (0, 2**31 - 1),
}


@pytest.mark.parametrize("field", RANGES)
def test_numbers_keep_to_their_range(field: str) -> None:
    low, high = RANGES[field]
    for allowed in (low, high):
        assert getattr(AnalysisConfig(**({"dataset": "a", field: allowed})), field) == allowed
    for wrong in (low - 1, high + 1, low + 0.5, float(low), str(low), True, np.int64(low)):
        with pytest.raises(ConfigError) as caught:
            AnalysisConfig(**({"dataset": "a", field: wrong}))
        expected = f"{field} must be a whole number from {low} to {high}; got {wrong!r}"
        assert str(caught.value) == expected


def test_clusters_may_be_left_open() -> None:
    assert AnalysisConfig(dataset="a", clusters=None).clusters is None


@pytest.mark.parametrize("recall", [0.0, -0.1, 1.01, float("nan"), "0.9", None], ids=str)
def test_recall_lies_above_zero_and_up_to_one(recall: Any) -> None:
    with pytest.raises(ConfigError, match=rf"recall must lie in \(0, 1\], got {recall!r}"):
        AnalysisConfig(dataset="a", recall=recall)


@pytest.mark.parametrize("recall", [1e-6, 1, 1.0, np.float64(0.5)], ids=str)
def test_recall_may_be_any_share(recall: float) -> None:
    assert AnalysisConfig(dataset="a", recall=recall).recall == recall


def test_names_are_given_once_and_at_least_one_estimator() -> None:
    with pytest.raises(ConfigError, match="at least one entropy estimator"):
        AnalysisConfig(dataset="a", estimators=())
    with pytest.raises(ConfigError, match="estimators names one thing twice: copula, copula"):
        AnalysisConfig(dataset="a", estimators=("copula", "copula"))
    with pytest.raises(ConfigError, match="features names one thing twice: pixels, pixels"):
        AnalysisConfig(dataset="a", features=("pixels", "pixels"))
    assert AnalysisConfig(dataset="a", features=()).features == ()


@pytest.mark.parametrize(
    ("unknown", "message"),
    [
        (("sclae",), "unknown option 'sclae'; did you mean 'scale'?"),
        (("colour",), "unknown option 'colour'; did you mean 'color'?"),
        (("normalise",), "unknown option 'normalise'; did you mean 'normalize'?"),
        (("zzz",), "unknown option 'zzz'"),
        (("zzz", "normalise"), "unknown options 'normalise' (did you mean 'normalize'?), 'zzz'"),
    ],
)
def test_unknown_keys_get_one_line_with_the_nearest_name(
    unknown: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        AnalysisConfig.from_dict({"dataset": "a"} | dict.fromkeys(unknown, 1))
    assert str(caught.value) == message


def test_values_are_checked_when_read_back_too() -> None:
    with pytest.raises(ConfigError, match="k must be"):
        AnalysisConfig.from_dict({"dataset": "a", "k": 7})


def test_choices_are_those_of_the_modules_that_serve_them() -> None:
    """The names are repeated in config so that --help imports nothing; they must not drift."""
    from cooanalysis.analysis.config import ENGINE_NAMES, INDEX_NAMES

    assert INDEX_NAMES == ("auto", *INDEX_KINDS)
    assert ENGINE_NAMES == ("auto", *ENGINES)


@given(st.dictionaries(st.sampled_from(sorted(RANGES)), st.integers(-(10**10), 10**10)))
def test_whole_numbers_are_accepted_just_inside_their_ranges(values: dict[str, int]) -> None:
    valid = all(RANGES[field][0] <= value <= RANGES[field][1] for field, value in values.items())
    if valid:
        config = AnalysisConfig(dataset="a", **values)  # type: ignore[arg-type]
        assert values.items() <= config.as_dict().items()
    else:
        with pytest.raises(ConfigError, match=re.escape("must be a whole number from")):
            AnalysisConfig(dataset="a", **values)  # type: ignore[arg-type]
