"""Options are declared once: both commands, both functions and their help follow the fields."""

from __future__ import annotations

import dataclasses
import inspect
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import cooanalysis as coo
from cooanalysis.analysis.arguments import AnalyzeArguments
from cooanalysis.analysis.config import AnalysisConfig, AnalysisOptions
from cooanalysis.cli import analyze as analyze_command
from cooanalysis.cli import compare as compare_command
from cooanalysis.cli.options import Printing, command_of
from cooanalysis.comparison.arguments import CompareArguments
from cooanalysis.comparison.config import CompareConfig, ComparedOptions
from cooanalysis.errors import ConfigError
from cooanalysis.runtime.options import Declared, declared, option, takes, validate

SIDES: dict[str, tuple[type, Any, Any]] = {
    "analyze": (AnalyzeArguments, analyze_command.app, coo.analyze),
    "compare": (CompareArguments, compare_command.app, coo.compare),
}
EVERY = pytest.mark.parametrize(("arguments", "app", "function"), SIDES.values(), ids=SIDES)


def parameters(app: Any) -> dict[str, Any]:
    """Parameters of a command by name."""
    return {parameter.name: parameter for parameter in typer.main.get_command(app).params}


@EVERY
def test_every_field_of_a_configuration_is_an_option(
    arguments: type, app: Any, function: Any
) -> None:
    fields = {field.name for field in dataclasses.fields(AnalysisConfig)}
    if function is coo.compare:
        fields |= {field.name for field in dataclasses.fields(CompareConfig)} - {"analysis"}
    assert fields <= set(parameters(app))
    assert fields <= set(inspect.signature(function).parameters)
    not_asked = {one.name for one in declared(arguments) if not one.option.command}
    assert set(inspect.signature(function).parameters) - not_asked <= set(parameters(app))


@pytest.mark.parametrize("config", [AnalysisConfig, CompareConfig])
def test_every_field_of_a_configuration_is_declared(config: type) -> None:
    fields = {field.name for field in dataclasses.fields(config)} - {"analysis"}
    assert fields == {one.name for one in declared(config)}


@dataclass(frozen=True, kw_only=True)
class More(AnalyzeArguments):
    """Arguments with fields that were just added."""

    sharpness: int = option(3, panel="Measures", help="Sharpness: {choices}.", choices=(3, 5))
    blur: float | None = option(
        None, panel="Measures", help="Blur.", otherwise="no blur", above=0.0, high=2.0
    )
    tags: tuple[str, ...] = option(("a", "b"), panel="Measures", help="Tags.")


def test_a_new_field_appears_everywhere() -> None:
    seen: list[Any] = []

    @command_of(More, defaults={"dataset": "sample"})
    def command(call: More, printing: Printing) -> None:
        seen.append(call)

    @takes(More)
    def function(call: More) -> More:
        """Return what was asked."""
        return call

    app = typer.Typer()
    app.command()(command)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Sharpness: 3, 5. [default: 3]" in shown
    assert "Blur. Default: no blur." in shown
    assert "Tags. Separated by commas. [default: a,b]" in shown
    done = CliRunner().invoke(app, ["--sharpness", "5", "--blur", "1", "--tags", "c, d"])
    assert done.exit_code == 0, done.output
    assert (seen[0].sharpness, seen[0].blur, seen[0].tags) == (5, 1.0, ("c", "d"))

    assert inspect.signature(function).parameters["sharpness"].default == 3
    assert function("x", sharpness=5).sharpness == 5
    assert "sharpness : int, default 3\n    Sharpness: 3, 5.\n" in str(function.__doc__)
    assert "blur : float or None, default None\n    Blur. In (0, 2]. None for no blur." in str(
        function.__doc__
    )
    with pytest.raises(ConfigError, match="did you mean 'sharpness'"):
        function("x", sharpnes=5)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="sharpness must be one of 3, 5; got 4"):
        validate(dataclasses.replace(seen[0], sharpness=4))
    with pytest.raises(ConfigError, match=r"blur must lie in \(0, 2\], got 0.0"):
        validate(dataclasses.replace(seen[0], blur=0.0))


