"""What the source must not hold, and what an import must not do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import ROOT

SOURCES = sorted(
    path
    for folder in ("cooanalysis", "figures", "experiments")
    for path in (ROOT / folder).rglob("*.py")
)


def findings(tree: ast.AST) -> Iterator[str]:
    """Calls that run text as code, start a shell, or unpickle."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            for name in names:
                if name.split(".")[0] in ("cloudpickle", "dill", "joblib", "marshal", "shelve"):
                    yield f"{node.lineno}: imports {name}"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        if name in ("eval", "exec", "compile", "__import__", "input"):
            yield f"{node.lineno}: {name}()"
        if name in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"):
            yield f"{node.lineno}: {name}()"
        if name.split(".")[-1] in ("Unpickler",) or name in ("pickle.load", "pickle.loads"):
            yield f"{node.lineno}: {name}()"
        if "shell" in options and ast.unparse(options["shell"]) != "False":
            yield f"{node.lineno}: {name}(shell=...)"
        if name == "torch.load" and ast.unparse(options.get("weights_only", node)) != "True":
            yield f"{node.lineno}: torch.load without weights_only=True"
        if name in ("np.load", "numpy.load") and "allow_pickle" in options:
            if ast.unparse(options["allow_pickle"]) != "False":
                yield f"{node.lineno}: {name}(allow_pickle=...)"
        if name in ("pd.read_pickle", "pandas.read_pickle", "read_pickle"):
            yield f"{node.lineno}: {name}()"
        if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
            yield f"{node.lineno}: {name}()"
        if name.endswith("extractall") or name in ("shutil.unpack_archive",):
            yield f"{node.lineno}: {name}()"
        if name in ("tempfile.mktemp", "hashlib.md5", "hashlib.sha1"):
            yield f"{node.lineno}: {name}()"
        if "verify" in options and ast.unparse(options["verify"]) == "False":
            yield f"{node.lineno}: {name}(verify=False)"


OWN_CODE = {"experiments/mutation/measure.py": "compile()"}
"""What compiles this repository's own modules, after changing them on purpose."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    found = findings(ast.parse(path.read_text(encoding="utf-8")))
    allowed = OWN_CODE.get(path.relative_to(ROOT).as_posix())
    assert not [line for line in found if line.partition(": ")[2] != allowed]


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)", "os.system('x')", "subprocess.run(x, shell=True)", "pickle.load(file)",
        "pickle.Unpickler(file).load()", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)", "import joblib", "from dill import loads",
        "yaml.load(text)", "archive.extractall()", "requests.get(url, verify=False)",
    ],
)  # fmt: skip
def test_the_scan_finds(line: str) -> None:
    assert list(findings(ast.parse(line)))


def test_templates_escape_by_themselves() -> None:
    """Jinja does not escape unless it is configured to."""
    for path in (ROOT / "cooanalysis").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Environment"):
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("autoescape") == "True", f"{path}:{node.lineno}"


WATCHED = """
import sys
events = []
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn",
                         "urllib.", "http.", "ftplib.", "smtplib.")):
        events.append((event, repr(arguments)[:200]))
sys.addaudithook(watch)
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
print(events)
"""

MODULES = [
    "cooanalysis", "cooanalysis.api", "cooanalysis.cli.analyze", "cooanalysis.cli.compare",
    "cooanalysis.cli.train", "cooanalysis.analysis.run", "cooanalysis.api",
    "cooanalysis.data", "cooanalysis.report", "cooanalysis.cli.self_test", "cooanalysis.metrics",
]  # fmt: skip


def test_importing_opens_no_socket_and_starts_no_process() -> None:
    code = [sys.executable, "-c", WATCHED, *MODULES]
    done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=ROOT)
    # Other packages ask the system for its libraries and its cores.
    asked = ("ldconfig", "lscpu")
    events = [e for e in ast.literal_eval(done.stdout) if not any(name in e[1] for name in asked)]
    assert events == []


def test_the_watch_sees_a_socket(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("import socket\nsocket.socket().close()\n")
    code = [sys.executable, "-c", WATCHED, "loud"]
    done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "socket.__new__" in done.stdout


def test_every_download_has_a_checksum() -> None:
    from cooanalysis.data.registry import DATASETS

    archives = [archive for spec in DATASETS.values() for archive in spec.archives]
    assert archives
    for archive in archives:
        kind, _, digest = archive.checksum.partition(":")
        assert (kind, len(digest)) in (("sha256", 64), ("md5", 32)), archive
        assert archive.url.startswith(("https://", "http://")), archive.url
