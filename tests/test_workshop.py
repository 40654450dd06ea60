"""Facts that several files of the workshop repeat: versions, supported Pythons, pinned packages."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cooanalysis

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# As .ci/constraints.sh says: extras that CI does not install, and packages that must stay free.
NOT_PINNED_EXTRAS = {"bench", "gpu", "workflows"}
NOT_PINNED = re.compile(r"(torch|torchvision|triton|setuptools|sympy|mpmath|nvidia-.*|cuda-.*)$")


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def yaml_of(path: str | Path) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text("setup.cfg"))
    return parser


def lines(value: str) -> list[str]:
    return [line for line in value.splitlines() if line and not line.startswith("#")]


def supported() -> list[str]:
    return re.findall(r"Python :: (3\.\d+)$", setup()["metadata"]["classifiers"], re.M)


def pins(python: str) -> dict[str, str]:
    """Versions by name that constraints.txt holds for a Python on Linux; no name may have two."""
    where = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    found: dict[str, str] = {}
    for line in lines(text("constraints.txt")):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(where):
            assert not requirement.extras, f"pip refuses extras in constraints: {line}"
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            assert canonicalize_name(requirement.name) not in found, line
            found[canonicalize_name(requirement.name)] = pin.version
    return found


def test_one_version() -> None:
    version = cooanalysis.__version__
    assert yaml_of("CITATION.cff")["version"] == version
    (cited,) = re.findall(r"version = \{(.+)\}", text("docs/cite.md"))
    assert cited == version
    released = re.findall(r"^## \[(\d.*?)\] - \d{4}-\d{2}-\d{2}$", text("CHANGELOG.md"), re.M)
    assert released[0] == version


def test_changelog_has_an_unreleased_section_and_a_link_for_each_version() -> None:
    titles = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), re.M)
    assert titles[0] == "Unreleased"
    assert re.findall(r"^\[(.+?)\]: https://", text("CHANGELOG.md"), re.M) == titles


def test_the_paper_is_cited_alike() -> None:
    (paper,) = yaml_of("CITATION.cff")["references"]
    entry = " ".join(text("docs/cite.md").split())
    assert paper["title"] in entry
    names = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
    assert names in entry
    assert f"year = {{{paper['year']}}}" in entry and paper["notes"] in entry


def test_supported_pythons_are_tested() -> None:
    assert setup()["options"]["python_requires"] == f">={supported()[0]}"
    tests = yaml_of(".github/workflows/tests.yml")["jobs"]["tests"]
    assert tests["strategy"]["matrix"]["python"] == supported()


@pytest.mark.parametrize("python", supported())
def test_direct_dependencies_are_pinned_to_supported_versions(python: str) -> None:
    config, pinned = setup(), pins(python)
    groups = [config["options"]["install_requires"]] + [
        value
        for extra, value in config["options.extras_require"].items()
        if extra not in NOT_PINNED_EXTRAS
    ]
    requirements = [Requirement(line) for group in groups for line in lines(group)]
    assert len(requirements) > 30
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if not NOT_PINNED.match(name):
            assert name in pinned, f"{name}: run `make constraints`"
            assert requirement.specifier.contains(pinned[name], prereleases=True), name


def test_torch_and_what_it_pins_are_free() -> None:
    assert [name for name in pins("3.11") if NOT_PINNED.match(name)] == []


def test_commits_and_ci_use_one_ruff() -> None:
    (ruff,) = (
        repository
        for repository in yaml_of(".pre-commit-config.yaml")["repos"]
        if repository["repo"].endswith("/ruff-pre-commit")
    )
    assert ruff["rev"] == f"v{pins('3.12')['ruff']}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_can_only_read_unless_a_job_says_otherwise(path: Path) -> None:
    workflow = yaml_of(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        writes = [right for right, level in job.get("permissions", {}).items() if level == "write"]
        assert not writes or "environment" in job, f"{name}: no environment guards {writes}"
        for step in job.get("steps", []):
            used = step.get("uses", "./")
            assert used.startswith("./") or re.search(r"@(v\d+|release/v\d+)$", used), used


def test_only_publishing_jobs_have_more_rights() -> None:
    more = {
        (path.name, name)
        for path in WORKFLOWS
        for name, job in yaml_of(path)["jobs"].items()
        if "permissions" in job
    }
    assert more == {("release.yml", "publish"), ("docs.yml", "deploy")}