@EVERY
def test_signatures_show_every_option_with_type_and_default(
    arguments: type, app: Any, function: Any
) -> None:
    signature = inspect.signature(function)
    assert list(signature.parameters) == [one.name for one in declared(arguments)]
    for one in declared(arguments):
        parameter = signature.parameters[one.name]
        assert parameter.annotation == one.hint
        required = one.default is dataclasses.MISSING
        assert parameter.default == (inspect.Parameter.empty if required else one.default)
    assert signature.parameters["dataset"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert signature.parameters["scale"].kind is inspect.Parameter.KEYWORD_ONLY
    assert signature.return_annotation in (coo.Result, coo.Comparison)


@EVERY
def test_help_texts_are_the_same_in_python_and_in_the_command(
    arguments: type, app: Any, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = io.StringIO()
    monkeypatch.setattr(sys, "stdout", page)
    help(function)
    text = " ".join(page.getvalue().split())
    found = parameters(app)
    for one in declared(arguments):
        assert one.option.text() in text
        if one.option.command:
            assert found[one.name].help.startswith(one.option.text())
    assert text.index("Parameters ------") < text.index("Returns ------") < text.index("Raises")


def test_defaults_of_a_comparison_differ_only_where_it_says_so() -> None:
    usual = {field.name: field.default for field in dataclasses.fields(AnalysisOptions)}
    compared = {field.name: field.default for field in dataclasses.fields(ComparedOptions)}
    assert usual.keys() == compared.keys()
    assert {name for name in usual if usual[name] != compared[name]} == {"estimators", "features"}
    assert compared["estimators"] == ("gaussian",)
    assert compared["features"] == ("sparsity", "subbands")


def test_choices_are_named_in_their_help() -> None:
    for arguments, _, _ in SIDES.values():
        for one in declared(arguments):
            assert all(str(choice) in one.option.text() for choice in one.option.allowed())


@pytest.mark.parametrize("function", [coo.analyze, coo.compare])
@pytest.mark.parametrize(
    ("wrong", "right"), [("sclae", "scale"), ("colour", "color"), ("normalise", "normalize")]
)
def test_misspelled_keywords_get_one_line_with_the_nearest_name(
    function: Any, wrong: str, right: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        function("sample", ["bicubic"], **{wrong: 2})
    assert str(caught.value) == f"unknown option {wrong!r}; did you mean {right!r}?"


def test_a_missing_data_set_is_a_type_error_as_usual() -> None:
    with pytest.raises(TypeError, match="dataset"):
        coo.analyze()  # type: ignore[call-arg]


def another(one: Declared) -> Any:
    """A value that is not the default, by what the option declares."""
    if one.kind is bool:
        return not one.default
    if choices := one.option.allowed():
        other = next(choice for choice in choices if choice not in (one.default, "auto"))
        return (other,) if one.kind is tuple else other
    return {int: 3, float: 0.5, str: "b", tuple: ("b", "c"), Path: Path("folder")}[one.kind]


def flags(changes: dict[str, Any]) -> list[str]:
    """Words of a command line for some values."""
    words = []
    for name, value in changes.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", ",".join(value) if isinstance(value, tuple) else str(value)]
    return words


@pytest.mark.parametrize("name", SIDES)
def test_every_option_reaches_the_python_function(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, app, _ = SIDES[name]
    seen: dict[str, Any] = {}

    class Stop(Exception):
        """Nothing else is done."""

    def stop(**given: Any) -> None:
        seen.update(given)
        raise Stop

    monkeypatch.setattr(f"cooanalysis.api.{name}", stop)
    changes = {
        one.name: another(one)
        for one in declared(arguments)
        if one.option.command and one.name not in ("models", "cache")
    }
    words = flags(changes)
    if name == "compare":
        words += ["--model", "a=hr", "-m", "bicubic", "--no-cache"]
        changes |= {"models": ["a=hr", "bicubic"], "cache": False}
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, Stop), done.output
    assert seen == changes | {"progress": False}


@pytest.mark.parametrize(("words", "cache"), [([], True), (["--cache", "c"], Path("c"))])
def test_the_cache_is_a_folder_or_the_usual_one(
    words: list[str], cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("cooanalysis.api.compare", lambda **given: seen.update(given) or 1 / 0)
    CliRunner().invoke(compare_command.app, ["--model", "hr", *words])
    assert seen["cache"] == cache
    assert seen["out"] == Path("runs/compare-sample-x4")
    assert seen["features"] == ("sparsity", "subbands")


@pytest.mark.parametrize(
    ("command", "typed", "expected"),
    [
        ("analyze", "--dataset se", {"set5", "set14"}),
        ("analyze", "--reference ur", {"urban100"}),
        ("analyze", "--dataset my", {"my_images/"}),
        ("analyze", "--dataset my_images/", {"my_images/inner/"}),
        ("analyze", "--out my", {"my_images/"}),
        ("analyze", "--scale ", {"2", "3", "4", "8"}),
        ("analyze", "--color r", {"rgb"}),
        ("analyze", "--estimators gaussian,c", {"gaussian,copula"}),
        ("analyze", "--grou", {"--grouping"}),
        ("compare", "--model bi", {"bicubic"}),
        ("compare", "--model edsr-small-x4-l1-", {"edsr-small-x4-l1-decloss"}),
        ("compare", "--model ours=bi", {"ours=bicubic"}),
        ("compare", "--model ours=my_", {"ours=my_images/", "ours=my_weights.pth"}),
        ("compare", "--metrics psnr_y,ssim_", {"psnr_y,ssim_y", "psnr_y,ssim_rgb"}),
        ("compare", "--features subbands,s", {"subbands,sparsity"}),
        ("compare", "--engine faiss-c", {"faiss-cpu"}),
    ],
)
def test_shells_complete_values(
    command: str, typed: str, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / "my_images" / "inner").mkdir(parents=True)
    (tmp_path / "my_weights.pth").touch()
    words = f"coo-{command} {typed}"
    env = os.environ | {
        f"_COO_{command.upper()}_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = f"import sys; sys.argv = ['coo-{command}']; from cooanalysis.cli.{command} import main"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; main()"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert set(done.stdout.split()) == expected, done.stderr
